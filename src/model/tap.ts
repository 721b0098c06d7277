// SPDX-License-Identifier: LGPL-2.1-or-later
// Network links of the host, TAP devices above all, as `ip -d -j` shows them.

/** An address on a link. `address` without prefix length. */
export interface LinkAddress {
    family: "inet" | "inet6";
    address: string;
    prefix: number;
    scope: string;
}

/** A route of any table. `destination` is `default` or an address with `/prefix` (a host route has none in `ip -j`). */
export interface Route {
    family: "inet" | "inet6";
    destination: string;
    type: string;
    table: string;
    device?: string;
    gateway?: string;
    source?: string;
    protocol?: string;
    metric?: number;
    /** Of a route with several next hops, which has no device or gateway of its own. */
    hops?: readonly Hop[];
}

/** Where a packet goes next. */
export interface Hop {
    device?: string;
    gateway?: string;
}

/**
 * Whether somebody in charge of the host set the route: others come with an address of a link, or were told by whoever is on the link,
 * a guest too (router advertisements, redirects, DHCP).
 */
export function isSet({ protocol = "" }: Route): boolean {
    return !["kernel", "ra", "redirect", "dhcp"].includes(protocol);
}

/** Whether pkg/host/kvm-tap-nat set the route: the number is that of all that it sets. */
export function isNatRoute({ protocol }: Route): boolean {
    return protocol === "107";
}

/** A rule of policy routing, IPv4 (ip-rule(8)). */
export interface RoutingRule {
    priority: number;
    /** Table it leads to: a name, or a number as text. */
    table: string;
    /** Packet mark it asks for, in hexadecimal as ip prints it. */
    mark?: string;
    protocol?: string;
}

/** What the kernel says of a TUN/TAP device (tun.c; `linkinfo.info_data` of `ip -d -j link`). */
export interface TunInfo {
    type: "tap" | "tun";
    persistent: boolean;
    multiQueue: boolean;
    vnetHdr: boolean;
    owner?: string;
    group?: string;
    /** Queues open now, where the kernel tells (numqueues). */
    queues?: number;
}

export interface Traffic {
    rxBytes: number;
    txBytes: number;
    rxPackets: number;
    txPackets: number;
}

export interface Link {
    index: number;
    name: string;
    /** `linkinfo.info_kind`: tun, bridge, macvtap, veth …; absent for plain hardware. */
    kind?: string;
    mac?: string;
    mtu: number;
    /** What the kernel takes as MTU (`min_mtu`, `max_mtu`); 0: no limit. */
    minMtu?: number;
    maxMtu?: number;
    /** Administratively up. */
    up: boolean;
    /** For a TAP: a guest (or another process) is attached. */
    carrier: boolean;
    /** The bridge or other link it is a port of. */
    master?: string;
    /** The link that it is made on: of a VLAN, a macvlan. */
    lower?: string;
    addrGenMode?: string;
    /** Of a tunnel: the address of its other end. */
    remote?: string;
    tun?: TunInfo;
    traffic?: Traffic;
}

/** A TAP device: a link of kind `tun` and type `tap`. */
export type TapDevice = Link & { tun: TunInfo };

/**
 * The device that swallows what the NAT table did not translate: public addresses are routed to it (pkg/host/kvm_tap/holding.py). It may
 * be a TAP device, and is nobody's.
 */
export const HOLD_DEVICE = "kvm-tap-hold";

export function isTap(link: Link): link is TapDevice {
    return link.tun?.type === "tap" && link.name !== HOLD_DEVICE;
}

/** Who has a TUN/TAP device open: `iff:` of `/proc/PID/fdinfo/FD` (tun.c tun_chr_show_fdinfo). */
export interface Holder {
    pid: number;
    /** The program's file name, from `/proc/PID/exe`; empty where that is hidden. */
    program: string;
}
