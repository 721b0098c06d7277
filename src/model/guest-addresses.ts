// SPDX-License-Identifier: LGPL-2.1-or-later
// Which address a guest has inside, and who says so: the host's routes over its device, else the neighbour table, libvirt's DHCP
// leases and the guest agent, by MAC address. Of each family the first of them that knows one is believed.
import type { Guest, Interface } from "./guest.ts";
import { pairInterfaces } from "./guest.ts";
import type { Family } from "./nat-address.ts";
import { formatPrefix, parseAddress, parsePrefix, overlaps, type Prefix } from "./nat-address.ts";
import { destination } from "./nat-host.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";

/** Who knows addresses by MAC address, the most reliable first. */
export const FINDERS = ["neighbour", "lease", "agent"] as const;
export type Finder = (typeof FINDERS)[number];

export interface FoundAddress {
    /** Lower case. */
    mac: string;
    address: string;
    by: Finder;
}

/** An address that may be mapped, or an interface of which none is known. */
export interface GuestChoice {
    guest: Guest;
    /** The device on the host; of a guest that is off and whose device libvirt makes, what it will hang on. */
    device: string;
    /** Of the interface; empty where its definition has none. */
    mac: string;
    /** Address or prefix. */
    address?: string;
    by?: "route" | Finder;
}

/** Addresses that are not unique on the host, or of nobody. */
const UNUSABLE = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"].flatMap(text => parsePrefix(text) ?? []);

function usable(prefix: Prefix): boolean {
    return prefix.length > 0 && !UNUSABLE.some(range => overlaps(range, prefix));
}

/** What is routed to each device by hand: the kernel's own routes are the networks of its addresses. */
function routedTo(snapshot: Pick<Snapshot, "routes">): ReadonlyMap<string, readonly Prefix[]> {
    const routed = new Map<string, Prefix[]>();
    for (const route of valueOf(snapshot.routes) ?? []) {
        const prefix = destination(route);
        if (prefix && usable(prefix) && route.device !== undefined && route.type === "unicast" && route.protocol !== "kernel"
            && route.gateway === undefined)
            routed.set(route.device, [...routed.get(route.device) ?? [], prefix]);
    }
    return routed;
}

/** What was found, by MAC address; of two guests with one address (a clone) only the one that runs can have been seen. */
function foundBy(found: readonly FoundAddress[]): ReadonlyMap<string, readonly (FoundAddress & { prefix: Prefix })[]> {
    const known = new Map<string, (FoundAddress & { prefix: Prefix })[]>();
    for (const one of [...found].sort((a, b) => FINDERS.indexOf(a.by) - FINDERS.indexOf(b.by))) {
        const parsed = parseAddress(one.address);
        const prefix = parsed && parsePrefix(parsed.address);
        if (prefix && usable(prefix))
            known.set(one.mac, [...known.get(one.mac) ?? [], { ...one, prefix }]);
    }
    return known;
}

function deviceOf(iface: Interface): string {
    return iface.target ?? iface.source ?? "";
}

/** Kinds of interface that no packet of the host's own network reaches. */
const APART = ["user", "hostdev", "vhostuser", "null", "vds"];

/** Every address of every guest, by name; interfaces without a known one stand there without. */
export function guestChoices(snapshot: Pick<Snapshot, "guests" | "routes">, found: readonly FoundAddress[] = []): GuestChoice[] {
    const routed = routedTo(snapshot);
    const known = foundBy(found);
    const guests = [...valueOf(snapshot.guests) ?? []].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    const running = new Set(guests.flatMap(guest => guest.live?.interfaces.flatMap(({ mac }) => mac ?? []) ?? []));
    return guests.flatMap(guest => pairInterfaces(guest).flatMap(({ live, configured }) => {
        const iface = live ?? configured;
        if (!iface || APART.includes(iface.type))
            return [];
        const base = { guest, device: deviceOf(iface), mac: iface.mac ?? "" };
        const seen = live || !running.has(base.mac) ? known.get(base.mac) ?? [] : [];
        return choicesOf(base, routed.get(iface.target ?? "") ?? [], seen);
    }));
}

function choicesOf(base: GuestChoice, routed: readonly Prefix[], seen: readonly (FoundAddress & { prefix: Prefix })[]): GuestChoice[] {
    const choices = ([4, 6] as const).flatMap((family: Family): GuestChoice[] => {
        const routes = routed.filter(prefix => prefix.family === family);
        if (routes.length > 0)
            return [...new Set(routes.map(formatPrefix))].map(address => ({ ...base, address, by: "route" }));
        const mine = seen.filter(({ prefix }) => prefix.family === family);
        return [...new Set(mine.filter(({ by }) => by === mine[0]?.by).map(({ prefix }) => formatPrefix(prefix)))]
                .map(address => ({ ...base, address, ...mine[0] && { by: mine[0].by } }));
    });
    return choices.length > 0 ? choices : [base];
}

/** UUIDs of guests whose agent is connected: libvirt writes it into the live definition, and tells when it changes. */
export function agentsOf(guests: readonly Guest[]): string[] {
    return guests.filter(({ live }) => /<target type='virtio' name='org\.qemu\.guest_agent\.0' state='connected'\/>/.test(live?.xml ?? ""))
            .map(({ uuid }) => uuid);
}
