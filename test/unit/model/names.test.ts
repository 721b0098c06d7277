// SPDX-License-Identifier: LGPL-2.1-or-later
import { inEnglish } from "../../../src/model/message.ts";
import { deviceNameProblem, isSafeName, macProblem, randomMac, unsafeNameProblem } from "../../../src/model/names.ts";

const said = (problem: ReturnType<typeof macProblem>) => problem && inEnglish(problem);

test.each([
    ["charon_pvnet1", undefined], ["a", undefined], ["tap.0-x_1", undefined], ["all1", undefined], ["exactly15bytes_", undefined],
    ["", /Enter/], ["sixteen_bytes_xx", /too long/], ["ää", /without accents/], ["a b", /without accents/], ["a/b", /without/], ["a:b", /without/],
    ["tap%d", /without/], [".", /something else/], ["..", /something else/], ["-h", /something else/], ["all", /something else/],
    ["default", /something else/], ["if2", /something else/], ["if", undefined], ["if2x", undefined],
    ["kvm-tap-hold", /makes for itself/], ["kvm-tap-probe", /makes for itself/], ["kvm-tap-holds", undefined], ["vnet0", /begin with vnet/], ["vnetwork-a", /belong to libvirt/], ["macvtap1", /macvtap/], ["macvlan0", /macvlan/],
])("device name %j", (name, expected) => {
    if (expected)
        expect(said(deviceNameProblem(name))).toMatch(expected);
    else
        expect(deviceNameProblem(name)).toBeUndefined();
});

test.each([
    ["charon_pvnet1", true], ["a", true], [".hidden", true], ["eth0.4000", true], ["vnet0", true], ["exactly15bytes_", true], ["all1", true],
    ["if2", false], ["if007", false], ["iface0", true], ["", false], [".", false], ["..", false], ["all", false], ["default", false], ["-h", false], ["sixteen_bytes_xx", false],
    ["en*", false], ["e?h0", false], ["[a-z]0", false], ["!lo", false], ["a\"}#", false], ["x(", false], ["a b", false], ["a\nb", false], ["a\n", false],
    ["a#b", false], ["a@b", false], ["a%i", false], ["a\\x2a", false], ["größe", false], ["a/b", false], ["a:b", false], ["$(id)", false],
])("%j may be written into files and commands: %s", (name, expected) => {
    expect(isSafeName(name)).toBe(expected);
    expect(unsafeNameProblem(name) === undefined).toBe(expected);
});

test.each([
    ["52:54:00:12:34:56", undefined], ["FE:54:00:12:34:aB", undefined], ["52:54:00:12:34", /six pairs/], ["52-54-00-12-34-56", /six pairs/],
    ["", /six pairs/], ["52:54:00:12:34:5g", /six pairs/], ["00:00:00:00:00:00", /all zeros/], ["01:00:5e:00:00:01", /multicast/],
    ["ff:ff:ff:ff:ff:ff", /multicast/],
])("MAC address %j", (mac, expected) => {
    if (expected)
        expect(said(macProblem(mac))).toMatch(expected);
    else
        expect(macProblem(mac)).toBeUndefined();
});

test("a random MAC address is libvirt's kind and valid", () => {
    expect(randomMac(() => 0.999)).toBe("52:54:00:ff:ff:ff");
    expect(macProblem(randomMac())).toBeUndefined();
});
