// SPDX-License-Identifier: LGPL-2.1-or-later
// Links, addresses, routes and traffic, through one running `ip -batch -`: it answers each line with one line of JSON, and goes
// on after a command that failed (-force). So looking again costs no process, not even every second.
import type { Link, LinkAddress, Route, RoutingRule, Traffic, TunInfo } from "../model/tap.ts";
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
        addrGenMode: text(item["inet6_addr_gen_mode"]),
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

/** A route of `ip -d -j route show table all`; the family shows only in its addresses. */
export function routeOf(item: Json): Route | undefined {
    const destination = text(item["dst"]);
    if (destination === undefined)
        return undefined;
    const via = object(item["via"]);
    const gateway = text(item["gateway"]) ?? text(via["host"]);
    const source = text(item["prefsrc"]);
    const inet6 = [destination, source, text(item["gateway"])].some(address => address?.includes(":")) || "pref" in item;
    return defined<Route>({
        family: inet6 ? "inet6" : "inet",
        destination,
        type: text(item["type"]) ?? "unicast",
        table: nameOf(item["table"]) ?? "main",
        device: text(item["dev"]),
        gateway, source,
        protocol: nameOf(item["protocol"]),
        metric: number(item["metric"]),
    });
}

/** A rule of `ip -d -j rule show`. */
export function ruleOf(item: Json): RoutingRule | undefined {
    const priority = number(item["priority"]), table = nameOf(item["table"]);
    if (priority === undefined || table === undefined)
        return undefined;
    return defined<RoutingRule>({ priority, table, mark: text(item["fwmark"]), protocol: nameOf(item["protocol"]) });
}

/** The network of the host, as read in one go. */
export interface Network {
    links: readonly Link[];
    addresses: ReadonlyMap<string, readonly LinkAddress[]>;
    routes: readonly Route[];
    rules: readonly RoutingRule[];
}

/**
 * Links are asked for first: ip keeps the names of links between commands and learns changed ones only from a list of links.
 * `link` and `address` both, since only the first tells `addrgenmode`.
 */
const COMMANDS = ["link show", "address show", "route show table all", "rule show"] as const;

export async function readNetwork(ip: Conversation): Promise<Network> {
    const answers: Json[][] = [];
    const failures: unknown[] = [];
    await ip.ask(COMMANDS, answer => {
        try {
            answers.push(objectsIn(answer));
        } catch (error) {
            failures.push(error);
        }
    });
    if (failures.length > 0)
        throw failures[0];
    const [links = [], addresses = [], routes = [], rules = []] = answers;
    return {
        links: links.map(linkOf).filter(link => link !== undefined),
        addresses: new Map(addresses.map(item => [text(item["ifname"]) ?? "", addressesOf(item)])),
        routes: routes.map(routeOf).filter(route => route !== undefined),
        rules: rules.map(ruleOf).filter(rule => rule !== undefined),
    };
}

/** What there is of one device; no link where it is gone. */
export interface DeviceReading {
    link?: Link;
    addresses: readonly LinkAddress[];
    routes: readonly Route[];
}

/**
 * Some devices, read again: of links only these, which is most of the work. Addresses and routes are listed whole: in a batch,
 * `address show dev` shows none after a `link show`, and `route show dev` of a device that is gone ends it (iproute2 6.1).
 */
export async function readDevices(ip: Conversation, names: readonly string[]): Promise<Map<string, DeviceReading>> {
    const answers: Json[][] = [];
    const commands = [...names.map(name => `link show dev ${name}`), "address show", "route show table all"];
    await ip.ask(commands, answer => answers.push(objectsOrNone(answer)));
    const [addresses = [], routes = []] = answers.slice(names.length);
    return new Map(names.map((name, index) => {
        const link = (answers[index] ?? []).map(linkOf).find(found => found?.name === name);
        return [name, {
            ...link && { link },
            addresses: addresses.filter(item => item["ifname"] === name).flatMap(addressesOf),
            routes: routes.filter(item => item["dev"] === name).map(routeOf).filter(route => route !== undefined),
        }];
    }));
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

/** The device that a line of `ip -o monitor` is about; undefined: look at everything. */
export function deviceIn(line: string): string | undefined {
    if (line.includes("nexthop") || line.includes("\\"))
        line = line.includes("nexthop") ? "" : line.slice(0, line.indexOf("\\"));
    return /^(?:Deleted )?\d+: ([^\s:@]+)/.exec(line)?.[1] ?? / dev ([^\s:@]+)/.exec(line)?.[1];
}

/** Whether a line of `ip -o monitor` says that a link is gone: asking ip for it by name would end its batch. */
export function isGone(line: string): boolean {
    return /^Deleted \d+: [^\s:@]+[:@]/.test(line);
}
