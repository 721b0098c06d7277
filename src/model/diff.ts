// SPDX-License-Identifier: LGPL-2.1-or-later
// The difference of two texts by lines, for showing XML, files and nft listings before and after.

export interface DiffLine {
    kind: "same" | "removed" | "added";
    text: string;
}

/** Lengths of the longest common subsequences of all ends of `a` and `b`. */
function commonLengths(a: readonly string[], b: readonly string[]): number[][] {
    const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
    for (let i = a.length - 1; i >= 0; i--) {
        for (let j = b.length - 1; j >= 0; j--) {
            const row = table[i] ?? [];
            row[j] = a[i] === b[j]
                ? (table[i + 1]?.[j + 1] ?? 0) + 1
                : Math.max(table[i + 1]?.[j] ?? 0, row[j + 1] ?? 0);
        }
    }
    return table;
}

/** Equal lines at both ends are cut off first, so that a small change of a long text costs little. */
export function diffLines(before: string, after: string): DiffLine[] {
    const a = before === "" ? [] : before.replace(/\n$/, "").split("\n");
    const b = after === "" ? [] : after.replace(/\n$/, "").split("\n");
    let start = 0;
    while (start < a.length && start < b.length && a[start] === b[start])
        start++;
    let end = 0;
    while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end])
        end++;
    const same = (text: string): DiffLine => ({ kind: "same", text });
    return [
        ...a.slice(0, start).map(same),
        ...middle(a.slice(start, a.length - end), b.slice(start, b.length - end)),
        ...a.slice(a.length - end).map(same),
    ];
}

function middle(a: readonly string[], b: readonly string[]): DiffLine[] {
    const lengths = commonLengths(a, b);
    const lines: DiffLine[] = [];
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
        const [left, right] = [a[i], b[j]];
        if (left !== undefined && left === right) {
            lines.push({ kind: "same", text: left });
            i++;
            j++;
        } else if (left !== undefined && (right === undefined || (lengths[i + 1]?.[j] ?? 0) >= (lengths[i]?.[j + 1] ?? 0))) {
            lines.push({ kind: "removed", text: left });
            i++;
        } else if (right !== undefined) {
            lines.push({ kind: "added", text: right });
            j++;
        }
    }
    return lines;
}
