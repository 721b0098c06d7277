// SPDX-License-Identifier: LGPL-2.1-or-later
// Tracked connections as `conntrack -L` prints them, and which of them belong to a mapping.
import type { Mapping } from "./nat.ts";
import type { Prefix } from "./nat-address.ts";
import { contains, parsePrefix } from "./nat-address.ts";

/** Source and destination as the first packet had them, and as answers have them. */
export interface Connection {
    protocol: string;
    source: string;
    destination: string;
    replySource: string;
    replyDestination: string;
}

function readLine(line: string): Connection[] {
    const [source, replySource] = [...line.matchAll(/\bsrc=(\S+)/g)].map(match => match[1]);
    const [destination, replyDestination] = [...line.matchAll(/\bdst=(\S+)/g)].map(match => match[1]);
    return source && replySource && destination && replyDestination
        ? [{ protocol: line.split(/\s+/)[0] ?? "", source, destination, replySource, replyDestination }] : [];
}

export function readConnections(listing: string): Connection[] {
    return listing.split("\n").flatMap(readLine);
}

function within(prefix: Prefix, address: string): boolean {
    const parsed = parsePrefix(address);
    return parsed !== undefined && contains(prefix, parsed);
}

/** Connections that go through a mapping: to its public address, or from its guest with that address as source. */
export function ofMapping(mapping: Mapping, connections: readonly Connection[]): Connection[] {
    return connections.filter(connection =>
        (within(mapping.public, connection.destination) && within(mapping.guest, connection.replySource))
        || (within(mapping.guest, connection.source) && within(mapping.public, connection.replyDestination)));
}
