// SPDX-License-Identifier: LGPL-2.1-or-later
// Events and outcomes in words, and how good each outcome is.
import type { LifecycleEvent, Outcome } from "../model/fate.ts";
import type { StatusKind } from "./status.tsx";
import { _ } from "./translate.ts";

/** Short, for a drawing. */
export function eventWord(event: LifecycleEvent): string {
    switch (event) {
    case "start": return _("Start");
    case "failed-start": return _("Failed start");
    case "migrate-in": return _("Migrate in");
    case "reboot": return _("Reboot");
    case "reset": return _("Reset");
    case "hot-plug": return _("Plug in");
    case "hot-unplug": return _("Unplug");
    case "snapshot-revert": return _("Revert snapshot");
    case "daemon-restart": return _("libvirt restarts");
    case "shutdown": return _("Shut down");
    case "destroy": return _("Force off");
    case "crash": return _("QEMU ends, crash");
    case "save": return _("Save");
    case "migrate-out": return _("Migrate away");
    case "daemon-start-after-crash": return _("Died unseen");
    }
}

/** What the event is, in a sentence. */
export function eventSays(event: LifecycleEvent): string {
    switch (event) {
    case "start": return _("The guest is started.");
    case "failed-start": return _("A start fails, for whatever reason.");
    case "migrate-in": return _("The guest arrives from another host.");
    case "reboot": return _("The guest reboots, by itself or by virsh reboot.");
    case "reset": return _("The guest is reset.");
    case "hot-plug": return _("The interface is plugged into the running guest.");
    case "hot-unplug": return _("The interface is unplugged from the running guest.");
    case "snapshot-revert": return _("The guest goes back to a snapshot.");
    case "daemon-restart": return _("libvirt's daemon is restarted while the guest runs.");
    case "shutdown": return _("The guest shuts down.");
    case "destroy": return _("The guest is forced off: virsh destroy.");
    case "crash": return _("QEMU ends by itself or is killed.");
    case "save": return _("The guest's memory is saved to disk and QEMU ends.");
    case "migrate-out": return _("The guest moves to another host.");
    case "daemon-start-after-crash": return _("QEMU ended while libvirt's daemon was down; it notices when it starts.");
    }
}

export function outcomeWord(outcome: Outcome): string {
    switch (outcome) {
    case "kept": return _("kept");
    case "deleted": return _("deleted");
    case "made": return _("made by libvirt");
    case "gone": return _("gone");
    case "restored": return _("made again");
    case "fails": return _("fails");
    case "fails-and-deleted": return _("fails, deleted");
    case "not-used": return _("not used");
    case "unknown": return _("not known");
    }
}

export function outcomeKind(outcome: Outcome): StatusKind {
    switch (outcome) {
    case "kept": return "success";
    case "deleted":
    case "fails":
    case "fails-and-deleted": return "danger";
    case "restored":
    case "not-used": return "warning";
    case "made":
    case "gone": return "info";
    case "unknown": return "unknown";
    }
}
