// SPDX-License-Identifier: LGPL-2.1-or-later
// Creating a TAP device or a numbered series, and changing one.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { useMemo, useState } from "react";
import { currentSettings, currentSysctls, planEditTap } from "../../actions/edit-tap.ts";
import { planMakeSeries, planMakeTap } from "../../actions/make-tap.ts";
import { isEnabled } from "../../actions/tap-steps.ts";
import type { Planned } from "../../model/plan.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { gatewaysOf, NEW_TAP, suggestionFor, sysctlsOf, textOf, wishOf, withTextProblems, type TapText } from "../../model/tap-text.ts";
import { SelectField, TextField } from "../../ui/fields.tsx";
import { goTo } from "../../ui/location.ts";
import { More } from "../../ui/more.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format, plural } from "../../ui/translate.ts";

interface FormProps {
    text: TapText;
    planned: Planned;
    onChange(changes: Partial<TapText>): void;
}

type TextKey = { [K in keyof TapText]: TapText[K] extends string | undefined ? K : never }[keyof TapText];

function useText({ text, planned, onChange }: FormProps) {
    return (field: TextKey, value = text[field] ?? "") =>
        ({ field, planned, value, code: true, onChange: (now: string) => onChange({ [field]: now }) });
}

function Addresses(props: FormProps) {
    const of = useText(props);
    return (
        <>
            <TextField
                {...of("guestAddresses")} label={_("Guest addresses")} placeholder="10.0.0.2"
                help={_("IPv4 or IPv6, several with spaces between them. The host sends what goes to them into this device.")}
            />
            <TextField {...of("gateways", gatewaysOf(props.text))} label={_("Gateway")} help={_("The host's address on the device; all devices may have the same.")} />
        </>
    );
}

function Rest(props: FormProps) {
    const { text, onChange } = props;
    const of = useText(props);
    return (
        <More>
            <TextField {...of("description")} label={_("Description")} code={false} />
            <TextField {...of("owner")} label={_("Owner")} help={_("Who may open the device beside administrators. With neither owner nor group that is every user of this host. Guests of the system's libvirt do not mind.")} />
            <TextField {...of("group")} label={_("Group")} />
            <Checkbox
                id="tap-multi-queue" label={_("Multi-queue")} isChecked={text.multiQueue} onChange={(_event, multiQueue) => onChange({ multiQueue })}
                description={_("For guests whose definition says 2 or more queues, and for no others.")}
            />
            <TextField {...of("mtu")} label={_("MTU")} placeholder="1500" />
            <TextField {...of("mac")} label={_("MAC address of the device")} help={_("Of the host's side. Left empty, the kernel makes one.")} />
            <TextField
                {...of("routes")} label={_("More routes")} lines={2}
                help={_("One a line, as ip takes them: networks behind the guest, through one of its addresses.")}
            />
            <TextField
                {...of("sysctls", sysctlsOf(text))} label={_("Kernel settings")} lines={7}
                help={_("They keep the guest from sending with foreign addresses, and from redirecting or steering the host. What is missing of these is added; write another value for what you mean otherwise.")}
            />
        </More>
    );
}

function AtBoot({ text, onChange }: FormProps) {
    return (
        <Checkbox
            id="tap-at-boot" label={_("Make it at every boot, before libvirt starts")} isChecked={text.atBoot}
            onChange={(_event, atBoot) => onChange({ atBoot })}
        />
    );
}

function ForGuest({ snapshot, value, onChange }: {
    snapshot: Snapshot; value: string; onChange(guest: string, changes: Partial<TapText>): void;
}) {
    const guests = valueOf(snapshot.guests) ?? [];
    const taken = new Set((valueOf(snapshot.links) ?? []).map(link => link.name));
    if (guests.length === 0)
        return null;
    return (
        <SelectField
            label={_("For the guest")} field="guest" value={value}
            choices={[{ value: "", label: _("none yet") }, ...guests.map(({ uuid, name }) => ({ value: uuid, label: name }))]}
            help={_("Fills in the name that its definition waits for, or suggests one.")}
            onChange={uuid => {
                const guest = guests.find(candidate => candidate.uuid === uuid);
                onChange(uuid, guest ? suggestionFor(guest, taken) : {});
            }}
        />
    );
}

/** A new device. */
export function CreateTapDialog({ onClose, name = "" }: { onClose(): void; name?: string }) {
    const snapshot = useSnapshot();
    const [text, setText] = useState<TapText>({ ...NEW_TAP, name });
    const [guest, setGuest] = useState("");
    const change = (changes: Partial<TapText>) => setText(now => ({ ...now, ...changes }));
    const planned = useMemo(() => withTextProblems(text, planMakeTap(snapshot, wishOf(text))), [snapshot, text]);
    const props = { text, planned, onChange: change };
    return (
        <PlanDialog
            title={_("Create a TAP device")} action={_("Create")} done={format(_("$0 was created"), text.name)} planned={planned} onClose={onClose}
            onDone={() => goTo(["taps", text.name])}
        >
            <ForGuest snapshot={snapshot} value={guest} onChange={(uuid, changes) => { setGuest(uuid); change(changes); }} />
            <TextField
                label={_("Name")} field="name" planned={planned} value={text.name} onChange={now => change({ name: now })} code required
                help={_("At most 15 letters, digits and _ . -")}
            />
            <Addresses {...props} />
            <AtBoot {...props} />
            <Rest {...props} />
        </PlanDialog>
    );
}

/** A numbered series. */
export function CreateSeriesDialog({ onClose }: { onClose(): void }) {
    const snapshot = useSnapshot();
    const [text, setText] = useState<TapText>(NEW_TAP);
    const [prefix, setPrefix] = useState("tap");
    const [first, setFirst] = useState("1");
    const [count, setCount] = useState("4");
    const change = (changes: Partial<TapText>) => setText(now => ({ ...now, ...changes }));
    const named = useMemo(() => ({ ...text, name: `${prefix}${first}` }), [text, prefix, first]);
    const planned = useMemo(() => {
        const number = /^\d+$/.test(first) ? Number(first) : NaN;
        if (Number.isNaN(number))
            return { problems: [{ field: "first", says: { id: _("Enter a number.") } }] };
        const series = { prefix, first: number, count: /^\d+$/.test(count) ? Number(count) : 0 };
        return withTextProblems(named, planMakeSeries(snapshot, wishOf(named), series));
    }, [snapshot, named, prefix, first, count]);
    const props = { text: named, planned, onChange: change };
    return (
        <PlanDialog
            title={_("Create a series of TAP devices")} action={_("Create")} planned={planned} onClose={onClose}
            done={plural("$0 device was created", "$0 devices were created", Number(count) || 0)}
            says={_("All are alike but for their number; of each guest address the next device gets the next.")}
        >
            <TextField label={_("Names begin with")} field="name" planned={planned} value={prefix} onChange={setPrefix} code required />
            <TextField label={_("First number")} field="first" planned={planned} value={first} onChange={setFirst} code required />
            <TextField label={_("How many")} field="count" planned={planned} value={count} onChange={setCount} code required />
            <Addresses {...props} />
            <AtBoot {...props} />
            <Rest {...props} />
        </PlanDialog>
    );
}

function openedText(snapshot: Snapshot, name: string): TapText {
    const settings = currentSettings(snapshot, name);
    return settings ? textOf(settings, currentSysctls(snapshot, name), isEnabled(snapshot, name)) : { ...NEW_TAP, name };
}

/** A device that is there or written down. */
export function EditTapDialog({ name, onClose }: { name: string; onClose(): void }) {
    const snapshot = useSnapshot();
    const [text, setText] = useState(() => openedText(snapshot, name));
    const planned = useMemo(() => withTextProblems(text, planEditTap(snapshot, wishOf(text))), [snapshot, text]);
    const props = { text, planned, onChange: (changes: Partial<TapText>) => setText(now => ({ ...now, ...changes })) };
    return (
        <PlanDialog
            title={format(_("Change $0"), name)} action={_("Change")} done={format(_("$0 was changed"), name)} planned={planned} onClose={onClose}
            says={_("The file and the running device change together; a guest on it stays connected.")}
        >
            <Addresses {...props} />
            <AtBoot {...props} />
            <Rest {...props} />
        </PlanDialog>
    );
}
