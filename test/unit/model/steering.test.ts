// SPDX-License-Identifier: LGPL-2.1-or-later
// By which of the kernel's settings a guest can steer the host, as the kernel itself combines them (ip-sysctl; addrconf.c, ndisc.c,
// inetdevice.h, fib_frontend.c).
import { guestOf } from "../../../src/model/guest.ts";
import { hostChecks } from "../../../src/model/host-checks.ts";
import { inEnglish } from "../../../src/model/message.ts";
import { NOTHING_READ, type Reading, type Snapshot } from "../../../src/model/snapshot.ts";
import { steeringOf } from "../../../src/model/steering.ts";
import type { Link } from "../../../src/model/tap.ts";

const read = <T>(value: T): Reading<T> => ({ state: "read", value });

/** All as a good device has it. */
const good = {
    "ipv4 accept_redirects": "0", "ipv4 forwarding": "1", "ipv4 rp_filter": "1", "ipv4 send_redirects": "0",
    "ipv6 accept_ra": "0", "ipv6 accept_redirects": "0", "ipv6 forwarding": "0", "ipv6 disable_ipv6": "0",
};

/** `all NAME` is of the whole host. */
function sysctls(changes: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
    const all = { "all ipv4 accept_redirects": "0", "all ipv4 rp_filter": "0", ...good, ...changes };
    return new Map(Object.entries(all).filter(([, value]) => value !== "-").map(([key, value]) => {
        const [name, ip, setting] = key.startsWith("all ") ? ["all", ...key.split(" ").slice(1)] : ["tap0", ...key.split(" ")];
        return [`net/${ip ?? ""}/conf/${name ?? ""}/${setting ?? ""}`, value];
    }));
}

const tap: Link = {
    index: 5, name: "tap0", mtu: 1500, up: true, carrier: true, kind: "tun",
    tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: true },
};

interface More { file?: string; path?: string; link?: Partial<Link>; guest?: boolean }

function host(changes: Readonly<Record<string, string>>, more: More = {}): Snapshot {
    const xml = "<domain type='kvm'><devices><interface type='ethernet'><target dev='tap0' managed='no'/></interface></devices></domain>";
    const charon = guestOf({ uuid: "g", name: "charon", state: "off", persistent: true, autostart: false, managedSave: false, configured: xml });
    const { file, path = "/etc/sysctl.d/60-kvm-tap-tap0.conf", link = {}, guest = true } = more;
    return {
        ...NOTHING_READ, links: read([{ ...tap, ...link }]), deviceSysctls: read(sysctls(changes)), enabled: read(new Set()),
        guests: read(guest ? [charon] : []),
        files: read(new Map(file === undefined ? [] : [[path, { path, content: file }]])),
    };
}

const own = (snapshot: Snapshot) => steeringOf(snapshot).map(({ device, own: found }) => `${device}: ${found.map(({ key, value }) => `${key}=${value}`).join(" ")}`);

test.each<[string, Readonly<Record<string, string>>, string[]]>([
    ["as made by this page", {}, []],
    ["the kernel's defaults, not forwarding", { "ipv4 accept_redirects": "1", "ipv4 forwarding": "0", "ipv4 rp_filter": "0", "ipv6 accept_ra": "1", "ipv6 accept_redirects": "1" },
        ["tap0: net/ipv6/conf/tap0/accept_ra=1 net/ipv4/conf/tap0/accept_redirects=1 net/ipv6/conf/tap0/accept_redirects=1 net/ipv4/conf/tap0/rp_filter=0"]],
    ["advertisements where IPv6 is forwarded", { "ipv6 accept_ra": "1", "ipv6 forwarding": "1" }, []],
    ["advertisements all the same", { "ipv6 accept_ra": "2", "ipv6 forwarding": "1" }, ["tap0: net/ipv6/conf/tap0/accept_ra=2"]],
    ["IPv6 off on the device", { "ipv6 accept_ra": "1", "ipv6 accept_redirects": "1", "ipv6 disable_ipv6": "1" }, []],
    ["no IPv6 in the kernel", { "ipv6 accept_ra": "-", "ipv6 accept_redirects": "-", "ipv6 forwarding": "-", "ipv6 disable_ipv6": "-" }, []],
    ["IPv6 redirects, forwarding", { "ipv6 accept_redirects": "1", "ipv6 forwarding": "1" }, []],
    ["IPv4 redirects, forwarding, the host does not take them", { "ipv4 accept_redirects": "1" }, []],
    ["IPv4 redirects, forwarding, the host takes them", { "ipv4 accept_redirects": "1", "all ipv4 accept_redirects": "1" }, ["tap0: net/ipv4/conf/tap0/accept_redirects=1"]],
    ["IPv4 redirects, not forwarding", { "ipv4 accept_redirects": "1", "ipv4 forwarding": "0" }, ["tap0: net/ipv4/conf/tap0/accept_redirects=1"]],
    ["loose filter", { "ipv4 rp_filter": "2" }, ["tap0: net/ipv4/conf/tap0/rp_filter=2"]],
    ["no filter, but the host's", { "ipv4 rp_filter": "0", "all ipv4 rp_filter": "1" }, []],
])("%s", (_title, changes, expected) => expect(own(host(changes))).toEqual(expected));

test.each<[string, Partial<Link>, boolean]>([
    ["a port of a bridge: the bridge takes its packets", { master: "br0" }, true],
    ["a TUN", { tun: { type: "tun", persistent: true, multiQueue: false, vnetHdr: false } }, true],
    ["OpenVPN's TAP: no guest names it, nothing describes it", {}, false],
])("not asked of %s", (_title, link, guest) => expect(steeringOf(host({ "ipv6 accept_ra": "2" }, { link, guest }))).toEqual([]));

test("a device that is written down counts without a guest", () => {
    const described = host({ "ipv6 accept_ra": "2" }, { guest: false, file: "tuntap add dev tap0 mode tap\n", path: "/etc/kvm-tap/tap0.tap" });
    expect(own(described)).toEqual(["tap0: net/ipv6/conf/tap0/accept_ra=2"]);
});

test.each(["net/ipv4/conf/tap0/rp_filter = 2", "net.ipv4.conf.tap0.rp_filter=2", "-net.ipv4.conf.tap0.rp_filter = 2"])("what a file says is meant so: %s", file => {
    for (const path of ["/etc/sysctl.d/60-kvm-tap-tap0.conf", "/etc/sysctl.d/99-mine.conf"]) {
        const [found] = steeringOf(host({ "ipv4 rp_filter": "2" }, { file: `# routers\n${file}\n`, path }));
        expect(found?.own).toEqual([]);
        expect(found?.meant).toEqual([{ key: "net/ipv4/conf/tap0/rp_filter", value: "2", path }]);
    }
});

test("what a file says about another value, or another device, is not meant so", () => {
    expect(own(host({ "ipv4 rp_filter": "0" }, { file: "net/ipv4/conf/tap0/rp_filter = 1\nnet/ipv4/conf/tap00/rp_filter = 0" }))).toHaveLength(1);
});

test.each<[string, Readonly<Record<string, string>>, string]>([
    ["the host's loose filter", { "all ipv4 rp_filter": "2" }, "net/ipv4/conf/all/rp_filter=2"],
    ["the host's redirects where the device does not forward", { "all ipv4 accept_redirects": "1", "ipv4 forwarding": "0" }, "net/ipv4/conf/all/accept_redirects=1"],
])("%s: told, for what no file of the device can change", (_title, changes, expected) => {
    expect(steeringOf(host(changes)).map(({ all }) => all.map(({ key, value }) => `${key}=${value}`))).toEqual([[expected]]);
});

const checks = (snapshot: Snapshot) => hostChecks(snapshot).filter(({ id }) => id.startsWith("steering"));

test("the check names the devices, says what they take, and has the cure", () => {
    const [check] = checks(host({ "ipv6 accept_ra": "2" }));
    expect(check).toMatchObject({ severity: "warning", cure: "harden", words: "net/ipv6/conf/tap0/accept_ra = 2" });
    expect(check && inEnglish(check.says)).toBe("Guests can steer this host through tap0");
});

test("settings that are meant are shown, without a cure; nothing is said of settings that are not read or in order", () => {
    const [check] = checks(host({ "ipv4 rp_filter": "2" }, { file: "net/ipv4/conf/tap0/rp_filter = 2" }));
    expect(check).toMatchObject({ severity: "info" });
    expect(check).not.toHaveProperty("cure");
    expect(check?.words).toContain("/etc/sysctl.d/60-kvm-tap-tap0.conf");
    expect(checks(host({}))).toEqual([]);
    expect(checks({ ...host({ "ipv6 accept_ra": "2" }), deviceSysctls: { state: "reading" } })).toEqual([]);
});

test("where they cannot be read, that is what is said", () => {
    const failed = { state: "failed" as const, says: { id: "The settings cannot be read." }, words: "grep: no" };
    expect(checks({ ...host({}), deviceSysctls: failed })[0]).toMatchObject({ says: failed.says, words: "grep: no" });
});
