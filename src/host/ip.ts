// SPDX-License-Identifier: LGPL-2.1-or-later
// Links, addresses, routes and traffic, through one running `ip -batch -`: it answers each line with one line of JSON, and goes
// on after a command that failed (-force). So looking again costs no process, not even every second.
import type { Hop, Link, LinkAddress, Route, RoutingRule, Traffic, TunInfo } from "../model/tap.ts";
import { Conversation, type Grammar } from "./conversation.ts";
import type { CommandError, Machine } from "./run.ts";

export const IP = ["ip", "-force", "-details", "-statistics", "-json", "-batch", "-"] as const;

/** An answer is a line of JSON, or what ip says of a line that failed (lib/utils.c do_batch). */
export const ipGrammar: Grammar = {
    line: command => `${command}\n`,
    last: "\n",
    end(text, _count, from) {
        for (let at = text.lastIndexOf("\n", from - 1) + 1, end; (end = text.indexOf("\n", at)) >= 0; at = end + 1) {
            if (text[at] === "[" || text.startsWith("Command failed -:", at))
                return end + 1;
        }
        return -1;
    },
};

export function openIp(machine: Machine, ended: (error: CommandError) => void): Conversation {
    return new Conversation(machine, IP, ipGrammar, ended);
}

/** What ip does not tell about a command that failed goes to standard error, right before. */
export class IpError extends Error {
    constructor(readonly words: string) {
        super(words);
        this.name = "IpError";
    }
}

type Json = Record<string, unknown>;

/** The objects of an answer; empty ones (ip prints `{}` for what it filters out) are dropped. Throws IpError for a failed command. */
export function objectsIn(answer: string): Json[] {
    const start = answer.startsWith("[") ? 0 : answer.indexOf("\n[") + 1;
    if (answer[start] !== "[")
        throw new IpError(answer.trim());
    const list: unknown = JSON.parse(answer.slice(start));
    return Array.isArray(list) ? list.filter((item): item is Json => isObject(item) && Object.keys(item).length > 0) : [];
}

function isObject(value: unknown): value is Json {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function object(value: unknown): Json {
    return isObject(value) ? value : {};
}

const text = (value: unknown) => typeof value === "string" ? value : undefined;
const number = (value: unknown) => typeof value === "number" ? value : undefined;
/** Names where there are any, numbers where not: ip prints an owner without a name as a number. */
const nameOf = (value: unknown) => typeof value === "number" ? String(value) : text(value);

/** An object without its undefined members. */
function defined<T extends object>(object: { [K in keyof T]: T[K] | undefined }): T {
    return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as T;
}

function tunOf(info: Json): TunInfo | undefined {
    const type = info["type"];
    if (type !== "tap" && type !== "tun")
        return undefined;
    return defined<TunInfo>({
        type,
        persistent: info["persist"] === true,
        multiQueue: info["multi_queue"] === true,
        vnetHdr: info["vnet_hdr"] === true,
        owner: nameOf(info["user"]),
        group: nameOf(info["group"]),
        queues: number(info["numqueues"]),
    });
}

function trafficOf(item: Json): Traffic | undefined {
    const stats = object(item["stats64"]);
    const rx = object(stats["rx"]), tx = object(stats["tx"]);
    if (!("bytes" in rx))
        return undefined;
    const count = (value: unknown) => number(value) ?? 0;
    return { rxBytes: count(rx["bytes"]), txBytes: count(tx["bytes"]), rxPackets: count(rx["packets"]), txPackets: count(tx["packets"]) };
}

/** The counters of all links: one file that the bridge reads by itself, a tenth of what `ip` would tell. */
export const COUNTERS = "/proc/net/dev";

/** Each link's counters by its name (net/core/net-procfs.c): eight columns of what came, bytes and packets first, eight of what went. */
export function countersIn(content: string): Map<string, Traffic> {
    return new Map([...content.matchAll(/^ *([^\s:]+): *(\d+) +(\d+)(?: +\d+){6} +(\d+) +(\d+) /gm)].map(([, name = "", ...counts]) => {
        const [rxBytes = 0, rxPackets = 0, txBytes = 0, txPackets = 0] = counts.map(Number);
        return [name, { rxBytes, txBytes, rxPackets, txPackets }];
    }));
}

/** A link of `ip -d -s -j link`. Undefined for an object that is none. */
export function linkOf(item: Json): Link | undefined {
    const index = number(item["ifindex"]), name = text(item["ifname"]);
    if (index === undefined || name === undefined)
        return undefined;
    const flags: unknown[] = Array.isArray(item["flags"]) ? item["flags"] : [];
    const info = object(item["linkinfo"]);
    const kind = text(info["info_kind"]);
    return defined<Link>({
        index, name, kind,
        mac: item["link_type"] === "ether" ? text(item["address"]) : undefined,
        mtu: number(item["mtu"]) ?? 0,
        minMtu: number(item["min_mtu"]),
        maxMtu: number(item["max_mtu"]),
        up: flags.includes("UP"),
        carrier: flags.includes("LOWER_UP"),
        master: text(item["master"]),
        lower: text(item["link"]),
        addrGenMode: text(item["inet6_addr_gen_mode"]),
        remote: text(object(info["info_data"])["remote"]),
        tun: kind === "tun" ? tunOf(object(info["info_data"])) : undefined,
        traffic: trafficOf(item),
    });
}

/** The addresses of a link of `ip -j address`. */
export function addressesOf(item: Json): LinkAddress[] {
    const list: unknown[] = Array.isArray(item["addr_info"]) ? item["addr_info"] : [];
    return list.flatMap(entry => {
        const found = object(entry);
        const family = found["family"], address = text(found["local"]), prefix = number(found["prefixlen"]);
        if ((family !== "inet" && family !== "inet6") || address === undefined || prefix === undefined)
            return [];
        return [{ family, address, prefix, scope: text(found["scope"]) ?? "global" }];
    });
}

/**
 * A route of `ip -d -j route show table all`; the family shows only in its addresses. Of one that wraps its packets (`encap`) ip writes
 * the end of the tunnel as a second "dst" into the same object: where it leads is not known.
 */
export function routeOf(item: Json): Route | undefined {
    const wraps = "encap" in item;
    const destination = wraps ? "?" : text(item["dst"]);
    if (destination === undefined)
        return undefined;
    const via = object(item["via"]);
    const gateway = text(item["gateway"]) ?? text(via["host"]);
    const source = text(item["prefsrc"]);
    const inet6 = [destination, source, text(item["gateway"])].some(address => address?.includes(":")) || "pref" in item;
    return defined<Route>({
        family: inet6 ? "inet6" : "inet",
        destination,
        type: wraps ? "encap" : text(item["type"]) ?? "unicast",
        table: nameOf(item["table"]) ?? "main",
        device: text(item["dev"]),
        gateway, source,
        protocol: nameOf(item["protocol"]),
        metric: number(item["metric"]),
        hops: Array.isArray(item["nexthops"]) ? item["nexthops"].map(hopOf) : undefined,
    });
}

/** Of a route with several, or of what the kernel answers to `ip route get`. */
export function hopOf(item: unknown): Hop {
    const hop = object(item);
    return defined<Hop>({ device: text(hop["dev"]), gateway: text(hop["gateway"]) ?? text(object(hop["via"])["host"]) });
}

/** An entry of the neighbour table that has an answer. */
export interface NeighbourEntry {
    address: string;
    device: string;
    lladdr: string;
    /** Words of ip-neighbour(8): REACHABLE, STALE … */
    states: readonly unknown[];
}

/** Entries of `ip -j neigh show`; those that nobody answered for (FAILED, INCOMPLETE) have no lladdr and are left out. */
export function neighbourEntries(answer: string): NeighbourEntry[] {
    return objectsIn(answer).flatMap(({ dst, dev, lladdr, state }) =>
        typeof dst === "string" && typeof dev === "string" && typeof lladdr === "string"
            ? [{ address: dst, device: dev, lladdr, states: Array.isArray(state) ? state : [] }] : []);
}

/** A rule of `ip -d -j rule show`. */
export function ruleOf(item: Json): RoutingRule | undefined {
    const priority = number(item["priority"]), table = nameOf(item["table"]);
    if (priority === undefined || table === undefined)
        return undefined;
    return defined<RoutingRule>({ priority, table, mark: text(item["fwmark"]), protocol: nameOf(item["protocol"]) });
}

/** What one command answered, or why it did not. */
export type Answer<T> = { value: T } | { error: unknown };

/** The network of the host, as read in one go. A command that fails hides only its own part. */
export interface Network {
    links: Answer<readonly Link[]>;
    addresses: Answer<ReadonlyMap<string, readonly LinkAddress[]>>;
    routes: Answer<readonly Route[]>;
    rules: Answer<readonly RoutingRule[]>;
}

function answerOf<T>(answer: string, read: (items: readonly Json[]) => T): Answer<T> {
    try {
        return { value: read(objectsIn(answer)) };
    } catch (error) {
        return { error };
    }
}

const linksIn = (items: readonly Json[]) => items.map(linkOf).filter(link => link !== undefined);
const addressesIn = (items: readonly Json[]) => new Map(items.map(item => [text(item["ifname"]) ?? "", addressesOf(item)]));
const routesIn = (items: readonly Json[]) => items.map(routeOf).filter(route => route !== undefined);
const rulesIn = (items: readonly Json[]) => items.map(ruleOf).filter(rule => rule !== undefined);

/**
 * Links are asked for first: ip keeps the names of links between commands and learns changed ones only from a list of links.
 * `link` and `address` both, since only the first tells `addrgenmode`.
 */
const COMMANDS = ["link show", "address show", "route show table all", "rule show"] as const;

export async function readNetwork(ip: Conversation): Promise<Network> {
    const answers: string[] = [];
    await ip.ask(COMMANDS, answer => { answers.push(answer); });
    const [links = "", addresses = "", routes = "", rules = ""] = answers;
    return {
        links: answerOf(links, linksIn), addresses: answerOf(addresses, addressesIn),
        routes: answerOf(routes, routesIn), rules: answerOf(rules, rulesIn),
    };
}

/** Some links by name, those that are gone left out; and all addresses and routes. */
export interface DeviceReading {
    links: ReadonlyMap<string, Link>;
    addresses: ReadonlyMap<string, readonly LinkAddress[]>;
    routes: readonly Route[];
}

/**
 * Some devices, read again: of links only these, which is most of the work. Addresses and routes are listed whole: in a batch,
 * `address show dev` shows none after a `link show`, and `route show dev` of a device that is gone ends it (iproute2 6.1). And a route
 * that replaces one of another device is announced only for its own. Throws where ip does not answer one of these.
 */
export async function readDevices(ip: Conversation, names: readonly string[]): Promise<DeviceReading> {
    const answers: Json[][] = [];
    const commands = [...names.map(name => `link show dev ${name}`), "address show", "route show table all"];
    await ip.ask(commands, (answer, index) => { answers.push(index < names.length ? objectsOrNone(answer) : objectsIn(answer)); });
    const [addresses = [], routes = []] = answers.slice(names.length);
    const found = names.flatMap((name, index) => linksIn(answers[index] ?? []).filter(link => link.name === name));
    return { links: new Map(found.map(link => [link.name, link])), addresses: addressesIn(addresses), routes: routesIn(routes) };
}

/** A device that is gone is no failure here. */
function objectsOrNone(answer: string): Json[] {
    try {
        return objectsIn(answer);
    } catch (error) {
        if (error instanceof IpError && /does not exist|Cannot find device/.test(error.words))
            return [];
        throw error;
    }
}

/** Names that mean themselves in a line of a batch, and that `ip monitor` shows whole: no `#`, no quote, nothing that is no ASCII. */
const PLAIN = /^[A-Za-z0-9_.:%+-]+$/;

/**
 * The device that a line of `ip -o monitor` is about; undefined: look at everything. So it is with next-hop objects, whose routes the
 * kernel takes away without a word, and with a name that may be another's with its link: `a@b`.
 */
export function deviceIn(line: string): string | undefined {
    if (line.includes("nexthop") || /^(?:Deleted )?id \d/.test(line))
        return undefined;
    // -o writes a backslash for each newline, and blanks follow; one in a name has none behind it.
    const [first = ""] = line.split(/\\(?=\s)/);
    const [, name, link] = /^(?:Deleted )?\d+: ([^\s:@]+)(?:@([^\s:]+))?/.exec(first) ?? / dev (\S+)/.exec(first) ?? [];
    return name !== undefined && PLAIN.test(name) && (link === undefined || /^(?:if\d+|NONE)$/.test(link)) ? name : undefined;
}

/** Whether a line of `ip -o monitor` says that a link is gone: asking ip for it by name would end its batch. */
export function isGone(line: string): boolean {
    return /^Deleted \d+: [^\s:@]+[:@]/.test(line);
}
