// SPDX-License-Identifier: LGPL-2.1-or-later
// What the host itself needs to reach (model/host-reach.ts) and no stream announces: a few processes, whatever runs on the host, when a
// form opens and again before its plan runs.
import { msg, type Message } from "../model/message.ts";
import { parseAddress } from "../model/nat-address.ts";
import { readConnections } from "../model/nat-connections.ts";
import type { HostNeeds, Neighbour, Peer } from "../model/snapshot.ts";
import type { Hop } from "../model/tap.ts";
import { hopOf, IpError, neighbourEntries, objectsIn } from "./ip.ts";
import { CommandError, type Machine } from "./run.ts";

/** Where a resolver that runs on the host itself keeps the name servers that it asks; resolv.conf then names only the resolver. */
const RESOLVERS = [
    "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf", "/run/NetworkManager/resolv.conf",
    "/run/resolvconf/resolv.conf", "/run/dnsmasq/resolv.conf",
] as const;

/** One address as tools print it: without brackets, port, zone and the IPv4 in IPv6 of sockets for both. Undefined for none ("*"). */
function plain(text: string): string | undefined {
    const bare = text.replace(/%[^\]]*/, "").replace(/^\[|\]$/g, "").replace(/^::ffff:(?=[\d.]+$)/i, "");
    return parseAddress(bare)?.address;
}

/** `ADDRESS:PORT`, the address in brackets where it is IPv6. */
function withoutPort(text: string): string | undefined {
    return plain(text.replace(/:[^:\]]*$/, ""));
}

/** Lines `nameserver ADDRESS` of resolv.conf(5). */
export function nameServersIn(output: string): string[] {
    return unique([...output.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, text = ""]) => plain(text)));
}

/** `ss -Htun`: protocol, state, queues, both ends. Connected sockets of UDP are "ESTAB", too. */
export function peersIn(output: string): Peer[] {
    return output.split("\n").map(line => line.trim().split(/\s+/)).flatMap(([, state, , , own = "", peer = ""]) => {
        const address = state === "ESTAB" ? withoutPort(peer) : undefined, local = withoutPort(own);
        return address === undefined ? [] : [{ address, ...local !== undefined && { local } }];
    });
}

/** `wg show all endpoints`: interface, public key, address and port or "(none)". */
export function endpointsIn(output: string): string[] {
    return unique([...output.matchAll(/^\S+\t\S+\t(\S+)$/gm)].map(([, text = ""]) => withoutPort(text)));
}

/** `ip xfrm state`: a line "src ADDRESS dst ADDRESS" for each way of a tunnel of IPsec. */
export function xfrmIn(output: string): string[] {
    return unique([...output.matchAll(/^src (\S+) dst (\S+)/gm)].flatMap(([, from = "", to = ""]) => [plain(from), plain(to)]));
}

/** Of so many lines and own addresses at most: what is beyond is left out. */
const MOST_LINES = 2000, MOST_OWN = 1000;

/** conntrack says nothing of itself on the way through a pipe; grep ends by itself after its last line. */
const LISTING = '{ conntrack -L -f "$0" -p udp -u ASSURED 2>/dev/null || echo failed; } | grep -E -m "$1" -e "^failed$" -e "$2"';

const isOutward = (address: string) => !/^(127\.|fe80:|::1$)/.test(address);

/**
 * Which connections the kernel follows between the host itself and others, of UDP: a server that answers from a socket that is not
 * connected, as that of OpenVPN, shows in no list of sockets. One command a family. There may be a hundred thousand entries of guests:
 * grep leaves them out on the host. An entry's first addresses are those of its first packet.
 */
export function datagramsOf(own: readonly string[]): readonly (readonly string[])[] {
    const mine = unique(own).filter(isOutward).slice(0, MOST_OWN);
    return [mine.filter(address => !address.includes(":")), mine.filter(address => address.includes(":"))].map((addresses, index) => {
        const any = `(${addresses.map(address => address.replaceAll(".", "\\.")).join("|") || "none"})`;
        return ["sh", "-c", LISTING, index === 0 ? "ipv4" : "ipv6", String(MOST_LINES), `^udp +17 +[0-9]+ +(src=${any} dst=|src=[^ ]+ dst=${any} )`];
    });
}

/** What they say; undefined where conntrack could not be run. What came in for the host but is answered by another is a guest's. */
export function datagramPeersIn(listings: readonly string[], own: readonly string[]): Peer[] | undefined {
    if (listings.some(listing => /^failed$/m.test(listing)))
        return undefined;
    const mine = new Set(own);
    return listings.flatMap(readConnections).flatMap(({ source, destination, replySource }) =>
        mine.has(source) ? [{ address: destination, local: source }]
            : mine.has(destination) && replySource === destination ? [{ address: source, local: destination }] : []);
}

/** States of a neighbour who has not answered lately (neighbour.c): whether anybody would is not known before a question, or not yet. */
const UNASKED = ["STALE", "DELAY", "PROBE"];

/** Neighbours in `neigh show`. `ports`: of bridges, by bridge and lladdr. */
function neighboursIn(answer: string, ports: ReadonlyMap<string, string>): Neighbour[] {
    return neighbourEntries(answer).map(({ address, device, lladdr, states }) => {
        const port = ports.get(`${device} ${lladdr}`);
        return {
            address, device, ...UNASKED.some(each => states.includes(each)) && { stale: true as const }, ...port !== undefined && { port },
        };
    });
}

/** `bridge -j fdb show`: behind which port a bridge has seen an Ethernet address. */
export function portsIn(answer: string): Map<string, string> {
    return new Map(objectsIn(answer || "[]").flatMap(({ mac, ifname, master, state }): [string, string][] =>
        typeof mac === "string" && typeof ifname === "string" && typeof master === "string" && state !== "permanent"
            ? [[`${master} ${mac}`, ifname]] : []));
}

/** `route get` as JSON; undefined where the kernel would not send at all. */
export function wayIn(answer: string): Hop | undefined {
    try {
        return objectsIn(answer).map(hopOf)[0];
    } catch (error) {
        if (error instanceof IpError)
            return undefined;
        throw error;
    }
}

/**
 * Tables that the rules of one family lead to, by their numbers (`ip -N -j rule show`); undefined where they were not read, or a rule leads
 * to whichever table a packet's VRF has (l3mdev).
 */
export function tablesIn(answer: string | undefined): ReadonlySet<string> | undefined {
    const rules = answer === undefined ? undefined : objectsIn(answer), tables = rules?.map(({ table }) => String(table ?? ""));
    return tables && rules?.every(rule => !("l3mdev" in rule)) && tables.every(table => /^\d*$/.test(table)) ? new Set(tables) : undefined;
}

/** The rules of one family; none where the kernel lacks the family. */
async function rulesOf(machine: Machine, family: "-4" | "-6"): Promise<string | undefined> {
    try {
        return await machine.run(["ip", "-N", "-j", family, "rule", "show"]);
    } catch (error) {
        if (!(error instanceof CommandError))
            throw error;
        return error.words.includes("Address family not supported") ? "[]" : undefined;
    }
}

function unique(texts: readonly (string | undefined)[]): string[] {
    return [...new Set(texts.filter(text => text !== undefined))];
}

/** A host may have thousands of connections with one other. */
function distinct(peers: readonly Peer[]): Peer[] {
    return [...new Map(peers.map(peer => [`${peer.address} ${peer.local ?? ""}`, peer])).values()];
}

/** Of a program that need not be there. */
async function optional(machine: Machine, argv: readonly string[]): Promise<string | undefined> {
    try {
        return await machine.run(argv);
    } catch (error) {
        if (error instanceof CommandError)
            return undefined;
        throw error;
    }
}

export interface NeedsFrom {
    /** Asks the running ip; answers in the order of the commands. */
    ask(commands: readonly string[]): Promise<string[]>;
    /** Names of the links of that kind. */
    wireguard: readonly string[];
    /** The host's addresses, without lengths. */
    own: readonly string[];
    /** Some TAP device is the port of a bridge. */
    bridged: boolean;
}

/** Rejects with CommandError where ss cannot be run, and with IpError where the neighbours cannot be read. */
export async function readNeeds(machine: Machine, { ask, wireguard, own, bridged }: NeedsFrom): Promise<HostNeeds> {
    const [servers, sockets, datagrams, xfrm, endpoints, ports, rules, rules6, [table = ""]] = await Promise.all([
        machine.run(["grep", "-shE", "^[[:space:]]*nameserver[[:space:]]", ...RESOLVERS], { accept: [1, 2] }),
        machine.run(["ss", "-Htun"]),
        Promise.all(datagramsOf(own).map(argv => machine.run(argv, { accept: [1] }))),
        optional(machine, ["ip", "xfrm", "state"]), // fails where the kernel has no IPsec
        wireguard.length === 0 ? "" : optional(machine, ["wg", "show", "all", "endpoints"]),
        bridged ? optional(machine, ["bridge", "-j", "fdb", "show"]) : "",
        rulesOf(machine, "-4"), rulesOf(machine, "-6"),
        ask(["neigh show"]),
    ]);
    const others = datagramPeersIn(datagrams, own);
    const unknown: Message[] = [
        ...endpoints === undefined
            ? [msg("Whom $0 is connected with is not known: it could be read with the package wireguard-tools.", wireguard.join(", "))] : [],
        ...others ? [] : [msg("With whom programs of this host exchange datagrams, as those of VPNs do, is not known: it could be read with the package conntrack (Debian) or conntrack-tools (Fedora).")],
    ];
    const nameServers = nameServersIn(servers), tunnels = [...xfrmIn(xfrm ?? ""), ...endpointsIn(endpoints ?? "")];
    const peers = distinct([...peersIn(sockets), ...others ?? [], ...tunnels.map(address => ({ address }))]);
    const tables = { 4: tablesIn(rules), 6: tablesIn(rules6) };
    const ways = await readWays(ask, [...nameServers, ...peers.map(({ address }) => address)]);
    return { nameServers, peers, neighbours: neighboursIn(table, portsIn(ports ?? "")), ways, tables, unknown };
}

async function readWays(ask: NeedsFrom["ask"], addresses: readonly string[]): Promise<Map<string, Hop>> {
    const all = unique(addresses), answers = await ask(all.map(address => `route get ${address}`));
    return new Map(all.flatMap((address, index): [string, Hop][] => {
        const way = wayIn(answers[index] ?? "");
        return way ? [[address, way]] : [];
    }));
}

/** The command that makes the kernel ask whether a neighbour is there. */
export function askingFor({ device, address, stale }: Neighbour): string {
    return stale ? `neigh change ${address} dev ${device} nud probe\n` : `neigh replace ${address} dev ${device} use\n`;
}

/** Whether the kernel still waits for the answer of one of these. */
export function isAsking(answer: string, neighbours: readonly Neighbour[]): boolean {
    const asked = new Set(neighbours.map(({ device, address }) => `${device} ${address}`));
    return objectsIn(answer).some(({ dst, dev, state }) => asked.has(`${String(dev)} ${String(dst)}`)
        && Array.isArray(state) && ["INCOMPLETE", "PROBE"].some(each => state.includes(each)));
}
