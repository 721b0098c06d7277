// SPDX-License-Identifier: LGPL-2.1-or-later
// The readers against what the tools really print.
import { entriesIn, filesIn, holdersIn, networkdIn, presenceIn, profilesIn } from "../../../src/host/files.ts";
import { neighboursIn } from "../../../src/host/guest-addresses.ts";
import { entryIn, JOURNAL } from "../../../src/host/history.ts";
import { addressesOf, countersIn, deviceIn, ipGrammar, isGone, linkOf, objectsIn, routeOf } from "../../../src/host/ip.ts";
import { concernsRules, concernsTable, nftGrammar, tableIn } from "../../../src/host/nft.ts";
import { activeUnitsIn, deviceUnits } from "../../../src/host/systemd.ts";
import { definitionIn, errorsIn, eventIn, infoIn, uuidsIn, versionIn, virshGrammar } from "../../../src/host/virsh.ts";
import { parseDefinition } from "../../../src/model/guest.ts";
import { answersIn, captured, releases } from "./captured.ts";

const styx = "11111111-2222-3333-4444-555555555555";

describe.each(releases)("%s", release => {
    describe("virsh", () => {
        const [list = "", version = "", info = "", dump = "", unknown = "", none = ""] =
            answersIn(captured(release, "virsh.txt"), virshGrammar("token"), 6);

        it("lists UUIDs", () => {
            expect(uuidsIn(list)).toEqual([styx]);
            expect(uuidsIn(none)).toEqual([]);
        });

        it("tells versions", () => {
            const versions = { bookworm: "9.0.0", trixie: "11.3.0", forky: "12.8.0" };
            expect(versionIn(version)).toEqual({
                version: versions[release], driver: "QEMU", hypervisorVersion: expect.stringMatching(/^\d+\.\d+/),
            });
            expect(versionIn(unknown)).toBeUndefined();
        });

        it("tells how a guest is", () => {
            expect(infoIn(info, styx)).toEqual({
                uuid: styx, name: "it's \"styx\" & co", state: "running", persistent: true, autostart: false, managedSave: false,
            });
            expect(infoIn(unknown, styx)).toBeUndefined();
        });

        it("dumps a definition", () => {
            const xml = definitionIn(dump) ?? "";
            expect(xml).toMatch(/^<domain type='qemu'>\n/);
            expect(xml).toMatch(/<\/domain>\n$/);
            expect(parseDefinition(xml).interfaces).toMatchObject([{ target: "styx0", managed: "no" }]);
        });

        it("says why it cannot, in the answer of the command that failed", () => {
            expect(definitionIn(unknown)).toBeUndefined();
            expect(errorsIn(unknown)).toBe("failed to get domain '99999999-2222-3333-4444-555555555555'");
            expect([list, version, info, dump, none].map(errorsIn)).toEqual(["", "", "", "", ""]);
        });

        it("tells events of a guest with any name", () => {
            const events = captured(release, "events.txt").trim().split("\n").map(eventIn);
            expect(events.map(event => event?.guest)).toEqual(Array(3).fill("it's \"styx\" & co"));
            expect(events.map(event => event?.detail)).toEqual([
                "Shutdown Finished after host request", "Stopped Destroyed", "Undefined Removed",
            ]);
        });
    });

    describe("ip", () => {
        const [links = "", addresses = "", failing = "", routes = ""] = answersIn(captured(release, "ip.txt"), ipGrammar, 4);

        it("lists links, TAP devices with all the kernel knows of them", () => {
            const found = objectsIn(links).map(linkOf);
            expect(found.find(link => link?.name === "styx0")).toMatchObject({
                index: expect.any(Number), kind: "tun", mtu: 1500, minMtu: 68, maxMtu: 65521, up: true, carrier: true, addrGenMode: "none",
                mac: expect.stringMatching(/^(..:){5}..$/),
                tun: { type: "tap", persistent: true, multiQueue: false, owner: "libvirt-qemu" },
                traffic: { rxBytes: expect.any(Number), txPackets: expect.any(Number) },
            });
            expect(found.find(link => link?.name === "mq0")).toMatchObject({
                up: false, carrier: false, tun: { multiQueue: true, owner: "54321", group: "kvm", queues: 0 },
            });
            expect(found.find(link => link?.name === "lo")).not.toHaveProperty("mac");
        });

        it("lists addresses", () => {
            const found = objectsIn(addresses).find(item => item["ifname"] === "styx0");
            expect(addressesOf(found ?? {})).toEqual([{ family: "inet", address: "169.254.0.1", prefix: 32, scope: "global" }]);
        });

        it("lists routes of both families", () => {
            const found = objectsIn(routes).map(routeOf).filter(route => route?.device === "styx0" && route.protocol !== "kernel");
            expect(found).toEqual([
                { family: "inet", destination: "10.0.0.2", type: "unicast", table: "main", device: "styx0", protocol: "boot" },
                { family: "inet6", destination: "2001:db8::2", type: "unicast", table: "main", device: "styx0", protocol: "boot", metric: 1024 },
            ]);
        });

        it("goes on after a command that failed", () => {
            expect(() => objectsIn(failing)).toThrow("Device \"nope\" does not exist.");
        });
    });

    it("reads the kernel's counters, whatever the width of its columns", () => {
        const line = (name: string, rx: string, tx: string) => `${name.padStart(6)}: ${rx}    0    1    0     0          0         0 ${tx}    0    0    0     0       0          0`;
        const head = "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";
        expect(countersIn(`${head}${line("lo", "  84240     624", "   84240     625")}\n${line("a-long-one.15", "18446744073     7", " 0       0")}\n`)).toEqual(new Map([
            ["lo", { rxBytes: 84240, rxPackets: 624, txBytes: 84240, txPackets: 625 }],
            ["a-long-one.15", { rxBytes: 18446744073, rxPackets: 7, txBytes: 0, txPackets: 0 }],
        ]));
    });

    describe("nft", () => {
        it("shows the table, and that there is none", () => {
            const [table = "", none = ""] = answersIn(captured(release, "nft.txt"), nftGrammar, 2);
            expect(tableIn(table)).toMatchObject({ nftables: [{ metainfo: {} }, { table: { family: "inet", name: "kvm_tap" } }] });
            expect(tableIn(none)).toBeNull();
        });

        it("says that it may not", () => {
            const [denied = ""] = answersIn(captured(release, "nft-denied.txt"), nftGrammar, 1);
            expect(() => tableIn(denied)).toThrow(/Operation not permitted/);
            expect(() => tableIn(denied)).not.toThrow(/end_1/);
        });
    });

    it("reads units", () => {
        const active = activeUnitsIn(captured(release, "units.txt"));
        expect(active.get("libvirtd.service")).toBe("active");
        const units = deviceUnits(active, new Set(["kvm-tap@a.b-c.service", "kvm-tap@off0.service", "other.service"]));
        expect(Object.fromEntries(units)).toEqual({
            "a.b-c": { name: "a.b-c", enabled: true, active: "failed" },
            off0: { name: "off0", enabled: true, active: "inactive" },
            styx0: { name: "styx0", enabled: false, active: "active" },
        });
    });

    it("reads the journal", () => {
        expect(entryIn(captured(release, "journal.txt").trim())).toEqual({
            time: expect.any(Number), text: "styx0 restored", device: "styx0", event: "restored",
        });
    });
});

describe("the journal", () => {
    const root = { _UID: "0", _TRANSPORT: "journal" };
    const line = (fields: object) => JSON.stringify({ __REALTIME_TIMESTAMP: "1000", ...root, MESSAGE: "", ...fields });

    it.each([
        ["bytes that are no text", [115, 116, 255], "st\ufffd"],
        ["a field that occurs twice", ["first", "last"], "last"],
    ])("%s", (_what, value, text) => {
        expect(entryIn(line({ MESSAGE: value }))).toEqual({ time: 1, text });
    });

    const fields = { MESSAGE: "styx0 deleted", KVM_TAP_DEVICE: "styx0", KVM_TAP_EVENT: "deleted", KVM_TAP_USER: "admin", KVM_TAP_WAS: "<interface/>" };
    it.each([
        ["root, in journald's own way", {}, true],
        ["a device's unit, by its output", { _TRANSPORT: "stdout", _SYSTEMD_UNIT: "kvm-tap@styx0.service" }, true],
        ["a user (logger -t kvm-tap)", { _UID: "1000", _TRANSPORT: "syslog" }, false],
        ["a user, with all fields (logger --journald)", { _UID: "1000" }, false],
        ["a service that does not run as root", { _UID: "986", _SYSTEMD_UNIT: "kvm-tap@styx0.service" }, false],
        ["a program that a user may run as root, by its output", { _TRANSPORT: "stdout", _SYSTEMD_UNIT: "session-c1.scope" }, false],
        ["a program that a user may run as root, under another name", { _TRANSPORT: "syslog", _SYSTEMD_UNIT: "session-c1.scope" }, false],
        ["nobody knows who", { _UID: undefined }, false],
        ["two at once", { _UID: ["1000", "0"] }, false],
    ])("history is what root writes: %s", (_who, who, counts) => {
        expect(entryIn(line({ ...fields, ...who }))).toEqual(counts
            ? { time: 1, text: "styx0 deleted", device: "styx0", event: "deleted", user: "admin", was: "<interface/>" } : undefined);
    });

    it("root's entries are asked for, so that those of users are not counted either, and long fields whole", () => {
        expect(JOURNAL).toEqual(expect.arrayContaining(["_UID=0", "--all"]));
    });

    it.each(["", "-- No entries --", "{}", "null", "7", "[null]", "Hint: You are currently not seeing messages from other users and the system."])("no entry: %s", line => expect(entryIn(line)).toBeUndefined());
});

test("lists in which something is null are read all the same", () => {
    expect(neighboursIn('[null,7,{"dst":"10.0.0.3","lladdr":"52:54:00:AA:00:02"},{"dst":"10.0.0.2","dev":"br7","lladdr":"52:54:00:AA:00:01"}]')).toEqual(
        [{ mac: "52:54:00:aa:00:01", address: "10.0.0.2", by: "neighbour", link: "br7" }]);
    expect([...activeUnitsIn('[null,7,{"unit":"a.service","active":"active"}]')]).toEqual([["a.service", "active"]]);
});

test.each([
    [{ type: "unicast", dst: "192.0.2.1", encap: "ip", id: 7, dev: "eth0", table: "main" }, { type: "encap", destination: "?", device: "eth0" }],
    [{ type: "unicast", dst: "10.60.0.0/16", encap: "seg6", mode: "encap", dev: "eth0" }, { type: "encap", destination: "?", device: "eth0" }],
    [{ type: "blackhole", dst: "10.82.0.0/16", table: "main" }, { type: "blackhole", destination: "10.82.0.0/16" }],
])("the route %j", (item, route) => expect(routeOf(item)).toMatchObject(route));

describe("ip monitor", () => {
    it.each([
        ["4: dum0: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default \\    link/ether 66:fd:f3:e1:0b:e8", "dum0"],
        ["5: a.b-c@if3: <BROADCAST> mtu 1500", "a.b-c"],
        ["Deleted 4: dum0    inet 1.2.3.4/24 scope global dum0\\       valid_lft forever", "dum0"],
        ["local 1.2.3.4 dev dum0 table local proto kernel scope host src 1.2.3.4 ", "dum0"],
        ["Deleted fe80::/64 dev dum0 proto kernel metric 256 pref medium", "dum0"],
        ["10.0.0.0/8 \\\tnexthop via 192.0.2.1 dev eth0 weight 1", undefined],
        ["blackhole 10.9.9.0/24 ", undefined],
        ["Deleted id 77 via 10.3.0.9 dev dum0 scope link ", undefined],
        ["id 78 group 77/79 ", undefined],
        ["7: eth0.5@eth0: <BROADCAST> mtu 1500", undefined],
        ["6: tun0@NONE: <POINTOPOINT> mtu 1480", "tun0"],
        ["7: a@b    inet 1.2.3.4/24 scope global", undefined],
        ["10.9.9.0/24 dev a#b scope link ", undefined],
        ["7: a\\b: <BROADCAST> mtu 1500", undefined],
        ["32765:\tfrom all fwmark 0x6b740001 lookup 10701 ", undefined],
    ])("%s", (line, device) => expect(deviceIn(line)).toBe(device));
});

test.each([
    ["Deleted 4: dum0: <BROADCAST,NOARP> mtu 1500 qdisc noop state DOWN group default", true],
    ["Deleted 5: veth0@if6: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN group default", true],
    ["Deleted 4: dum0    inet 1.2.3.4/24 scope global dum0", false],
    ["4: dum0: <BROADCAST,NOARP,UP,LOWER_UP> mtu 1500", false],
])("a link is gone, says %s: %s", (line, gone) => expect(isGone(line)).toBe(gone));

describe("nft monitor", () => {
    it.each([
        ['{"add": {"element": {"family": "inet", "table": "kvm_tap", "name": "m", "elem": {}}}}', true],
        ['{"delete": {"table": {"family": "inet", "name": "kvm_tap", "handle": 1}}}', true],
        ['{"add": {"table": {"family": "inet", "name": "filter", "handle": 1}}}', false],
        ['{"add": {"chain": {"family": "inet", "table": "filter", "name": "kvm_tap"}}}', false],
        ['{"add": {"table": {"family": "ip", "name": "kvm_tap", "handle": 1}}}', false],
    ])("%s", (line, concerns) => expect(concernsTable(line)).toBe(concerns));

    it.each([
        ['{"add": {"table": {"family": "ip", "name": "kvm_tapper", "handle": 1}}}', true],
        ['{"add": {"rule": {"family": "inet", "table": "kvm_tap2", "chain": "f", "expr": []}}}', true],
        ['{"add": {"rule": {"family": "ip", "table": "kvm_tap", "chain": "f", "expr": []}}}', true],
        ['{"add": {"chain": {"family": "inet", "table": "filter", "name": "kvm_tap"}}}', true],
        ['{"add": {"rule": {"family": "inet", "table": "kvm_tap", "chain": "f", "expr": []}}}', false],
        ['{"delete": {"table": {"family": "inet", "name": "kvm_tap_trace", "handle": 1}}}', false],
        ['{"add": {"element": {"family": "inet", "table": "filter", "name": "m", "elem": {}}}}', false],
        ["# new generation 7", false],
    ])("rules of others: %s %s", (line, concerns) => expect(concernsRules(line)).toBe(concerns));
});

describe("files", () => {
    it("are read byte for byte, with and without a newline at the end", () => {
        const files = filesIn("/etc/kvm-tap/a.tap\0one\n\ntwo\0/etc/sysctl.d/x y.conf\0k = v\n\0");
        expect([...files.values()]).toEqual([
            { path: "/etc/kvm-tap/a.tap", content: "one\n\ntwo" }, { path: "/etc/sysctl.d/x y.conf", content: "k = v\n" },
        ]);
        expect(filesIn("").size).toBe(0);
    });

    it("of others come in parts, which are put together", () => {
        const parts = filesIn("/etc/sysctl.d/a.conf\0net.a = 1\n\0/etc/sysctl.d/b.conf\0net.b = 1\n\0/etc/sysctl.d/a.conf\0net.c = 1\n\0");
        expect(parts.get("/etc/sysctl.d/a.conf")?.content).toBe("net.a = 1\nnet.c = 1\n");
    });

    it("tell which units are enabled, and what NetworkManager's profiles name", () => {
        const output = [
            "777 1700000000.5 1700000001.25 /etc/systemd/system/multi-user.target.wants/kvm-tap@a.b-c.service",
            "/etc/NetworkManager/system-connections/my tap.nmconnection:type=tun",
            "/etc/NetworkManager/system-connections/my tap.nmconnection:interface-name=nm0",
            "/etc/NetworkManager/system-connections/my tap.nmconnection:autoconnect=false",
            "/etc/NetworkManager/system-connections/my tap.nmconnection:type=other", "",
        ].join("\n");
        expect(entriesIn(output).get("/etc/systemd/system/multi-user.target.wants/kvm-tap@a.b-c.service")).toMatchObject(
            { modified: 1700000000500, changed: 1700000001250 });
        expect([...presenceIn(output).enabled]).toEqual(["kvm-tap@a.b-c.service"]);
        expect([...profilesIn(output)]).toEqual([
            ["nm0", { path: "/etc/NetworkManager/system-connections/my tap.nmconnection", type: "tun", autoconnect: false }],
        ]);
    });

    it("tell which links systemd-networkd configures, and by which file", () => {
        const lines = ["1:ADMIN_STATE=unmanaged", "3:ADMIN_STATE=configured", "3:NETWORK_FILE=/etc/systemd/network/90-all.network",
            "17:ADMIN_STATE=configuring", "4:ADMIN_STATE=pending", "4:NETWORK_FILE=/x.network", "5:NETWORK_FILE=/y.network"];
        expect([...networkdIn(lines.map(line => `/run/systemd/netif/links/${line}\n`).join(""))]).toEqual(
            [[3, "/etc/systemd/network/90-all.network"], [17, ""], [4, "/x.network"]]);
    });

    const ours = "/etc/libvirt/hooks/qemu.d/50-kvm-tap", pid = "/run/libvirt/qemu/driver.pid";
    it.each<[string, string[], { installed: boolean; inEffect: boolean | "unknown" }]>([
        ["no hook", [`644 10 10 ${pid}`], { installed: false, inEffect: false }],
        ["not executable", [`644 5 5 ${ours}`, `644 10 10 ${pid}`], { installed: false, inEffect: false }],
        ["there before libvirt started", [`755 5 5 ${ours}`, `644 10 10 ${pid}`], { installed: true, inEffect: true }],
        ["newer than libvirt's start", [`755 5 15 ${ours}`, `644 10 10 ${pid}`], { installed: true, inEffect: "unknown" }],
        ["newer, but another was there", [`755 15 15 ${ours}`, "755 1 1 /etc/libvirt/hooks/qemu", `644 10 10 ${pid}`],
            { installed: true, inEffect: true }],
        ["newer, but called since", [`755 15 15 ${ours}`, `644 10 10 ${pid}`, "755 20 20 /run/kvm-tap/guests"],
            { installed: true, inEffect: true }],
        ["called by an earlier libvirt", [`755 15 15 ${ours}`, `644 10 10 ${pid}`, "755 9 9 /run/kvm-tap/guests"],
            { installed: true, inEffect: "unknown" }],
        ["libvirt not running", [`755 5 5 ${ours}`], { installed: true, inEffect: "unknown" }],
    ])("the hook: %s", (_what, lines, hook) => expect(presenceIn(`${lines.join("\n")}\n`).hook).toEqual(hook));

    it("tell who holds a device", () => {
        const output = "/proc/7/exe /usr/bin/qemu-system-x86_64 (deleted)\n/proc/8/exe /usr/sbin/openvpn\n" +
            "/proc/7/fdinfo/30:iff:\tstyx0\n/proc/7/fdinfo/31:iff:\tstyx0\n/proc/8/fdinfo/3:iff:\ta.b-c\n/proc/9/fdinfo/3:iff:\tmq\n";
        expect(Object.fromEntries(holdersIn(output))).toEqual({
            styx0: [{ pid: 7, program: "qemu-system-x86_64" }],
            "a.b-c": [{ pid: 8, program: "openvpn" }],
            mq: [{ pid: 9, program: "" }],
        });
    });
});
