// SPDX-License-Identifier: LGPL-2.1-or-later
// Map an address, or change a mapping: one form for both.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { ExpandableSection } from "@patternfly/react-core/dist/dynamic/components/ExpandableSection";
import { useEffect, useMemo, useState } from "react";
import { planChangeMapping, planMapAddress, readWish, type MappingWish } from "../../actions/map-address.ts";
import { isOwnAddress, readSide } from "../../actions/nat-conflicts.ts";
import { answeredByAnother } from "../../host/nat.ts";
import type { Machine } from "../../host/run.ts";
import { msg, type Message } from "../../model/message.ts";
import { guestChoices } from "../../model/guest-addresses.ts";
import { formatPrefix, isSingle } from "../../model/nat-address.ts";
import { likelyUplinks } from "../../model/nat-host.ts";
import { formatLimits, NOTHING, parseLimits } from "../../model/nat-limits.ts";
import { currentState, natReading } from "../../model/nat-reading.ts";
import { linksToAsk, ownership, wayIn } from "../../model/nat-works.ts";
import { EMPTY_STATE, mappingKey, type Mapping, type NatState } from "../../model/nat.ts";
import type { Planned } from "../../model/plan.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { TextField } from "../../ui/fields.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Status } from "../../ui/status.tsx";
import { _, format } from "../../ui/translate.ts";
import { ForeignUse } from "./foreign-use.tsx";
import { ChangedMeanwhile, useChangedMeanwhile } from "./changed-meanwhile.tsx";
import { GuestField, Origin, choiceKey, pickedOf, useAddressSearch } from "./guest-field.tsx";
import { freeAddresses } from "./rows.ts";
import { UplinkField, chosenUplink } from "./uplink-field.tsx";

interface Form {
    public: string;
    /** Absent: that of the guest that was picked, as soon as it is known. */
    guest: string | undefined;
    /** `choiceKey` of a guest; empty: none. */
    picked: string;
    description: string;
    limits: string;
    log: boolean;
    guard: boolean;
    acceptOwn: boolean;
    uplink: string;
    /** Of several uplinks, the one that the mapping's own connections leave by; empty: the default route's. */
    leaves: string;
}

function formOf(state: NatState, mapping: Mapping | undefined, guestAddress: string, guarded: boolean): Form {
    return {
        public: mapping ? mappingKey(mapping) : "", guest: mapping ? formatPrefix(mapping.guest) : guestAddress, picked: "",
        description: mapping?.description ?? "", limits: formatLimits(mapping?.limits), log: mapping?.log ?? false, guard: guarded,
        acceptOwn: false, uplink: "", leaves: chosenUplink(state, mapping),
    };
}

export function stateOf(snapshot: Snapshot): NatState {
    const reading = natReading(snapshot);
    return reading.state === "read" ? currentState(reading.value) : EMPTY_STATE;
}

/** Anti-spoofing as it is; on for new mappings. */
function isGuarded(snapshot: Snapshot, state: NatState, old: Mapping | undefined): boolean {
    const device = old && wayIn(snapshot, old.guest, state.uplinks).device;
    return state.devices.find(({ name }) => name === device)?.guarded ?? true;
}

/** The plan for what is typed; what is wrong with the limits is found before the planner is asked. */
export function planOfForm(snapshot: Snapshot, form: Form, old: Mapping | undefined): Planned {
    const wish = wishOfForm(form, old);
    if ("problem" in wish)
        return { problems: [{ field: "limits", says: wish.problem }] };
    return old ? planChangeMapping(snapshot, mappingKey(old), wish) : planMapAddress(snapshot, wish);
}

function wishOfForm(form: Form, old: Mapping | undefined): MappingWish | { problem: Message } {
    const limits = parseLimits(form.limits);
    if ("problem" in limits)
        return limits;
    return {
        public: form.public, guest: form.guest ?? "", description: form.description, log: form.log, guard: form.guard,
        enabled: old?.enabled ?? true, acceptOwnAddress: form.acceptOwn, uplink: form.leaves, ...limits,
        ...(form.uplink === "" ? {} : { uplinks: [form.uplink] }),
    };
}

/** What the form wishes, as far as it can be read. */
function mappingOfForm(snapshot: Snapshot, form: Form, old: Mapping): Mapping | undefined {
    const wish = wishOfForm(form, old);
    const read = "problem" in wish ? undefined : readWish(snapshot, wish);
    return read && "mapping" in read ? read.mapping : undefined;
}

/** Until it is said whose change is to stay, there is nothing to run; the notice at the top asks. */
const UNSETTLED: Planned = { problems: [{ field: "meanwhile", says: msg("Somebody changed this mapping meanwhile.") }] };

/** What is known of the public address, and whether somebody else answers for it: asked half a second after the last key. */
function AddressNews({ text, snapshot, uplinks, machine }: {
    text: string; snapshot: Snapshot; uplinks: readonly string[]; machine: Machine;
}) {
    const side = readSide("public", text);
    const prefix = "prefix" in side ? side.prefix : undefined;
    const known = snapshot.addresses.state === "read" && snapshot.routes.state === "read";
    const way = prefix && ownership(snapshot, prefix);
    const links = prefix && way === "on-link" ? linksToAsk(snapshot, prefix, uplinks).join(" ") : "";
    const asked = prefix && isSingle(prefix) && links !== "" ? prefix.address : undefined;
    const [answer, setAnswer] = useState<{ asked: string; others: readonly (boolean | undefined)[] }>();
    useEffect(() => {
        if (asked === undefined)
            return undefined;
        let stale = false;
        const timer = window.setTimeout(() => {
            void Promise.all(links.split(" ").map(link => answeredByAnother(machine, link, asked)))
                    .then(others => { if (!stale) setAnswer({ asked: `${links} ${asked}`, others }); });
        }, 500);
        return () => { stale = true; window.clearTimeout(timer); };
    }, [asked, links, machine]);
    if (way === undefined || way === "own" || prefix === undefined)
        return null;
    if (!known)
        return <Status kind="unknown">{_("Whether it lies in a network of this host is not known.")}</Status>;
    if (way === "routed") {
        return (
            <Status kind="info">
                {_("No network of this host contains it: the provider must send it to this host.")}
            </Status>
        );
    }
    if (!isSingle(prefix))
        return <Status kind="info">{format(_("It lies in the network on $0: the host will answer for all of it there."), links.split(" ")[0] ?? "")}</Status>;
    const named = links.replaceAll(" ", ", ");
    if (answer?.asked !== `${links} ${asked}`)
        return <Status kind="pending">{format(_("Asking on $0 whether another machine has this address…"), named)}</Status>;
    return answer.others.includes(true)
        ? <Status kind="warning">{_("Another machine answers for this address now. Two owners would disturb each other.")}</Status>
        : answer.others.includes(undefined)
            ? <Status kind="unknown">{_("Whether another machine has this address could not be found out.")}</Status>
            : <Status kind="success">{format(_("Nobody answers for it on $0; this host will."), named)}</Status>;
}

/** The host's own address: allowed only when it is said twice, here and with the tick above the button. */
function OwnAddress({ checked, onChange }: { checked: boolean; onChange(checked: boolean): void }) {
    return (
        <Checkbox
            id="map-own" isChecked={checked} onChange={(_event, value) => onChange(value)}
            label={_("Map the host's own address")}
            description={_("For a host with a single public address that is to be a guest's. The host, and this page, are then reached another way.")}
        />
    );
}

export interface MapDialogProps {
    /** The mapping to change; absent: a new one. */
    old?: Mapping;
    /** Filled in for a new one. */
    guestAddress?: string;
    machine: Machine;
    onClose(): void;
    onDone?(): void;
}

export function MapDialog({ old, guestAddress = "", machine, onClose, onDone }: MapDialogProps) {
    const snapshot = useSnapshot();
    const state = stateOf(snapshot);
    const [form, setForm] = useState(() => formOf(state, old, guestAddress, isGuarded(snapshot, state, old)));
    const [more, setMore] = useState(old?.limits !== undefined || old?.log === true);
    const set = <Key extends keyof Form>(key: Key) => (value: Form[Key]) => setForm(now => ({ ...now, [key]: value }));
    const search = useAddressSearch(machine, snapshot);
    const choices = useMemo(() => guestChoices(snapshot, search.addresses), [snapshot, search.addresses]);
    const inside = form.guest ?? pickedOf(choices, form.picked)?.address ?? "";
    const picked = pickedOf(choices, form.picked) ?? choices.find(({ address }) => address !== undefined && address === inside);
    const filled = useMemo(() => ({ ...form, guest: inside }), [form, inside]);
    const { base, changed, settle } = useChangedMeanwhile(old, state, from => mappingOfForm(snapshot, filled, from));
    const unsettled = changed !== undefined;
    const planned = useMemo(() => unsettled ? UNSETTLED : planOfForm(snapshot, filled, base), [snapshot, filled, base, unsettled]);
    const likely = likelyUplinks(snapshot);
    const uplinks = state.uplinks.length > 0 ? state.uplinks : form.uplink === "" ? likely : [form.uplink];
    const side = readSide("public", form.public);
    const own = "prefix" in side && isOwnAddress(snapshot, side.prefix);
    return (
        <PlanDialog
            title={old ? format(_("Change the mapping of $0"), mappingKey(old)) : _("Map a public address")} size="large"
            action={old ? _("Change") : _("Map")} done={old ? _("Mapping changed") : _("Address mapped")} planned={planned}
            says={_("The guest is reached at the public address, and what it sends leaves with that address.")}
            confirm={own && form.acceptOwn ? format(_("I know that $0 then leads to the guest and no longer to this host."), form.public) : undefined}
            onClose={onClose} {...(onDone ? { onDone } : {})}
        >
            {changed && (
                <ChangedMeanwhile
                    {...changed} onMine={settle}
                    onTheirs={() => { setForm(formOf(state, changed.now, "", isGuarded(snapshot, state, changed.now))); settle(); }}
                />
            )}
            {choices.length > 0 && (
                <GuestField
                    choices={choices} picked={picked} search={search}
                    onPick={choice => setForm(now => ({ ...now, picked: choice ? choiceKey(choice) : "", guest: choice ? undefined : "" }))}
                />
            )}
            <TextField
                label={_("Guest address")} field="guest" required code value={inside} planned={planned}
                onChange={text => setForm(now => ({ ...now, guest: text, picked: picked?.address === undefined ? now.picked : "" }))}
                help={picked && (picked.address ?? "") === inside ? <Origin choice={picked} search={search} /> : _("Or a prefix as long as the public one.")}
            />
            <TextField
                label={_("Public address")} field="public" required code value={form.public} onChange={set("public")} planned={planned}
                suggestions={freeAddresses(snapshot, state, uplinks)}
                help={<AddressNews text={form.public} snapshot={snapshot} uplinks={uplinks} machine={machine} />}
            />
            <ForeignUse text={form.public} snapshot={snapshot} uplinks={uplinks} machine={machine} />
            {own && <OwnAddress checked={form.acceptOwn} onChange={set("acceptOwn")} />}
            <TextField
                label={_("Description")} field="description" value={form.description} onChange={set("description")} planned={planned}
            />
            {state.uplinks.length === 0 && likely.length === 0 && (
                <TextField
                    label={_("Uplink")} field="uplinks" required code value={form.uplink} onChange={set("uplink")} planned={planned}
                    help={_("The link that leads outside.")}
                />
            )}
            <UplinkField snapshot={snapshot} state={state} address={form.public} value={form.leaves} onChange={set("leaves")} />
            <ExpandableSection
                toggleText={_("Limits, logging, anti-spoofing")} isExpanded={more} onToggle={(_event, expanded) => setMore(expanded)}
            >
                <div className="kt-fieldset">
                    <TextField
                        label={_("Only let in")} field="limits" code value={form.limits} onChange={set("limits")} planned={planned}
                        help={format(_("Protocols and ports, for example icmp, tcp/22, tcp/8000-8010; $0: only answers to the guest. Empty: everything."), NOTHING)}
                    />
                    <Checkbox
                        id="map-log" label={_("Log new incoming connections")} description={_("At most ten a second, to the kernel's log.")}
                        isChecked={form.log} onChange={(_event, value) => set("log")(value)}
                    />
                    <Checkbox
                        id="map-guard" label={_("Anti-spoofing")}
                        description={_("The guest may send only from addresses that are routed to its device, and from its own MAC address.")}
                        isChecked={form.guard} onChange={(_event, value) => set("guard")(value)}
                    />
                </div>
            </ExpandableSection>
        </PlanDialog>
    );
}
