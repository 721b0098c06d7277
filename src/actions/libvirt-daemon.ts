// SPDX-License-Identifier: LGPL-2.1-or-later
// Starting libvirt's daemon, and restarting it so that it sees the hook. Neither touches running guests: they are processes of
// their own, to which the daemon reconnects (qemuProcessReconnect).
import { msg } from "../model/message.ts";
import type { Planned } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";

/** The daemon that runs QEMU guests here: libvirtd, or virtqemud of the modular daemons (Fedora). */
export function libvirtUnit(snapshot: Snapshot): string {
    const services = valueOf(snapshot.services);
    const active = (unit: string) => services?.get(unit) === "active";
    if (active("virtqemud.service") && !active("libvirtd.service"))
        return "virtqemud.service";
    return services?.has("virtqemud.service") && !services.has("libvirtd.service") ? "virtqemud.service" : "libvirtd.service";
}

const answers = (snapshot: Snapshot) => snapshot.libvirt.state === "read";

export function planStartLibvirt(snapshot: Snapshot): Planned {
    const unit = libvirtUnit(snapshot);
    return {
        plan: {
            title: msg("Start libvirt"),
            steps: [{ says: msg("Start $0", unit), does: { type: "command", argv: ["systemctl", "start", unit] } }],
            holds: answers,
        },
    };
}

/** For a hook that came after the daemon: libvirt looks for hooks only when it starts (virHookInitialize). */
export function planRestartLibvirt(snapshot: Snapshot): Planned {
    const unit = libvirtUnit(snapshot);
    return {
        plan: {
            title: msg("Restart libvirt"),
            steps: [{ says: msg("Restart $0: it looks for hooks when it starts", unit), does: { type: "command", argv: ["systemctl", "restart", unit] } }],
            notes: [msg("Running guests go on running. Other programs that talk to libvirt are disconnected for a moment.")],
            holds: after => answers(after) && after.hook.state === "read" && after.hook.value.inEffect !== false,
        },
    };
}
