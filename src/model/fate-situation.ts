// SPDX-License-Identifier: LGPL-2.1-or-later
// What an event of a guest's life meets, what may come of it, and what is asked of it again and again: the ground under fate.ts.
import type { Interface, LifecycleActions } from "./guest.ts";
import type { Behaviour } from "./libvirt-version.ts";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";
import type { Libvirt } from "./snapshot.ts";
import type { Link } from "./tap.ts";

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
    | "missing" | "exists" | "queues" | "busy" | "name-dropped" | "name-too-long" | "bad-name" | "no-name" | "other-type" | "libvirt-makes-it";

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
export interface Situation {
    iface: Interface;
    device: Link | undefined;
    c: Circumstances;
    b: Behaviour;
    /** `managed='no'`, on a libvirt that knows it. */
    unmanaged: boolean;
}

export function name(s: Situation): string {
    return s.iface.target ?? "";
}

export function protectedFate(s: Situation): Fate {
    return {
        outcome: "kept", cause: "protected", because: msg("managed='no': libvirt leaves $0 to you.", name(s)),
        source: "virDomainNetDef.managed_tap (5.8.0)",
    };
}

export function notATap(s: Situation, outcome: "kept" | "fails", source: string): Fate {
    const because = outcome === "kept"
        ? msg("$0 is no TAP device of its own: libvirt cannot delete it.", name(s))
        : msg("The start fails: $0 is no TAP device that libvirt can open here.", name(s));
    return { outcome, cause: "not-a-tap", because, source };
}

export function isPlainTap(device: Link): boolean {
    return device.tun?.type === "tap";
}

/**
 * The hook makes again what is missing, has an enabled unit, and is named with managed='no': on `prepare` by the definition
 * that starts, on `release` by the configured one.
 */
export function comesBack({ iface, c }: Situation, definition: Interface | undefined): boolean {
    return c.unitEnabled && definition?.managed === "no" && definition.target === iface.target;
}

export function restoredOr(s: Situation, otherwise: Fate, definition = s.c.configured): Fate {
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

/** Held by somebody else: known by name, or seen from the carrier, or there although nothing makes it stay. */
export function isBusy({ device, c }: Situation): boolean {
    return c.users.length > 0 || (!c.running && (device?.carrier === true || device?.tun?.persistent === false));
}

/** Whether virNetDevTapDelete would take it: a persistent, single-queue TAP that nobody holds. */
export function canBeDeleted(s: Situation): boolean {
    return !!s.device && isPlainTap(s.device) && s.device.tun?.multiQueue === false && !isBusy(s);
}

/** `vnet…` and the like are taken for names that libvirt made up, and forgotten: virDomainNetDefParseXML. */
export function isDroppedName(target: string): boolean {
    return /^(vnet|macvtap|macvlan)/.test(target) || /^[^%]*%d[^%]*$/.test(target);
}

export function dropped(s: Situation): Fate {
    return {
        outcome: "not-used", cause: "name-dropped", source: "virDomainNetDefParseXML: VIR_NET_GENERATED_VNET_PREFIX",
        because: msg("libvirt takes $0 for a name of its own making, drops it and uses another device. managed='no' keeps the name.", name(s)),
    };
}

export function madeByLibvirt(s: Situation): Fate {
    return {
        outcome: "made", cause: "libvirt-makes-it",
        because: msg("libvirt makes a device of its own, which goes when the guest stops."),
        source: s.iface.type === "ethernet" ? "virDomainInterfaceEthernetConnect, virNetDevTapCreate" : "virDomainInterfaceBridgeConnect",
    };
}
