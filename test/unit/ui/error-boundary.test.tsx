/**
 * @jest-environment jsdom
 */
// SPDX-License-Identifier: LGPL-2.1-or-later
// What throws while it is drawn takes nothing else with it: not the tab, not the page.
import { jest } from "@jest/globals";
import { cleanup, render, screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { NOTHING_READ, type Reading, type Snapshot } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import { withTaps } from "../../harness/taps.ts";
import { bareMachine, stubCockpit } from "../pages/cockpit-stub.ts";

jest.setTimeout(60_000);
stubCockpit();
const { Page } = await import("../../../src/app.tsx");
const { DialogBoundary } = await import("../../../src/ui/error-boundary.tsx");

let logged: jest.Spied<typeof console.error>;
beforeEach(() => { logged = jest.spyOn(console, "error").mockImplementation(() => undefined); });
afterEach(() => {
    logged.mockRestore();
    cleanup();
    Object.assign(cockpit.location, { path: [] });
});

/** A part that throws when somebody looks into it. */
const broken = <T,>(): Reading<T> => ({ state: "read", get value(): T { throw new Error("nobody thought of this"); } });

const element = (snapshot: Snapshot) => (
    <Page snapshot={snapshot} execute={() => Promise.reject(new Error("none"))} show={() => undefined} retry={() => undefined} machine={bareMachine} />
);

function show(snapshot: Snapshot, place: string) {
    Object.assign(cockpit.location, { path: [place] });
    return render(element(snapshot));
}

test.each<[string, Partial<Snapshot>]>([
    ["guests", { links: broken() }], ["taps", { links: broken() }], ["nat", { natTable: broken() }], ["host", { hook: broken() }],
])("%s throws: its words and a way out, and the other tabs go on", (place, part) => {
    const view = show({ ...withTaps(0), ...part }, place);
    expect(screen.getByText(/nobody thought of this/)).toBeTruthy();
    expect(screen.getByRole("button", { name: "Reload" })).toBeTruthy();
    expect(screen.getAllByRole("link", { name: "Guests" }).length).toBe(1);
    const other = place === "taps" ? "host" : "taps";
    Object.assign(cockpit.location, { path: [other] });
    view.rerender(element(withTaps(0)));
    expect(screen.queryByText(/nobody thought of this/)).toBeNull();
    expect(screen.getByRole("heading", { level: 2, name: other === "taps" ? "TAP devices" : "Host" })).toBeTruthy();
});

test("a dialog that throws: its words in a dialog that can be closed, and the page is as it was", async () => {
    const none = { state: "read" as const, value: [] };
    show({
        ...NOTHING_READ, access: "admin", links: none, routes: none, files: { state: "read", value: new Map() },
        needs: { state: "read", value: NOTHING_NEEDED }, addresses: broken(),
    }, "taps");
    await userEvent.click(screen.getByRole("button", { name: "Create device…" }));
    expect(screen.getByRole("dialog").textContent).toContain("nobody thought of this");
    expect(screen.getByRole("button", { name: "Reload" })).toBeTruthy();
    await userEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(screen.getByText("No TAP devices on this host")).toBeTruthy();
});

test("a dialog opened again after its fault begins anew", async () => {
    let throws = true;
    const Fragile = () => {
        if (throws)
            throw new Error("once");
        return <p>fine</p>;
    };
    const closed = jest.fn();
    const view = render(<DialogBoundary onClose={closed}><Fragile /></DialogBoundary>);
    expect(screen.getByRole("dialog").textContent).toContain("once");
    await userEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(closed).toHaveBeenCalledTimes(1);
    throws = false;
    view.rerender(<DialogBoundary key="again" onClose={closed}><Fragile /></DialogBoundary>);
    expect(screen.getByText("fine")).toBeTruthy();
});
