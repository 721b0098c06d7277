// SPDX-License-Identifier: LGPL-2.1-or-later
// Names of links in the table: nft knows no way to write one with a quote in it, and root can put such a one there over netlink.
import { inEnglish } from "../../../src/model/message.ts";
import { elementText } from "../../../src/model/nat-file.ts";
import { readNatTable } from "../../../src/model/nat-table.ts";

const table = (set: string, elem: unknown) => readNatTable({ nftables: [
    { table: { family: "inet", name: "kvm_tap" } }, { set: { family: "inet", table: "kvm_tap", name: set, elem: [elem] } },
] });

test.each<[string, unknown]>([
    ["taps", `a"}#`], ["uplinks", `"`], ["macs", { concat: [`a" . x`, "52:54:00:00:00:01"] }],
    ["guarded", { elem: { val: `a"b`, comment: "x" } }], ["bound", "a\nb"],
])("%s with %j: told, and not taken for a device", (set, elem) => {
    const read = table(set, elem);
    expect(read?.elements.get(set)).toBeUndefined();
    expect(read?.frame.map(inEnglish).join()).toContain("cannot be written");
});

test.each(["en*", "größe", "a#b", "eth0.4000"])("%s, which nft can write, is read as it is", name => {
    expect([...table("uplinks", name)?.elements.get("uplinks")?.keys() ?? []]).toEqual([name]);
});

test.each([["taps", `a"}#`], ["macs", `a" . 52:54:00:00:00:01`], ["uplinks", "a\nb"]])("an element of %s named %j is never written", (set, key) => {
    expect(() => elementText({ set, key })).toThrow(/name/);
});

test("a name is quoted, also where blanks follow it", () => {
    expect(elementText({ set: "macs", key: "tap0 . 52:54:00:00:00:01" })).toBe(`"tap0" . 52:54:00:00:00:01`);
    expect(elementText({ set: "gateways4", key: "eth0.1", value: "192.0.2.1" })).toBe(`"eth0.1" : 192.0.2.1`);
});
