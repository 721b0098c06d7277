// SPDX-License-Identifier: LGPL-2.1-or-later
// Open connections of each mapping, and when it was last used: nobody on the host writes that down, so it is what could be seen since
// the page began to look. A packet shows in three ways: the counter of new connections grew, a connection is new, or one that would
// have been forgotten at some time is to be forgotten later now, since each packet starts its time anew (nf_conntrack_core.c,
// __nf_ct_refresh_acct).
import { byMapping, isOpen, type Connection } from "./nat-connections.ts";
import { mappingKey, type Mapping } from "./nat.ts";

export interface Use {
    /** Open connections at the last look. */
    open: number;
    /** When something was seen last, in milliseconds since 1970; absent: not since the page looks. */
    last?: number;
}

export interface Watched {
    /** When the page began to look, and when it last did. */
    since: number;
    at: number;
    uses: ReadonlyMap<string, Use>;
    /** By mapping: when each connection is forgotten unless a packet comes, and how many connections were counted. */
    ends: ReadonlyMap<string, ReadonlyMap<string, number>>;
    counted: ReadonlyMap<string, number>;
}

/** conntrack tells whole seconds, and its answer takes a moment: less than this is no packet. In milliseconds. */
const JITTER = 1500;

export interface Look {
    mappings: readonly Mapping[];
    connections: readonly Connection[];
    /** Connections counted for each mapping since its element was loaded, by public address. */
    counted: ReadonlyMap<string, number>;
    now: number;
    /** The last look was a moment ago: what differs happened now. Otherwise nobody knows when it did. */
    continues: boolean;
}

/** What is known after one more look. */
export function look(before: Watched | undefined, { mappings, connections, counted, now, continues }: Look): Watched {
    const found = byMapping(mappings, connections);
    const ends = new Map([...found].map(([key, list]) => [key, new Map(list.map(one => [one.key, now + one.left * 1000]))]));
    const uses = new Map(mappings.map(mapping => {
        const key = mappingKey(mapping);
        const used = continues && wasUsed(before?.ends.get(key), ends.get(key), before?.counted.get(key), counted.get(key));
        const last = used ? now : before?.uses.get(key)?.last;
        return [key, { open: (found.get(key) ?? []).filter(isOpen).length, ...last === undefined ? {} : { last } }];
    }));
    return { since: continues && before ? before.since : now, at: now, uses, ends, counted };
}

/** Of a mapping that was not there before nothing is known. */
function wasUsed(
    before: ReadonlyMap<string, number> | undefined, now: ReadonlyMap<string, number> | undefined,
    countedBefore: number | undefined, countedNow: number | undefined,
): boolean {
    if (countedBefore !== undefined && countedNow !== undefined && countedNow > countedBefore)
        return true;
    return before !== undefined && [...now ?? []].some(([key, end]) => end > (before.get(key) ?? -Infinity) + JITTER);
}
