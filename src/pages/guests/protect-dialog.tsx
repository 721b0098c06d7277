// SPDX-License-Identifier: LGPL-2.1-or-later
// Protect one interface or many, and take the protection off again.
import { useMemo, useState } from "react";
import { planProtect, type ProtectTarget } from "../../actions/protect.ts";
import { planUnprotect, type DeviceAfter } from "../../actions/unprotect.ts";
import { glance, type Subject } from "../../model/glance.ts";
import type { Planned } from "../../model/plan.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { tapFilePath } from "../../model/tap-file.ts";
import { SelectField, TextField } from "../../ui/fields.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format, plural, translate } from "../../ui/translate.ts";
import { subjectsByKey } from "./rows.ts";

function targetOf({ guest, pair }: Subject): ProtectTarget {
    return { uuid: guest.uuid, index: pair.configured?.index ?? -1 };
}

function nameOf({ pair }: Subject): string {
    return pair.configured?.target ?? "";
}

/** A device that is nowhere: neither in the kernel nor described in a file. */
function isNew(snapshot: Snapshot, subject: Subject): boolean {
    const described = snapshot.files.state === "read" && snapshot.files.value.has(tapFilePath(nameOf(subject)));
    return subject.configuredDevice === undefined && !described;
}

function ProtectOne({ subject, onClose }: { subject: Subject; onClose(): void }) {
    const snapshot = useSnapshot();
    const [address, setAddress] = useState("");
    const [asks] = useState(() => isNew(snapshot, subject));
    const [because] = useState(() => translate(glance(subject).because));
    const planned = useMemo(() => planProtect(snapshot, { targets: [{ ...targetOf(subject), guestAddress: address.trim() }] }),
        [snapshot, subject, address]);
    const name = nameOf(subject);
    return (
        <PlanDialog
            title={format(_("Protect $0 of $1"), name, subject.guest.name)} says={because} action={_("Protect")}
            done={format(_("$0 is protected"), name)} planned={planned} onClose={onClose}
        >
            {asks && (
                <TextField
                    label={_("Guest address")} field="address" value={address} onChange={setAddress} planned={planned} code placeholder="10.0.0.2"
                    help={_("Routed over the new device, with 169.254.0.1 as the guest's gateway. Empty: a device without addresses.")}
                />
            )}
        </PlanDialog>
    );
}

function ProtectMany({ subjects, onClose }: { subjects: readonly Subject[]; onClose(): void }) {
    const snapshot = useSnapshot();
    const planned = useMemo(() => planProtect(snapshot, { targets: subjects.map(targetOf), leavesOut: true }), [snapshot, subjects]);
    return (
        <PlanDialog
            title={plural("Protect $0 interface", "Protect $0 interfaces", subjects.length)} action={_("Protect")} size="large"
            says={subjects.map(subject => `${subject.guest.name}: ${nameOf(subject)}`).join(", ")}
            done={plural("$0 interface is protected", "$0 interfaces are protected", subjects.length)} planned={planned} onClose={onClose}
        />
    );
}

/** `keys` are those of rows; the subjects are those of the moment the dialog was opened, plans follow the host. */
export function ProtectDialog({ keys, onClose }: { keys: readonly string[]; onClose(): void }) {
    const snapshot = useSnapshot();
    const [subjects] = useState(() => {
        const byKey = subjectsByKey(snapshot);
        return keys.flatMap(key => byKey.get(key) ?? []);
    });
    const [only, ...others] = subjects;
    if (only === undefined)
        return null;
    return others.length === 0 ? <ProtectOne subject={only} onClose={onClose} /> : <ProtectMany subjects={subjects} onClose={onClose} />;
}

const afterwards = (): readonly { value: DeviceAfter; label: string }[] => [
    { value: "stays", label: _("stays, and is made at every boot") },
    { value: "until-boot", label: _("stays until the next boot") },
    { value: "deleted", label: _("is deleted now: libvirt makes one of its own at the next start") },
];

export function UnprotectDialog({ rowKey, onClose }: { rowKey: string; onClose(): void }) {
    const snapshot = useSnapshot();
    const [subject] = useState(() => subjectsByKey(snapshot).get(rowKey));
    const [device, setDevice] = useState<DeviceAfter>("stays");
    const planned = useMemo((): Planned => subject
        ? planUnprotect(snapshot, { ...targetOf(subject), device })
        : { problems: [] }, [snapshot, subject, device]);
    const name = subject ? nameOf(subject) : "";
    const choices = afterwards();
    return (
        <PlanDialog
            title={format(_("Take the protection off $0?"), name)} action={_("Take off")} done={format(_("$0 is not protected any more"), name)}
            says={_("libvirt may delete the device from the next start on.")} planned={planned} danger onClose={onClose}
        >
            <SelectField
                label={_("The device")} field="device" planned={planned} value={device} choices={choices}
                onChange={value => setDevice(choices.find(choice => choice.value === value)?.value ?? device)}
            />
        </PlanDialog>
    );
}
