// SPDX-License-Identifier: LGPL-2.1-or-later
import { choose, inHeldOrder, parseSort, type Choice, type Column, type Filter } from "../../../src/ui/table-model.ts";
import { sameFields, stableRows } from "../../../src/ui/stable.ts";

interface Row { name: string; state: string; size: number }

const rows: readonly Row[] = [
    { name: "eth10", state: "up", size: 5 }, { name: "eth2", state: "down", size: 10 }, { name: "Äther", state: "up", size: 1 },
];
const columns: readonly Column<Row>[] = [
    { key: "name", title: "", cell: () => null, sort: row => row.name },
    { key: "size", title: "", cell: () => null, sort: row => row.size },
    { key: "both", title: "", cell: () => null, sort: row => [row.state, row.size] },
    { key: "fixed", title: "", cell: () => null },
];
const filters: readonly Filter<Row>[] = [{
    key: "state", title: "", choices: [], matches: (row, value) => row.state === value,
}];

const choice = (sort: string, search = "", state: readonly string[] = []): Choice =>
    ({ search, filters: { state }, sort: parseSort(sort, "name") });

test.each<[string, Choice, string[]]>([
    ["numbers in names count as numbers", choice("name"), ["Äther", "eth2", "eth10"]],
    ["descending", choice("-name"), ["eth10", "eth2", "Äther"]],
    ["by number", choice("size"), ["Äther", "eth10", "eth2"]],
    ["by a list, item by item", choice("both"), ["eth2", "Äther", "eth10"]],
    ["a column that cannot be sorted leaves the order", choice("fixed"), ["eth10", "eth2", "Äther"]],
    ["an unknown column leaves the order", choice("nonsense"), ["eth10", "eth2", "Äther"]],
    ["search finds all words in any order and case", choice("name", "UP eth"), ["eth10"]],
    ["search finds nothing", choice("name", "eth99"), []],
    ["one filter", choice("name", "", ["down"]), ["eth2"]],
    ["values of one filter are alternatives", choice("name", "", ["down", "up"]), ["Äther", "eth2", "eth10"]],
    ["search and filter both have to fit", choice("name", "eth", ["up"]), ["eth10"]],
])("%s", (_name, wish, names) => {
    expect(choose(rows, wish, columns, filters, row => `${row.name} ${row.state}`, "en").map(row => row.name)).toEqual(names);
});

test.each([
    ["", { key: "name", descending: false }], ["size", { key: "size", descending: false }], ["-size", { key: "size", descending: true }],
    [undefined, { key: "name", descending: false }],
])("?sort=%s", (text, sort) => expect(parseSort(text, "name")).toEqual(sort));

test.each([
    ["keeps its order", ["eth2", "eth10", "Äther"], ["eth2", "eth10", "Äther"]],
    ["what is new comes last", ["eth2", "Äther"], ["eth2", "Äther", "eth10"]],
    ["what is gone leaves", ["gone", "Äther", "eth10", "eth2"], ["Äther", "eth10", "eth2"]],
])("a held order %s", (_name, held, names) => {
    expect(inHeldOrder(rows, held, row => row.name).map(row => row.name)).toEqual(names);
});

test("rows that read the same are the same object", () => {
    const stable = stableRows<{ name: string; list: readonly string[] }>(row => row.name);
    const first = stable([{ name: "a", list: ["1"] }, { name: "b", list: [] }]);
    const second = stable([{ name: "a", list: ["1"] }, { name: "b", list: ["2"] }]);
    expect(second[0]).toBe(first[0]);
    expect(second[1]).not.toBe(first[1]);
    expect(second[1]).toEqual({ name: "b", list: ["2"] });
});

test.each([
    [{ a: 1 }, { a: 1 }, true], [{ a: 1 }, { a: 2 }, false], [{ a: 1 }, { a: 1, b: 1 }, false], [{ a: [1, 2] }, { a: [1, 2] }, true],
    [{ a: [1, 2] }, { a: [2, 1] }, false], [{ a: NaN }, { a: NaN }, true],
])("%j and %j", (a, b, same) => expect(sameFields(a, b)).toBe(same));
