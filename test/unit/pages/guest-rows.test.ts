// SPDX-License-Identifier: LGPL-2.1-or-later
// Nothing is shown that was not read.
import { fixture } from "../../harness/fixture.ts";
import { stubCockpit } from "./cockpit-stub.ts";

stubCockpit();
const { guestRows } = await import("../../../src/pages/guests/rows.ts");

it.each(["guests", "libvirt", "links", "units", "hook"] as const)("there are no rows before the %s are read", part => {
    const snapshot = fixture(3);
    expect(guestRows(snapshot).state).toBe("read");
    expect(guestRows({ ...snapshot, [part]: { state: "reading" } })).toEqual({ state: "reading" });
});
