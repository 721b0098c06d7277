// SPDX-License-Identifier: LGPL-2.1-or-later
// What is done with devices that are there, written down, or left behind.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { useMemo, useState } from "react";
import { planAdopt, planApplyFile, planAtBoot, planBringBack, planKeepOff, planSetUp, planTakeOver } from "../../actions/edit-tap.ts";
import { namedBy, planDeleteWith, together } from "../../actions/hand-over-tap.ts";
import { fileOf, runningSettings } from "../../actions/tap-steps.ts";
import { msg } from "../../model/message.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { writeTapFile } from "../../model/tap-file.ts";
import { takenOver } from "../../model/tap-settings.ts";
import { Difference } from "../../ui/difference.tsx";
import { SelectField } from "../../ui/fields.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format, plural } from "../../ui/translate.ts";
import { GiveDialog, OwnDeviceDialog } from "./hand-over.tsx";
import { CreateSeriesDialog, CreateTapDialog, EditTapDialog } from "./tap-dialog.tsx";

export type Open =
    | { dialog: "create" | "series" }
    | { dialog: "edit" | "give" | "own" | "adopt" | "bring-back" | "drift" | "up" | "down" | "at-boot" | "not-at-boot" | "keep-off"; name: string }
    | { dialog: "delete" | "bring-back-all" | "adopt-all"; names: readonly string[] };

/** The one dialog that is open. */
export function TapDialogs({ open, onClose }: { open: Open; onClose(): void }) {
    switch (open.dialog) {
    case "create": return <CreateTapDialog onClose={onClose} />;
    case "series": return <CreateSeriesDialog onClose={onClose} />;
    case "edit": return <EditTapDialog name={open.name} onClose={onClose} />;
    case "delete": return <DeleteDialog names={open.names} onClose={onClose} />;
    case "give": return <GiveDialog name={open.name} onClose={onClose} />;
    case "own": return <OwnDeviceDialog name={open.name} onClose={onClose} />;
    case "drift": return <DriftDialog name={open.name} onClose={onClose} />;
    case "bring-back-all":
    case "adopt-all": return <ManyDialog kind={open.dialog} names={open.names} onClose={onClose} />;
    default: return <SimpleDialog kind={open.dialog} name={open.name} onClose={onClose} />;
    }
}

type Simple = "adopt" | "bring-back" | "up" | "down" | "at-boot" | "not-at-boot" | "keep-off";

function simple(kind: Simple, name: string) {
    switch (kind) {
    case "adopt": return {
        title: format(_("Take over $0"), name), action: _("Take over"), done: format(_("$0 was taken over"), name),
        says: _("The device is written down exactly as it is and made again at every boot. A guest on it stays connected, and can no longer steer this host."),
        plan: (snapshot: Snapshot) => planAdopt(snapshot, name),
    };
    case "bring-back": return {
        title: format(_("Bring $0 back"), name), action: _("Bring back"), done: format(_("$0 is back"), name),
        says: _("The device is made again as its file says."), plan: (snapshot: Snapshot) => planBringBack(snapshot, name),
    };
    case "up": return {
        title: format(_("Set $0 up"), name), action: _("Set up"), done: format(_("$0 is up"), name),
        says: _("Packets pass again."), plan: (snapshot: Snapshot) => planSetUp(snapshot, name, true),
    };
    case "down": return {
        title: format(_("Set $0 down"), name), action: _("Set down"), done: format(_("$0 is down"), name),
        says: _("No packet passes until it is set up again."), plan: (snapshot: Snapshot) => planSetUp(snapshot, name, false),
    };
    case "at-boot": return {
        title: format(_("Make $0 at every boot"), name), action: _("Make at boot"), done: format(_("$0 is made at every boot"), name),
        says: _("The device is made before libvirt starts."), plan: (snapshot: Snapshot) => planAtBoot(snapshot, name, true),
    };
    case "keep-off": return {
        title: format(_("Keep systemd-networkd off $0"), name), action: _("Keep off"), done: format(_("systemd-networkd leaves $0 alone"), name),
        says: _("A file tells systemd-networkd that this device is not its own. The device is not touched: a guest on it stays connected."),
        plan: (snapshot: Snapshot) => planKeepOff(snapshot, name),
    };
    case "not-at-boot": return {
        title: format(_("Make $0 no longer at boot"), name), action: _("No longer at boot"), done: format(_("$0 is no longer made at boot"), name),
        says: _("It stays as it is now. After the next reboot guests that need it do not start."),
        plan: (snapshot: Snapshot) => planAtBoot(snapshot, name, false),
    };
    }
}

function SimpleDialog({ kind, name, onClose }: { kind: Simple; name: string; onClose(): void }) {
    const snapshot = useSnapshot();
    const { title, action, done, says, plan } = simple(kind, name);
    return (
        <PlanDialog title={title} action={action} done={done} says={says} planned={plan(snapshot)} onClose={onClose} danger={kind === "down"} />
    );
}

function ManyDialog({ kind, names, onClose }: { kind: "bring-back-all" | "adopt-all"; names: readonly string[]; onClose(): void }) {
    const snapshot = useSnapshot();
    const adopt = kind === "adopt-all";
    const planned = useMemo(() => together(
        names.map(name => adopt ? planAdopt(snapshot, name) : planBringBack(snapshot, name)),
        adopt ? msg("Take over $0 devices", String(names.length)) : msg("Bring $0 devices back", String(names.length)),
    ), [snapshot, names, adopt]);
    return adopt
        ? (
            <PlanDialog
                title={plural("Take over $0 device", "Take over $0 devices", names.length)} action={_("Take over")} done={_("The devices were taken over")}
                says={_("The devices are written down exactly as they are and made again at every boot.")} planned={planned} onClose={onClose}
            />
        )
        : (
            <PlanDialog
                title={plural("Bring $0 device back", "Bring $0 devices back", names.length)} action={_("Bring back")} done={_("The devices are back")}
                says={_("The devices are made again as their files say.")} planned={planned} onClose={onClose}
            />
        );
}

/** Takes definitions and mappings that name the devices along only if asked. */
function DeleteDialog({ names, onClose }: { names: readonly string[]; onClose(): void }) {
    const snapshot = useSnapshot();
    const [along, setAlong] = useState({ interfaces: false, mappings: false });
    const naming = names.map(name => namedBy(snapshot, name));
    const guests = naming.flatMap(({ interfaces }) => interfaces.map(({ guest }) => guest.name));
    const mappings = naming.flatMap(each => each.mappings);
    const inNat = naming.some(each => each.inNat);
    const planned = useMemo(() => planDeleteWith(snapshot, names, along), [snapshot, names, along]);
    const [only = ""] = names;
    return (
        <PlanDialog
            title={names.length === 1 ? format(_("Delete $0?"), only) : plural("Delete $0 device and what is left of it?", "Delete $0 devices and what is left of them?", names.length)}
            action={_("Delete")} done={names.length === 1 ? format(_("$0 was deleted"), only) : _("The devices were deleted")}
            planned={planned} onClose={onClose} danger
            says={names.length === 1 ? _("The device goes with its addresses, its routes and what is written down of it.") : names.join(", ")}
        >
            {guests.length > 0 && (
                <Checkbox
                    id="delete-interfaces" isChecked={along.interfaces} onChange={(_event, on) => setAlong({ ...along, interfaces: on })}
                    label={format(_("Remove the interface from the definition of $0, too"), guests.join(", "))}
                />
            )}
            {(mappings.length > 0 || inNat) && (
                <Checkbox
                    id="delete-mappings" isChecked={along.mappings} onChange={(_event, on) => setAlong({ ...along, mappings: on })}
                    label={mappings.length > 0
                        ? format(_("Remove what maps to it, too: $0"), mappings.join(", "))
                        : _("Remove it from the devices of 1:1 NAT, too")}
                />
            )}
        </PlanDialog>
    );
}

/** The device as it runs against its file, side by side, and which of the two is right. */
function DriftDialog({ name, onClose }: { name: string; onClose(): void }) {
    const snapshot = useSnapshot();
    const [right, setRight] = useState<"kernel" | "file">("kernel");
    const planned = right === "kernel" ? planTakeOver(snapshot, name) : planApplyFile(snapshot, name);
    return (
        <PlanDialog
            title={format(_("$0 differs from its file"), name)} size="large" planned={planned} onClose={onClose}
            action={right === "kernel" ? _("Take over what runs") : _("Apply the file")} done={_("Device and file agree")}
        >
            <DriftView name={name} />
            <SelectField
                label={_("Right is")} field="right" value={right} onChange={value => setRight(value === "file" ? "file" : "kernel")}
                choices={[{ value: "kernel", label: _("how it runs: change the file") }, { value: "file", label: _("the file: change the device") }]}
            />
        </PlanDialog>
    );
}

/** `−` is in the file only, `+` runs only. */
export function DriftView({ name }: { name: string }) {
    const snapshot = useSnapshot();
    const running = runningSettings(snapshot, name);
    const file = fileOf(snapshot, name);
    if (!running || !file)
        return null;
    return (
        <div>
            <p className="kt-subtle">{_("− only in the file, + only in the running device")}</p>
            <Difference before={writeTapFile(file.settings)} after={writeTapFile(takenOver(file.settings, running))} label={_("File and running device")} />
        </div>
    );
}
