// SPDX-License-Identifier: LGPL-2.1-or-later
import {
    planChangeMapping, planEnableMappings, planImport, planMapAddress, planMapAddresses, planNatSettings, planRemoveMappings,
    type MappingWish,
} from "../../../src/actions/map-address.ts";
import { planLoadSaved } from "../../../src/actions/nat-drift.ts";
import { inEnglish, msg } from "../../../src/model/message.ts";
import { natFile } from "../../../src/model/nat-file.ts";
import { importText } from "../../../src/model/nat-transfer.ts";
import type { NatState } from "../../../src/model/nat.ts";
import { natElements } from "../../../src/model/nat.ts";
import { CHAIN_RULES, SETS } from "../../../src/model/nat-frame.ts";
import type { Planned } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import type { Link, Route } from "../../../src/model/tap.ts";
import { armed as armedPlan, told } from "../armed.ts";

const read = <T>(value: T) => ({ state: "read", value } as const);

function link(name: string, tap: boolean): Link {
    return {
        index: 2, name, mtu: 1500, up: true, carrier: true,
        ...(tap ? { tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: false } } : {}),
    };
}

function route(destination: string, device: string, gateway?: string): Route {
    const family = destination.includes(":") ? "inet6" : "inet";
    return { family, destination, type: "unicast", table: "main", device, ...(gateway ? { gateway } : {}) };
}

/** The listing that nft would print of a state, as far as the reader looks at it. */
function listing(state: NatState): unknown {
    const table = { family: "inet", table: "kvm_tap" };
    const elements = natElements(state);
    return {
        nftables: [
            { table: { family: "inet", name: "kvm_tap" } },
            ...[...SETS].map(([name, kind]) => ({
                [kind]: {
                    ...table, name, elem: [...elements.get(name) ?? []].map(([key, { value, comment }]) => {
                        const elem = comment === undefined ? key : { elem: { val: key, comment } };
                        return value === undefined ? elem : [elem, value];
                    }),
                },
            })),
            ...[...CHAIN_RULES].flatMap(([name, count]) => [
                { chain: { ...table, name } }, ...Array.from({ length: count }, () => ({ rule: { ...table, chain: name } })),
            ]),
        ],
    };
}

/** A host with an uplink, two guests' devices, and (with a state) NAT that runs and is saved. */
function host(state?: NatState, file = state && natFile(state)): Snapshot {
    return {
        ...NOTHING_READ, needs: read(NOTHING_NEEDED),
        links: read([link("eth0", false), link("charon0", true), link("styx0", true)]),
        addresses: read(new Map([["eth0", [
            { family: "inet" as const, address: "203.0.113.1", prefix: 24, scope: "global" },
            { family: "inet6" as const, address: "2001:db8:0:1::1", prefix: 64, scope: "global" },
        ]]])),
        routes: read([
            route("default", "eth0", "203.0.113.254"), route("203.0.113.0/24", "eth0"), route("2001:db8:0:1::/64", "eth0"),
            route("10.0.0.2", "charon0"), route("10.0.0.3", "styx0"), route("fd00::2", "charon0"),
        ]),
        units: read(new Map([["charon0", { name: "charon0", enabled: true, active: "active" }]])),
        files: read(new Map(file === undefined ? [] : [["/etc/kvm-tap/nat.nft", { path: "/etc/kvm-tap/nat.nft", content: file }]])),
        natTable: read(state ? listing(state) : null),
    };
}

const one: NatState = {
    uplinks: ["eth0"], devices: [{ name: "charon0", guarded: true, shared: false }],
    mappings: [{
        public: { family: 4, address: "203.0.113.10", length: 32 }, guest: { family: 4, address: "10.0.0.2", length: 32 },
        description: "charon", enabled: true, claimed: true, log: false,
    }],
};

function sentences(planned: Planned): [string, string][] {
    return "problems" in planned ? planned.problems.map(({ field = "", says }) => [field, inEnglish(says)]) : [];
}

function plan(planned: Planned) {
    if ("problems" in planned)
        throw new Error(JSON.stringify(planned.problems));
    return planned.plan;
}

const armed = (planned: Planned) => armedPlan(plan(planned));
const lines = (text: string) => text.trimEnd().split("\n");

describe("conflicts, each as a sentence at its field", () => {
    const own = "203.0.113.1 is this host's own address on eth0. Everything sent to the host there would go to the guest instead.";
    test.each<[string, Partial<MappingWish>, string, string]>([
        ["nothing typed", { public: "" }, "public", "Type an address, or a prefix such as 203.0.113.16/28."],
        ["no address", { public: "charon" }, "public", "\"charon\" is not an address. Write it in full, like 203.0.113.10 or 2001:db8::10."],
        ["octal", { public: "203.0.113.010" }, "public",
            "\"203.0.113.010\" is not an address. Write it in full, like 203.0.113.10 or 2001:db8::10."],
        ["mapped IPv4", { public: "::ffff:203.0.113.9" }, "public",
            "\"::ffff:203.0.113.9\" is not an address. Write it in full, like 203.0.113.10 or 2001:db8::10."],
        ["host bits", { public: "203.0.113.17/28" }, "public", "203.0.113.17/28 is inside of a prefix, not its beginning: that would be 203.0.113.16/28."],
        ["everything", { public: "0.0.0.0/0" }, "public", "0.0.0.0/0 is too wide: the widest prefix that can be mapped is a /8."],
        ["multicast", { public: "224.0.0.1" }, "public", "224.0.0.1 is a multicast address: it stands for groups, not for one machine."],
        ["loopback", { guest: "127.0.0.1" }, "guest", "127.0.0.1 is a loopback address: it never leaves a machine."],
        ["link-local", { guest: "fe80::1" }, "guest", "fe80::1 is a link-local address: it is not unique on this host."],
        ["families", { guest: "fd00::2" }, "guest", "fd00::2 is an IPv6 address, 203.0.113.20 an IPv4 one. Both must be of the same kind."],
        ["sizes", { public: "203.0.113.32/28" }, "guest",
            "203.0.113.32/28 and 10.0.0.3 are not of the same size. 1:1 means one guest address for each public one."],
        ["public twice", { public: "203.0.113.10" }, "public", "203.0.113.10 is mapped already, to 10.0.0.2."],
        ["overlap", { public: "203.0.113.0/28", guest: "10.1.0.0/28" }, "public", "203.0.113.10 is mapped already, to 10.0.0.2."],
        ["guest twice", { guest: "10.0.0.2" }, "guest", "10.0.0.2 has a public address already: 203.0.113.10."],
        ["a guest's address as public", { public: "10.0.0.2" }, "public", "10.0.0.2 is the guest address of the mapping of 203.0.113.10."],
        ["a public address as guest's", { guest: "203.0.113.10" }, "guest", "203.0.113.10 is a public address, mapped to 10.0.0.2."],
        ["the host's own", { public: "203.0.113.1" }, "public", own],
        ["the host's own in a prefix, whatever was accepted", { public: "203.0.113.0/29", guest: "10.1.0.0/29", acceptOwnAddress: true },
            "public", own],
        ["the host's own as guest", { guest: "203.0.113.1" }, "guest", "203.0.113.1 is this host's own address on eth0, not a guest's."],
        ["the network", { public: "203.0.113.0" }, "public", "203.0.113.0 means all of the network on eth0, not one machine. Enter another one."],
        ["broadcast", { public: "203.0.113.255" }, "public", "203.0.113.255 means all of the network on eth0, not one machine. Enter another one."],
        ["the gateway", { public: "203.0.113.254" }, "public", "203.0.113.254 is a gateway of this host, its way to others. Enter another one."],
        ["a description that nft cannot hold", { description: "say \"hi\"" }, "description",
            "A description cannot contain double quotes: nftables could not read it back."],
        ["limits of a prefix", { public: "203.0.113.32/28", guest: "10.1.0.0/28", log: true }, "limits",
            "Limits and logging are for single addresses, not for prefixes."],
        ["an IPv6 prefix on the link", { public: "2001:db8:0:1:1::/80", guest: "fd00:1::/80" }, "public",
            "2001:db8:0:1:1::/80 lies in the network on eth0. An IPv6 prefix can be mapped only if the router sends all of it to this host; "
            + "map single addresses instead."],
    ])("%s", (_what, wish, field, says) => {
        expect(sentences(planMapAddress(host(one), { public: "203.0.113.20", guest: "10.0.0.3", ...wish }))).toContainEqual([field, says]);
    });

    test("what does not forbid it is a warning: a device without protection, an address that nothing routes", () => {
        const notes = (guest: string) => plan(planMapAddress(host(one), { public: "203.0.113.20", guest })).notes?.map(inEnglish);
        expect(notes("10.0.0.3")).toEqual(["styx0, the device of 10.0.0.3, is not protected: when it is deleted, the mapping leads nowhere. Protect it first."]);
        expect(notes("10.0.0.9")).toEqual(["No device has a route to 10.0.0.9: nothing will arrive until one has."]);
    });

    test("nothing is planned on what was not read, or while kernel and file differ", () => {
        const wish = { public: "203.0.113.20", guest: "10.0.0.3" };
        expect(sentences(planMapAddress({ ...host(one), natTable: { state: "reading" } }, wish)))
                .toEqual([["", "The host's NAT table has not been read yet."]]);
        for (const part of ["links", "addresses", "routes"] as const) {
            expect(sentences(planMapAddress({ ...host(one), [part]: { state: "reading" } }, wish)))
                    .toEqual([["", "The host's links, addresses and routes have not been read yet."]]);
        }
        expect(sentences(planMapAddress({ ...host(one), addresses: { state: "failed", says: msg("ip is not installed."), words: "" } }, wish)))
                .toEqual([["", "ip is not installed."]]);
        expect(sentences(planMapAddress(host(one, natFile({ ...one, mappings: [] })), wish)))
                .toEqual([["", "The running table and /etc/kvm-tap/nat.nft differ. Settle the difference first."]]);
    });
});

describe("plans", () => {
    test("the first mapping: the whole file, checked and armed; uplink and anti-spoofing chosen", () => {
        const planned = planMapAddress(host(), { public: "203.0.113.10", guest: "10.0.0.2", description: "charon" });
        expect(plan(planned).steps.map(({ does }) => does.type === "file" ? does.path : does.argv.join(" ")))
                .toEqual(["nft -c -f -", "/usr/lib/kvm-tap/kvm-tap-nat arm 15"]);
        expect(armed(planned)).toEqual({
            version: 1, nft: lines(natFile(one)), save: { mappings: lines(natFile(one)), sysctl: null },
            end: [{ public: "203.0.113.10", guest: "10.0.0.2" }], announce: ["203.0.113.10"],
        });
    });

    test("one more: its own elements in one transaction, and the way back", () => {
        const planned = planMapAddress(host(one), { public: "203.0.113.11", guest: "10.0.0.3", guard: false });
        const wanted = [
            "taps { \"styx0\" }", "public4 { 203.0.113.11 : 10.0.0.3 }", "guest4 { 10.0.0.3 : 203.0.113.11 }", "owned4 { 203.0.113.11 }",
        ].map(element => `element inet kvm_tap ${element}`);
        const change = armed(planned);
        expect(change).toMatchObject({
            nft: wanted.map(element => `add ${element}`), end: [{ public: "203.0.113.11", guest: "10.0.0.3" }], announce: ["203.0.113.11"],
        });
        expect(change.save.mappings).toContain(wanted.slice(1).map(element => `add ${element}`).join("; "));
        expect(told(plan(planned).steps.at(-1)?.back)).toMatchObject({
            nft: wanted.map(element => `delete ${element}`), save: { mappings: lines(natFile(one)), sysctl: null }, announce: [],
        });
    });

    test("nat.nft must be as it was read when it is armed", () => {
        const step = plan(planMapAddress(host(one), { public: "203.0.113.11", guest: "10.0.0.3" })).steps.at(-1);
        expect(step?.expects).toEqual({ type: "file", path: "/etc/kvm-tap/nat.nft", content: natFile(one) });
    });

    test("the host's own address: the host does not hold it, and what that means is said", () => {
        const planned = planMapAddress(host(one), { public: "203.0.113.1", guest: "10.0.0.3", acceptOwnAddress: true });
        const change = armed(planned);
        expect(change.nft).toContain("add element inet kvm_tap public4 { 203.0.113.1 : 10.0.0.3 }");
        expect(change.nft.join("\n")).not.toContain("owned4");
        expect(change.announce).toEqual([]);
        expect(plan(planned).notes?.map(inEnglish)).toContain("While the NAT table is away (somebody flushed it, its service is stopped), "
            + "the host itself answers at 203.0.113.1, and sessions of the guest break.");
    });

    test("the last removal takes everything, others leave the rest", () => {
        const planned = planRemoveMappings(host(one), ["203.0.113.10"]);
        expect(plan(planned).steps).toHaveLength(1);
        expect(armed(planned)).toMatchObject({
            nft: ["table inet kvm_tap", "delete table inet kvm_tap"], save: { mappings: null, sysctl: null },
            end: [{ public: "203.0.113.10", guest: "10.0.0.2" }],
        });
        expect(told(plan(planned).steps.at(-1)?.back)).toMatchObject({ nft: lines(natFile(one)), save: { mappings: lines(natFile(one)) } });
        expect(sentences(planRemoveMappings(host(one), ["203.0.113.99"]))).toEqual([["", "203.0.113.99 is not mapped any more."]]);
    });

    test("disabling moves the element to the map that no rule uses, and back", () => {
        expect(armed(planEnableMappings(host(one), ["203.0.113.10"], false))).toMatchObject({
            nft: [
                "delete element inet kvm_tap public4 { 203.0.113.10 : 10.0.0.2 }",
                "delete element inet kvm_tap guest4 { 10.0.0.2 : 203.0.113.10 }",
                "add element inet kvm_tap disabled4 { 203.0.113.10 comment \"charon\" : 10.0.0.2 }",
            ],
            end: [{ public: "203.0.113.10", guest: "10.0.0.2" }],
        });
    });

    test("changing to another public address is one plan; with the same one no connection has to end", () => {
        const moved = armed(planChangeMapping(host(one), "203.0.113.10", { public: "203.0.113.12", guest: "10.0.0.2" }));
        expect(moved.end).toEqual([{ public: "203.0.113.10", guest: "10.0.0.2" }, { public: "203.0.113.12", guest: "10.0.0.2" }]);
        expect(moved.announce).toEqual(["203.0.113.12"]);
        expect(armed(planChangeMapping(host(one), "203.0.113.10", { public: "203.0.113.10", guest: "10.0.0.2", description: "x" })).end).toEqual([]);
    });

    test("a host that got a mapped address itself: not enabled, and no more held when disabled", () => {
        const given = { ...host({ ...one, mappings: one.mappings.map(mapping => ({ ...mapping, enabled: false })) }) };
        const addresses = read(new Map([["eth0", [{ family: "inet" as const, address: "203.0.113.10", prefix: 24, scope: "global" }]]]));
        expect(sentences(planEnableMappings({ ...given, addresses }, ["203.0.113.10"], true))).toEqual([
            ["", "203.0.113.10 is this host's own address on eth0. Everything sent to the host there would go to the guest instead."]]);
        expect(armed(planEnableMappings({ ...host(one), addresses }, ["203.0.113.10"], false)).nft)
                .toContain("delete element inet kvm_tap owned4 { 203.0.113.10 }");
    });

    describe("a disabled mapping holds its address as well", () => {
        const needs = read({ ...NOTHING_NEEDED, nameServers: ["198.51.100.53"], peers: [{ address: "198.51.100.7" }] });
        const saying = (address: string, more: object = {}): NatState => ({ ...one, mappings: [...one.mappings, {
            public: { family: 4, address, length: 32 }, guest: { family: 4, address: "10.0.0.3", length: 32 }, description: "", enabled: false, claimed: true,
            log: false, ...more,
        }] });

        test.each([["203.0.113.254", /is a gateway/], ["198.51.100.7", /is connected/], ["198.51.100.53", /is a name server/], ["203.0.113.1", /own address/]] as const)(
            "%s is not loaded", (address, sentence) => {
                for (const running of [one, undefined]) {
                    for (const enabled of [false, true]) {
                        const at = { ...host(running, natFile(saying(address, { enabled }))), needs };
                        expect(sentences(planLoadSaved(at)).map(([, says]) => says).join()).toMatch(sentence);
                    }
                }
            });

        test("a new one is asked for, one that was there is not, whatever it is now", () => {
            const touches = (planned: Planned) => plan(planned).touches?.translates?.map(({ public: outside }) => outside.address);
            expect(touches(planMapAddress(host(one), { public: "203.0.113.11", guest: "10.0.0.3", enabled: false }))).toEqual(["203.0.113.11"]);
            expect(touches(planImport(host(one), importText("public,guest,enabled\n203.0.113.11,10.0.0.3,no\n"), false))).toEqual(["203.0.113.11"]);
            expect(touches(planEnableMappings(host(one), ["203.0.113.10"], false)) ?? []).toEqual([]);
            expect(touches(planEnableMappings(host(saying("203.0.113.11")), ["203.0.113.11"], true))).toEqual(["203.0.113.11"]);
            const held = { ...host(saying("203.0.113.11")), needs: read({ ...NOTHING_NEEDED, peers: [{ address: "203.0.113.11" }] }) };
            expect(sentences(planEnableMappings(held, ["203.0.113.11"], true))).toEqual([]);
        });
    });

    test("IPv6 forwarding takes no default route that routers advertise, at no boot either", () => {
        const advertised = { ...route("default", "eth1", "fe80::1"), family: "inet6" as const, protocol: "ra" };
        const on = host(one);
        const routes = on.routes.state === "read" ? read([...on.routes.value, advertised]) : on.routes;
        const settings = (wish: MappingWish) => armed(planMapAddress({ ...on, routes }, wish)).save.sysctl;
        expect(settings({ public: "2001:db8:0:1::10", guest: "fd00::2" })).toContain("net/ipv6/conf/eth1/accept_ra = 2");
        expect(settings({ public: "203.0.113.11", guest: "10.0.0.3" })).toBeNull();
    });

    test("several at once: all or none, each conflict among them named", () => {
        expect(sentences(planMapAddresses(host(one), [
            { public: "203.0.113.20", guest: "10.0.0.3" }, { public: "203.0.113.20", guest: "10.0.0.4" },
        ]))).toEqual([["", "203.0.113.20 is mapped already, to 10.0.0.3."]]);
    });

    test("an uplink must stay chosen", () => {
        expect(sentences(planNatSettings(host(one), { uplinks: [] }))).toEqual([["uplinks", "Choose at least one link to the outside."]]);
    });
});

describe("import", () => {
    test("adds, changes and (if wished) removes, in one plan with the counts in its title", () => {
        const csv = "public,guest,description\n203.0.113.10,10.0.0.2,renamed\n203.0.113.11,10.0.0.3,new\n";
        expect(inEnglish(plan(planImport(host(one), importText(csv), false)).title)).toBe("Import: 1 added, 1 changed, 0 removed");
        expect(inEnglish(plan(planImport(host(one), importText("public,guest\n203.0.113.11,10.0.0.3\n"), true)).title))
                .toBe("Import: 1 added, 0 changed, 1 removed");
    });

    test("errors of the file and of the host come together, by line", () => {
        const csv = "public,guest,enabled,limits\n203.0.113.11,10.0.0.3,maybe,\n203.0.113.1,10.0.0.4,,\n203.0.113.12,10.0.0.5,yes,tcp/99999\n";
        expect(sentences(planImport(host(one), importText(csv), false))).toEqual([
            ["line 2", "\"maybe\" is neither yes nor no."],
            ["line 4", "\"tcp/99999\" is not a protocol or port. Write icmp, tcp/22 or udp/5000-5010, separated by commas."],
            ["line 3", "203.0.113.1 is this host's own address on eth0. Everything sent to the host there would go to the guest instead."],
        ]);
    });
});
