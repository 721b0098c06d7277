// SPDX-License-Identifier: LGPL-2.1-or-later
// A device that no guest names given to one; and, where several name the same, a device of its own for one of them.
import { useMemo, useState } from "react";
import { namedBy, planGive, planOwnDevice } from "../../actions/hand-over-tap.ts";
import { pairInterfaces, type Guest, type InterfacePair } from "../../model/guest.ts";
import { randomMac } from "../../model/names.ts";
import type { Planned } from "../../model/plan.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { suggestionFor } from "../../model/tap-text.ts";
import { SelectField, TextField } from "../../ui/fields.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format } from "../../ui/translate.ts";

interface Place {
    /** The guest's UUID and the place of the interface; nothing after the slash for a new one. */
    key: string;
    guest: Guest;
    pair?: InterfacePair;
}

/** The ethernet interfaces of all definitions, and a new one for each guest. */
function places(snapshot: Snapshot): Place[] {
    return (valueOf(snapshot.guests) ?? []).filter(guest => guest.configured).flatMap(guest => [
        ...pairInterfaces(guest).filter(pair => pair.configured?.type === "ethernet")
            .map(pair => ({ key: `${guest.uuid}/${pair.configured?.index ?? ""}`, guest, pair })),
        { key: `${guest.uuid}/`, guest },
    ]);
}

function placeLabel({ guest, pair }: Place): string {
    if (!pair)
        return format(_("$0: a new interface"), guest.name);
    const { mac, target } = pair.configured ?? {};
    return target === undefined
        ? format(_("$0: the interface $1, which names no device"), guest.name, mac ?? "")
        : format(_("$0: the interface $1 instead of $2"), guest.name, mac ?? "", target);
}

const nothingChosen: Planned = { problems: [{ field: "nothing", says: { id: "" } }] };

export function GiveDialog({ name, onClose }: { name: string; onClose(): void }) {
    const snapshot = useSnapshot();
    const [key, setKey] = useState("");
    const [mac] = useState(randomMac);
    // As it is when it is chosen: changed meanwhile, the plan says so.
    const [place, setPlace] = useState<Place>();
    const planned = useMemo(() => place
        ? planGive(snapshot, name, { uuid: place.guest.uuid, ...place.pair && { opened: place.pair }, mac })
        : nothingChosen, [snapshot, name, place, mac]);
    const all = places(snapshot);
    const { mappings } = namedBy(snapshot, name);
    return (
        <PlanDialog
            title={format(_("Give $0 to a guest"), name)} action={_("Give")} done={format(_("$0 was given to $1"), name, place?.guest.name ?? "")}
            planned={planned} onClose={onClose}
            says={mappings.length > 0
                ? format(_("The device stays as it is, with its addresses and what maps to them: $0. The guest has it from its next start."), mappings.join(", "))
                : _("The device stays as it is, with its addresses. The guest has it from its next start.")}
        >
            <SelectField
                label={_("To")} field="interface" planned={planned} value={key} required
                choices={[{ value: "", label: _("Choose…") }, ...all.map(each => ({ value: each.key, label: placeLabel(each) }))]}
                onChange={chosen => { setKey(chosen); setPlace(all.find(each => each.key === chosen)); }}
            />
        </PlanDialog>
    );
}

export function OwnDeviceDialog({ name, onClose }: { name: string; onClose(): void }) {
    const snapshot = useSnapshot();
    const [naming] = useState(() => namedBy(snapshot, name).interfaces);
    const taken = useMemo(() => new Set([...valueOf(snapshot.links)?.map(link => link.name) ?? [], name]), [snapshot.links, name]);
    // The last one is more often the clone.
    const [index, setIndex] = useState(naming.length - 1);
    const chosen = naming[index];
    const [typed, setTyped] = useState<string>();
    const [guestAddresses, setGuestAddresses] = useState("");
    const own = typed ?? (chosen ? suggestionFor(chosen.guest, taken).name ?? "" : "");
    const planned = useMemo((): Planned => chosen
        ? planOwnDevice(snapshot, name, { uuid: chosen.guest.uuid, opened: chosen.pair, name: own.trim(), guestAddresses })
        : nothingChosen, [snapshot, name, chosen, own, guestAddresses]);
    return (
        <PlanDialog
            title={format(_("A device of its own instead of $0"), name)} action={_("Create")} done={format(_("$0 was created"), own)}
            planned={planned} onClose={onClose}
            says={_("Only one guest at a time can run on a device. The guest chosen here gets one of its own from its next start, alike but for name and addresses.")}
        >
            <SelectField
                label={_("For the guest")} field="guest" planned={planned} value={String(index)} required
                choices={naming.map(({ guest, pair }, each) => ({ value: String(each), label: `${guest.name}, ${pair.configured?.mac ?? ""}` }))}
                onChange={value => setIndex(Number(value))}
            />
            <TextField label={_("Name")} field="name" planned={planned} value={own} onChange={setTyped} code required help={_("At most 15 letters, digits and _ . -")} />
            <TextField
                label={_("Guest addresses")} field="guestAddresses" planned={planned} value={guestAddresses} onChange={setGuestAddresses} code placeholder="10.0.0.3"
                help={_("IPv4 or IPv6, several with spaces between them. The host sends what goes to them into this device.")}
            />
        </PlanDialog>
    );
}
