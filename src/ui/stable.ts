// SPDX-License-Identifier: LGPL-2.1-or-later
// Rows that keep their identity. A snapshot shares what did not change with the one before, but the rows derived from it are
// new objects each time; this gives back the old object where all its fields are the same, so that only changed rows render.
//
//     const [stable] = useState(() => stableRows<GuestRow>(row => row.key));
//     const rows = useMemo(() => stable(rowsOf(snapshot)), [stable, snapshot]);

function same(a: unknown, b: unknown): boolean {
    if (Object.is(a, b))
        return true;
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item: unknown, index) => Object.is(item, b[index]));
}

/** Compares the fields of two flat objects; lists are compared item by item. */
export function sameFields(a: object, b: object): boolean {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length
        && keys.every(key => same(Reflect.get(a, key), Reflect.get(b, key)));
}

export function stableRows<Row extends object>(keyOf: (row: Row) => string): (rows: readonly Row[]) => readonly Row[] {
    let before = new Map<string, Row>();
    return rows => {
        const kept = rows.map(row => {
            const old = before.get(keyOf(row));
            return old !== undefined && sameFields(old, row) ? old : row;
        });
        before = new Map(kept.map(row => [keyOf(row), row]));
        return kept;
    };
}
