// SPDX-License-Identifier: LGPL-2.1-or-later
// What libvirt does to the device of an `<interface>` on each event of a guest's life.
//
// The rule (libvirt on Linux, QEMU driver): since 1.3.3 qemuProcessStop() runs virNetDevTapDelete() on the device of every
// ethernet interface, whatever ended the guest and also after a failed start, unless it says `<target managed='no'>`
// (5.8.0 and later). From 9.1.0 on a start refuses a device that exists and is not `managed='no'` – and that failed start
// deletes it, too. virNetDevTapDelete() only clears TUNSETPERSIST, so it cannot harm a device that somebody holds, that is
// multi-queue (the flags do not match), or that is no TAP.
import type { Interface, LifecycleActions } from "./guest.ts";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";
import type { Libvirt } from "./snapshot.ts";
import type { Link } from "./tap.ts";
import { behaviours } from "./libvirt-version.ts";
import type { Behaviour } from "./libvirt-version.ts";

/** In the order of a guest's life. `crash`: QEMU ends by itself or is killed; `failed-start`: for any reason of its own. */
export const lifecycleEvents = [
    "start", "failed-start", "migrate-in", "reboot", "reset", "hot-plug", "hot-unplug", "snapshot-revert", "daemon-restart",
    "shutdown", "destroy", "crash", "save", "migrate-out", "daemon-start-after-crash",
] as const;
export type LifecycleEvent = typeof lifecycleEvents[number];

export type Outcome =
    | "kept"
    | "deleted"
    | "made" /* libvirt makes a device of its own */
    | "gone" /* libvirt's own device, or one that was missing already */
    | "restored" /* deleted or missing, made again by the hook */
    | "fails" /* the event fails, the device stays as it is */
    | "fails-and-deleted"
    | "not-used"
    | "unknown";

/** What decided, for labels, checks and cures. */
export type Cause =
    | "not-covered" | "not-verified" | "saved-state"
    | "protected" | "tap-delete" | "not-persistent" | "multi-queue" | "not-a-tap" | "untouched" | "reused" | "hook"
    | "missing" | "exists" | "queues" | "busy" | "name-dropped" | "name-too-long" | "no-name" | "other-type" | "libvirt-makes-it";

export interface Fate {
    outcome: Outcome;
    cause: Cause;
    because: Message;
    /** Function and release of libvirt (or the kernel's) that decides. */
    source: string;
}

export interface Circumstances {
    libvirt: Pick<Libvirt, "version" | "packageVersion" | "driver">;
    /** `<domain type>`. */
    guestType: string;
    /** Whether the guest runs when the event happens: `snapshot-revert` differs. */
    running: boolean;
    /** A saved state waits for the next start, which then runs on the definition inside it. */
    savedState: boolean;
    on: LifecycleActions;
    launchSecurity?: string;
    /** Who holds the device beside this interface: names of guests and processes. */
    users: readonly string[];
    /** `kvm-tap@DEVICE.service` is enabled. */
    unitEnabled: boolean;
    hookInEffect: boolean | "unknown";
    /** The configured counterpart of the interface: the hook restores only what it names with `managed='no'`. */
    configured?: Interface;
}

/** What a decision looks at. */
interface Situation {
    iface: Interface;
    device: Link | undefined;
    c: Circumstances;
    b: Behaviour;
    /** `managed='no'`, on a libvirt that knows it. */
    unmanaged: boolean;
}

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

function name(s: Situation): string {
    return s.iface.target ?? "";
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

function protectedFate(s: Situation): Fate {
    return {
        outcome: "kept", cause: "protected", because: msg("managed='no': libvirt leaves $0 to you.", name(s)),
        source: "virDomainNetDef.managed_tap (5.8.0)",
    };
}

function notATap(s: Situation, outcome: "kept" | "fails", source: string): Fate {
    const because = outcome === "kept"
        ? msg("$0 is no TAP device of its own: libvirt cannot delete it.", name(s))
        : msg("The start fails: $0 is no TAP device that libvirt can open here.", name(s));
    return { outcome, cause: "not-a-tap", because, source };
}

function isPlainTap(device: Link): boolean {
    return device.tun?.type === "tap";
}

/**
 * The hook makes again what is missing, has an enabled unit, and is named with managed='no': on `prepare` by the definition
 * that starts, on `release` by the configured one.
 */
function comesBack({ iface, c }: Situation, definition: Interface | undefined): boolean {
    return c.unitEnabled && definition?.managed === "no" && definition.target === iface.target;
}

function restoredOr(s: Situation, otherwise: Fate, definition = s.c.configured): Fate {
    if (s.c.hookInEffect !== true || !comesBack(s, definition))
        return otherwise;
    return {
        outcome: "restored", cause: "hook",
        because: otherwise.outcome === "deleted"
            ? msg("libvirt deletes $0 when the guest stops, and the hook makes it again at once.", name(s))
            : msg("The hook makes $0 again: its unit is enabled and the definition says managed='no'.", name(s)),
        source: "hooks/qemu.d/50-kvm-tap: prepare, release",
    };
}

/** A guest begins to run here: a start, a restored state, an incoming migration. */
function starts(s: Situation, event: "start" | "migrate-in"): Fate {
    return cannotBeOpened(s, event) ?? opens(s);
}

const connect = "virDomainInterfaceEthernetConnect";

/** The interface is plugged into a running guest. A failure here leaves the device alone, and no hook runs. */
function plugs(s: Situation): Fate {
    return cannotBeOpened(s, "hot-plug") ?? opens(s);
}

function opens(s: Situation): Fate {
    if (!s.device)
        return madeByLibvirt(s);
    if (s.unmanaged)
        return protectedFate(s);
    return {
        outcome: "kept", cause: "reused",
        because: msg("This libvirt uses $0 as it is, and deletes it when the guest stops.", name(s)), source: `${connect} (1.3.3 to 9.0)`,
    };
}

function madeByLibvirt(s: Situation): Fate {
    return {
        outcome: "made", cause: "libvirt-makes-it",
        because: msg("libvirt makes a device of its own, which goes when the guest stops."),
        source: s.iface.type === "ethernet" ? `${connect}, virNetDevTapCreate` : "virDomainInterfaceBridgeConnect",
    };
}

/** Why the device cannot be opened, or is not even tried; undefined when it can. */
function cannotBeOpened(s: Situation, event: "start" | "migrate-in" | "hot-plug"): Fate | undefined {
    const { iface, device, b, unmanaged } = s;
    const fails = (cause: Cause, because: Message, source: string): Fate => ({ outcome: "fails", cause, because, source });
    if (iface.target === undefined) {
        return unmanaged
            ? fails("no-name", msg("The start fails: managed='no' needs the name of a device."), connect)
            : madeByLibvirt(s);
    }
    if (!unmanaged && isDroppedName(iface.target))
        return dropped(s);
    if (new TextEncoder().encode(iface.target).length > 15)
        return fails("name-too-long", msg("The start fails: $0 is longer than the 15 bytes that the kernel allows.", name(s)), "IFNAMSIZ");
    if (!device)
        return unmanaged ? missing(s, event) : undefined;
    if (unmanaged && device.kind === "macvtap")
        return undefined;
    if (!unmanaged && b.existing === "refused")
        return exists(s, event);
    if (!isPlainTap(device))
        return notATap(s, "fails", `${connect}: TUNSETIFF, EINVAL`);
    if (unmanaged && b.unmanagedIsBroken) {
        return fails("exists", msg("The start fails: libvirt 9.0.0 as released upstream cannot open an existing TAP device, managed='no' or not."),
            "virNetDevTapCreate (9.0.0 without d6a8b9eef7)");
    }
    return mismatch(s, event);
}

function missing(s: Situation, event: "start" | "migrate-in" | "hot-plug"): Fate {
    const fails: Fate = {
        outcome: "fails", cause: "missing", because: msg("The start fails: managed='no' says that $0 is there, and it is not.", name(s)), source: connect,
    };
    return event === "hot-plug" ? fails : restoredOr(s, fails, s.iface);
}

/** 9.1.0 and later: "The X interface already exists". A start that fails runs qemuProcessStop, a failed hot-plug does not. */
function exists(s: Situation, event: "start" | "migrate-in" | "hot-plug"): Fate {
    const source = "virNetDevTapCreate without VIR_NETDEV_TAP_CREATE_ALLOW_EXISTING (9.1.0; Debian's 9.0.0)";
    if (event !== "hot-plug" && canBeDeleted(s)) {
        return {
            outcome: "fails-and-deleted", cause: "exists", source: `${source}, qemuProcessStop`,
            because: msg("The start fails since $0 exists and the definition does not say managed='no', and the failed start deletes the device.", name(s)),
        };
    }
    return {
        outcome: "fails", cause: isBusy(s) ? "busy" : "exists", source,
        because: msg("The start fails since $0 exists and the definition does not say managed='no'. The device stays.", name(s)),
    };
}

/** The kernel refuses: flags that do not match (EINVAL) or a single queue that is taken (EBUSY): tun_set_iff. */
function mismatch(s: Situation, event: "start" | "migrate-in" | "hot-plug"): Fate | undefined {
    const { device, iface, c } = s;
    const several = (iface.queues ?? 1) > 1;
    if (device?.tun?.multiQueue !== several) {
        const deleted = event !== "hot-plug" && !s.unmanaged && canBeDeleted(s);
        return {
            outcome: deleted ? "fails-and-deleted" : "fails", cause: "queues", source: "tun.c, tun_set_iff: IFF_MULTI_QUEUE must match (EINVAL)",
            because: several
                ? msg("The start fails: the definition asks for $0 queues and $1 is not multi-queue.", String(iface.queues), name(s))
                : msg("The start fails: $0 is multi-queue and the definition asks for one queue.", name(s)),
        };
    }
    if (!several && isBusy(s)) {
        return {
            outcome: "fails", cause: "busy", source: "tun.c, tun_attach: EBUSY",
            because: c.users.length > 0
                ? msg("The start fails: $0 is used by $1.", name(s), c.users.join(", "))
                : msg("The start fails: another process uses $0.", name(s)),
        };
    }
    return undefined;
}

/** Held by somebody else: known by name, or seen from the carrier, or there although nothing makes it stay. */
function isBusy({ device, c }: Situation): boolean {
    return c.users.length > 0 || (!c.running && (device?.carrier === true || device?.tun?.persistent === false));
}

/** Whether virNetDevTapDelete would take it: a persistent, single-queue TAP that nobody holds. */
function canBeDeleted(s: Situation): boolean {
    return !!s.device && isPlainTap(s.device) && s.device.tun?.multiQueue === false && !isBusy(s);
}

/** `vnet…` and the like are taken for names that libvirt made up, and forgotten: virDomainNetDefParseXML. */
export function isDroppedName(target: string): boolean {
    return /^(vnet|macvtap|macvlan)/.test(target) || /^[^%]*%d[^%]*$/.test(target);
}

function dropped(s: Situation): Fate {
    return {
        outcome: "not-used", cause: "name-dropped", source: "virDomainNetDefParseXML: VIR_NET_GENERATED_VNET_PREFIX",
        because: msg("libvirt takes $0 for a name of its own making, drops it and uses another device. managed='no' keeps the name.", name(s)),
    };
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
