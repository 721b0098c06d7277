// SPDX-License-Identifier: LGPL-2.1-or-later
// What the host lives on, gathered from a snapshot for the questions of host-reach.ts: its networks and addresses, gateways, name servers,
// whoever it is connected with, and its neighbours; and over which devices it reaches each of them.
import { guestTaps } from "./guest-taps.ts";
import { contains, formatPrefix, isSingle, networkOf, parseAddress, parsePrefix, span, width, type Family, type Prefix } from "./nat-address.ts";
import { destination } from "./nat-host.ts";
import { valueOf, type HostNeeds, type Peer, type Snapshot } from "./snapshot.ts";
import { isNatRoute, isTap, type Hop, type Route } from "./tap.ts";

export type ReachFacts = Pick<Snapshot, "links" | "addresses" | "routes" | "guests" | "files" | "needs">;

/** A prefix with its first and last address: thousands are compared at each key that somebody types. */
export interface Spanned {
    prefix: Prefix;
    first: bigint;
    last: bigint;
}

export function spanned(prefix: Prefix): Spanned {
    return { prefix, ...span(prefix) };
}

export function holds(outer: Spanned, inner: Spanned): boolean {
    return outer.prefix.family === inner.prefix.family && outer.first <= inner.first && inner.last <= outer.last;
}

/** Of several that are in one prefix, the first of these is told. */
export const KINDS = ["address", "gateway", "network", "name-server", "peer", "neighbour"] as const;

export type NeedKind = typeof KINDS[number];

/** One thing that the host needs. */
export interface Need extends Spanned {
    kind: NeedKind;
    /** The devices that what is sent there passes: the link, and the port of a bridge behind it. */
    over: readonly string[];
    /** By which hops it is reached. Absent: it is on the link itself. */
    hops?: readonly Hop[];
    /** Of an address, its own length; else that of the prefix that the link is routed by, as far as the main table tells. */
    length?: number;
    /** Of a peer: the host's own end. */
    local?: string;
}

/** Routes of the main table to networks of one length, by the network's first address. */
interface Ways {
    family: Family;
    length: number;
    routes: Map<bigint, Route>;
}

export interface Needs {
    /** In the order of their first addresses. */
    all: Readonly<Record<Family, readonly Need[]>>;
    networks: readonly Need[];
    /** The devices over which the host's default routes lead. */
    defaults: ReadonlySet<string>;
    guestTaps: ReadonlySet<string>;
    /** Those of the host's own programs, too, and those of guests that nobody has defined yet. */
    taps: ReadonlySet<string>;
    /** The host's own addresses but for those that it has on devices of guests only. */
    outward: ReadonlySet<string>;
}

/** Link-local IPv6 is another one on each link; what is on the loopback link never leaves. */
const APART = ["fe80::/10", "ff00::/8", "127.0.0.0/8", "::1"].flatMap(text => parsePrefix(text) ?? []);
const isApart = (prefix: Prefix) => APART.some(range => contains(range, prefix));

function singleOf(text: string): Prefix | undefined {
    const parsed = parseAddress(text);
    const prefix = parsed && { ...parsed, length: width(parsed.family) };
    return prefix && !isApart(prefix) ? prefix : undefined;
}

/** Hops of a route: its own, or those that it has several of. */
function hopsOf({ device, gateway, hops = [] }: Route): Hop[] {
    return [{ ...device !== undefined && { device }, ...gateway !== undefined && { gateway } }, ...hops];
}

/** What was gathered last: an import asks for each of its addresses, with the parts of one snapshot, which are immutable. */
let latest: { parts: readonly unknown[]; words: string; needs: Needs } | undefined;

export function needsOf(facts: ReachFacts): Needs {
    const parts = [facts.links, facts.guests, facts.files, facts.addresses, facts.routes, facts.needs];
    const [links, guests, files, ...rest] = parts.map((part, index) => part === latest?.parts[index]);
    if (latest && [links, guests, files, ...rest].every(same => same))
        return latest.needs;
    const all = valueOf(facts.links) ?? [], guestsHave = guestTaps(facts);
    const taps = all.filter(isTap).map(({ name }) => name), remotes = all.flatMap(({ remote }) => remote ?? []);
    // Links are others each second, while their traffic is on the screen: only what counts of them is compared.
    const words = [[...guestsHave], taps, remotes].map(list => list.join(" ")).join("\n");
    const needs = latest?.words === words && rest.every(same => same) ? latest.needs
        : new Gathering(facts, guestsHave, new Set(taps), remotes).needs();
    latest = { parts, words, needs };
    return needs;
}

/** One snapshot, taken apart. */
class Gathering {
    readonly #routes: readonly Route[];
    readonly #read: HostNeeds | undefined;
    readonly #addresses: readonly { address: string; prefix: number; device: string }[];
    readonly #outside: readonly { address: string; prefix: number; device: string }[];
    readonly #own: ReadonlySet<string>;
    readonly #table: readonly Ways[];
    readonly #ports: ReadonlyMap<string, string>;

    constructor(
        facts: ReachFacts, readonly guestTaps: ReadonlySet<string>, readonly taps: ReadonlySet<string>, readonly remotes: readonly string[],
    ) {
        this.#routes = valueOf(facts.routes) ?? [];
        this.#read = valueOf(facts.needs);
        this.#addresses = [...valueOf(facts.addresses) ?? []].flatMap(([device, list]) => list.map(({ address, prefix }) =>
            ({ address: parseAddress(address)?.address ?? address, prefix, device })));
        this.#outside = this.#addresses.filter(({ device }) => !guestTaps.has(device));
        this.#own = new Set(this.#addresses.map(({ address }) => address));
        this.#table = waysOf(this.#routes);
        this.#ports = new Map((this.#read?.neighbours ?? []).flatMap(({ device, address, port }) =>
            port === undefined ? [] : [[`${device} ${address}`, port]]));
    }

    needs(): Needs {
        const networks = this.#networks();
        const all = [...networks, ...this.#ownAddresses(), ...this.#gateways(), ...this.#remotes(), ...this.#neighbours()]
            .toSorted((a, b) => a.first < b.first ? -1 : a.first > b.first ? 1 : KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind));
        return {
            all: { 4: all.filter(({ prefix }) => prefix.family === 4), 6: all.filter(({ prefix }) => prefix.family === 6) },
            networks, guestTaps: this.guestTaps, taps: this.taps, outward: new Set(this.#outside.map(({ address }) => address)),
            defaults: new Set(defaultsOf(this.#routes).flatMap(hopsOf).flatMap(hop => this.#over(hop, ""))),
        };
    }

    #on(kind: NeedKind, prefix: Prefix | undefined, device: string): Need[] {
        return prefix && prefix.length > 0 && !isApart(prefix) ? [{ kind, ...spanned(prefix), over: [device] }] : [];
    }

    #over({ device, gateway }: Hop, address: string): string[] {
        return [device, this.#ports.get(`${device} ${gateway ?? address}`)].filter(each => each !== undefined);
    }

    #ownAddresses(): Need[] {
        return this.#addresses.flatMap(({ address, prefix, device }) =>
            this.#on("address", singleOf(address), device).map(need => ({ ...need, length: prefix })));
    }

    /**
     * By the kernel's routes (an address with a peer, or without its route, has another network than its length says), and by the lengths
     * of addresses, whose routes may be elsewhere.
     */
    #networks(): Need[] {
        // What kvm-tap-nat routes is mapped, or a copy of another route.
        const onLink = this.#routes.filter(route => route.type === "unicast" && route.gateway === undefined && !isNatRoute(route));
        return [
            ...onLink.flatMap(route => this.#networkOf(route, destination(route)))
                .map(need => ({ ...need, length: need.prefix.length })),
            ...this.#outside.flatMap(({ address, prefix, device }) => this.#on("network", networkAround(address, prefix), device)),
        ];
    }

    /** A single address on a TAP device is that of a guest, whoever may know the guest. */
    #networkOf({ device = "lo" }: Route, prefix: Prefix | undefined): Need[] {
        const guest = this.guestTaps.has(device) || (this.taps.has(device) && prefix !== undefined && isSingle(prefix));
        return device === "lo" || guest ? [] : this.#on("network", prefix, device);
    }

    #gateways(): Need[] {
        return this.#routes.flatMap(hopsOf).flatMap(hop => {
            const prefix = singleOf(hop.gateway ?? "");
            const onLink = hop.device === undefined ? {} : { device: hop.device };
            return prefix ? [this.#reached("gateway", prefix, [onLink], this.#over(hop, ""))] : [];
        });
    }

    /** Name servers and peers, wherever they are. */
    #remotes(): Need[] {
        const peers: readonly Peer[] = [...this.#read?.peers ?? [], ...this.remotes.map(address => ({ address }))];
        return [
            ...(this.#read?.nameServers ?? []).flatMap(address => this.#anywhere("name-server", address)),
            ...peers.flatMap(({ address, local }) =>
                this.#anywhere("peer", address).map(need => ({ ...need, ...local !== undefined && { local } }))),
        ];
    }

    /** Nothing for the host's own end of a connection with itself. */
    #anywhere(kind: NeedKind, text: string): Need[] {
        const prefix = singleOf(text);
        if (!prefix || this.#own.has(prefix.address))
            return [];
        const asked = this.#read?.ways.get(prefix.address), way = wayTo(this.#table, spanned(prefix));
        const hops = asked ? [asked] : way ? hopsOf(way.route) : [];
        return [this.#reached(kind, prefix, hops, hops.flatMap(hop => this.#over(hop, prefix.address)))];
    }

    /** With how long a prefix it is routed, if the main table leads over the same link as the kernel. */
    #reached(kind: NeedKind, prefix: Prefix, hops: readonly Hop[], over: readonly string[]): Need {
        const need = spanned(prefix), way = wayTo(this.#table, need);
        const same = way !== undefined && over.includes(way.route.device ?? "");
        return { kind, ...need, over, hops, ...same && { length: way.length } };
    }

    #neighbours(): Need[] {
        return (this.#read?.neighbours ?? [])
            .filter(({ device, stale, address }) => !stale && !this.guestTaps.has(device) && !this.#own.has(address))
            .flatMap(({ address, device }) => this.#on("neighbour", singleOf(address), device));
    }
}

function networkAround(address: string, length: number): Prefix | undefined {
    const parsed = parseAddress(address);
    return parsed && length < width(parsed.family) ? networkOf({ ...parsed, length }) : undefined;
}

/** No more than so many bits tell such a route from the default: VPNs lay two halves over it (OpenVPN, redirect-gateway def1). */
export const NEARLY_ALL = { 4: 1, 6: 3 } as const;

/** The default routes that the kernel takes: of several, the one with the least metric. */
function defaultsOf(routes: readonly Route[]): Route[] {
    const best = new Map<string, Route>();
    for (const route of routes) {
        const prefix = route.type === "unicast" && route.table === "main" && !isNatRoute(route) ? destination(route) : undefined;
        if (!prefix || prefix.length > NEARLY_ALL[prefix.family])
            continue;
        const key = formatPrefix(prefix), before = best.get(key);
        if (!before || (route.metric ?? 0) < (before.metric ?? 0))
            best.set(key, route);
    }
    return [...best.values()];
}

function waysOf(routes: readonly Route[]): Ways[] {
    const found = new Map<string, Ways>();
    for (const route of routes) {
        const prefix = route.type === "unicast" && route.table === "main" ? destination(route) : undefined;
        if (!prefix)
            continue;
        const { family, length } = prefix, { first } = span(prefix);
        const ways = found.get(`${family} ${length}`) ?? { family, length, routes: new Map<bigint, Route>() };
        const before = ways.routes.get(first);
        if (!before || (route.metric ?? 0) < (before.metric ?? 0))
            ways.routes.set(first, route);
        found.set(`${family} ${length}`, ways);
    }
    // The longest first, as the kernel looks at them.
    return [...found.values()].sort((a, b) => b.length - a.length);
}

/** The route that leads to something, and how long its prefix is. */
function wayTo(ways: readonly Ways[], { prefix: { family, length: most }, first }: Spanned): { route: Route; length: number } | undefined {
    for (const { length, routes } of ways.filter(each => each.family === family && each.length <= most)) {
        const size = 1n << BigInt(width(family) - length);
        const route = routes.get(first / size * size);
        if (route)
            return { route, length };
    }
    return undefined;
}

/** An address of the host in a prefix, with its link; of several the lowest. */
export function ownAddressIn(facts: ReachFacts, prefix: Prefix): { address: string; device: string } | undefined {
    const found = needsWithin(needsOf(facts), spanned(prefix)).find(({ kind }) => kind === "address");
    return found && { address: found.prefix.address, device: found.over[0] ?? "" };
}

/** The first need of this family that begins at or after a number. */
function beginning(needs: readonly Need[], number: bigint): number {
    let from = 0, to = needs.length;
    while (from < to) {
        const middle = (from + to) >> 1;
        if ((needs[middle]?.first ?? number) < number)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/** All that lies in a prefix, whole. */
export function needsWithin({ all }: Needs, wish: Spanned): Need[] {
    const needs = all[wish.prefix.family], found: Need[] = [];
    for (let index = beginning(needs, wish.first), need = needs[index]; need && need.first <= wish.last; need = needs[++index]) {
        if (need.last <= wish.last)
            found.push(need);
    }
    return found;
}
