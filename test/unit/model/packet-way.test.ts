// SPDX-License-Identifier: LGPL-2.1-or-later
import { hostFacts, subjects } from "../../../src/model/glance.ts";
import { wayOf } from "../../../src/model/packet-way.ts";
import type { Snapshot } from "../../../src/model/snapshot.ts";
import { fixture } from "../../harness/fixture.ts";

function states(snapshot: Snapshot, guest: string, address: string | undefined): string[] {
    const facts = hostFacts(snapshot);
    const subject = facts && subjects(facts).find(found => found.guest.name === guest);
    return subject ? wayOf(subject, snapshot, address).map(({ kind, name, state }) => `${kind} ${name} ${state}`) : [];
}

test.each([
    ["styx", "10.0.0.3", ["internet  ok", "uplink eth0 ok", "public  none", "guest-address 10.0.0.3 ok", "device styx0 ok", "guest styx ok"]],
    ["charon", "10.0.0.2", ["internet  ok", "uplink eth0 ok", "public  none", "guest-address 10.0.0.2 ok", "device charon_pvnet1 bad", "guest charon bad"]],
    ["cocytus", undefined, ["internet  ok", "uplink eth0 ok", "public  none", "guest-address  bad", "device cocytus0 bad", "guest cocytus bad"]],
])("the way to %s", (guest, address, hops) => expect(states(fixture(), guest, address)).toEqual(hops));

test("without a default route, and without anything read of it", () => {
    expect(states({ ...fixture(), routes: { state: "read", value: [] } }, "styx", undefined)[1]).toBe("uplink  bad");
    expect(states({ ...fixture(), routes: { state: "reading" } }, "styx", undefined)[1]).toBe("uplink  unknown");
    expect(states({ ...fixture(), natTable: { state: "reading" } }, "styx", "10.0.0.3")[2]).toBe("public  unknown");
});
