// SPDX-License-Identifier: LGPL-2.1-or-later
// What NAT needs to know about the host's addresses and routes, out of a snapshot.
import type { Prefix } from "./nat-address.ts";
import { contains, networkOf, parseAddress, parsePrefix, span, width } from "./nat-address.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";
import type { Link, Route } from "./tap.ts";
import { HOLD_DEVICE, isTap } from "./tap.ts";

/** An address of the host with the network that it is on. */
export interface HostAddress {
    device: string;
    address: string;
    network: Prefix;
}

export function hostAddresses(snapshot: Pick<Snapshot, "addresses">): HostAddress[] {
    return [...valueOf(snapshot.addresses) ?? []].flatMap(([device, addresses]) => addresses.flatMap(({ address, prefix }) => {
        const parsed = parseAddress(address);
        return parsed ? [{ device, address: parsed.address, network: networkOf({ ...parsed, length: prefix }) }] : [];
    }));
}

/** A route's destination as a prefix; "default" is everything. */
export function destination(route: Route): Prefix | undefined {
    if (route.destination === "default")
        return route.family === "inet" ? { family: 4, address: "0.0.0.0", length: 0 } : { family: 6, address: "::", length: 0 };
    return parsePrefix(route.destination);
}

/** Types of routes that lead nowhere; a packet that matches a "throw" is not looked up further in the table (ip-route(8)). */
const NOWHERE: readonly string[] = ["blackhole", "unreachable", "prohibit", "throw"];

/**
 * The route that a packet to this address (or all of this prefix) takes by the main table: the longest prefix wins. None where that
 * leads nowhere. Routes that hold public addresses are left out: of such an address they do not tell where it is from.
 */
export function routeTo(snapshot: Pick<Snapshot, "routes">, target: Prefix): Route | undefined {
    let best: { route: Route; length: number } | undefined;
    for (const route of valueOf(snapshot.routes) ?? []) {
        const counts = route.table === "main" && (route.type === "unicast" || NOWHERE.includes(route.type)) && route.device !== HOLD_DEVICE;
        const prefix = counts ? destination(route) : undefined;
        if (!prefix || !contains(prefix, target))
            continue;
        const closer = !best || prefix.length > best.length
            || (prefix.length === best.length && (route.metric ?? 0) < (best.route.metric ?? 0));
        if (closer)
            best = { route, length: prefix.length };
    }
    return best?.route.type === "unicast" ? best.route : undefined;
}

/** Devices of default routes: links with a way out. */
export function likelyUplinks(snapshot: Pick<Snapshot, "routes" | "links">): string[] {
    const taps = new Set((valueOf(snapshot.links) ?? []).filter(isTap).map(link => link.name));
    const devices = (valueOf(snapshot.routes) ?? [])
            .filter(route => route.destination === "default" && route.type === "unicast" && route.table === "main")
            .flatMap(route => route.device !== undefined && !taps.has(route.device) ? [route.device] : []);
    return [...new Set(devices)].sort();
}

/** Addresses of routers that the host uses. */
export function gateways(snapshot: Pick<Snapshot, "routes">): string[] {
    return (valueOf(snapshot.routes) ?? []).flatMap(route => parseAddress(route.gateway ?? "")?.address ?? []);
}

/** MAC addresses of the guests' interfaces on a device, running and configured, in lower case. */
export function macsOn(snapshot: Pick<Snapshot, "guests">, device: string): string[] {
    const interfaces = (valueOf(snapshot.guests) ?? [])
            .flatMap(({ live, configured }) => [...live?.interfaces ?? [], ...configured?.interfaces ?? []]);
    return [...new Set(interfaces.flatMap(({ target, mac }) => target === device && mac !== undefined ? [mac.toLowerCase()] : []))].sort();
}

export function linkNamed(snapshot: Pick<Snapshot, "links">, name: string): Link | undefined {
    return valueOf(snapshot.links)?.find(link => link.name === name);
}

/** First and last address of an IPv4 network that has such (RFC 3021: not a /31), or the IPv6 router anycast address. */
export function reservedIn(network: Prefix): bigint[] {
    const { first, last } = span(network);
    if (network.length >= width(network.family) - 1)
        return [];
    return network.family === 4 ? [first, last] : [first];
}
