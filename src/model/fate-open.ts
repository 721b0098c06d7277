// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether a guest that begins to run, or an interface that is plugged in, gets the device that it names: virDomainInterfaceEthernetConnect,
// virNetDevTapCreate, and the kernel's tun_set_iff below them.
import { canBeDeleted, dropped, isBusy, isDroppedName, isPlainTap, madeByLibvirt, name, notATap, protectedFate, restoredOr } from "./fate-situation.ts";
import type { Cause, Fate, Situation } from "./fate-situation.ts";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";

const connect = "virDomainInterfaceEthernetConnect";

/** Events on which libvirt opens a device. */
type Opening = "start" | "migrate-in" | "hot-plug";

/** A guest begins to run here: a start, a restored state, an incoming migration. */
export function starts(s: Situation, event: "start" | "migrate-in"): Fate {
    return cannotBeOpened(s, event) ?? opens(s);
}

/** The interface is plugged into a running guest. A failure here leaves the device alone, and no hook runs. */
export function plugs(s: Situation): Fate {
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

/** Why the device cannot be opened, or is not even tried; undefined when it can. */
function cannotBeOpened(s: Situation, event: Opening): Fate | undefined {
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
    if (!device && !unmanaged && !isValidName(iface.target))
        return fails("bad-name", msg("The start fails: the kernel takes no device of the name $0.", name(s)), "dev_valid_name");
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

/** The kernel's rule (net/core/dev.c, dev_valid_name, __dev_alloc_name): a "%" is the place of a number, and there is one at most. */
function isValidName(name: string): boolean {
    return !/^\.{1,2}$|[/:\s]/.test(name) && !name.replace("%d", "").includes("%");
}

function missing(s: Situation, event: Opening): Fate {
    const fails: Fate = {
        outcome: "fails", cause: "missing", because: msg("The start fails: managed='no' says that $0 is there, and it is not.", name(s)), source: connect,
    };
    return event === "hot-plug" ? fails : restoredOr(s, fails, s.iface);
}

/** 9.1.0 and later: "The X interface already exists". A start that fails runs qemuProcessStop, a failed hot-plug does not. */
function exists(s: Situation, event: Opening): Fate {
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
function mismatch(s: Situation, event: Opening): Fate | undefined {
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
