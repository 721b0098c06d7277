// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether an address or network can be given away without cutting the host off from what it lives on (host-needs.ts), and whether a
// device can be interrupted. One query for every form and import that routes a prefix to a device, gives an address to one, or
// translates it:
//
//     const { refused, hint } = reachOf(snapshot, prefix, { device: "charon0" });
import {
    holds, KINDS, NEARLY_ALL, needsOf, needsWithin, spanned, type Need, type NeedKind, type Needs, type ReachFacts, type Spanned,
} from "./host-needs.ts";
import { msg, type Message } from "./message.ts";
import { contains, formatPrefix, isSingle, toNumber, WIDEST, width, type Prefix } from "./nat-address.ts";
import { reservedIn } from "./nat-host.ts";
import { valueOf, type Reading } from "./snapshot.ts";
import { HOLD_DEVICE } from "./tap.ts";

/** What it would take away. `unread`: nobody knows, since the host was not read. */
export type ReachKind = NeedKind | "unread" | "default" | "wide" | "reserved";

export interface Reach {
    /** Why it cannot be had. */
    refused?: Message;
    kind?: ReachKind;
    /** What a person should know who has it all the same. */
    hint?: Message;
    /** The link of the host in whose network it lies: a machine there may have it. */
    link?: string;
}

export interface ReachUse {
    /** The device that gets it: what the host goes on reaching over this device as before is not lost. */
    device?: string;
    /** By which address behind the device it is routed; absent: directly. */
    via?: string;
    /** The device has the very route already. */
    there?: boolean;
    /** The host itself is to have the address on the device, as guests' gateway: all devices of guests may have the same. */
    own?: boolean;
    /** A file says so already: only what could cut the host off counts, the rest may be what the device was made for. */
    written?: boolean;
    /** A guest gets it as its public address. */
    translated?: Translated;
}

export interface Translated {
    /** What is translated already: it is no machine's, and may well be the other end of a connection of the host. */
    held: readonly Prefix[];
    /** That it is the host's own address was said twice. */
    accepted: boolean;
}

/** Why nothing can be said; undefined when all parts were read. */
export function reachUnread(facts: ReachFacts): Message | undefined {
    const parts: Reading<unknown>[] = [facts.links, facts.addresses, facts.routes, facts.needs];
    const failed = parts.find(part => part.state === "failed");
    if (failed?.state === "failed")
        return failed.says;
    return parts.every(part => part.state === "read") ? undefined : msg("The host has not been read yet. Wait a moment.");
}

/** What no file of a device may take, even one that somebody wrote by hand. */
const NEVER: readonly NeedKind[] = ["gateway", "network", "peer"];

/** Whether the host loses nothing of this need. */
function isKept(needs: Needs, need: Need, prefix: Prefix, use: ReachUse): boolean {
    const { device = "", own = false, written = false, translated } = use;
    if (written && !NEVER.includes(need.kind))
        return true;
    if (own && isSingle(prefix) && REMOTE.includes(need.kind))
        return false;
    if (need.over.includes(device))
        return staysAsItIs(need, prefix, use);
    switch (need.kind) {
    case "address": return own ? isGuestsGateway(needs, need) || isOn(needs, need, device) : translated?.accepted === true && isSingle(prefix);
    case "network": return false;
    default: return isHeld(need, translated) || isBehindGuest(needs, need, prefix, translated);
    }
}

/** What is somebody else: with its address, the host would send to itself. */
const REMOTE: readonly NeedKind[] = ["gateway", "name-server", "peer"];

/**
 * What is reached over this very device goes on being reached by the same next hop. Not so by a closer route, or one in the old one's
 * place, that leads to another; nor behind a bridge, of which the device is a port.
 */
function staysAsItIs({ kind, hops, length }: Need, prefix: Prefix, { device, via, there = false }: ReachUse): boolean {
    if (kind === "address" || kind === "neighbour" || there || (length !== undefined && prefix.length < length))
        return true;
    return hops ? hops.some(hop => hop.device === device && hop.gateway === via) : via === undefined;
}

/** Several devices may have one single address (fib_frontend.c): it takes no network away. */
function isGuestsGateway({ guestTaps, taps }: Needs, { over: [device = ""], length, prefix }: Need): boolean {
    return guestTaps.has(device) || (taps.has(device) && length === width(prefix.family));
}

/** Links may lend each other an address. */
function isOn(needs: Needs, address: Need, device: string): boolean {
    return needsWithin(needs, address).some(({ kind, over }) => kind === "address" && over.includes(device));
}

function isHeld({ over, prefix }: Need, translated: Translated | undefined): boolean {
    return translated !== undefined && (over.includes(HOLD_DEVICE) || translated.held.some(held => contains(held, prefix)));
}

/**
 * What is reached over a guest's device by a route that stays the closer one; and the peer of a connection that begins at an address
 * which the host has only towards guests: it goes over no link that leads outside.
 */
function isBehindGuest(
    { guestTaps, outward }: Needs, { over, length, local }: Need, prefix: Prefix, translated: Translated | undefined,
): boolean {
    if (over.some(device => guestTaps.has(device)))
        return !translated && length !== undefined && length > prefix.length;
    return !translated && local !== undefined && !outward.has(local);
}

function equal(a: Spanned, b: Spanned): boolean {
    return a.prefix.length === b.prefix.length && holds(a, b);
}

/** What is told of a prefix: what it is itself, else the network that it contains, else anything in it. */
function takenBy(needs: Needs, wish: Spanned, use: ReachUse): Need | undefined {
    const taken = needsWithin(needs, wish).filter(need => !isKept(needs, need, wish.prefix, use))
        .sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
    return taken.find(need => equal(wish, need)) ?? taken.find(({ kind }) => kind === "network") ?? taken[0];
}

/**
 * What a prefix would take from the host, and what a person should know who has it all the same. Refused is one that equals or contains
 * a network that the host is on, an address, a gateway or a name server of the host, the other end of an established connection, or
 * an address that a neighbour answers for; and the default route in any spelling. A part of a network that the host is on, with none
 * of these in it, can be had, with a hint.
 */
export function reachOf(facts: ReachFacts, prefix: Prefix, use: ReachUse = {}): Reach {
    const unknown = reachUnread(facts);
    if (unknown)
        return { refused: unknown, kind: "unread" };
    const text = formatPrefix(prefix);
    if (prefix.length === 0)
        return leadsAsNow(facts, prefix, use) ? {} : {
            refused: msg("$0 is everything: all that the host sends would go there, this page's own connection too.", text), kind: "default",
        };
    const needs = needsOf(facts);
    const wish = spanned(prefix);
    const taken = takenBy(needs, wish, use);
    if (taken)
        return { refused: equal(wish, taken) ? justThat(taken, text) : withThat(taken, text), kind: taken.kind };
    if (prefix.length < WIDEST[prefix.family] && use.written !== true && use.there !== true)
        return { refused: msg("$0 is too wide: the widest prefix that can be routed to a device is a /$1.", text, String(WIDEST[prefix.family])), kind: "wide" };
    const around = needs.networks.find(need => !need.over.includes(use.device ?? "") && holds(need, wish));
    const link = around?.over[0] ?? "";
    return around ? reserved(prefix, around) ?? { hint: hintOf(text, formatPrefix(around.prefix), link, use), link } : {};
}

/** A default route that is there already, in whatever table, or by the very hop of one of the host's own. */
function leadsAsNow({ routes }: ReachFacts, { family }: Prefix, { device, via, there }: ReachUse): boolean {
    return there === true || (device !== undefined && (valueOf(routes) ?? []).some(route => route.destination === "default"
        && route.type === "unicast" && (route.family === "inet") === (family === 4) && route.device === device && route.gateway === via));
}

/** The first and last address of a network mean the network and everybody in it. */
function reserved(prefix: Prefix, { prefix: network, over: [device = ""] }: Need): Reach | undefined {
    return isSingle(prefix) && reservedIn(network).includes(toNumber(prefix.address))
        ? { refused: msg("$0 means all of the network on $1, not one machine. Enter another one.", prefix.address, device), kind: "reserved" }
        : undefined;
}

function hintOf(text: string, network: string, device: string, { own }: ReachUse): Message {
    return own
        ? msg("$0 lies in the network $1 of $2, where the host answers for it from now on: make sure that no other machine there has it.", text, network, device)
        : msg("$0 lies in the network $1 of $2: make sure that no other machine there has it. Machines there ask for it on the link, so this host has to answer for it, for example by “ip neigh add proxy”.",
            text, network, device);
}

/** The prefix is just this. */
function justThat({ kind, over: [device = ""] }: Need, text: string): Message {
    switch (kind) {
    case "network": return msg("$0 is the network of $1: the host would no longer reach anybody there. Enter another one.", text, device);
    case "address": return msg("$0 is the host's own address on $1. Enter another one.", text, device);
    case "gateway": return msg("$0 is a gateway of this host, its way to others. Enter another one.", text);
    case "name-server": return msg("$0 is a name server of this host. Enter another one.", text);
    case "peer": return msg("$0 is connected with this host right now: the connection would break. Enter another one.", text);
    case "neighbour": return msg("$0 is in use: a machine on $1 answers for it. Enter another one.", text, device);
    }
}

/** The prefix is wider. */
function withThat({ kind, prefix, over: [device = ""] }: Need, text: string): Message {
    const inside = formatPrefix(prefix);
    switch (kind) {
    case "network": return msg("$0 contains the network $1 of $2: the host would no longer reach anybody there. Enter another one.", text, inside, device);
    case "address": return msg("$0 contains the host's own address $1 on $2. Enter another one.", text, inside, device);
    case "gateway": return msg("$0 contains $1, a gateway of this host, its way to others. Enter another one.", text, inside);
    case "name-server": return msg("$0 contains $1, a name server of this host. Enter another one.", text, inside);
    case "peer": return msg("$0 contains $1, which is connected with this host right now: the connection would break. Enter another one.", text, inside);
    case "neighbour": return msg("$0 contains $1, which is in use: a machine on $2 answers for it. Enter another one.", text, inside, device);
    }
}

/** Whether the host itself goes out by a router behind the device: packets of anybody may come back there. */
export function isWayOut(facts: ReachFacts, device: string): boolean {
    const { all, defaults } = needsOf(facts);
    return defaults.has(device) || [...all[4], ...all[6]].some(({ kind, hops = [] }) => REMOTE.includes(kind)
        && hops.some(hop => hop.device === device && hop.gateway !== undefined));
}

/** A device that passes no packets for a moment or longer, or loses something. */
export interface Interruption {
    device: string;
    /** Only what is routed there by these prefixes is cut; absent: all that goes over the device. */
    losing?: readonly Prefix[];
}

/** Why a device cannot be interrupted: what of the host itself goes over it, its default routes, name servers and connections. */
export function carried(facts: ReachFacts, { device, losing }: Interruption): Message[] {
    const unknown = reachUnread(facts);
    if (unknown)
        return [unknown];
    const needs = needsOf(facts);
    const within = losing ? losing.flatMap(prefix => needsWithin(needs, spanned(prefix))) : [...needs.all[4], ...needs.all[6]];
    const over = (kind: NeedKind) => listed(within.filter(need => need.kind === kind && need.over.includes(device)));
    const servers = over("name-server"), peers = isDead(facts, needs, device) ? "" : over("peer");
    return [
        ...needs.defaults.has(device) && (losing ?? [EVERYTHING]).some(({ length }) => length <= LEAST_DEFAULT)
            ? [msg("The host's own default route leads over $0: this would cut the host off. Give it another way out first.", device)] : [],
        ...servers !== ""
            ? [msg("The host reaches its name server $0 over $1: this would cut it off. Give the host another name server first.", servers, device)] : [],
        ...peers !== ""
            ? [msg("The host is connected with $0 over $1: this would break the connection. End it, or come by another way, first.", peers, device)] : [],
    ];
}

const EVERYTHING: Prefix = { family: 4, address: "0.0.0.0", length: 0 };

/** Half of the internet is a default route, too (host-needs.ts). */
const LEAST_DEFAULT = Math.max(...Object.values(NEARLY_ALL));

/** Some of many. */
const LISTED = 8;

function listed(needs: readonly Need[]): string {
    const addresses = [...new Set(needs.map(({ prefix }) => prefix.address))];
    return [...addresses.slice(0, LISTED), ...addresses.length > LISTED ? ["…"] : []].join(", ");
}

/** Nobody has a guest's device open: of what the kernel still takes for a connection over it nothing passes anyway. */
function isDead(facts: ReachFacts, { guestTaps }: Needs, device: string): boolean {
    return guestTaps.has(device) && valueOf(facts.links)?.find(({ name }) => name === device)?.carrier === false;
}
