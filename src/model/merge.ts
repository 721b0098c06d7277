// SPDX-License-Identifier: LGPL-2.1-or-later
// Two people at one list: what one of them changed goes into what the other has made of it meanwhile.

/**
 * The list as it is now, with what was changed from `before` to `mine`: items added, removed and replaced, by key. What both changed is
 * as in `mine`. In the order of `now`, what was added at the end.
 */
export function mergeLists<T>(before: readonly T[], mine: readonly T[], now: readonly T[], keyOf: (item: T) => string): T[] {
    const [old, wished] = [before, mine].map(list => new Map(list.map(item => [keyOf(item), item])));
    const same = (a: T | undefined, b: T | undefined) => JSON.stringify(a) === JSON.stringify(b);
    const kept = now.flatMap(item => {
        const key = keyOf(item);
        const [was, is] = [old?.get(key), wished?.get(key)];
        return same(was, is) ? [item] : is === undefined ? [] : [is];
    });
    const there = new Set(now.map(keyOf));
    const added = mine.filter(item => !there.has(keyOf(item)) && !same(old?.get(keyOf(item)), item));
    return [...kept, ...added];
}
