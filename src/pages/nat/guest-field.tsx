// SPDX-License-Identifier: LGPL-2.1-or-later
// Whose address it is to be: one choice per guest, interface and address, found in whatever the host knows of its guests.
import { SearchInput } from "@patternfly/react-core/dist/dynamic/components/SearchInput";
import { useEffect, useMemo, useState } from "react";
import { searchAddresses, type AddressSearch } from "../../host/guest-addresses.ts";
import type { Machine } from "../../host/run.ts";
import { agentsOf, guestChoices, guestOwners, type GuestChoice } from "../../model/guest-addresses.ts";
import type { Guest } from "../../model/guest.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { Field, SelectField } from "../../ui/fields.tsx";
import { Status } from "../../ui/status.tsx";
import { _, format, translate } from "../../ui/translate.ts";
import { hasShared } from "./rows.ts";

const NOTHING_FOUND: AddressSearch = { addresses: [], done: false, unread: [] };

/** Guests with an interface to whose device nothing is routed: only they are looked for, and only they are disturbed. */
function unroutedAgents(snapshot: Snapshot): readonly string[] {
    return agentsOf([...new Set(guestChoices(snapshot).filter(({ address }) => address === undefined).map(({ guest }) => guest))]);
}

/** Looks for the addresses of guests once, from when the component appears. */
export function useAddressSearch(machine: Machine, snapshot: Snapshot): AddressSearch {
    const [search, setSearch] = useState(NOTHING_FOUND);
    const [agents] = useState(() => unroutedAgents(snapshot));
    useEffect(() => {
        const asking = searchAddresses(machine, agents, setSearch);
        return () => asking.close();
    }, [machine, agents]);
    return search;
}

/** Guests by an address that the neighbour table or a lease knows of them: looked for where a mapping leads to a bridge. */
export function useOwners(machine: Machine, snapshot: Snapshot): ReadonlyMap<string, Guest> {
    const [search, setSearch] = useState(NOTHING_FOUND);
    const wanted = useMemo(() => hasShared(snapshot), [snapshot]);
    const running = (valueOf(snapshot.guests) ?? []).filter(({ state }) => state === "running").map(({ uuid }) => uuid).join(" ");
    useEffect(() => {
        if (!wanted)
            return undefined;
        const asking = searchAddresses(machine, [], setSearch);
        return () => asking.close();
    }, [machine, wanted, running]);
    const { guests, routes, links, addresses } = snapshot;
    return useMemo(() => guestOwners({ guests, routes, links, addresses }, search.addresses), [guests, routes, links, addresses, search]);
}

/** The choice as the value of an option; its interface comes first. */
export function choiceKey({ guest, mac, device, address = "" }: GuestChoice): string {
    return `${interfaceKey({ guest, mac, device })} ${address}`;
}

function interfaceKey({ guest, mac, device }: Pick<GuestChoice, "guest" | "mac" | "device">): string {
    return `${guest.uuid} ${mac} ${device}`;
}

/** What was picked, or the first address of its interface where one was found since. */
export function pickedOf(choices: readonly GuestChoice[], picked: string): GuestChoice | undefined {
    return choices.find(choice => choiceKey(choice) === picked)
        ?? choices.find(choice => picked !== "" && `${interfaceKey(choice)} ` === picked);
}

function labelOf({ guest, device, address }: GuestChoice): string {
    return address === undefined ? format(_("$0 · $1 · address not known"), guest.name, device) : `${guest.name} · ${device} · ${address}`;
}

/** On a link of many, ARP and DHCP are believed by whoever wants them to be. */
function OthersCould({ choice: { sharedOn } }: { choice: GuestChoice }) {
    return sharedOn === undefined ? null : <> {format(_("Whoever is on $0 could claim it: make sure that it is the guest's."), sharedOn)}</>;
}

/** Where the address of a choice comes from, and where none is known, what to do. */
export function Origin({ choice, search }: { choice: GuestChoice; search: AddressSearch }) {
    switch (choice.by) {
    case "route": return format(_("This host has a route to it over $0."), choice.device);
    case "neighbour": return <>{format(_("From this host's neighbour table: the address of $0."), choice.mac)}<OthersCould choice={choice} /></>;
    case "lease": return <>{format(_("From libvirt's DHCP leases: given to $0."), choice.mac)}<OthersCould choice={choice} /></>;
    case "agent": return format(_("From the guest agent of $0."), choice.guest.name);
    default: return search.done
        ? <Status kind="unknown">{_("No route, neighbour, DHCP lease or guest agent tells its address. Type the one that is set inside the guest.")}</Status>
        : <Status kind="pending">{_("Looking for its address…")}</Status>;
    }
}

/** From this many choices on there is a search. */
const MANY = 15;

export function GuestField({ choices, picked, search, onPick }: {
    choices: readonly GuestChoice[]; picked: GuestChoice | undefined; search: AddressSearch; onPick(choice: GuestChoice | undefined): void;
}) {
    const [words, setWords] = useState("");
    const wanted = words.toLowerCase().split(/\s+/);
    const shown = choices.filter(choice => choice === picked || wanted.every(word => labelOf(choice).toLowerCase().includes(word)));
    return (
        <>
            {choices.length > MANY && (
                <Field id="find-guest" label={_("Find guest")}>
                    <SearchInput
                        searchInputId="find-guest" value={words} onChange={(_event, value) => setWords(value)}
                        onClear={() => setWords("")} resultsCount={words === "" ? "" : String(shown.length)}
                    />
                </Field>
            )}
            <SelectField
                label={_("Guest")} field="choice" value={picked ? choiceKey(picked) : ""}
                onChange={value => onPick(choices.find(choice => choiceKey(choice) === value))}
                choices={[
                    { value: "", label: _("Another address") },
                    ...shown.map(choice => ({ value: choiceKey(choice), label: labelOf(choice) })),
                ]}
                help={search.unread.length > 0 ? search.unread.map(translate).join(" ") : undefined}
            />
        </>
    );
}
