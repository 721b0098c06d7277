// SPDX-License-Identifier: LGPL-2.1-or-later
// What libvirt does to the device of an `<interface>` on each event of a guest's life.
//
// The rule (libvirt on Linux, QEMU driver): since 1.3.3 qemuProcessStop() runs virNetDevTapDelete() on the device of every
// ethernet interface, whatever ended the guest and also after a failed start, unless it says `<target managed='no'>`
// (5.8.0 and later). From 9.1.0 on a start refuses a device that exists and is not `managed='no'` – and that failed start
// deletes it, too. virNetDevTapDelete() only clears TUNSETPERSIST, so it cannot harm a device that somebody holds, that is
// multi-queue (the flags do not match), or that is no TAP.
import { comesBack, dropped, isBusy, isDroppedName, isPlainTap, madeByLibvirt, name, notATap, protectedFate, restoredOr } from "./fate-situation.ts";
import type { Cause, Circumstances, Fate, LifecycleEvent, Situation } from "./fate-situation.ts";
import { plugs, starts } from "./fate-open.ts";
import type { Interface } from "./guest.ts";
import { behaviours } from "./libvirt-version.ts";
import type { Behaviour } from "./libvirt-version.ts";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";
import type { Link } from "./tap.ts";

export { isDroppedName, lifecycleEvents } from "./fate-situation.ts";
export type { Cause, Circumstances, Fate, LifecycleEvent, Outcome } from "./fate-situation.ts";

/**
 * What happens to `device` (the link that the interface names, if there is one) when `event` happens to the guest.
 * `iface` is the one in effect: of the live definition for what happens to a running guest, of the configured one for a
 * start. Total: whatever nobody has verified is `unknown`.
 */
export function fate(event: LifecycleEvent, iface: Interface, device: Link | undefined, circumstances: Circumstances): Fate {
    const c = circumstances;
    const candidates = behaviours(c.libvirt, c.launchSecurity);
    const outside = notCovered(event, c, candidates);
    if (outside)
        return outside;
    const answers = candidates.map(b => {
        const situation = { iface, device, c, b, unmanaged: b.knowsManaged && iface.managed === "no" };
        return iface.type === "ethernet" ? judge(event, situation) : judgeOther(event, situation);
    });
    const [first] = answers;
    if (first && answers.every(({ outcome }) => outcome === first.outcome))
        return first;
    return {
        outcome: "unknown", cause: "not-verified",
        because: msg("Nobody has verified what libvirt $0 does here. It depends on how this build was patched.", versionText(c)),
        source: "virDomainInterfaceEthernetConnect",
    };
}

function versionText({ libvirt }: Circumstances): string {
    return libvirt.packageVersion ?? libvirt.version;
}

function notCovered(event: LifecycleEvent, c: Circumstances, candidates: readonly Behaviour[]): Fate | undefined {
    const unknown = (cause: Cause, because: Message, source: string): Fate => ({ outcome: "unknown", cause, because, source });
    if (c.libvirt.driver !== "QEMU" || !["kvm", "qemu", "hvf", ""].includes(c.guestType))
        return unknown("not-covered", msg("Only guests of QEMU and KVM are covered, this one is of type $0.", c.guestType || c.libvirt.driver), "");
    if (candidates.length === 0)
        return unknown("not-verified", msg("Nobody has verified what libvirt $0 does.", c.libvirt.version), "");
    if (c.savedState && !c.running && (event === "start" || event === "failed-start")) {
        return unknown("saved-state",
            msg("The next start restores the saved state, with the definition that was in effect when it was saved."), "qemuDomainObjRestore");
    }
    return undefined;
}

function judge(event: LifecycleEvent, s: Situation): Fate {
    switch (event) {
        case "start":
        case "migrate-in":
            return starts(s, event);
        case "failed-start":
            return startFails(s);
        case "hot-plug":
            return plugs(s);
        case "hot-unplug":
            return unplugs(s);
        case "reboot":
            return s.c.on.reboot === "destroy" ? stops(s) : resets(s);
        case "reset":
            return resets(s);
        case "snapshot-revert":
            return reverts(s);
        case "daemon-restart":
            return stays(s, msg("A restart of libvirt does not touch the devices of running guests."), "qemuProcessReconnect");
        case "shutdown":
            return s.c.on.poweroff === "restart" && s.b.poweroffCanRestart ? resets(s) : stops(s);
        case "destroy":
        case "crash":
        case "save":
        case "migrate-out":
        case "daemon-start-after-crash":
            return stops(s);
    }
}

/** The QEMU process ends: qemuProcessStop. */
function stops(s: Situation): Fate {
    const { device, c, unmanaged } = s;
    const source = "qemuProcessStop, virDomainInterfaceDeleteDevice";
    if (!device)
        return restoredOr(s, { outcome: "gone", cause: "missing", because: msg("The device $0 is missing already.", name(s)), source });
    if (!isPlainTap(device))
        return notATap(s, "kept", source);
    if (device.tun?.persistent === false) {
        return restoredOr(s, {
            outcome: "gone", cause: "not-persistent",
            because: msg("$0 is not persistent: the kernel removes it when the guest stops.", name(s)), source: "tun.c, __tun_detach",
        });
    }
    if (unmanaged)
        return protectedFate(s);
    if (device.tun?.multiQueue) {
        return {
            outcome: "kept", cause: "multi-queue",
            because: msg("libvirt tries to delete $0 and cannot, since the device is multi-queue.", name(s)),
            source: "virNetDevTapDelete: TUNSETIFF without IFF_MULTI_QUEUE",
        };
    }
    if (c.users.length > 0)
        return { outcome: "kept", cause: "busy", because: msg("libvirt cannot delete $0 while $1 uses it.", name(s), c.users.join(", ")), source };
    return restoredOr(s, {
        outcome: "deleted", cause: "tap-delete",
        because: c.hookInEffect === "unknown" && comesBack(s, c.configured)
            ? msg("libvirt deletes $0 when the guest stops. Whether the hook that makes it again is in effect is not known.", name(s))
            : msg("libvirt deletes $0 when the guest stops, since the definition in effect does not say managed='no'.", name(s)),
        source: `${source}, virNetDevTapDelete (1.3.3)`,
    });
}

/** A start fails for a reason of its own (a missing disk, a hook, another interface): qemuProcessStart → qemuProcessStop. */
function startFails(s: Situation): Fate {
    if (s.iface.target === undefined || (!s.unmanaged && isDroppedName(s.iface.target)))
        return s.iface.target === undefined ? { ...madeByLibvirt(s), outcome: "gone" } : dropped(s);
    if (s.device && isPlainTap(s.device) && isBusy(s)) {
        return {
            outcome: "kept", cause: "busy", because: msg("libvirt cannot delete $0 while another guest or process uses it.", name(s)),
            source: "virNetDevTapDelete: EBUSY",
        };
    }
    const stopped = stops({ ...s, c: { ...s.c, configured: s.iface } });
    if (stopped.outcome !== "deleted")
        return stopped;
    return { ...stopped, because: msg("A start that fails, for whatever reason, deletes $0, since the definition does not say managed='no'.", name(s)) };
}

function unplugs(s: Situation): Fate {
    if (s.device && isPlainTap(s.device) && s.device.tun?.persistent === false) {
        return {
            outcome: "gone", cause: "not-persistent", source: "tun.c, __tun_detach",
            because: msg("$0 is not persistent: the kernel removes it when the guest lets go of it.", name(s)),
        };
    }
    return stays(s, msg("Unplugging never deletes a device."), "qemuDomainRemoveNetDevice");
}

function resets(s: Situation): Fate {
    if (s.b.resetRecreates)
        return { ...restarts(s), source: "qemuProcessFakeRebootViaRecreate" };
    if (!s.device && s.iface.model?.startsWith("virtio")) {
        return {
            outcome: "gone", cause: "missing", source: "QEMU: tap_fd_set_vnet_hdr_len",
            because: msg("The device $0 is missing already, and QEMU ends when the guest resets its virtio card.", name(s)),
        };
    }
    return stays(s, msg("QEMU goes on running: the device stays in use."), "qemuProcessFakeReboot, system_reset");
}

/** To a snapshot of the running guest. */
function reverts(s: Situation): Fate {
    if (!s.c.running)
        return starts(s, "start");
    return s.b.revertRestarts ? restarts(s) : stays(s, msg("The state is loaded into the running QEMU."), "loadvm");
}

/** Stop and start in one go: the worse of the two. */
function restarts(s: Situation): Fate {
    const stopped = stops(s);
    const after = { ...s, device: stopped.outcome === "kept" && s.device ? { ...s.device, carrier: false } : undefined };
    const started = starts({ ...after, c: { ...s.c, running: false } }, "start");
    return stopped.outcome === "kept" || stopped.cause === "missing" ? started : stopped;
}

function stays(s: Situation, because: Message, source: string): Fate {
    if (!s.device)
        return { outcome: "gone", cause: "missing", because: msg("The device $0 is missing already.", name(s)), source };
    return { outcome: "kept", cause: s.unmanaged ? "protected" : "untouched", because, source };
}

/** Interfaces of other types, as far as a TAP of theirs is concerned. */
function judgeOther(event: LifecycleEvent, s: Situation): Fate {
    if (!["bridge", "network", "direct"].includes(s.iface.type)) {
        return {
            outcome: "not-used", cause: "other-type", source: "virDomainInterfaceDeleteDevice",
            because: msg("Interfaces of type $0 have no TAP device that an administrator makes.", s.iface.type),
        };
    }
    const begins = event === "start" || event === "migrate-in" || event === "hot-plug";
    if (begins)
        return s.device && s.iface.target !== undefined && !isDroppedName(s.iface.target) ? otherExists(s) : madeByLibvirt(s);
    if (event === "reset" || event === "daemon-restart")
        return judge(event, s);
    if (s.device?.tun?.persistent === true)
        return stays(s, msg("Of type $0, libvirt does not delete a persistent device.", s.iface.type), "virDomainInterfaceDeleteDevice");
    return {
        outcome: "gone", cause: "libvirt-makes-it", source: "virDomainInterfaceDeleteDevice",
        because: msg("libvirt made the device itself, and it goes with the guest."),
    };
}

/** bridge and network refuse an existing device since 9.0.0 (a2ae3d299c); nobody verified older ones and `direct`. */
function otherExists(s: Situation): Fate {
    if (s.iface.type !== "direct" && s.b.bridgeRefusesExisting) {
        return {
            outcome: "fails", cause: "exists", source: "virNetDevTapCreate (9.0.0)",
            because: msg("The start fails since $0 exists, and libvirt wants to make it.", name(s)),
        };
    }
    return {
        outcome: "unknown", cause: "not-verified", source: "",
        because: msg("Nobody has verified what libvirt does with an existing device on an interface of type $0.", s.iface.type),
    };
}
