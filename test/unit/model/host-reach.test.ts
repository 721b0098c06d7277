// SPDX-License-Identifier: LGPL-2.1-or-later
// What a host lives on is not given away, in whatever spelling and however wide; what only lies beside it can be had.
import { carried, reachOf, type ReachKind, type ReachUse } from "../../../src/model/host-reach.ts";
import { inEnglish } from "../../../src/model/message.ts";
import { parsePrefix } from "../../../src/model/nat-address.ts";
import { NOTHING_READ, type HostNeeds, type Reading, type Snapshot } from "../../../src/model/snapshot.ts";
import type { Link, LinkAddress, Route } from "../../../src/model/tap.ts";
import { parseRoute } from "../../../src/model/tap-text.ts";
import { gatewayProblem, guestAddressProblem, routeProblem } from "../../../src/model/validate.ts";

const read = <T>(value: T): Reading<T> => ({ state: "read", value });

const tap = (name: string): Link =>
    ({ index: 9, name, mtu: 1500, up: true, carrier: true, kind: "tun", tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: true } });
const link = (name: string, more: Partial<Link> = {}): Link => ({ index: 2, name, mtu: 1500, up: true, carrier: true, ...more });
const address = (text: string): LinkAddress => {
    const [ip = "", length = ""] = text.split("/");
    return { family: ip.includes(":") ? "inet6" : "inet", address: ip, prefix: Number(length), scope: "global" };
};
const route = (words: string, more: Partial<Route> = {}): Route => {
    const [destination = "", ...rest] = words.split(" ");
    const said = (key: string) => { const at = rest.indexOf(key); return at < 0 ? undefined : rest[at + 1]; };
    const [device, gateway, protocol] = [said("dev"), said("via"), said("proto")];
    return {
        family: words.includes(":") ? "inet6" : "inet", destination, type: "unicast", table: said("table") ?? "main",
        ...device && { device }, ...gateway && { gateway }, ...protocol && { protocol }, ...more,
    };
};

const peers = (...addresses: string[]) => addresses.map(each => ({ address: each }));

const NEEDS: HostNeeds = {
    nameServers: ["198.51.100.53", "2001:db8:ff::53"], neighbours: [], peers: peers("198.51.100.7", "2001:db8:77::7"), ways: new Map(),
    tables: { 4: undefined, 6: undefined }, unknown: [],
};

/** eth0 with both families, a guest's tap0, OpenVPN's tapvpn, a tunnel, a router by a host route, two routers of one route. */
function host(more: { needs?: Partial<HostNeeds>; routes?: string[]; links?: Link[] } = {}): Snapshot {
    return {
        ...NOTHING_READ, guests: read([]), files: read(new Map([["/etc/kvm-tap/tap0.tap", { path: "/etc/kvm-tap/tap0.tap", content: "" }]])),
        links: read([link("eth0"), link("eth1"), tap("tap0"), tap("tapvpn"), link("gre1", { remote: "192.0.2.200" }), ...more.links ?? []]),
        addresses: read(new Map([
            ["lo", [address("127.0.0.1/8"), address("::1/128")]],
            ["eth0", [address("203.0.113.1/24"), address("2001:db8:1::2/64"), address("fe80::1/64")]], ["eth1", [address("172.31.0.9/32")]],
            ["tap0", [address("169.254.0.1/32"), address("fe80::1/64")]], ["tapvpn", [address("10.8.0.2/24")]],
        ])),
        routes: read([
            ...["default via 203.0.113.254 dev eth0", "default via fe80::9 dev eth0", "203.0.113.0/24 dev eth0 proto kernel", "2001:db8:1::/64 dev eth0 proto kernel",
                "172.31.1.1 dev eth1", "default via 172.31.1.1 dev eth1 table 100", "10.8.0.0/24 dev tapvpn proto kernel", "10.0.0.2 dev tap0",
                "192.168.50.0/24 via 10.0.0.2 dev tap0", "fe80::/64 dev eth0 proto kernel", "203.0.113.77 dev kvmtap-hold proto 107",
                ...more.routes ?? []].map(words => route(words)),
            route("192.168.99.0/24", { hops: [{ device: "eth0", gateway: "203.0.113.250" }, { device: "eth1", gateway: "172.31.1.2" }] }),
            route("203.0.113.1", { type: "local", table: "local", device: "eth0" }),
        ]),
        rules: read([{ priority: 0, table: "local" }, { priority: 100, table: "vpn" }, { priority: 32766, table: "main" }]),
        needs: read({ ...NEEDS, ...more.needs }),
    };
}

function ask(text: string, use: ReachUse = {}, snapshot = host()) {
    const prefix = parsePrefix(text);
    if (!prefix)
        throw new Error(text);
    return reachOf(snapshot, prefix, use);
}

test.each<[string, ReachKind]>([
    ["0.0.0.0/0", "default"], ["::/0", "default"], ["0::0/0", "default"],
    ["0.0.0.0/1", "network"], ["128.0.0.0/1", "network"], ["2000::/3", "network"],
    ["203.0.113.0/24", "network"], ["203.0.112.0/20", "network"], ["2001:db8:1::/64", "network"], ["2001:db8::/32", "network"],
    ["10.8.0.0/24", "network"], ["10.8.0.0/16", "network"],
    ["203.0.113.1/32", "address"], ["203.0.113.0/30", "address"], ["2001:db8:1::2", "address"], ["169.254.0.1", "address"], ["172.31.0.9", "address"],
    ["203.0.113.254", "gateway"], ["203.0.113.252/30", "gateway"], ["172.31.1.1", "gateway"], ["172.31.1.0/24", "network"],
    ["203.0.113.250", "gateway"], ["172.31.1.2", "gateway"],
    ["198.51.100.53", "name-server"], ["198.51.100.48/28", "name-server"], ["2001:db8:ff::/64", "name-server"],
    ["198.51.100.7", "peer"], ["198.51.100.0/28", "peer"], ["2001:db8:77::7", "peer"], ["192.0.2.200", "peer"], ["192.0.2.128/25", "peer"],
    ["203.0.113.255", "reserved"], ["203.0.113.0", "reserved"], ["2001:db8:1::", "reserved"],
])("%s is refused: %s", (text, kind) => {
    const { refused, kind: found, hint } = ask(text);
    expect([found, hint]).toEqual([kind, undefined]);
    expect(refused && inEnglish(refused)).toContain(parsePrefix(text)?.address);
});

test.each(["203.0.113.20", "203.0.113.64/27", "2001:db8:1::20", "2001:db8:1::/96"])(
    "%s of the host's own network, with nothing of the host in it: a longer prefix wins", text => {
        if (text === "2001:db8:1::/96") // the host's own ::2 is in it
            return expect(ask(text).kind).toBe("address");
        const { refused, hint } = ask(text);
        expect(refused).toBeUndefined();
        expect(hint && inEnglish(hint)).toMatch(/lies in the network .* of eth0/);
    });

test.each(["10.0.0.9", "10.0.0.0/24", "198.51.100.64/26", "2001:db8:5::/48", "192.168.50.0/24", "172.31.1.3"])("%s is free, and nothing need be known", text => {
    expect(ask(text)).toEqual({});
});

test("what a neighbour answers for is in use; on the device itself, and on a guest's, it is the guest", () => {
    const neighbours = [{ device: "eth0", address: "203.0.113.20" }, { device: "tap0", address: "10.0.0.2" }, { device: "tapnew", address: "10.0.0.3" }];
    const snapshot = host({ needs: { neighbours } });
    expect(ask("203.0.113.20", {}, snapshot).kind).toBe("neighbour");
    expect(ask("203.0.113.16/28", {}, snapshot).kind).toBe("neighbour");
    expect(ask("203.0.113.21", {}, snapshot).kind).toBeUndefined();
    expect(ask("10.0.0.2", { device: "tap0" }, snapshot)).toEqual({});
    expect(ask("10.0.0.3", { device: "tapnew" }, snapshot)).toEqual({});
});

test("what the host reaches over this very device, or over a guest's by a closer route, is not lost", () => {
    const snapshot = host({ needs: { nameServers: ["10.0.0.2"], peers: peers("10.0.0.2", "192.168.50.4") } });
    expect(ask("10.0.0.2", { device: "tap0" }, snapshot)).toEqual({});
    expect(ask("192.168.50.0/24", { device: "tap0", via: "10.0.0.2" }, snapshot)).toEqual({});
    expect(ask("10.0.0.0/24", { device: "other0" }, snapshot)).toEqual({});
    expect(ask("10.0.0.2", { device: "other0" }, snapshot).kind).toBe("gateway");
    expect(ask("192.168.50.4", { device: "other0" }, snapshot).kind).toBe("peer");
});

describe("what is reached over the very device", () => {
    const vpn = host({ routes: ["192.0.2.0/24 via 10.8.0.1 dev tapvpn"], needs: { peers: peers("192.0.2.7", "10.8.0.1", "10.8.0.40") } });
    const firewall = host({
        routes: ["198.18.0.7 via 10.0.0.2 dev tap0", "198.18.0.53 via 10.0.0.2 dev tap0"],
        needs: { peers: [...peers("198.18.0.7"), { address: "10.0.0.2", local: "169.254.0.1" }], nameServers: ["198.18.0.53"] },
    });
    const over = (snapshot: Snapshot, device: string, line: string) => {
        const route = parseRoute(line), problem = route && routeProblem(route, snapshot, device);
        return problem && inEnglish(problem);
    };
    const own = (snapshot: Snapshot, device: string, text: string) => {
        const problem = gatewayProblem(text, snapshot, device);
        return problem && inEnglish(problem);
    };
    const guest = (snapshot: Snapshot, device: string, text: string) => {
        const problem = guestAddressProblem(text, snapshot, device);
        return problem && inEnglish(problem);
    };

    test.each(["10.8.0.1", "192.0.2.7", "10.8.0.40", "10.8.0.1/24", "192.0.2.7/24"])("%s does not become the host's own", text =>
        expect(own(vpn, "tapvpn", text)).toMatch(/is (a gateway|connected)/));
    test.each(["10.0.0.2", "198.18.0.7", "198.18.0.53"])("nor %s behind a guest", text =>
        expect(own(firewall, "tap0", text)).toMatch(/is (a gateway|connected|a name server)/));
    test("nor the other end of a connection that begins at the guests' gateway", () => {
        const snapshot = host({ needs: { peers: [{ address: "10.0.0.3", local: "169.254.0.1" }] } });
        expect(own(snapshot, "new0", "10.0.0.3")).toMatch(/is connected/);
    });

    test.each(["192.0.2.7 via 10.8.0.99", "192.0.2.7", "192.0.2.0/28", "192.0.2.0/24", "192.0.2.0/24 via 10.8.0.99", "10.8.0.1 via 10.8.0.99", "10.8.0.0/24 via 10.8.0.99"])(
        "no other way: %s", line => expect(over(vpn, "tapvpn", line)).toMatch(/connected|gateway|network/));
    test.each(["198.18.0.53", "198.18.0.7", "198.18.0.0/24 via 10.0.0.3", "10.0.0.2 via 10.0.0.3"])("%s behind a guest", line =>
        line.startsWith("198.18.0.0") ? expect(over(firewall, "tap0", line)).toBeUndefined() // the closer ones stay
            : expect(over(firewall, "tap0", line)).toMatch(/connected|gateway|name server/));
    test("nor as the address of its guest", () => {
        expect(guest(vpn, "tapvpn", "192.0.2.7")).toMatch(/is connected/);
        expect(guest(firewall, "tap0", "198.18.0.53")).toMatch(/is a name server/);
    });

    test.each(["192.0.2.0/24 via 10.8.0.1", "192.0.2.7 via 10.8.0.1", "192.0.0.0/16 via 10.8.0.99", "10.8.0.0/24", "10.8.0.40", "10.8.0.1"])(
        "the way as it is, or a wider one: %s", line => expect(over(vpn, "tapvpn", line)).toBeUndefined());
    test("the guest itself, on its own device", () => {
        expect(guest(firewall, "tap0", "10.0.0.2")).toBeUndefined();
        expect(own(firewall, "tap0", "169.254.0.1")).toBeUndefined();
        expect(own(vpn, "tapvpn", "10.8.0.2/24")).toBeUndefined();
    });
    test("a route that is there twice, with two metrics", () => {
        const snapshot = host({ routes: ["192.0.2.0/24 via 10.8.0.1 dev tapvpn"], needs: { peers: peers("192.0.2.7") } });
        const routes = snapshot.routes.state === "read" ? snapshot.routes.value : [];
        const twice = { ...snapshot, routes: read([...routes, route("192.0.2.0/24 via 10.8.0.5 dev tapvpn", { metric: 50 })]) };
        expect(over(twice, "tapvpn", "192.0.2.0/24 via 10.8.0.5 metric 50")).toBeUndefined();
        expect(over(twice, "tapvpn", "192.0.2.0/24 via 10.8.0.6 metric 50")).toMatch(/connected/);
    });
    test("what is behind a bridge is not reached over the port itself", () => {
        const neighbours = [{ address: "10.5.0.2", device: "br0", port: "tap0" }];
        const snapshot = host({ routes: ["10.5.0.0/24 dev br0"], needs: { neighbours, peers: peers("10.5.0.2"), ways: new Map([["10.5.0.2", { device: "br0" }]]) } });
        expect(guest(snapshot, "tap0", "10.5.0.2")).toMatch(/is connected/);
    });
});

test("the gateway of guests is the host's own address on all of their devices, and on no other", () => {
    expect(ask("169.254.0.1", { device: "new0", own: true })).toEqual({});
    expect(ask("203.0.113.1", { device: "new0", own: true }).kind).toBe("address");
    expect(ask("10.8.0.2", { device: "new0", own: true }).kind).toBe("address");
    expect(ask("203.0.113.254", { device: "new0", own: true }).kind).toBe("gateway");
    expect(ask("203.0.113.20", { device: "new0", own: true }).hint).toBeDefined();
});

test.each(["links", "addresses", "routes", "needs"] as const)("nothing is said while %s are unread, or with why they cannot be read", part => {
    expect(ask("10.0.0.9", {}, { ...host(), [part]: { state: "reading" } }).kind).toBe("unread");
    const failed = { state: "failed" as const, says: { id: "ss is not installed." }, words: "" };
    expect(ask("10.0.0.9", {}, { ...host(), [part]: failed }).refused).toBe(failed.says);
});

test("what of the host goes over a device", () => {
    const over = (device: string, snapshot = host()) => carried(snapshot, { device }).map(inEnglish);
    expect(over("tap0")).toEqual([]);
    expect(over("eth0")).toEqual([expect.stringContaining("The host's own default route leads over eth0"), expect.stringContaining("198.51.100.53"), expect.stringContaining("198.51.100.7")]);
    expect(over("tapvpn", host({ needs: { peers: peers("10.8.0.1") } }))).toEqual([expect.stringContaining("connected with 10.8.0.1 over tapvpn")]);
    expect(over("tapvpn", host({ routes: ["198.51.100.0/24 via 10.8.0.1 dev tapvpn"] }))).toEqual([
        expect.stringContaining("name server 198.51.100.53"), expect.stringContaining("198.51.100.7")]);
});

const both = (...tables: string[]) => ({ 4: new Set(tables), 6: new Set(tables) });

describe("a route of the form, with its table", () => {
    const ruled = (...tables: string[]) => host({ needs: { tables: both("255", "254", "253", ...tables) } });
    const said = (line: string, snapshot: Snapshot) => {
        const route = parseRoute(line), problem = route && routeProblem(route, snapshot, "t0");
        return !route ? "no route" : problem ? inEnglish(problem) : "accepted";
    };

    test.each([
        "default via 10.0.0.2 table 0", "default table 0xfe", "default table 0376", "default table 0XFE", "default table 254", "default table main",
        "203.0.113.254 table 0", "198.51.100.0/24 table 0", "198.51.100.0/24 table 000", "203.0.113.0/24 table 0377", "203.0.113.0/24 table 0xfd",
        "default table 0144", "default table 0x64", "default via 2001:db8:99::2 table 100",
    ])("%s is judged by the number that ip reads", line => expect(said(line, ruled("100"))).toMatch(/is everything|is a gateway|contains|is the network/));

    test.each(["default table a;b", "default table vpn", "default table -1", "default table 4294967296", "10.1.0.0/16 table 08", "10.1.0.0/16 table 1e2"])(
        "%s names no table", line => expect(said(line, ruled())).toMatch(/Write the number of the table/));

    test("a table that no rule of either family leads to is nobody's way", () => {
        expect(said("default via 10.0.0.2 table 00254", ruled())).toBe("accepted"); // 172
        expect(said("default via 2001:db8:99::2 table 101", ruled())).toBe("accepted");
        expect(said("default via 10.0.0.2 table 100", ruled("100"))).toMatch(/everything/);
        expect(said("default via 10.0.0.2 table 100", host())).toMatch(/everything/); // rules were not read
    });

    test("each family has its own rules", () => {
        const only4 = host({ needs: { tables: { 4: new Set(["254"]), 6: undefined } } });
        expect(said("203.0.113.0/24 table 100", only4)).toBe("accepted");
        expect(said("2001:db8:1::/64 table 100", only4)).toMatch(/is the network/);
    });

    test("a default route of a guest's own table that is there, or by a hop that the host has already, takes nothing", () => {
        const use = { device: "eth0", via: "203.0.113.254", written: true };
        expect(ask("0.0.0.0/0", use)).toEqual({});
        expect(ask("::/0", use).kind).toBe("default");
        expect(ask("0.0.0.0/0", { ...use, via: "203.0.113.253" }).kind).toBe("default");
        expect(ask("0.0.0.0/0", { device: "tap0", there: true })).toEqual({});
    });

    test("a name that ip itself shows may stay, and leads anywhere", () => {
        const snapshot = host({ routes: ["10.99.0.0/16 dev t0 table vpn"], needs: { tables: both("254") } });
        expect(said("10.98.0.0/16 table vpn", snapshot)).toBe("accepted");
        expect(said("default table vpn", snapshot)).toMatch(/everything/);
    });

    test.each([["metric 0x10", 16], ["metric 010", 8], ["metric 5", 5]])("%s is written as ip reads it", (words, metric) =>
        expect(parseRoute(`10.1.0.0/16 ${words}`)).toEqual({ destination: "10.1.0.0/16", metric }));

    test.each(["metric 08", "metric 4294967296", "metric -1"])("%s is none", words => expect(parseRoute(`10.1.0.0/16 ${words}`)).toBeUndefined());
});

describe("so wide that nobody can mean it, even with nothing of the host in it", () => {
    const wide = /is too wide: the widest prefix that can be routed to a device is a \/(8|16)/;
    test.each(["64.0.0.0/2", "8000::/1", "44.0.0.0/7", "4000::/15"])("%s", text => {
        const says = routeProblem({ destination: text }, host(), "t0");
        expect(says && inEnglish(says)).toMatch(wide);
        expect(ask(text).kind).toBe("wide");
        // What a file says by hand, or runs already, is its writer's.
        expect(ask(text, { device: "t0", written: true })).toEqual({});
        expect(ask(text, { device: "t0", there: true })).toEqual({});
    });
    test.each(["44.0.0.0/8", "4000::/16"])("but %s", text => expect(routeProblem({ destination: text }, host(), "t0")).toBeUndefined());
    test("nor as the network of a gateway; in a table of its own it can be had", () => {
        const says = gatewayProblem("64.0.0.1/2", host(), "t0");
        expect(says && inEnglish(says)).toMatch(wide);
        const alone = host({ needs: { tables: both("254") } });
        expect(routeProblem({ destination: "64.0.0.0/2", table: "77" }, alone, "t0")).toBeUndefined();
    });
});
