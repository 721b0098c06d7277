// SPDX-License-Identifier: LGPL-2.1-or-later
// The fate matrix: one cell is one interface that one event happened to. Its outcome is seen from the kernel, never asked of fate().
import type { LifecycleEvent, Outcome } from "../../../src/model/fate.ts";
import type { Link } from "../../../src/model/tap.ts";

/** Every combination; otherwise `managed='yes'`, which is the same as none, meets only a few states, and nothing slow is run. */
export const all = process.env["KVM_TAP_ALL"] === "1";

export const managedValues = ["absent", "yes", "no"] as const;
export type Managed = typeof managedValues[number];

/** What bears the name that the interface asks for. `held`: not persistent, another guest has it; `in use`: persistent and taken. */
export type DeviceState = "absent" | "persistent" | "multi-queue" | "not persistent" | "held" | "in use" | "macvtap" | "bridge" | "tun";

export interface Nic {
    managed: Managed;
    device: DeviceState;
    queues: number;
    name: string;
    mac: string;
    /** Started with managed='no', which a live update of something else took away: the way to run unprotected on a device since 9.1. */
    disarmed?: true;
    /** Its device is deleted and another one put in its place while the guest runs. */
    exchanged?: true;
}

export interface Cell {
    event: LifecycleEvent;
    /** Further circumstances in words: "guest off", "on_reboot=destroy". */
    when: string;
    nic: Nic;
    observed: Outcome;
    predicted: Outcome;
    because: string;
}

let count = 0;

/** A new interface with a device name and a MAC address of its own. */
export function nic(managed: Managed, device: DeviceState, more: Partial<Nic> = {}): Nic {
    const number = ++count;
    const hex = number.toString(16).padStart(4, "0");
    return {
        managed, device, queues: device === "multi-queue" ? 2 : 1, name: `fate${number}`, mac: `52:54:00:fa:${hex.slice(0, 2)}:${hex.slice(2)}`,
        ...more,
    };
}

/**
 * Without a boot ROM, or the BIOS would use the network. virtio-net asks the device for its header size at every reset, and QEMU exits
 * when it is gone (tap_fd_set_vnet_hdr_len): an interface whose device is exchanged is an e1000.
 */
export function nicXml({ managed, queues, name, mac, disarmed, exchanged }: Nic): string {
    const attribute = disarmed ? " managed='no'" : managed === "absent" ? "" : ` managed='${managed}'`;
    const model = exchanged ? "<model type='e1000'/>" : `<model type='virtio'/>${queues > 1 ? `<driver queues='${queues}'/>` : ""}`;
    return `<interface type='ethernet'><mac address='${mac}'/><target dev='${name}'${attribute}/>${model}<rom enabled='no'/></interface>`;
}

/** Makes the device in its state; nothing for those that libvirt, or another guest, has to make. */
export function makeDevice({ device, name }: Nic): string {
    switch (device) {
        case "persistent":
        case "in use":
            return `ip tuntap add dev ${name} mode tap; ip link set dev ${name} up`;
        case "multi-queue":
            return `ip tuntap add dev ${name} mode tap multi_queue; ip link set dev ${name} up`;
        case "macvtap":
            // No udevd here: so its node /dev/tapINDEX has to be made by hand.
            return `ip link add link eth0 name ${name} type macvtap; ip link set dev ${name} up
                IFS=: read -r major minor < "$(echo /sys/class/net/${name}/macvtap/tap*/dev)"
                mknod "/dev/tap$(cat /sys/class/net/${name}/ifindex)" c "$major" "$minor"`;
        case "bridge":
            return `ip link add ${name} type bridge`;
        case "tun":
            return `ip tuntap add dev ${name} mode tun`;
        case "absent":
        case "held":
        case "not persistent":
            return ":";
    }
}

/**
 * What the kernel shows of it.
 * @param went whether the event succeeded; a failed start counts as the event itself, not as its failure
 * @param used whether the guest runs on a device of this name, where that can be otherwise
 */
export function outcome(before: Link | undefined, after: Link | undefined, went: boolean, used: boolean): Outcome {
    if (!before)
        return !went ? "fails" : after ? "made" : "gone";
    if (after?.index === before.index) {
        if (!went)
            return "fails";
        return used ? "kept" : "not-used";
    }
    if (before.tun?.persistent === false)
        return "gone";
    return went ? "deleted" : "fails-and-deleted";
}

/** The table for people: a line for each event and state, a column for each value of `managed`. */
export function asMarkdown(cells: readonly Cell[]): string {
    const rows = new Map<string, Map<Managed, Cell>>();
    for (const cell of cells) {
        const { device, queues, disarmed, name } = cell.nic;
        const state = [device, ...name.startsWith("vnet") ? ["named vnet…"] : [], ...queues > 1 && device !== "multi-queue" ? [`${queues} queues asked for`] : [],
            ...queues === 1 && device === "multi-queue" ? ["one queue asked for"] : [], ...disarmed ? ["in use by the guest itself"] : []].join(", ");
        const key = `${cell.event}${cell.when ? ` (${cell.when})` : ""} | ${state}`;
        rows.set(key, (rows.get(key) ?? new Map<Managed, Cell>()).set(cell.nic.managed, cell));
    }
    const lines = [...rows].sort(([a], [b]) => a < b ? -1 : 1).map(([key, row]) =>
        `| ${key} | ${managedValues.map(managed => row.get(managed)?.observed ?? "–").join(" | ")} |`);
    return ["| event | device before | `managed` absent | `managed='yes'` | `managed='no'` |", "| --- | --- | --- | --- | --- |", ...lines].join("\n");
}
