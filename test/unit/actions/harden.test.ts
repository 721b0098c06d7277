// SPDX-License-Identifier: LGPL-2.1-or-later
// Whatever makes a device writes down what keeps its guest from steering the host; a device that is there can be given it.
import { planCure } from "../../../src/actions/cure.ts";
import { planAdopt, planApplyFile, planAtBoot, planBringBack, planEditTap } from "../../../src/actions/edit-tap.ts";
import { planHarden } from "../../../src/actions/harden.ts";
import { planOwnDevice } from "../../../src/actions/hand-over-tap.ts";
import { planMakeSeries, planMakeTap } from "../../../src/actions/make-tap.ts";
import { planProtect } from "../../../src/actions/protect.ts";
import { guestOf, pairInterfaces } from "../../../src/model/guest.ts";
import { inEnglish } from "../../../src/model/message.ts";
import type { Planned } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Reading, type Snapshot } from "../../../src/model/snapshot.ts";
import type { Link } from "../../../src/model/tap.ts";
import { NEW_TAP, wishOf } from "../../../src/model/tap-text.ts";
import { NOTHING_NEEDED } from "../../harness/fixture.ts";

const read = <T>(value: T): Reading<T> => ({ state: "read", value });

const PATH = "/etc/sysctl.d/60-kvm-tap-t0.conf";
const guarding = ["net/ipv4/conf/t0/rp_filter = 1", "net/ipv4/conf/t0/accept_redirects = 0", "net/ipv4/conf/t0/send_redirects = 0",
    "net/ipv6/conf/t0/accept_ra = 0", "net/ipv6/conf/t0/accept_redirects = 0"];
const t0: Link = {
    index: 5, name: "t0", mtu: 1500, up: true, carrier: false, kind: "tun", mac: "fe:54:00:00:00:01", addrGenMode: "none",
    tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: true },
};

interface Host { links?: Link[]; files?: Record<string, string>; enabled?: string[]; target?: string; sysctls?: Record<string, string> }

const host = ({ links = [], files = {}, enabled = [], target = "t0", sysctls = {} }: Host = {}): Snapshot => ({
    ...NOTHING_READ, libvirt: read({ version: "11.3.0", driver: "QEMU" }), hook: read({ installed: true, inEffect: true }),
    guests: read([guestOf({ uuid: "g", name: "g", state: "off", persistent: true, autostart: false, managedSave: false,
        configured: `<domain type='kvm'><devices><interface type='ethernet'><mac address='52:54:00:00:00:01'/><target dev='${target}'/><address type='pci' slot='1'/></interface></devices></domain>` })]),
    links: read(links), needs: read(NOTHING_NEEDED), addresses: read(new Map()), routes: read([]), rules: read([]), 
    profiles: read(new Map()), networkd: read(new Map()),
    natTable: read(null), units: read(new Map()), services: read(new Map()), enabled: read(new Set(enabled.map(name => `kvm-tap@${name}.service`))),
    files: read(new Map(Object.entries(files).map(([path, content]) => [path, { path, content }]))),
    deviceSysctls: read(new Map(Object.entries(sysctls))),
});

const steps = (planned: Planned) => {
    if ("problems" in planned)
        throw new Error(planned.problems.map(({ says }) => inEnglish(says)).join());
    return planned.plan.steps.map(({ does }) => does);
};
const written = (planned: Planned, path = PATH) => steps(planned).flatMap(does => does.type === "file" && does.path === path ? does.content ?? "" : []).join();

const TAP = "tuntap add dev t0 mode tap user root\nlink set dev t0 up\n";
const described = { "/etc/kvm-tap/t0.tap": TAP };
const opened = () => {
    const { guests } = host();
    const [pair] = guests.state === "read" && guests.value[0] ? pairInterfaces(guests.value[0]) : [];
    if (!pair)
        throw new Error("no interface");
    return pair;
};

const makers: [string, () => Planned, string?][] = [
    ["create", () => planMakeTap(host(), wishOf({ ...NEW_TAP, name: "t0" }))],
    ["create, with settings that were cleared of all but one", () => planMakeTap(host(), wishOf({ ...NEW_TAP, name: "t0", sysctls: "net/ipv4/conf/t0/proxy_arp = 1" }))],
    ["a series", () => planMakeSeries(host(), wishOf({ ...NEW_TAP, name: "t0" }), { prefix: "t", first: 0, count: 2 })],
    ["Protect, device missing", () => planProtect(host(), { targets: [{ uuid: "g", index: 0 }] })],
    ["Protect on a device of its own", () => planProtect(host({ links: [{ ...t0, name: "other" }], target: "other" }), { targets: [{ uuid: "g", index: 0, device: "t0" }] })],
    ["Protect, device there", () => planProtect(host({ links: [t0] }), { targets: [{ uuid: "g", index: 0 }] })],
    ["Protect, a device that is described and missing", () => planProtect(host({ files: described, enabled: ["t0"] }), { targets: [{ uuid: "g", index: 0 }] })],
    ["take over", () => planAdopt(host({ links: [t0] }), "t0")],
    ["bring back", () => planBringBack(host({ files: described, enabled: ["t0"] }), "t0")],
    ["make at every boot", () => planAtBoot(host({ links: [t0], files: described }), "t0", true)],
    ["made anew as its file says", () => planApplyFile(host({ links: [{ ...t0, tun: { ...t0.tun, type: "tap", persistent: true, vnetHdr: true, multiQueue: true } }], files: described }), "t0")],
    ["change", () => planEditTap(host({ links: [t0], files: described }), { ...wishOf({ ...NEW_TAP, name: "t0" }), sysctls: new Map() })],
    ["an owner", () => planCure(host({ links: [t0], files: described, enabled: ["t0"] }), { type: "own", device: "t0" })],
    ["a device of its own for one of several guests", () => planOwnDevice(host({ links: [{ ...t0, name: "shared" }] }), "shared",
        { uuid: "g", opened: opened(), name: "t0", guestAddresses: "" })],
];

test.each(makers)("%s: the device's settings are written down", (_title, plan) => {
    expect(written(plan()).split("\n")).toEqual(expect.arrayContaining(guarding));
});

test.each(makers)("%s: before it is made", (_title, plan) => {
    const all = steps(plan());
    const file = all.findIndex(does => does.type === "file" && does.path === PATH);
    const start = all.findIndex(does => does.type === "command" && does.argv[0] === "systemctl" && does.argv[1] !== "stop");
    expect(start < 0 || file < start).toBe(true);
});

test("what a file says already stays as it is said", () => {
    const meant = "# routers\nnet.ipv4.conf.t0.rp_filter = 2\n";
    const content = written(planAdopt(host({ links: [t0], files: { [PATH]: meant } }), "t0"));
    expect(content.startsWith(meant)).toBe(true);
    expect(content).not.toContain("rp_filter = 1");
    expect(content).toContain("net/ipv6/conf/t0/accept_ra = 0");
    const elsewhere = written(planAdopt(host({ links: [t0], files: { "/etc/sysctl.d/10-mine.conf": "net/ipv6/conf/t0/accept_ra = 2" } }), "t0"));
    expect(elsewhere).not.toContain("accept_ra");
    expect(elsewhere).toContain("rp_filter = 1");
});

describe("planHarden", () => {
    const loose = {
        "net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/all/accept_redirects": "1", "net/ipv4/conf/t0/rp_filter": "0", "net/ipv4/conf/t0/accept_redirects": "1",
        "net/ipv4/conf/t0/send_redirects": "1", "net/ipv4/conf/t0/forwarding": "1", "net/ipv6/conf/t0/accept_ra": "1", "net/ipv6/conf/t0/accept_redirects": "1",
        "net/ipv6/conf/t0/forwarding": "0", "net/ipv6/conf/t0/disable_ipv6": "0",
    };

    test("writes the file and sets what differs, at once; what was comes back", () => {
        const planned = planHarden(host({ links: [t0], sysctls: loose }));
        expect(written(planned).split("\n")).toEqual([...guarding, ""]);
        expect(steps(planned)[1]).toMatchObject({ argv: ["sysctl", "-w", "net/ipv4/conf/t0/rp_filter=1", "net/ipv4/conf/t0/accept_redirects=0",
            "net/ipv4/conf/t0/send_redirects=0", "net/ipv6/conf/t0/accept_ra=0", "net/ipv6/conf/t0/accept_redirects=0"] });
        expect("plan" in planned && planned.plan.steps[1]?.undo).toMatchObject({ argv: ["sysctl", "-w", "net/ipv4/conf/t0/rp_filter=0",
            "net/ipv4/conf/t0/accept_redirects=1", "net/ipv4/conf/t0/send_redirects=1", "net/ipv6/conf/t0/accept_ra=1", "net/ipv6/conf/t0/accept_redirects=1"] });
        expect("plan" in planned && planned.plan.notes?.map(inEnglish).join()).toMatch(/t0.*source address/);
    });

    test("leaves what a file means alone, and what this kernel does not have", () => {
        const ipv4 = Object.fromEntries(Object.entries(loose).filter(([key]) => key.startsWith("net/ipv4")));
        const planned = planHarden(host({ links: [t0], sysctls: ipv4, files: { "/etc/sysctl.d/99-x.conf": "net/ipv4/conf/t0/rp_filter = 0\n" } }));
        expect(steps(planned)[1]).toMatchObject({ argv: ["sysctl", "-w", "net/ipv4/conf/t0/accept_redirects=0", "net/ipv4/conf/t0/send_redirects=0"] });
    });

    test("the host is as promised once nothing is believed any more", () => {
        const planned = planHarden(host({ links: [t0], sysctls: loose }));
        if (!("plan" in planned))
            throw new Error("no plan");
        expect(planned.plan.holds(host({ links: [t0], sysctls: loose }))).toBe(false);
        expect(planned.plan.holds(host({ links: [t0], sysctls: { ...loose, "net/ipv4/conf/t0/rp_filter": "1", "net/ipv4/conf/t0/accept_redirects": "0",
            "net/ipv6/conf/t0/accept_ra": "0", "net/ipv6/conf/t0/accept_redirects": "0" } }))).toBe(true);
    });

    describe("a guest over which the host itself is connected", () => {
        const over = (peer: string, sysctls = loose): Snapshot => ({
            ...host({ links: [{ ...t0, carrier: true }], sysctls }), needs: read({ ...NOTHING_NEEDED, peers: [{ address: peer }] }),
            routes: read([{ family: "inet" as const, destination: "198.18.0.0/24", type: "unicast", table: "main", device: "t0", gateway: "10.0.0.2" }]),
        });

        test("keeps its source addresses, now and at the next boot, and a note says so", () => {
            const planned = planHarden(over("198.18.0.7"));
            expect(written(planned)).not.toContain("rp_filter");
            expect(written(planned)).toContain("accept_ra = 0");
            expect(JSON.stringify(steps(planned))).not.toContain("rp_filter");
            expect("plan" in planned && planned.plan.notes?.map(inEnglish).join()).toMatch(/^net\/ipv4\/conf\/t0\/rp_filter is left as it is/);
            const after = over("198.18.0.7", { ...loose, "net/ipv4/conf/t0/accept_redirects": "0", "net/ipv6/conf/t0/accept_ra": "0", "net/ipv6/conf/t0/accept_redirects": "0" });
            expect("plan" in planned && planned.plan.holds(after)).toBe(true);
            expect(JSON.stringify(planHarden(after))).toContain("is left as it is");
        });

        test("one that only talks to the host from its own address decides nothing about it", () => {
            const own = { family: "inet" as const, destination: "10.0.0.2", type: "unicast", table: "main", device: "t0" };
            expect(written(planHarden({ ...over("10.0.0.2"), routes: read([own]) }))).toContain("rp_filter");
            expect(planHarden({ ...over("198.51.100.7"), needs: { state: "reading" } })).toHaveProperty("problems");
        });
    });

    test("nothing is planned while the settings are not read, or where nothing is to be done", () => {
        expect(planHarden({ ...host({ links: [t0] }), deviceSysctls: { state: "reading" } })).toHaveProperty("problems");
        expect(planHarden(host({ links: [t0] }))).toHaveProperty("problems");
    });
});
