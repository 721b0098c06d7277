/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
import { act, cleanup, render, screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { msg } from "../../../src/model/message.ts";
import type { Reading } from "../../../src/model/snapshot.ts";
import { stubCockpit } from "../pages/cockpit-stub.ts";

stubCockpit();

/** An address that changes, as cockpit.location does. */
const events = new EventTarget();
let place: { path: string[]; options: Record<string, string | string[]> };
function go(path: string[], options: Record<string, string | string[]> = {}) {
    place = { path, options, ...{ go, replace: go, encode: (parts: readonly string[]) => parts.join("/") } };
    Object.defineProperty(cockpit, "location", { value: place, configurable: true });
    events.dispatchEvent(new Event("locationchanged"));
}
Object.assign(cockpit, {
    addEventListener: events.addEventListener.bind(events), removeEventListener: events.removeEventListener.bind(events),
});
const { DataTable } = await import("../../../src/ui/data-table.tsx");
const { AccessContext } = await import("../../../src/ui/access.tsx");

interface Row { name: string; state: string }
// jsdom has no layout.
Element.prototype.scrollIntoView = () => undefined;
let rendered: string[];
const columns = [
    { key: "name", title: "Name", cell: (row: Row) => { rendered.push(row.name); return row.name; }, sort: (row: Row) => row.name },
    { key: "state", title: "State", cell: (row: Row) => row.state },
];
const filters = [{
    key: "state", title: "State", choices: [{ value: "up", label: "Up" }], matches: (row: Row, value: string) => row.state === value,
}];
const keyOf = (row: Row) => row.name;
const detail = (row: Row) => <p>All about {row.name}</p>;
const bulk = (rows: readonly Row[]) => [{ label: "Count", run: () => { counted = rows.map(keyOf); } }];
let counted: string[] = [];

function table(rows: Reading<readonly Row[]>) {
    return (
        <AccessContext value="granted">
            <DataTable
                place="things" label="Things" rows={rows} columns={columns} filters={filters} sortBy="name" keyOf={keyOf} nameOf={keyOf}
                textOf={keyOf} detail={detail} bulk={bulk} empty={<p>Make the first thing</p>}
            />
        </AccessContext>
    );
}

const many = (count: number): readonly Row[] => Array.from({ length: count }, (_unused, index) => ({ name: `t${index}`, state: index % 2 ? "up" : "down" }));
const read = (value: readonly Row[]): Reading<readonly Row[]> => ({ state: "read", value });
const names = () => within(screen.getByRole("table")).getAllByRole("checkbox").slice(1).map(box => box.id.replace("select-", ""));

beforeEach(() => { rendered = []; go(["things"]); });
afterEach(cleanup);

test("a page of rows is rendered, whatever their number, and a change of one row renders one row", () => {
    const rows = many(1000);
    const { rerender } = render(table(read(rows)));
    expect(rendered).toHaveLength(50);
    rendered = [];
    rerender(table(read(rows.map(row => row.name === "t7" ? { ...row, state: "gone" } : row))));
    expect(rendered).toEqual(["t7"]);
});

test("the address chooses page, search, filter, order and the opened row", () => {
    render(table(read(many(120))));
    expect(names()[0]).toBe("t0");
    act(() => go(["things"], { page: "3" }));
    expect(names()).toHaveLength(20);
    act(() => go(["things"], { q: "t11", sort: "-name" }));
    expect(names()).toEqual(["t119", "t118", "t117", "t116", "t115", "t114", "t113", "t112", "t111", "t110", "t11"]);
    act(() => go(["things"], { q: "t11", state: "up" }));
    expect(names()).toEqual(["t11", "t111", "t113", "t115", "t117", "t119"]);
    act(() => go(["things", "t75"]));
    expect(screen.getByText("All about t75")).toBeTruthy();
    act(() => go(["things", "nobody"]));
    expect(screen.getByText("\"nobody\" is not here (any more).")).toBeTruthy();
});

test("typing and clicking write the address", async () => {
    render(table(read(many(3))));
    await userEvent.keyboard("/");
    await userEvent.keyboard("t2");
    expect(place.options).toEqual({ q: "t2" });
    expect(names()).toEqual(["t2"]);
    await userEvent.click(screen.getByRole("button", { name: "Open the details of t2" }));
    expect(place.path).toEqual(["things", "t2"]);
    await userEvent.click(screen.getByRole("button", { name: "Close the details of t2" }));
    expect(place.path).toEqual(["things"]);
    await userEvent.click(screen.getByRole("button", { name: "Name" }));
    expect(place.options["sort"]).toBe("-name");
});

test("what is selected can be done at once", async () => {
    render(table(read(many(3))));
    await userEvent.click(screen.getByRole("checkbox", { name: "Select t1" }));
    await userEvent.click(screen.getByRole("checkbox", { name: "Select t2" }));
    await userEvent.click(screen.getByRole("button", { name: "Actions for the selection" }));
    await userEvent.click(screen.getByRole("menuitem", { name: "Count" }));
    expect(counted).toEqual(["t1", "t2"]);
});

test("empty, not found, failed", () => {
    const { rerender } = render(table(read([])));
    expect(screen.getByText("Make the first thing")).toBeTruthy();
    act(() => go(["things"], { q: "nothing" }));
    rerender(table(read(many(2))));
    expect(screen.getByText("Nothing found")).toBeTruthy();
    rerender(table({ state: "failed", says: msg("It cannot be read."), words: "error: no" }));
    expect(screen.getByText("It cannot be read.")).toBeTruthy();
    expect(screen.getByText("error: no")).toBeTruthy();
});
