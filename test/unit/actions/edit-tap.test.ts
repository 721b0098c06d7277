// SPDX-License-Identifier: LGPL-2.1-or-later
// Files with lines that the page does not understand: what those set stays on the running device, and is no drift.
import { currentSettings, planApplyFile, planAtBoot, planBringBack, planEditTap, planSetUp, planTakeOver } from "../../../src/actions/edit-tap.ts";
import type { TapWish } from "../../../src/actions/make-tap.ts";
import { fileOf, runningSettings } from "../../../src/actions/tap-steps.ts";
import { inEnglish, msg } from "../../../src/model/message.ts";
import type { Planned } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";
import { driftOf } from "../../../src/model/tap-settings.ts";
import type { Link, LinkAddress, Route } from "../../../src/model/tap.ts";

const read = <T>(value: T) => ({ state: "read" as const, value });
const route = (destination: string, more: Partial<Route> = {}): Route =>
    ({ family: destination.includes(":") ? "inet6" : "inet", destination, type: "unicast", table: "main", device: "t0", ...more });
const address = (text: string): LinkAddress => {
    const [local = "", prefix] = text.split("/");
    return { family: local.includes(":") ? "inet6" : "inet", address: local, prefix: Number(prefix), scope: "global" };
};

const own = "tuntap add dev t0 mode tap user root\nlink set dev t0 addrgenmode none\nlink set dev t0 up\nroute replace 10.0.0.2/32 dev t0\n";

interface Running { link?: Partial<Link>; tun?: Partial<Link["tun"]>; addresses?: string[]; routes?: Route[] }

function host(lines: string, { link = {}, tun = {}, addresses = [], routes = [] }: Running, ours = own): Snapshot {
    const device = { index: 7, name: "t0", kind: "tun", mac: "02:00:00:00:00:01", mtu: 1500, up: true, carrier: false, addrGenMode: "none", ...link };
    return {
        ...NOTHING_READ, guests: read([]), enabled: read(new Set(["kvm-tap@t0.service"])), services: read(new Map()), units: read(new Map()),
        files: read(new Map([["/etc/kvm-tap/t0.tap", { path: "/etc/kvm-tap/t0.tap", content: `${ours}${lines}\n` }]])),
        links: read([{ ...device, tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: false, owner: "root", ...tun } }]),
        addresses: read(new Map([["t0", addresses.map(address)]])), routes: read([route("10.0.0.2"), ...routes]),
        needs: read(NOTHING_NEEDED),
    };
}

const wish = (more: Partial<TapWish> = {}): TapWish =>
    ({ name: "t0", gateways: [], guestAddresses: ["10.0.0.2"], owner: "root", sysctls: new Map(), atBoot: true, ...more });
const steps = (planned: Planned) => "plan" in planned ? planned.plan.steps.map(({ does }) => does) : planned.problems.map(({ says }) => inEnglish(says));
/** What is done to the running device; kernel settings are the subject of steering.test.ts. */
const onDevice = (planned: Planned) => steps(planned).flatMap(does => typeof does === "string" ? [does]
    : does.type === "command" && does.argv[0] !== "sysctl" ? (does.input ?? does.argv.join(" ")).split("\n").filter(line => line !== "") : []);

const cases: [string, string, Running][] = [
    ["a protocol", "route replace 10.0.0.5/32 dev t0 proto static", { routes: [route("10.0.0.5", { protocol: "static" })] }],
    ["onlink", "route replace 10.0.0.5/32 via 10.0.0.2 dev t0 onlink", { routes: [route("10.0.0.5", { gateway: "10.0.0.2" })] }],
    ["another order, by its type", "route add dev t0 unicast 10.0.0.5 mtu lock 1400", { routes: [route("10.0.0.5")] }],
    ["appended, in a table, with a metric", "ro app 10.0.0.0/255.255.255.0 dev t0 table 100 metric 7 scope link", { routes: [route("10.0.0.0/24", { table: "100", metric: 7 })] }],
    ["without a device", "route add 10.7.0.0/16 via 10.0.0.2 proto bird", { routes: [route("10.7.0.0/16", { gateway: "10.0.0.2" })] }],
    ["in short", "route add 10.7/16 dev t0", { routes: [route("10.7.0.0/16")] }],
    ["of IPv6", "route add 2001:DB8:0::/48 dev t0 pref high", { routes: [route("2001:db8::/48", { metric: 1024 })] }],
    ["a default route", "route add default via inet6 fe80::2 dev t0", { routes: [route("default", { gateway: "fe80::2" })] }],
    ["in two lines", "route replace 10.0.0.5/32 \\\n  dev t0 proto static", { routes: [route("10.0.0.5")] }],
    ["an address with a peer", "address add 10.1.1.1 peer 10.1.1.2/30 dev t0", { addresses: ["10.1.1.1/30"] }],
    ["an address with flags", "a add dev t0 local 2001:db8::1/64 nodad", { addresses: ["2001:db8::1/64"] }],
    ["an address with a label", "addr replace 10.9.0.1 label t0:1 dev t0", { addresses: ["10.9.0.1/32"] }],
    ["an MTU", "link set dev t0 txqueuelen 500 mtu 1400", { link: { mtu: 1400 } }],
    ["a MAC address and the state", "link set t0 alias mine down addr 02:00:00:00:00:09", { link: { mac: "02:00:00:00:00:09", up: false } }],
];

test.each(cases)("a foreign line, %s: no drift, no change", (_what, line, running) => {
    const at = host(line, running);
    const file = fileOf(at, "t0"), now = runningSettings(at, "t0");
    expect(file?.foreign).toEqual([line]);
    expect(file && now && driftOf(file.settings, now)).toEqual([]);
    expect(onDevice(planApplyFile(at, "t0"))).toEqual([]);
    expect(steps(planTakeOver(at, "t0"))).toEqual([]);
});

test.each(cases)("a foreign line, %s: an edit leaves it and what it set, and promises what comes of it", (_what, line, running) => {
    const at = host(line, running);
    const planned = planEditTap(at, wish({ guestAddresses: ["10.0.0.3"] }));
    expect(onDevice(planned)).toEqual(["route delete 10.0.0.2/32 dev t0", "route replace 10.0.0.3/32 dev t0"]);
    const file = steps(planned).find(does => typeof does === "object" && does.type === "file" && does.path === "/etc/kvm-tap/t0.tap");
    const content = typeof file === "object" && file.type === "file" ? file.content ?? "" : "";
    expect(content).toContain(`\n${line}\n`);
    const after = host("", running, content);
    const routes = [route("10.0.0.3"), ...running.routes ?? []];
    expect("plan" in planned && planned.plan.holds({ ...after, routes: read(routes) })).toBe(true);
});

test.each(["addresses", "routes"] as const)("while %s are not known the device is not said to run otherwise, and nothing is planned", part => {
    const says = msg("They cannot be read.");
    const at: Snapshot = { ...host("", { addresses: ["10.9.0.1/32"] }), [part]: { state: "failed", says, words: "" } };
    expect(runningSettings(at, "t0")).toBeUndefined();
    for (const planned of [planApplyFile(at, "t0"), planTakeOver(at, "t0"), planEditTap(at, wish())])
        expect(steps(planned)).toContain("They cannot be read.");
});

test("what a foreign line does not set is drift as ever", () => {
    const at = host("route replace 10.0.0.5/32 dev t0 proto static\nroute del 10.0.0.6/32 dev t0\naddress add 10.9.0.1/32 dev other nodad", {
        routes: [route("10.0.0.5"), route("10.0.0.5", { table: "100" }), route("10.0.0.6")], addresses: ["10.9.0.1/32"], link: { mtu: 1400 },
    });
    const file = fileOf(at, "t0"), now = runningSettings(at, "t0");
    expect(file && now && driftOf(file.settings, now).map(({ what, kernel }) => `${what} ${kernel}`)).toEqual(
        ["mtu 1400", "address 10.9.0.1/32", "route 10.0.0.5/32 table 100", "route 10.0.0.6/32"]);
});

test("a device that is set up gets back what foreign lines had set, by its unit", () => {
    const line = "route replace 10.0.0.5/32 dev t0 proto static";
    const down = { link: { up: false } };
    const active = { units: read(new Map([["t0", { name: "t0", enabled: true, active: "active" }]])) };
    const shown = (at: Snapshot, up: boolean) => onDevice(planSetUp(at, "t0", up)).filter(text => text.startsWith("systemctl"));
    expect(shown({ ...host(line, down), ...active }, true)).toEqual(["systemctl reload kvm-tap@t0.service"]);
    expect(shown({ ...host("", down), ...active }, true)).toEqual([]);
    expect(shown(host(line, down), true)).toEqual([]);
    expect(shown({ ...host(line, {}), ...active }, false)).toEqual([]);
});

describe("a foreign line that makes the device", () => {
    const line = "tuntap add dev t0 mode tap multi_queue user 1000 pi";
    const at = host(line, { tun: { multiQueue: true, owner: "1000" } }, own.replace(/^.*\n/, ""));

    test("is no drift, and stays the only one", () => {
        const file = fileOf(at, "t0"), now = runningSettings(at, "t0");
        expect(file?.makes).toBe(true);
        expect(file && now && driftOf(file.settings, now)).toEqual([]);
        const before = currentSettings(at, "t0");
        const planned = planEditTap(at, { ...wish({ mtu: 1400 }), ...before?.owner === undefined && { owner: "" } });
        expect(onDevice(planned)).toEqual(["link set dev t0 mtu 1400"]);
        expect(JSON.stringify(steps(planned)).match(/tuntap add/g)).toHaveLength(1);
    });

    test("is where queues and owner are changed", () => {
        expect(steps(planEditTap(at, wish({ owner: "root" })))).toEqual(
            ["The line of /etc/kvm-tap/t0.tap that makes the device says more than this page knows. Change multi-queue, owner and group there."]);
    });
});

describe("what foreign lines give is judged as what the page writes", () => {
    const eth0: Link = { index: 2, name: "eth0", mtu: 1500, up: true, carrier: true };
    const live = (line: string, running: Running = {}): Snapshot => {
        const at = host(line, running), links = at.links.state === "read" ? at.links.value : [];
        return {
            ...at, links: read([...links, eth0]), addresses: read(new Map([["eth0", [address("203.0.113.1/24")]]])),
            routes: read([{ ...route("default"), device: "eth0", gateway: "203.0.113.254" }, { ...route("203.0.113.0/24"), device: "eth0", protocol: "kernel" }]),
        };
    };
    const missing = (line: string): Snapshot => ({ ...live(line), links: read([eth0]), enabled: read(new Set<string>()) });
    const plans = (line: string) => [
        planBringBack(missing(line), "t0"), planAtBoot(missing(line), "t0", true),
        planSetUp({ ...live(line, { link: { up: false } }), units: read(new Map([["t0", { name: "t0", enabled: true, active: "active" }]])) }, "t0", true),
        planApplyFile(live(line, { tun: { multiQueue: true } }), "t0"),
        planEditTap(live(line, { tun: { multiQueue: true } }), wish()),
    ];

    test.each([
        "route replace default dev t0 proto static", "route replace 203.0.113.0/24 dev t0 proto static", "ro add unicast 203.0.113.0/24 dev t0",
        "route replace 203.0.113.254 via inet 10.0.0.2 dev t0 onlink", "address replace 203.0.113.254/32 dev t0 noprefixroute",
        "addr add local 203.0.113.254 dev t0 scope link", "route replace blackhole 203.0.113.0/24", "route replace default dev t0 proto static table 0xfe",
        "route replace default dev eth0 proto static scope link", "address add 203.0.113.254/32 dev eth0 label eth0:1",
    ])("%s", line => {
        for (const planned of plans(line))
            expect(steps(planned).join()).toMatch(/everything|is the network of eth0|is a gateway/);
    });

    test("what takes nothing can be had; what is done to others is named", () => {
        for (const planned of plans("route replace 10.7.0.0/16 dev t0 proto static"))
            expect(planned).toHaveProperty("plan");
        for (const line of ["link set dev eth0 down", "link set eth0 mtu 1400", "route delete default", "rule add pref 5 table 7"]) {
            for (const planned of plans(line))
                expect("plan" in planned && planned.plan.notes?.map(inEnglish).join()).toContain(`which is not looked at here: ${line}`);
        }
    });
});
