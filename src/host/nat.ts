// SPDX-License-Identifier: LGPL-2.1-or-later
// What only the NAT page asks of the host: the change that waits for its confirmation, who else answers for an address, how
// many connections a mapping has, and what else decides about forwarded packets.
import type { Connection } from "../model/nat-connections.ts";
import { readConnections } from "../model/nat-connections.ts";
import type { ReversePath } from "../model/nat-ways.ts";
import { readFirewalls, type Firewalls } from "./firewall.ts";
import { CommandError, type Machine } from "./run.ts";

const HELPER = "/usr/lib/kvm-tap/kvm-tap-nat";

/** Where the helper keeps a change that waits, and the last one that it put back. */
export const RUN_DIRECTORY = "/run/kvm-tap";

export type ChangeStatus =
    /** `remark`: what the last change, which took effect, could not do. */
    | { state: "none"; remark?: string }
    /** Put back in so many seconds unless somebody confirms. */
    | { state: "pending"; seconds: number; deadline: string }
    | { state: "reverted"; reason: string };

/** Reads what the helper left under /run: three files, no process. Pending is what is in the kernel already. */
export async function changeStatus(machine: Machine): Promise<ChangeStatus> {
    const deadline = await machine.read(`${RUN_DIRECTORY}/nat-deadline`);
    if (deadline !== null) {
        const uptime = Number.parseFloat(await machine.read("/proc/uptime") ?? "0");
        return { state: "pending", seconds: Math.max(0, Math.round(Number(deadline) - uptime)), deadline: deadline.trim() };
    }
    // Only now: a revert leaves the reason before it takes the deadline away.
    const reason = await machine.read(`${RUN_DIRECTORY}/nat-reverted/reason`);
    if (reason !== null)
        return { state: "reverted", reason: reason.trim() };
    const remark = await machine.read(`${RUN_DIRECTORY}/nat-remark`);
    return { state: "none", ...remark !== null && { remark: remark.trim() } };
}

export async function confirmChange(machine: Machine): Promise<void> {
    await machine.run([HELPER, "confirm"], { superuser: "require" });
}

export async function revertChange(machine: Machine): Promise<void> {
    await machine.run([HELPER, "revert"], { superuser: "require" });
}

/** Runs again, for good, what was put back last. */
export async function keepChange(machine: Machine): Promise<void> {
    await machine.run([HELPER, "keep"], { superuser: "require" });
}

/** Forgets that something was put back. */
export async function dismissReverted(machine: Machine): Promise<void> {
    await machine.run(["rm", "-rf", `${RUN_DIRECTORY}/nat-reverted`], { superuser: "require" });
}

/** Forgets what the last change could not do. */
export async function dismissRemark(machine: Machine): Promise<void> {
    await machine.run(["rm", "-f", `${RUN_DIRECTORY}/nat-remark`], { superuser: "require" });
}

/** Whether another machine on this link answers for the address; undefined where that cannot be found out. Takes up to 2 s. */
export async function answeredByAnother(machine: Machine, uplink: string, address: string): Promise<boolean | undefined> {
    try {
        await machine.run([HELPER, "probe", uplink, address], { superuser: "require" });
        return false;
    } catch (error) {
        return error instanceof CommandError && error.exitStatus === 1 && error.words === "" ? true : undefined;
    }
}

/** All tracked connections of one family. Where conntrack is missing, nothing is known: undefined. */
export async function connections(machine: Machine, family: 4 | 6): Promise<readonly Connection[] | undefined> {
    try {
        return readConnections(await machine.run(["conntrack", "-f", `ipv${family}`, "-L"], { superuser: "require" }));
    } catch {
        return undefined;
    }
}

/** What in the kernel decides besides our table. Parts that cannot be read are absent. */
export interface Forwarding extends Firewalls {
    ipv4?: boolean;
    ipv6?: boolean;
    /** Tracked connections, and how many there may be: "table full, dropping packet". */
    tracked?: { count: number; max: number };
    /** The reverse path filter of the uplinks. */
    reversePath: ReversePath;
}

async function flag(machine: Machine, path: string): Promise<boolean | undefined> {
    const text = await machine.read(path).catch(() => null);
    return text === null ? undefined : text.trim() !== "0";
}

/** The kernel takes the greater of "all" and the link's own (ip-sysctl: rp_filter). Two files a link, no process. */
async function readReversePath(machine: Machine, uplinks: readonly string[]): Promise<ReversePath> {
    const read = async (link: string) => Number(await machine.read(`/proc/sys/net/ipv4/conf/${link}/rp_filter`).catch(() => null) ?? NaN);
    const [all = NaN, ...own] = await Promise.all(["all", ...uplinks].map(read));
    return new Map(uplinks.flatMap((uplink, index) => {
        const effective = Math.max(all, own[index] ?? NaN);
        return Number.isNaN(effective) ? [] : [[uplink, effective] as const];
    }));
}

/** `uplinks`: those whose reverse path filter matters, where there are several. */
export async function readForwarding(machine: Machine, uplinks: readonly string[] = []): Promise<Forwarding> {
    const [reversePath, ipv4, ipv6, count, max, others] = await Promise.all([
        readReversePath(machine, uplinks),
        flag(machine, "/proc/sys/net/ipv4/ip_forward"), flag(machine, "/proc/sys/net/ipv6/conf/all/forwarding"),
        machine.read("/proc/sys/net/netfilter/nf_conntrack_count").catch(() => null),
        machine.read("/proc/sys/net/netfilter/nf_conntrack_max").catch(() => null), readFirewalls(machine),
    ]);
    return {
        ...(ipv4 === undefined ? {} : { ipv4 }), ...(ipv6 === undefined ? {} : { ipv6 }),
        ...(count === null || max === null ? {} : { tracked: { count: Number(count), max: Number(max) } }),
        reversePath, ...others,
    };
}
