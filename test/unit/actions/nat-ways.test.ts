// SPDX-License-Identifier: LGPL-2.1-or-later
// Several uplinks: numbers, gateways, the uplink of each mapping, and what is named when the host does not have them.
import { planMapAddress, planNatSettings, type NatSettings } from "../../../src/actions/map-address.ts";
import { planRestoreWays, withUplinks, withWay } from "../../../src/actions/nat-ways.ts";
import { inEnglish } from "../../../src/model/message.ts";
import type { Mapping, NatState } from "../../../src/model/nat.ts";
import { natElements } from "../../../src/model/nat.ts";
import { parsePrefix } from "../../../src/model/nat-address.ts";
import { natFile } from "../../../src/model/nat-file.ts";
import { CHAIN_RULES, SETS } from "../../../src/model/nat-frame.ts";
import { waysProblems, type ReversePath } from "../../../src/model/nat-ways.ts";
import type { Planned } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import type { Route, RoutingRule } from "../../../src/model/tap.ts";

const read = <T>(value: T) => ({ state: "read", value } as const);

function prefix(text: string) {
    const parsed = parsePrefix(text);
    if (!parsed)
        throw new Error(`not a prefix: ${text}`);
    return parsed;
}

function mapping(outside: string, inside: string, way?: number): Mapping {
    return {
        public: prefix(outside), guest: prefix(inside), description: "", enabled: true, claimed: true, log: false, ...(way === undefined ? {} : { way }),
    };
}

function route(destination: string, device: string, gateway?: string, table = "main"): Route {
    const family = destination.includes(":") || gateway?.includes(":") ? "inet6" : "inet";
    return { family, destination, type: "unicast", table, device, ...(gateway ? { gateway } : {}) };
}

function listing(state: NatState): unknown {
    const table = { family: "inet", table: "kvm_tap" };
    const elements = natElements(state);
    const elem = (name: string) => [...elements.get(name) ?? []].map(([key, { value }]) => value === undefined ? key : [key, value]);
    return {
        nftables: [
            { table: { family: "inet", name: "kvm_tap" } },
            ...[...SETS].map(([name, kind]) => ({
                [kind]: { ...table, name, elem: elem(name) },
            })),
            ...[...CHAIN_RULES].flatMap(([name, count]) => [
                { chain: { ...table, name } }, ...Array.from({ length: count }, () => ({ rule: { ...table, chain: name } })),
            ]),
        ],
    };
}

/** Two uplinks; the default route leads out by eth0 alone. */
function host(state?: NatState, more: { routes?: readonly Route[]; rules?: readonly RoutingRule[] } = {}): Snapshot {
    const text = state && natFile(state);
    return {
        ...NOTHING_READ, needs: read(NOTHING_NEEDED),
        links: read(["eth0", "eth1", "wan"].map((name, index) => ({ index, name, mtu: 1500, up: true, carrier: true }))),
        addresses: read(new Map([
            ["eth0", [{ family: "inet" as const, address: "203.0.113.1", prefix: 24, scope: "global" }]],
            ["eth1", [{ family: "inet" as const, address: "198.51.100.1", prefix: 24, scope: "global" }]],
        ])),
        routes: read([
            route("default", "eth0", "203.0.113.254"), route("203.0.113.0/24", "eth0"), route("198.51.100.0/24", "eth1"),
            route("10.0.0.0/24", "br0"), ...more.routes ?? [],
        ]),
        rules: read(more.rules ?? []),
        files: read(new Map(text === undefined ? [] : [["/etc/kvm-tap/nat.nft", { path: "/etc/kvm-tap/nat.nft", content: text }]])),
        natTable: read(state ? listing(state) : null),
    };
}

const one: NatState = { uplinks: ["eth0"], devices: [], mappings: [mapping("203.0.113.10", "10.0.0.2"), mapping("198.51.100.10", "10.0.0.3")] };
const two: NatState = {
    uplinks: ["eth0", "eth1"], devices: [], ways: [{ uplink: "eth0", number: 1 }, { uplink: "eth1", number: 2, gateway4: "198.51.100.254" }],
    mappings: [mapping("203.0.113.10", "10.0.0.2", 1), mapping("198.51.100.10", "10.0.0.3", 2)],
};

function after(before: NatState, settings: NatSettings): NatState | readonly string[] {
    const state = withUplinks(host(before), before, settings.uplinks ?? before.uplinks, settings.gateways);
    return "problems" in state ? state.problems.map(({ says }) => inEnglish(says)) : state;
}

function sentences(planned: Planned): [string, string][] {
    return "problems" in planned ? planned.problems.map(({ field = "", says }) => [field, inEnglish(says)]) : [];
}

function inputs(planned: Planned): string {
    if ("problems" in planned)
        throw new Error(JSON.stringify(planned.problems));
    return planned.plan.steps.map(({ does }) => does.type === "command" ? [does.argv.join(" "), does.input ?? ""].join("\n") : does.content ?? "").join("\n");
}

/** As `inputs`, without the backslashes that JSON puts before quotes. */
const unescaped = (planned: Planned) => inputs(planned).replaceAll("\\\"", "\"");

test("a second uplink: both get a number, and each mapping the uplink whose network its address is in", () => {
    expect(after(one, { uplinks: ["eth0", "eth1"], gateways: { eth1: { gateway4: " 198.51.100.254 " } } })).toEqual(two);
});

test("the plan of it marks, sets the loose reverse path filter, and ends the connections that began unmarked", () => {
    const text = unescaped(planNatSettings(host(one), { uplinks: ["eth0", "eth1"], gateways: { eth1: { gateway4: "198.51.100.254" } } }));
    expect(text).toContain("add element inet kvm_tap ways { \"eth1\" : 0x6b740002 }");
    expect(text).toContain("add element inet kvm_tap ways4 { 10.0.0.3 : 0x6b740002 }");
    expect(text).toContain("net/ipv4/conf/eth1/rp_filter = 2");
    expect(text).toContain('"public": "198.51.100.10",\n   "guest": "10.0.0.3"');
});

test("back to one: nothing of it is left", () => {
    expect(after(two, { uplinks: ["eth0"] })).toEqual(one);
});

test("a third, and one of the first two gone: numbers stay, the free one is used again", () => {
    const three = after(two, { uplinks: ["eth0", "eth1", "wan"] });
    expect(three).toMatchObject({ ways: [{ uplink: "eth0", number: 1 }, { uplink: "eth1", number: 2 }, { uplink: "wan", number: 3 }] });
    expect(after(two, { uplinks: ["wan", "eth1"] })).toMatchObject({
        ways: [{ uplink: "wan", number: 1 }, { uplink: "eth1", number: 2, gateway4: "198.51.100.254" }], mappings: [{ way: 1 }, { way: 2 }],
    });
});

test.each<[string, string, string]>([
    ["gateway4", "2001:db8::1", "\"2001:db8::1\" is not an IPv4 address like 198.51.100.254."],
    ["gateway6", "router", "\"router\" is not an IPv6 address like fe80::1."],
    ["gateway4", "198.51.100.1", "198.51.100.1 is this host's own address, not that of a router."],
])("%s %s is refused at its field", (field, text, says) => {
    expect(sentences(planNatSettings(host(two), { gateways: { eth1: { [field]: text } } }))).toEqual([[`${field} eth1`, says]]);
});

test.each<[string, string, string | undefined, number | undefined, number | undefined]>([
    ["in the network of eth1", "198.51.100.20", "eth0", undefined, 2],
    ["routed here: the one chosen", "192.0.2.10", "eth1", undefined, 2],
    ["routed here: none chosen, as before", "192.0.2.10", undefined, 2, 2],
    ["routed here: none any more", "192.0.2.10", "", 2, undefined],
    ["routed here: an uplink that is gone", "192.0.2.10", undefined, 7, undefined],
])("%s", (_what, outside, wished, before, number) => {
    expect(withWay(host(two), two.ways ?? [], mapping(outside, "10.0.0.9"), wished, before).way).toBe(number);
});

test("a new mapping gets its uplink with the same change", () => {
    expect(unescaped(planMapAddress(host(two), { public: "198.51.100.20", guest: "10.0.0.9" })))
            .toContain("add element inet kvm_tap ways4 { 10.0.0.9 : 0x6b740002 }");
});

describe("what is named", () => {
    const rules = [1, 2].map(number => ({ priority: 10700 + number, table: String(10700 + number), mark: `0x6b74000${number}`, protocol: "107" }));
    const routes = [route("default", "eth0", "203.0.113.254", "10701"), route("default", "eth1", "198.51.100.254", "10702")];
    const problems = (state: NatState, more: Parameters<typeof host>[1], reversePath?: ReversePath) =>
        waysProblems(host(state, more), state, [4], reversePath).map(({ says, curable }) => [inEnglish(says), curable]);

    test("nothing where everything is there", () => {
        expect(problems(two, { rules, routes }, new Map([["eth0", 1], ["eth1", 2]]))).toEqual([]);
    });

    test.each<[string, NatState, Parameters<typeof host>[1], ReversePath, string, boolean]>([
        ["uplinks without ways", { ...one, uplinks: ["eth0", "eth1"] }, {}, new Map(),
            "Answers leave by the default route, whichever of the uplinks eth0, eth1 the connection came in by.", true],
        ["a rule", two, { routes, rules: rules.slice(0, 1) }, new Map(),
            "The rule that leads answers back to eth1 is missing: they leave by the default route.", true],
        ["a route", two, { routes: routes.slice(0, 1), rules }, new Map(),
            "The IPv4 default route of eth1 is missing in its table 10702: answers to what came in there leave by the host's default route.", true],
        ["a gateway that changed", two, { routes: [...routes.slice(0, 1), route("default", "eth1", "198.51.100.253", "10702")], rules }, new Map(),
            "The gateway of eth1 is 198.51.100.254 now, its table 10702 still says 198.51.100.253.", true],
        ["no gateway known", { ...two, ways: [{ uplink: "eth0", number: 1 }, { uplink: "eth1", number: 2 }] }, { routes: routes.slice(0, 1), rules }, new Map(),
            "No IPv4 gateway of eth1 is known: answers to what came in there leave by the default route. Name its gateway among the uplinks.", false],
        ["a strict filter", two, { routes, rules }, new Map([["eth0", 1], ["eth1", 1]]),
            "rp_filter of eth1 is 1 (strict): the kernel drops what comes in there from addresses that the default route leads elsewhere.", true],
    ])("%s", (_what, state, more, reversePath, says, curable) => {
        expect(problems(state, more, reversePath)).toEqual([[says, curable]]);
    });

    test("the cure sets the filter, the rules and the routes", () => {
        const text = inputs(planRestoreWays(host(two)));
        expect(text).toContain("net/ipv4/conf/eth1/rp_filter = 2");
        expect(text).toContain("kvm-tap-nat routes");
        expect(unescaped(planRestoreWays(host({ ...one, uplinks: ["eth0", "eth1"] })))).toContain("ways { \"eth1\" : 0x6b740002 }");
    });
});
