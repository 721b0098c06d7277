// SPDX-License-Identifier: LGPL-2.1-or-later
// What a table shows of its rows: found, filtered, sorted, cut into pages. Pure; the choice itself is in the address.
import type { ReactNode } from "react";

export interface Column<Row> {
    /** In the address: `?sort=fate`. */
    key: string;
    title: string;
    cell(row: Row): ReactNode;
    /** Makes the column sortable. Lists compare item by item. */
    sort?(row: Row): string | number | readonly (string | number)[];
    /** Share of the width in percent: columns of a fixed width do not move when data arrives. */
    width?: number;
}

export interface Filter<Row> {
    /** In the address: `?fate=deleted&fate=fails`. */
    key: string;
    title: string;
    choices: readonly { value: string; label: string }[];
    /** Whether the row belongs to one chosen value; a row is shown when it matches any of them. */
    matches(row: Row, value: string): boolean;
}

export interface Choice {
    search: string;
    filters: Readonly<Record<string, readonly string[]>>;
    sort: { key: string; descending: boolean };
}

export const pageSize = 50;

/** `-fate` is by fate, the last first. */
export function parseSort(text: string | undefined, otherwise: string): Choice["sort"] {
    const wish = text === undefined || text === "" ? otherwise : text;
    return wish.startsWith("-") ? { key: wish.slice(1), descending: true } : { key: wish, descending: false };
}

type SortValue = string | number | readonly (string | number)[];

/** "eth2" before "eth10"; numbers before words. */
function compare(a: SortValue, b: SortValue, collator: Intl.Collator): number {
    if (typeof a === "number" && typeof b === "number")
        return a - b;
    if (typeof a === "object" && typeof b === "object") {
        for (const [index, item] of a.entries()) {
            const other = b[index];
            const order = other === undefined ? 1 : compare(item, other, collator);
            if (order !== 0)
                return order;
        }
        return a.length - b.length;
    }
    return collator.compare(String(a), String(b));
}

/** All words of the search must occur, in any order, whatever their case. */
function found(text: string, search: string): boolean {
    const haystack = text.toLowerCase();
    return search.toLowerCase().split(/\s+/).every(word => haystack.includes(word));
}

/** The rows that the choice leaves, in its order. */
export function choose<Row>(
    rows: readonly Row[], choice: Choice, columns: readonly Column<Row>[], filters: readonly Filter<Row>[],
    textOf: (row: Row) => string, language: string,
): readonly Row[] {
    const active = filters.flatMap(filter => {
        const values = choice.filters[filter.key] ?? [];
        return values.length === 0 ? [] : [{ filter, values }];
    });
    const left = rows.filter(row =>
        (choice.search === "" || found(textOf(row), choice.search))
        && active.every(({ filter, values }) => values.some(value => filter.matches(row, value))));
    const sortBy = columns.find(column => column.key === choice.sort.key)?.sort;
    if (sortBy === undefined)
        return left;
    const collator = new Intl.Collator(language, { numeric: true, sensitivity: "base" });
    const sign = choice.sort.descending ? -1 : 1;
    return left
        .map(row => ({ row, value: sortBy(row) }))
        .sort((a, b) => sign * compare(a.value, b.value, collator))
        .map(({ row }) => row);
}

/** The rows in the order of `held`, what is new at the end: nothing moves under a pointer that is about to click. */
export function inHeldOrder<Row>(rows: readonly Row[], held: readonly string[], keyOf: (row: Row) => string): readonly Row[] {
    const byKey = new Map(rows.map(row => [keyOf(row), row]));
    const known = held.flatMap(key => {
        const row = byKey.get(key);
        byKey.delete(key);
        return row === undefined ? [] : [row];
    });
    return [...known, ...byKey.values()];
}
