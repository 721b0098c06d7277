// SPDX-License-Identifier: LGPL-2.1-or-later
// How the running table, its file and the host's routes stand to each other.
import { inEnglish } from "../../../src/model/message.ts";
import { FRAME_BEFORE, CHAIN_RULES, SETS } from "../../../src/model/nat-frame.ts";
import { natFile } from "../../../src/model/nat-file.ts";
import { routeInTheWay, unheld } from "../../../src/model/nat-held.ts";
import { hostChecks } from "../../../src/model/host-checks.ts";
import { advertisementsAtRisk, linkSettingsFile } from "../../../src/model/nat-link-settings.ts";
import { agreement, natReading, type Agreement } from "../../../src/model/nat-reading.ts";
import { natElements, normalState, type NatState } from "../../../src/model/nat.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import type { Link, Route } from "../../../src/model/tap.ts";

const read = <T>(value: T) => ({ state: "read", value } as const);

const one: NatState = normalState({
    uplinks: ["eth0"], devices: [], mappings: [{
        public: { family: 4, address: "203.0.113.10", length: 32 }, guest: { family: 4, address: "10.0.0.2", length: 32 },
        description: "", enabled: true, claimed: true, log: false,
    }],
});

/** A listing of nft with these elements, and the rules of this or the version before. */
function listing(state: NatState, before = false): unknown {
    const table = { family: "inet", table: "kvm_tap" };
    const elements = natElements(state);
    return {
        nftables: [
            { table: { family: "inet", name: "kvm_tap" } },
            ...[...SETS].filter(([name]) => !before || !FRAME_BEFORE.lacks.has(name)).map(([name, kind]) => {
                const elem = [...elements.get(name) ?? []].map(([key, { value }]) => value === undefined ? key : [key, value]);
                return { [kind]: { ...table, name, elem } };
            }),
            ...[...before ? FRAME_BEFORE.rules : CHAIN_RULES].flatMap(([name, count]) => [
                { chain: { ...table, name } }, ...Array.from({ length: count }, () => ({ rule: { ...table, chain: name } })),
            ]),
        ],
    };
}

function host(table: unknown, file: string | undefined, more: Partial<Snapshot> = {}): Snapshot {
    const files = new Map(file === undefined ? [] : [["/etc/kvm-tap/nat.nft", { path: "/etc/kvm-tap/nat.nft", content: file }]]);
    return { ...NOTHING_READ, natTable: read(table), files: read(files), ...more };
}

test.each<[string, unknown, string | undefined, Agreement]>([
    ["nothing at all", null, undefined, "none"], ["both the same", listing(one), natFile(one), "agree"],
    ["rules of the version before", listing(one, true), natFile(one), "outdated"],
    ["the table alone", listing(one), undefined, "unsaved"], ["the file alone", null, natFile(one), "lost"],
    ["an empty file", null, "", "damaged"], ["an empty file beside the table", listing(one), "", "damaged"],
    ["a file that ends before its mappings", listing(one), natFile(one).split("# Uplinks")[0], "damaged"],
    ["another mapping saved", listing(one), natFile(one).replaceAll("10.0.0.2", "10.0.0.3"), "differ"],
    ["rules of the version before, and another mapping", listing(one, true), natFile(one).replaceAll("10.0.0.2", "10.0.0.3"), "differ"],
])("%s", (_what, table, file, expected) => {
    const reading = natReading(host(table, file));
    expect(reading.state === "read" && agreement(reading.value)).toBe(expected);
});

test("rules that somebody changed are not taken for those of the version before", () => {
    const rules = listing(one, true) as { nftables: object[] };
    const reading = natReading(host({ nftables: [...rules.nftables, { rule: { family: "inet", table: "kvm_tap", chain: "guard" } }] }, natFile(one)));
    expect(reading.state === "read" && agreement(reading.value)).toBe("differ");
});

describe("public addresses", () => {
    const route = (destination: string, more: Partial<Route>): Route => ({ family: "inet", destination, type: "unicast", table: "main", ...more });
    const ours = route("203.0.113.10", { device: "kvm-tap-hold", protocol: "107" });
    const byLocal = route("203.0.113.10", { device: "lo", protocol: "107", type: "local", table: "local" });

    test.each<[string, Route[], string[]]>([
        ["held", [ours], []], ["held as up to version 0.1", [byLocal], []], ["not held", [], ["203.0.113.10"]],
        ["somebody's local route is not ours", [{ ...byLocal, protocol: "static" }], ["203.0.113.10"]],
        ["a route elsewhere is not ours", [{ ...ours, device: "eth0" }], ["203.0.113.10"]],
    ])("%s", (_what, routes, expected) => {
        expect(unheld({ routes: read(routes) }, one.mappings)).toEqual(expected);
    });

    test.each<[string, Route, boolean]>([
        ["ours", ours, false], ["ours of version 0.1", byLocal, false], ["a local route by hand", { ...byLocal, protocol: "boot" }, true],
        ["a route to a device", route("203.0.113.10", { device: "tap0" }), true], ["with its length", route("203.0.113.10/32", { device: "tap0" }), true],
        ["a network around it", route("203.0.113.0/24", { device: "eth0" }), false], ["in another table", route("203.0.113.10", { device: "tap0", table: "7" }), false],
        ["the default route", route("default", { device: "eth0" }), false],
    ])("in the way of it: %s", (_what, other, expected) => {
        expect(routeInTheWay({ routes: read([other]) }, { family: 4, address: "203.0.113.10", length: 32 }) !== undefined).toBe(expected);
    });
});

describe("settings of links", () => {
    const fixtureLink: Link = { index: 0, name: "", mtu: 1500, up: true, carrier: true };
    const six: NatState = { ...one, mappings: one.mappings.map(mapping => ({ ...mapping, public: { family: 6, address: "2001:db8::1", length: 128 } })) };
    const advertised = (device: string): Route =>
        ({ family: "inet6", destination: "default", type: "unicast", table: "main", device, protocol: "ra", gateway: "fe80::1" });
    const settings = (state: NatState, routes: Route[], content = "", values: Readonly<Record<string, string>> = {}) => {
        const files = new Map([["/etc/sysctl.d/60-kvm-tap.conf", { path: "", content }]]);
        const deviceSysctls = read(new Map(Object.entries(values).map(([link, value]) => [`net/ipv6/conf/${link}/accept_ra`, value])));
        return linkSettingsFile({ routes: read(routes), files: read(files), deviceSysctls }, state)?.split("\n").filter(line => /^net/.test(line));
    };

    test("every link with an advertised default route keeps it, also one that has none just now", () => {
        expect(settings(six, [advertised("eth1"), advertised("eth0.100")])).toEqual(["net/ipv6/conf/eth0.100/accept_ra = 2", "net/ipv6/conf/eth1/accept_ra = 2"]);
        expect(settings(six, [], "net/ipv6/conf/eth1/accept_ra = 2\n")).toEqual(["net/ipv6/conf/eth1/accept_ra = 2"]);
    });
    test("none where a network manager takes advertisements in the kernel's place, also where an earlier file said so", () => {
        const routes = [advertised("eth1"), advertised("eth2"), advertised("eth3")];
        expect(settings(six, routes, "net/ipv6/conf/eth1/accept_ra = 2\n", { eth1: "0", eth2: "1", eth3: "2" }))
                .toEqual(["net/ipv6/conf/eth2/accept_ra = 2", "net/ipv6/conf/eth3/accept_ra = 2"]);
    });
    test.each<[string, Record<string, string>, string, boolean]>([
        ["nothing is said", {}, "/etc/systemd/network/10-x.network", true],
        ["its file says so", { "/etc/systemd/network/10-x.network": " IPv6AcceptRA = yes\n" }, "/etc/systemd/network/10-x.network", false],
        ["a drop-in says so", { "/etc/systemd/network/10-x.network.d/a.conf": "IPv6AcceptRA=yes\n" }, "/run/systemd/network/10-x.network", false],
        ["another file does", { "/etc/systemd/network/10-y.network": "IPv6AcceptRA=yes\n" }, "/etc/systemd/network/10-x.network", true],
        ["its file is not known", { "/etc/systemd/network/10-x.network": "IPv6AcceptRA=yes\n" }, "", true],
        ["an empty value", { "/etc/systemd/network/10-x.network": "IPv6AcceptRA=\n" }, "/etc/systemd/network/10-x.network", true],
    ])("systemd-networkd may give up advertisements when the host forwards: %s", (_what, contents, file, expected) => {
        const files = read(new Map(Object.entries(contents).map(([path, content]) => [path, { path, content }])));
        const links = read([{ ...fixtureLink, index: 7, name: "eth0" }, { ...fixtureLink, index: 8, name: "eth1" }]);
        const networkd = read(new Map([[7, file]]));
        expect(advertisementsAtRisk({ routes: read([advertised("eth0"), advertised("eth1")]), files, links, networkd }))
                .toEqual(expected ? [{ link: "eth0", file }] : []);
    });
    test("none without IPv6, and none by a name that means more", () => {
        expect(settings(one, [advertised("eth1")])).toBeUndefined();
        expect(settings(six, [advertised("a/../b")])).toBeUndefined();
    });
});

test("forwarding that version 0.1 left on at every boot is found", () => {
    const content = "net/ipv4/ip_forward = 1\n";
    const files = read(new Map([["/etc/sysctl.d/60-kvm-tap.conf", { path: "", content }]]));
    expect(hostChecks(host(null, undefined, { files })).map(({ says }) => inEnglish(says)))
            .toContain("/etc/sysctl.d/60-kvm-tap.conf makes this host forward packets at every boot, and nothing is mapped");
    expect(hostChecks(host(null, undefined)).filter(({ id }) => id === "forwarding")).toEqual([]);
});
