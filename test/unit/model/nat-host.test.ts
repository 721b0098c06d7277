// SPDX-License-Identifier: LGPL-2.1-or-later
// Which route a packet takes, by the host's main table.
import { iptablesRulesets } from "../../../src/model/firewall-iptables.ts";
import { parsePrefix } from "../../../src/model/nat-address.ts";
import { routeTo } from "../../../src/model/nat-host.ts";
import { conflictFindings, ownership, wayIn } from "../../../src/model/nat-works.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import type { Route } from "../../../src/model/tap.ts";

const route = (destination: string, type: string, device?: string, more: Partial<Route> = {}): Route => ({
    family: destination.includes(":") ? "inet6" : "inet", destination, type, table: "main", ...device !== undefined && { device }, ...more,
});

function snapshot(routes: readonly Route[]): Snapshot {
    return { ...NOTHING_READ, routes: { state: "read", value: routes }, addresses: { state: "read", value: new Map() } };
}

function prefix(text: string) {
    const parsed = parsePrefix(text);
    if (!parsed)
        throw new Error(text);
    return parsed;
}

const world = route("default", "unicast", "eth0", { gateway: "192.0.2.1" });

test.each<[string, Route[], string, string | undefined]>([
    ["by default", [world], "172.17.0.1", "eth0"],
    ["to nowhere", [world, route("172.17.0.0/16", "blackhole")], "172.17.0.1", undefined],
    ["to nowhere, by a device's name all the same", [route("default", "unicast", "eth0"), route("2001:db8::/32", "unreachable", "lo", { metric: 1024 })], "2001:db8::1", undefined],
    ["forbidden", [world, route("172.17.0.0/16", "prohibit")], "172.17.0.1", undefined],
    ["looked up elsewhere", [world, route("172.17.0.0/16", "throw")], "172.17.0.1", undefined],
    ["out of what leads nowhere, by a longer one", [route("10.0.0.0/8", "blackhole"), route("10.0.0.2", "unicast", "tap0")], "10.0.0.2", "tap0"],
    ["to nowhere only if nothing else is there: metric", [route("default", "unreachable", undefined, { metric: 4278198272 }), world], "192.0.2.9", "eth0"],
    ["as another table says", [world, route("172.17.0.0/16", "blackhole", undefined, { table: "100" })], "172.17.0.1", "eth0"],
    ["not known, through a tunnel of the route's own", [world, route("?", "encap", "eth1")], "172.17.0.1", "eth0"],
])("the way is %s", (_what, routes, address, device) => {
    expect(routeTo(snapshot(routes), prefix(address))?.device).toBe(device);
    expect(wayIn(snapshot(routes), prefix(address), []).device).toBe(device);
});

test("an address whose route leads nowhere is in no network of the host", () => {
    expect(ownership(snapshot([world, route("203.0.113.0/24", "blackhole")]), prefix("203.0.113.10"))).toBe("routed");
});

test.each([["eth0", 1], ["eth1", 1], ["eth2", 0]])("a rule of others that translates what comes in by %s is found by %i uplink", (device, count) => {
    const saved = ["*nat", ":PREROUTING ACCEPT [0:0]", `-A PREROUTING -i ${device} -d 203.0.113.10/32 -j DNAT --to-destination 10.7.0.2`, "COMMIT", ""];
    const firewalls = iptablesRulesets("ip", "nftables", saved.join("\n"));
    expect(conflictFindings(snapshot([world]), prefix("203.0.113.10"), ["eth0", "eth1"], { firewalls })).toHaveLength(count);
    const any = iptablesRulesets("ip", "nftables", saved.join("\n").replace(`-i ${device} `, ""));
    expect(conflictFindings(snapshot([world]), prefix("203.0.113.10"), ["eth0", "eth1"], { firewalls: any })).toHaveLength(1);
});
