// SPDX-License-Identifier: LGPL-2.1-or-later
import { guestOf } from "../../../src/model/guest.ts";
import { inEnglish } from "../../../src/model/message.ts";
import { parseSysctls } from "../../../src/model/sysctl-file.ts";
import { gatewaysOf, NEW_TAP, parseRoute, suggestionFor, sysctlsOf, textOf, textProblems, wishOf, withTextProblems } from "../../../src/model/tap-text.ts";
import type { TapText } from "../../../src/model/tap-text.ts";

const tap = (changes: Partial<TapText>): TapText => ({ ...NEW_TAP, name: "tap0", ...changes });

test.each<[string, Partial<TapText>, string]>([
    ["nothing yet", {}, "169.254.0.1"],
    ["IPv4", { guestAddresses: "10.0.0.2" }, "169.254.0.1"],
    ["both", { guestAddresses: "10.0.0.2, 2001:db8::2" }, "169.254.0.1 fe80::1/64"],
    ["IPv6 only", { guestAddresses: "2001:db8::2" }, "fe80::1/64"],
    ["typed", { guestAddresses: "2001:db8::2", gateways: "" }, ""],
])("gateways that fit: %s", (_title, changes, expected) => expect(gatewaysOf(tap(changes))).toBe(expected));

test("kernel settings speak of this device, and of nothing before it has a name", () => {
    expect(sysctlsOf(tap({}))).toContain("net/ipv4/conf/tap0/rp_filter = 1");
    expect(sysctlsOf(tap({ name: "" }))).toBe("");
    expect(sysctlsOf(tap({ sysctls: "" }))).toBe("");
});

test.each([
    ["10.1.0.0/16", { destination: "10.1.0.0/16" }],
    ["default via 10.0.0.2 metric 5 table 100", { destination: "default", via: "10.0.0.2", metric: 5, table: "100" }],
    ["10.1.0.0/16 src 192.0.2.1", { destination: "10.1.0.0/16", source: "192.0.2.1" }],
    ["10.1.0.0/16 via", undefined], ["10.1.0.0/16 dev eth0", undefined], ["nonsense", undefined], ["10.1.0.0/16 metric x", undefined],
])("route %j", (line, expected) => expect(parseRoute(line)).toEqual(expected));

test.each<[string, Partial<TapText>, string | undefined, RegExp | undefined]>([
    ["fine", { routes: "10.1.0.0/16 via 10.0.0.2\n\n", sysctls: "# so\nnet/ipv4/conf/tap0/rp_filter = 2" }, undefined, undefined],
    ["a route", { routes: "10.1.0.0/16\nto nowhere" }, "routes", /to nowhere is not a route/],
    ["another device's setting", { sysctls: "net/ipv4/conf/all/forwarding = 1" }, "sysctls", /not a setting of this device/],
    ["no value", { sysctls: "net/ipv4/conf/tap0/rp_filter" }, "sysctls", /not a setting/],
])("text: %s", (_title, changes, field, says) => {
    const [problem] = textProblems(tap(changes));
    expect(problem?.field).toBe(field);
    if (says)
        expect(problem && inEnglish(problem.says)).toMatch(says);
});

test("a problem of one item is one of its field", () => {
    const says = { id: "wrong" };
    expect(withTextProblems(tap({}), { problems: [{ field: "guestAddresses.1", says }, { says }] }))
        .toEqual({ problems: [{ field: "guestAddresses", says }, { says }] });
});

test("a device that is there, as text and back, is the same wish", () => {
    const settings = {
        name: "tap0", description: "charon's", multiQueue: true, owner: "root", mtu: 1400, mac: "fe:00:00:00:00:01", up: true,
        addresses: ["169.254.0.1/32", "fe80::1/64"],
        routes: [
            { destination: "10.0.0.2/32" }, { destination: "2001:db8::2/128" }, { destination: "10.1.0.0/16", via: "10.0.0.2", metric: 5 },
            { destination: "10.0.0.3/32", table: "100" },
        ],
    };
    const sysctls = parseSysctls("net/ipv4/conf/tap0/rp_filter = 1\n");
    const text = textOf(settings, sysctls, true);
    expect([text.guestAddresses, text.gateways]).toEqual(["10.0.0.2 2001:db8::2", "169.254.0.1 fe80::1/64"]);
    expect(textProblems(text)).toEqual([]);
    expect(wishOf(text)).toEqual({
        name: "tap0", description: "charon's", multiQueue: true, atBoot: true, owner: "root", mtu: 1400, mac: "fe:00:00:00:00:01",
        gateways: ["169.254.0.1", "fe80::1/64"], guestAddresses: ["10.0.0.2", "2001:db8::2"], sysctls,
        routes: [{ destination: "10.1.0.0/16", via: "10.0.0.2", metric: 5 }, { destination: "10.0.0.3/32", table: "100" }],
    });
});

test.each([
    ["charon", "<target dev='charon_pvnet1'/><driver queues='4'/>", [], { name: "charon_pvnet1", multiQueue: true, description: "charon" }],
    ["charon", "<target dev='charon_pvnet1'/>", ["charon_pvnet1", "charon0"], { name: "charon1", multiQueue: false, description: "charon" }],
    ["-Über & fern/lang", "", [], { name: "Uberfernlang0", multiQueue: false, description: "-Über & fern/lang" }],
])("a name for the device of %s", (name, inside, taken, expected) => {
    const guest = guestOf({
        uuid: "1", name, state: "off", persistent: true, autostart: false, managedSave: false,
        configured: `<domain><devices><interface type='ethernet'>${inside}</interface></devices></domain>`,
    });
    expect(suggestionFor(guest, new Set(taken))).toEqual(expected);
});
