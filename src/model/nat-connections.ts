// SPDX-License-Identifier: LGPL-2.1-or-later
// Tracked connections as `conntrack -L` prints them, and which of them belong to a mapping.
import { mappingKey, type Mapping } from "./nat.ts";
import type { Prefix } from "./nat-address.ts";
import { contains, isSingle, parsePrefix } from "./nat-address.ts";

/** Source and destination as the first packet had them, and as answers have them. */
export interface Connection {
    protocol: string;
    source: string;
    destination: string;
    replySource: string;
    replyDestination: string;
    /** Of TCP and SCTP: ESTABLISHED, TIME_WAIT … */
    state?: string;
    /** Seconds until it is forgotten, unless a packet comes: each one starts them anew. */
    left: number;
    /** Tells it from the others, ports included. */
    key: string;
}

/** States of connections that are over; the kernel remembers them for what may still be under way. */
const OVER = ["TIME_WAIT", "CLOSE", "CLOSED"];

function readLine(line: string): Connection[] {
    const [source, replySource] = [...line.matchAll(/\bsrc=(\S+)/g)].map(match => match[1]);
    const [destination, replyDestination] = [...line.matchAll(/\bdst=(\S+)/g)].map(match => match[1]);
    // protocol, its number, seconds, a state where the protocol has states (nf_conntrack_standalone.c writes the same)
    const [protocol = "", , left, state = ""] = line.trim().split(/\s+/);
    if (!source || !replySource || !destination || !replyDestination)
        return [];
    return [{
        protocol, source, destination, replySource, replyDestination, left: Number(left),
        key: `${protocol} ${line.slice(line.indexOf("src=")).replace(/ \[[A-Z]+\]| (?:packets|bytes|mark|use|id|delta-time|secctx|zone)=\S+/g, "").trim()}`,
        ...(/^[A-Z_]+$/.test(state) ? { state } : {}),
    }];
}

export function isOpen({ state }: Connection): boolean {
    return state === undefined || !OVER.includes(state);
}

export function readConnections(listing: string): Connection[] {
    return listing.split("\n").flatMap(readLine);
}

function within(prefix: Prefix, address: string): boolean {
    const parsed = parsePrefix(address);
    return parsed !== undefined && contains(prefix, parsed);
}

/** Open connections that go through a mapping: to its public address, or from its guest with that address as source. */
export function ofMapping(mapping: Mapping, connections: readonly Connection[]): Connection[] {
    return connections.filter(connection => isOpen(connection) && belongs(mapping, connection));
}

function belongs(mapping: Mapping, connection: Connection): boolean {
    return (within(mapping.public, connection.destination) && within(mapping.guest, connection.replySource))
        || (within(mapping.guest, connection.source) && within(mapping.public, connection.replyDestination));
}

/**
 * All connections of each mapping, by public address. One pass over the connections, whatever the number of mappings of single addresses:
 * there may be a hundred thousand of either.
 */
export function byMapping(mappings: readonly Mapping[], connections: readonly Connection[]): Map<string, Connection[]> {
    const found = new Map<string, Connection[]>(mappings.map(mapping => [mappingKey(mapping), []]));
    const singles = new Map(mappings.filter(({ public: outside }) => isSingle(outside)).map(mapping => [mapping.public.address, mapping]));
    const nets = mappings.filter(({ public: outside }) => !isSingle(outside));
    for (const connection of connections) {
        for (const address of new Set([connection.destination, connection.replyDestination])) {
            const mapping = singles.get(address);
            const mine = mapping && (mapping.guest.address === connection.replySource || mapping.guest.address === connection.source)
                ? mapping : nets.find(net => belongs(net, connection));
            const list = mine && found.get(mappingKey(mine));
            if (list && list.at(-1) !== connection)
                list.push(connection);
        }
    }
    return found;
}
