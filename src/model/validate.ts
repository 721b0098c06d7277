// SPDX-License-Identifier: LGPL-2.1-or-later
// What is wrong with what a person typed, in a sentence that says what to do. Before anything runs.
import ipaddr from "ipaddr.js";
import type { Guest } from "./guest.ts";
import { reachOf, type Reach, type ReachUse } from "./host-reach.ts";
import { msg, type Message } from "./message.ts";
import { deviceNameProblem } from "./names.ts";
import { formatPrefix, isSingle, networkOf, parseAddress, parsePrefix, width, type Family, type Prefix } from "./nat-address.ts";
import { canonicalTable, ipNumber, isTableWord } from "./route-words.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";
import type { Link, Route } from "./tap.ts";
import { tapFilePath } from "./tap-file.ts";
import { shortly, withLength, type TapRoute, type TapSettings } from "./tap-settings.ts";

/** The name of a device that is to be made. */
export function newDeviceProblem(name: string, snapshot: Snapshot): Message | undefined {
    const problem = deviceNameProblem(name);
    if (problem)
        return problem;
    if (valueOf(snapshot.links)?.some(link => link.name === name))
        return msg("$0 exists already. Choose another name, or take over the device as it is.", name);
    if (valueOf(snapshot.files)?.has(tapFilePath(name)))
        return msg("$0 describes a device of this name already. Bring it back, or choose another name.", tapFilePath(name));
    return undefined;
}

/** What no address of a guest or gateway can be, by ipaddr.js's names of ranges. */
function rangeProblem(address: string): Message | undefined {
    if (/^(24\d|25[0-4])\./.test(address)) // 240.0.0.0/4; ipaddr.js calls the addresses for documentation reserved, too
        return msg("$0 cannot be the address of a machine. Enter another one.", address);
    switch (ipaddr.parse(address).range()) {
        case "multicast":
            return msg("$0 is a multicast address. Enter the address of one machine.", address);
        case "loopback":
            return msg("$0 is a loopback address, which never leaves a machine. Enter another one.", address);
        case "unspecified": case "broadcast":
            return msg("$0 cannot be the address of a machine. Enter another one.", address);
        default:
            return undefined;
    }
}

const notAnAddress = () => msg("Enter an IP address, for example $0 or $1.", "10.0.0.2", "2001:db8::2");

/** What the kernel takes for the same route: destination, table and metric, whatever the device (fib_find_alias, fib6_add_rt2node). */
function sameRoute({ destination, metric, table = "main" }: TapRoute, route: Route): boolean {
    const standard = route.family === "inet6" ? 1024 : 0;
    const family = destination === "default" || destination.includes(":") === (route.family === "inet6");
    return family && withLength(route.destination) === withLength(destination) && (route.table ?? "main") === canonicalTable(table)
        && (route.metric ?? standard) === (metric ?? standard);
}

/** Another device, or nowhere, already has the route: whoever came later would get nothing, or take it away. */
function routedElsewhere(wish: TapRoute, snapshot: Snapshot, device: string): Message | undefined {
    const other = (valueOf(snapshot.routes) ?? []).find(route => route.device !== device && sameRoute(wish, route));
    return other && msg("$0 is routed to $1 already. Enter another one.", shortly(wish.destination), other.device ?? other.type);
}

/** An address of a guest, routed to it over `device`: without a length, or with that of a single address. */
export function guestAddressProblem(text: string, snapshot: Snapshot, device: string): Message | undefined {
    const prefix = parsePrefix(text);
    const parsed = prefix && parseAddress(prefix.address);
    if (!prefix || !parsed)
        return notAnAddress();
    const { address } = parsed;
    if (prefix.length !== (parsed.family === 4 ? 32 : 128))
        return msg("Enter a single address, without a prefix length. Networks behind the guest are further routes.");
    const problem = rangeProblem(address);
    if (problem)
        return problem;
    if (ipaddr.parse(address).range() === "linkLocal")
        return msg("$0 is a link-local address, which cannot be routed. Enter another one.", address);
    const { refused, kind } = reachOf(snapshot, prefix, { device });
    const elsewhere = (valueOf(snapshot.routes) ?? []).filter(route => route.device !== device);
    const routed = elsewhere.find(route => withLength(route.destination) === withLength(address));
    // Whoever is connected from a guest's address: that it is a guest's says more.
    return routed && (!refused || kind === "peer")
        ? msg("$0 is routed to $1 already. Enter another one.", address, routed.device ?? routed.type) : refused;
}

/** The host's address on a TAP device: the guest's gateway. The same one on every TAP device is fine. */
export function gatewayProblem(text: string, snapshot: Snapshot, device: string): Message | undefined {
    const prefix = parsePrefix(text);
    if (!prefix)
        return notAnAddress();
    return rangeProblem(prefix.address) ?? ownReach(prefix, snapshot, { device }).refused;
}

/**
 * What it means that the host itself has an address with its length on a device: it takes the address, and the kernel routes the
 * network there (addrconf.c, fib_frontend.c).
 */
export function ownReach(prefix: Prefix, snapshot: Snapshot, given: ReachUse): Reach {
    const use = { ...given, own: true };
    if (prefix.family === 6 && ipaddr.parse(prefix.address).range() === "linkLocal")
        return {};
    const address = reachOf(snapshot, { ...prefix, length: width(prefix.family) }, use);
    return address.refused || isSingle(prefix) ? address : reachOf(snapshot, networkOf(prefix), use);
}

/** A further route: an address or a network, through the guest. */
export function routeProblem(route: TapRoute, snapshot: Snapshot, device: string): Message | undefined {
    const [prefix] = prefixesOf(route.destination);
    if (!prefix)
        return msg("Enter a network, for example $0 or $1.", "192.168.7.0/24", "2001:db8:7::/64");
    if (networkOf(prefix).address !== prefix.address)
        return msg("$0 is inside of a network, not its beginning: that would be $1.", route.destination, formatPrefix(networkOf(prefix)));
    const words = [route.via, route.source].find(text => text !== undefined && !parseAddress(text));
    if (words !== undefined)
        return msg("$0 is not an address.", words);
    if (route.table !== undefined && isTableWord(route.table) && !isShown(route.table, snapshot))
        return msg("$0 is not the number of a table of routes. Write the number of the table, for example $1.", route.table, "100");
    if (prefix.family === 6 && ipaddr.parse(prefix.address).range() === "linkLocal")
        return msg("$0 is a link-local address, which cannot be routed. Enter another one.", route.destination);
    return (prefix.length === 0 ? undefined : rangeProblem(prefix.address))
        ?? routeReach(route, snapshot, { device }).refused ?? routedElsewhere(route, snapshot, device);
}

/** ip itself shows a table by this name: then it takes the name, too. */
function isShown(table: string, snapshot: Snapshot): boolean {
    return valueOf(snapshot.routes)?.some(route => route.table === table) === true;
}

const EVERYTHING: readonly Prefix[] = [{ family: 4, address: "0.0.0.0", length: 0 }, { family: 6, address: "::", length: 0 }];

/** `default`, of either family, an address or a network; none for what is none of these. */
export function prefixesOf(destination: string): readonly Prefix[] {
    const prefix = parsePrefix(destination);
    return destination === "default" ? EVERYTHING : prefix ? [prefix] : [];
}

/** What a route takes from the host; nothing where it is in a table that no rule leads to. */
export function routeReach(route: TapRoute, snapshot: Snapshot, given: ReachUse): Reach {
    const { destination, table = "main", via } = route;
    const there = valueOf(snapshot.routes)?.some(other =>
        other.device === given.device && other.gateway === via && sameRoute(route, other)) === true;
    const use = { ...given, there, ...via !== undefined && { via: parseAddress(via)?.address ?? via } };
    const found = prefixesOf(destination).filter(({ family }) => !isUnused(table, family, snapshot))
        .map(prefix => reachOf(snapshot, prefix, use));
    return found.find(({ refused }) => refused) ?? found[0] ?? {};
}

/** Only of a number that is known: a name may be that of any table. */
function isUnused(table: string, family: Family, snapshot: Snapshot): boolean {
    const number = ipNumber(canonicalTable(table)), ruled = valueOf(snapshot.needs)?.tables[family];
    return number !== undefined && ruled?.has(String(number)) === false;
}

/** A device with what it is given. */
export interface Giving extends Pick<TapSettings, "name" | "addresses" | "routes"> {
    /** Its file says so already (`ReachUse`). */
    written?: boolean;
    /** Lines of its file about something else. */
    beside?: readonly string[];
}

/** What the addresses and routes of a device would take from the host: all that is wrong with them, or all that a person should know. */
export function reaches({ name, addresses, routes, written }: Giving, snapshot: Snapshot): Reach[] {
    const use = { device: name, ...written !== undefined && { written } };
    return [
        ...addresses.flatMap(address => parsePrefix(address) ?? []).map(prefix => ownReach(prefix, snapshot, use)),
        ...routes.map(route => routeReach(route, snapshot, use)),
    ];
}

/** @param link the device, if it exists: the kernel tells its limits; else those of tun.c (MIN_MTU, MAX_MTU) */
export function mtuProblem(mtu: number, link: Link | undefined, ipv6: boolean): Message | undefined {
    const least = link?.minMtu || 68, most = link?.maxMtu || 65521;
    if (!Number.isInteger(mtu) || mtu < least || mtu > most)
        return msg("The kernel takes an MTU from $0 to $1 for this device.", String(least), String(most));
    return ipv6 && mtu < 1280 ? msg("IPv6 needs an MTU of at least $0.", "1280") : undefined;
}

/** A user or group, by name (useradd's and systemd's rule) or number. */
export function accountProblem(name: string): Message | undefined {
    return /^([a-z_][a-z0-9_-]{0,31}\$?|\d{1,10})$/i.test(name)
        ? undefined
        : msg("Enter the name or the number of an account, for example $0.", "libvirt-qemu");
}

/** Guests of which a definition names this device. */
export function guestsNaming(snapshot: Snapshot, device: string): Guest[] {
    const names = (definition: Guest["live"]) => definition?.interfaces.some(item => item.target === device) === true;
    return (valueOf(snapshot.guests) ?? []).filter(guest => names(guest.live) || names(guest.configured));
}

/** Guests that run with this device. */
export function guestsRunningOn(snapshot: Snapshot, device: string): Guest[] {
    return guestsNaming(snapshot, device).filter(guest => guest.live?.interfaces.some(item => item.target === device) === true);
}
