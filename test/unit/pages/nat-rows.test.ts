// SPDX-License-Identifier: LGPL-2.1-or-later
// What the table of mappings says of each, from what was read.
import { msg } from "../../../src/model/message.ts";
import type { Reading } from "../../../src/model/snapshot.ts";
import type { Around } from "../../../src/model/nat-works.ts";
import type { Watched } from "../../../src/model/nat-seen.ts";
import type { NatRow } from "../../../src/pages/nat/rows.ts";
import { withNat } from "../../harness/nat.ts";
import { stubCockpit } from "./cockpit-stub.ts";

stubCockpit();
const { natRows } = await import("../../../src/pages/nat/rows.ts");

const around: Around = { ipv4: true, ipv6: true, firewalls: [], unread: [] };

function rows(more: Partial<Around> = {}, use?: Reading<Watched>) {
    const reading = natRows(withNat("agree"), { ...around, ...more }, use);
    return new Map(reading.state === "read" ? reading.value.map(row => [row.key, row]) : []);
}

test("only a mapping that is switched off is called disabled, whatever else there is to say", () => {
    const severities = (more: Partial<Around>) => ["203.0.113.11", "203.0.113.12"].map(key => rows(more).get(key)?.severity);
    expect(severities({})).toEqual(["success", "disabled"]);
    expect(severities({ unread: [msg("The firewall of this host could not be read.")] })).toEqual(["info", "disabled"]);
});

test.each(["links", "addresses", "routes"] as const)("while %s cannot be read nothing is held against a mapping for it", part => {
    const says = msg("The $0 of this host cannot be read.", part);
    const unknown = (reading: Reading<never>) => natRows({ ...withNat("agree"), [part]: reading }, around);
    const found = (reading: Reading<readonly NatRow[]>) => reading.state === "read" ? reading.value.find(({ key }) => key === "203.0.113.11") : undefined;
    expect(found(unknown({ state: "failed", says, words: "" }))).toMatchObject({ severity: "warning", because: `The ${part} of this host cannot be read.` });
    expect(found(unknown({ state: "reading" }))).toMatchObject({ severity: "info", because: "The host has not been read yet. Wait a moment." });
});

test("guest, device and uplink of each", () => {
    const found = rows();
    expect(found.get("203.0.113.11")).toMatchObject({ guest: "styx", device: "styx0", uplinks: "eth0", guestAddress: "10.0.0.3", hitsIn: 1204 });
    expect(found.get("203.0.113.13")).toMatchObject({ guest: "", device: "", severity: "danger" });
});

test("what was looked at, and why it could not be", () => {
    const use: Watched = { since: 1000, at: 6000, uses: new Map([["203.0.113.11", { open: 3, last: 6000 }]]), ends: new Map(), counted: new Map() };
    expect(rows({}, { state: "read", value: use }).get("203.0.113.11")).toMatchObject({ open: 3, last: 6000, busy: true, unknown: "" });
    expect(rows({}, { state: "read", value: use }).get("203.0.113.10")).toMatchObject({ open: -1, last: 0, since: 1000, busy: false });
    expect(rows({}, { state: "failed", says: msg("conntrack is not installed."), words: "" }).get("203.0.113.11"))
            .toMatchObject({ open: -1, unknown: "conntrack is not installed.", since: 0 });
});
