// SPDX-License-Identifier: LGPL-2.1-or-later
// Adding, changing and converting an interface, as a form or as XML; and removing one.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { useEffect, useMemo, useState, type ReactNode } from "react";
import { formerly, foundMeanwhile, planInterface, planRemoveInterface, type LiveWish } from "../../actions/edit-interface.ts";
import { planMakeTap } from "../../actions/make-tap.ts";
import type { Machine } from "../../host/run.ts";
import { readNames, type LibvirtNames } from "../../host/virsh.ts";
import type { Guest, InterfacePair } from "../../model/guest.ts";
import { formOf, newInterface, withFields, type InterfaceField } from "../../model/interface-form.ts";
import { randomMac } from "../../model/names.ts";
import type { Planned } from "../../model/plan.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { NEW_TAP, wishOf, withTextProblems } from "../../model/tap-text.ts";
import { Alert } from "../../ui/alert.tsx";
import { Difference } from "../../ui/difference.tsx";
import { problemOf, SelectField, TextField } from "../../ui/fields.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format } from "../../ui/translate.ts";
import { outdented } from "../../ui/shell-words.ts";
import { InterfaceEditor, isXml, useSchema, withSyntax } from "./interface-editor.tsx";

/** When a change is to take effect. */
type When = "both" | "replug" | "config" | "live";

const scopes: Record<When, { config: boolean; live: LiveWish }> = {
    both: { config: true, live: "change" },
    replug: { config: true, live: "replug" },
    config: { config: true, live: "no" },
    live: { config: false, live: "change" },
};

type Kind = "add" | "change" | "remove";

/** `pair`: an interface may be in one of the two definitions only. */
function whenChoices(guest: Guest, kind: Kind, pair: InterfacePair | undefined): readonly { value: When; label: string }[] {
    const later = { value: "config" as const, label: _("at the next start") };
    const now = { value: "live" as const, label: _("now, only until the guest stops") };
    if (!guest.live || (pair && !pair.live))
        return [later];
    if (!guest.configured || (pair && !pair.configured))
        return [now];
    return [
        { value: "both", label: kind === "change" ? _("now what can change now, the rest at the next start") : _("now and from now on") },
        ...kind === "change" ? [{ value: "replug" as const, label: _("now, by unplugging and plugging in again") }] : [],
        later,
        now,
    ];
}

function useWhen(guest: Guest, kind: Kind, pair?: InterfacePair) {
    const [wish, setWhen] = useState<When>("both");
    const choices = whenChoices(guest, kind, pair);
    // The guest may be started or stopped while the dialog is open.
    const when = choices.find(({ value }) => value === wish)?.value ?? choices[0]?.value ?? "config";
    const field = (planned: Planned) => guest.live && (
        <SelectField
            label={_("Takes effect")} field="scope" planned={planned} value={when} choices={choices}
            onChange={value => setWhen(choices.find(choice => choice.value === value)?.value ?? when)}
        />
    );
    return { when, field };
}

/** What somebody else changed while the dialog was open, against what it was opened on. */
function Meanwhile({ opened, now, says, onTake }: { opened: InterfacePair; now: InterfacePair | undefined; says: string; onTake(): void }) {
    const xmlOf = (pair: InterfacePair | undefined) => outdented((pair?.configured ?? pair?.live)?.xml ?? "");
    return (
        <Alert
            variant="danger" isInline title={says}
            actionLinks={now && <Button variant="link" isInline onClick={onTake}>{_("Start again from what is there now")}</Button>}
        >
            <p>{now ? _("Between what this dialog was opened on and what is there now:") : _("It is not there any more.")}</p>
            {now && <Difference before={xmlOf(opened)} after={xmlOf(now)} />}
        </Alert>
    );
}

export interface InterfaceDialogProps {
    guest: Guest;
    /** Absent: a new interface. */
    pair?: InterfacePair | undefined;
    machine: Machine;
    onClose(): void;
}

function startingXml(pair: InterfacePair | undefined): string {
    const iface = pair?.configured ?? pair?.live;
    return iface ? outdented(iface.xml) : newInterface(randomMac(), "");
}

/** Looked up when the dialog opens: suggestions only. */
function useNames(machine: Machine): LibvirtNames {
    const [names, setNames] = useState<LibvirtNames>({ networks: [], filters: [] });
    useEffect(() => void readNames(machine).then(setNames), [machine]);
    return names;
}

export function InterfaceDialog({ guest, pair, machine, onClose }: InterfaceDialogProps) {
    const snapshot = useSnapshot();
    const [opened, setOpened] = useState(pair);
    // Fields are put into the text as it was opened (or written by hand), so that one emptied and filled again stays in its place.
    const [text, setText] = useState(() => startingXml(pair));
    const [fields, setFields] = useState<Partial<Record<InterfaceField, string>>>({});
    const xml = useMemo(() => isXml(text) ? withFields(text, fields) : text, [text, fields]);
    const setXml = (now: string) => { setText(now); setFields({}); };
    const now = opened && foundMeanwhile(snapshot, guest.uuid, opened);
    const { when, field } = useWhen(guest, opened ? "change" : "add", now);
    const schema = useSchema(machine, xml);
    const names = useNames(machine);
    const former = useMemo(() => opened ? formerly(snapshot, guest, opened) : [], [snapshot, guest, opened]);
    const planned = useMemo(() => withSyntax(planInterface(snapshot, { uuid: guest.uuid, opened, xml, ...scopes[when] }), schema),
        [snapshot, guest.uuid, opened, xml, when, schema]);
    const { making, also } = useMaking(snapshot, xml, planned);
    const meanwhile = problemOf(planned, "meanwhile");
    return (
        <PlanDialog
            title={opened ? format(_("Interface of $0"), guest.name) : format(_("Add an interface to $0"), guest.name)} size="large"
            action={opened ? _("Change") : _("Add")} done={opened ? _("The interface was changed") : _("The interface was added")}
            planned={making} onClose={onClose}
        >
            {opened && meanwhile !== undefined && (
                <Meanwhile opened={opened} now={now} says={meanwhile} onTake={() => { setOpened(now); setXml(startingXml(now)); }} />
            )}
            <InterfaceEditor
                schema={schema} names={names} former={former} xml={xml} planned={planned} onChange={setXml}
                onFields={more => setFields({ ...fields, ...more })}
            />
            {also}
            {field(planned)}
        </PlanDialog>
    );
}

/** Offers to make the device that the interface names, where there is none: one plan then does both. */
function useMaking(snapshot: Snapshot, xml: string, planned: Planned): { making: Planned; also: ReactNode } {
    const [wanted, setWanted] = useState(false);
    const [guestAddresses, setGuestAddresses] = useState("");
    const { type, target, managed, queues } = isXml(xml) ? formOf(xml) : { type: "", target: "", managed: "", queues: "" };
    const links = valueOf(snapshot.links);
    const missing = type === "ethernet" && managed === "no" && links !== undefined && !links.some(link => link.name === target);
    if (!missing || "problems" in planned)
        return { making: planned, also: null };
    const text = { ...NEW_TAP, name: target, guestAddresses, multiQueue: Number(queues) > 1 };
    const device = wanted ? withTextProblems(text, planMakeTap(snapshot, wishOf(text))) : undefined;
    const also = (
        <>
            <Checkbox
                id="make-device" label={format(_("Create the TAP device $0, too"), target)} isChecked={wanted}
                onChange={(_event, on) => setWanted(on)}
            />
            {wanted && (
                <TextField
                    label={_("Guest addresses")} field="guestAddresses" planned={device} value={guestAddresses} onChange={setGuestAddresses} code
                    help={_("The host sends what goes to them into this device.")}
                />
            )}
        </>
    );
    if (!device || "problems" in device)
        return { making: device ?? planned, also };
    const steps = [...device.plan.steps, ...planned.plan.steps];
    const holds = (after: Snapshot) => device.plan.holds(after) && planned.plan.holds(after);
    const notes = planned.plan.notes?.filter(note => !note.id.startsWith("There is no device $0 yet")) ?? [];
    return { making: { plan: { ...planned.plan, steps, notes, holds } }, also };
}

export function RemoveInterfaceDialog({ guest, pair, onClose }: { guest: Guest; pair: InterfacePair; onClose(): void }) {
    const snapshot = useSnapshot();
    const [opened] = useState(pair);
    const { when, field } = useWhen(guest, "remove", foundMeanwhile(snapshot, guest.uuid, opened));
    const { config, live } = scopes[when];
    const planned = useMemo(() => planRemoveInterface(snapshot, { uuid: guest.uuid, opened, config, live: live !== "no" }),
        [snapshot, guest.uuid, opened, config, live]);
    const target = (opened.configured ?? opened.live)?.target;
    const says: ReactNode = target === undefined
        ? _("The guest loses this connection.")
        : format(_("The guest loses this connection. The TAP device $0, its addresses and mappings stay."), target);
    return (
        <PlanDialog
            title={format(_("Remove an interface of $0?"), guest.name)} action={_("Remove")} done={_("The interface was removed")}
            planned={planned} onClose={onClose} danger says={says}
        >
            {field(planned)}
        </PlanDialog>
    );
}
