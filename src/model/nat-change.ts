// SPDX-License-Identifier: LGPL-2.1-or-later
// The difference of two states: as one nft transaction that touches nothing but what differs, and as the connections that
// go on by the old translation until they are cut.
import type { Mapping, NatElement, NatElements, NatState, Placed } from "./nat.ts";
import { mappingElements, mappingKey } from "./nat.ts";
import { formatPrefix, isSingle } from "./nat-address.ts";
import { elementText } from "./nat-file.ts";
import { SETS, TABLE } from "./nat-frame.ts";

export interface ElementChanges {
    remove: readonly Placed[];
    add: readonly Placed[];
}

function same(a: NatElement | undefined, b: NatElement): boolean {
    return a !== undefined && a.value === b.value && a.comment === b.comment;
}

function missing(from: NatElements, to: NatElements): Placed[] {
    return [...from].flatMap(([set, keys]) => [...keys]
            .filter(([key, element]) => !same(to.get(set)?.get(key), element))
            .map(([key, element]) => ({ set, key, ...element })));
}

/** What to remove and add so that `before` becomes `after`. A changed value or comment is both. */
export function elementChanges(before: NatElements, after: NatElements): ElementChanges {
    const known = (placed: readonly Placed[]) => placed.filter(({ set }) => SETS.has(set));
    return { remove: known(missing(before, after)), add: known(missing(after, before)) };
}

/**
 * The changes as nft commands, one an element; `nft -f` runs all or none. Deletions come first: in an interval set the new
 * element may overlap the old.
 */
export function transaction(changes: ElementChanges): string {
    const line = (verb: "add" | "delete", placed: Placed) => `${verb} element ${TABLE} ${placed.set} { ${elementText(placed)} }\n`;
    const bare = ({ set, key, value }: Placed): Placed => ({ set, key, ...(value === undefined ? {} : { value }) });
    return [
        ...changes.remove.map(placed => line("delete", bare(placed))),
        ...changes.add.map(placed => line("add", placed)),
    ].join("");
}

export interface MappingChange {
    before?: Mapping;
    after?: Mapping;
}

function carries(mapping: Mapping | undefined): boolean {
    return mapping?.enabled === true;
}

/** Mappings that are not the same in both states, by public address. */
export function mappingChanges(before: NatState, after: NatState): MappingChange[] {
    const old = new Map(before.mappings.map(mapping => [mappingKey(mapping), mapping]));
    const now = new Map(after.mappings.map(mapping => [mappingKey(mapping), mapping]));
    return [...new Set([...old.keys(), ...now.keys()])].flatMap(key => {
        const [one, other] = [old.get(key), now.get(key)];
        if (one && other && JSON.stringify(mappingElements(one)) === JSON.stringify(mappingElements(other)))
            return [];
        return [{ ...(one ? { before: one } : {}), ...(other ? { after: other } : {}) }];
    });
}

/** A mapping whose connections end: both its sides, as prefixes are written. */
export interface Ending {
    public: string;
    guest: string;
}

function sameWay(a: Mapping, b: Mapping): boolean {
    const wayOf = (mapping: Mapping) => JSON.stringify(mappingElements({ ...mapping, description: "", log: false }));
    return wayOf(a) === wayOf(b);
}

/** Connections that would go on as before the change. A new description or log setting ends none. */
export function endings(before: NatState, after: NatState): Ending[] {
    return mappingChanges(before, after).flatMap(({ before: old, after: now }) => {
        if (old && now && sameWay(old, now))
            return [];
        const carrying = [old, now].filter(mapping => mapping !== undefined && carries(mapping)) as readonly Mapping[];
        const pairs = carrying.map(mapping => ({ public: formatPrefix(mapping.public), guest: formatPrefix(mapping.guest) }));
        return pairs.filter((pair, index) => pairs.findIndex(other => other.guest === pair.guest) === index);
    });
}

/** Public addresses whose neighbours must learn where they are now: newly claimed ones. */
export function announcements(before: NatState, after: NatState): string[] {
    const claimed = (state: NatState) => new Set(state.mappings
            .filter(mapping => mapping.claimed && isSingle(mapping.public))
            .map(mappingKey));
    const old = claimed(before);
    return [...claimed(after)].filter(key => !old.has(key));
}
