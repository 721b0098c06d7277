// SPDX-License-Identifier: LGPL-2.1-or-later
// 1:1 NAT with real packets, beyond the first mapping: IPv6, prefixes, limits, path MTU, spoofing, what leaves without a
// mapping, other people's firewall commands, and what happens to everybody else while mappings change.
import { planLoadSaved } from "../../src/actions/nat-drift.ts";
import { planEnableMappings, planMapAddress, planNatSettings, planRemoveMappings } from "../../src/actions/map-address.ts";
import { parseLimits } from "../../src/model/nat-limits.ts";
import { agreement, currentState, natReading } from "../../src/model/nat-reading.ts";
import type { Mapping, NatState } from "../../src/model/nat.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import {
    Page, ask, burst, changeOf, emulate, endPrograms, hold, hostPlace, internetPlace, pings, runIn, sendBack, serve, type Place,
} from "./nat-lab.ts";

const PORT = 7000;

function stateIn(snapshot: Snapshot): NatState {
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        throw new Error("not read");
    return currentState(reading.value);
}

function agreementIn(snapshot: Snapshot): string {
    const reading = natReading(snapshot);
    return reading.state === "read" ? agreement(reading.value) : reading.state;
}

await eachRelease(release => {
    // make check: the oldest nft; nat.test.ts runs on all three.
    if (!everything && release !== "bookworm") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost;
    let page: Page;
    let charon: Place, styx: Place, internet: Place, self: Place;

    /** Packets with private source addresses that reached the internet. */
    const leaked = async () => Number(/packets (\d+)/.exec(await runIn(internet, ["nft", "list", "table", "inet", "watch"]))?.[1]);

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        page = new Page(host);
        internet = internetPlace(host);
        self = hostPlace(host);
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        styx = await emulate(host, "styx", "10.0.0.3", "fd00::3");
        // Not on the host itself: then an answer is a guest's.
        await Promise.all([charon, styx, internet].map(place => serve(place, PORT)));
        await host.internet.run(["nft", "-f", "-"], ["table inet watch {", "chain every {", "type filter hook prerouting priority -300",
            "ip saddr { 10.0.0.0/8, 169.254.0.0/16 } counter", "}", "}", ""].join("\n"));
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("IPv6 on the link: neighbour proxy, both ways, from the host, between guests, and held while disabled", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::10", guest: "fd00::2" }));
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::11", guest: "fd00::3" }));
        expect(await ask(internet, "tcp", "2001:db8:0:1::10", PORT)).toBe("2001:db8:0:1::fe");
        expect(await ask(internet, "udp", "2001:db8:0:1::10", PORT)).toBe("2001:db8:0:1::fe");
        expect(await pings(internet, "2001:db8:0:1::10")).toBe(true);
        expect(await ask(charon, "tcp", far.address6, PORT)).toBe("2001:db8:0:1::10");
        expect(await ask(self, "tcp", "2001:db8:0:1::10", PORT)).not.toBeNull();
        expect(await ask(charon, "tcp", "2001:db8:0:1::10", PORT)).toBe("2001:db8:0:1::10");
        expect(await ask(charon, "udp", "2001:db8:0:1::11", PORT)).toBe("2001:db8:0:1::10");
        await page.change(snapshot => planEnableMappings(snapshot, ["2001:db8:0:1::10"], false));
        expect(await ask(internet, "tcp", "2001:db8:0:1::10", PORT)).toBeNull();
        await page.change(snapshot => planRemoveMappings(snapshot, ["2001:db8:0:1::10", "2001:db8:0:1::11"]));
        expect(await host.sh("ip -6 neigh show proxy; ip -6 route show proto 107")).toBe("");
    });

    test("a prefix: every address of it leads to its counterpart, and back", async () => {
        await host.sh("ip route add 10.0.1.16/28 dev charon0; ip -n charon address add 10.0.1.20/32 dev lo");
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.32/28", guest: "10.0.1.16/28" }));
        expect(await ask(internet, "tcp", "203.0.113.36", PORT)).toBe("203.0.113.254");
        expect(await pings(charon, far.address, "-I", "10.0.1.20")).toBe(true);
        expect(await pings(internet, "203.0.113.37")).toBe(false);
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.32/28"]));
        expect(await ask(internet, "tcp", "203.0.113.36", PORT)).toBeNull();
    });

    test("limits: only what is listed comes in, while the guest's own connections are free", async () => {
        const limits = parseLimits("tcp/7000");
        await page.change(snapshot =>
            planMapAddress(snapshot, { public: "203.0.113.12", guest: "10.0.0.3", ..."problem" in limits ? {} : limits, log: true }));
        expect(await ask(internet, "tcp", "203.0.113.12", PORT)).toBe("203.0.113.254");
        expect(await ask(internet, "udp", "203.0.113.12", PORT)).toBeNull();
        expect(await pings(internet, "203.0.113.12")).toBe(false);
        expect(await ask(styx, "udp", far.address, PORT)).toBe("203.0.113.12");
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.12"]));
    });

    test("path MTU discovery works through the mapping", async () => {
        await host.sh("ip link set charon0 mtu 1300");
        expect(await sendBack(internet, "203.0.113.10", PORT, 200_000)).toBe(200_000);
        expect(await runIn(internet, ["ip", "route", "get", "203.0.113.10"])).toContain("mtu 1300");
        await host.sh("ip link set charon0 mtu 1500");
        await runIn(internet, ["ip", "route", "flush", "cache"]);
    });

    test("anti-spoofing: only addresses that are routed to the device come out of it", async () => {
        const received = async () => Number(/^Icmp: (?:\d+ ){8}(\d+)/m.exec(
            (await runIn(styx, ["cat", "/proc/net/snmp"])).replace(/^Icmp: In.*\n/m, ""))?.[1]);
        const spoof = () => pings(charon, "10.0.0.3", "-I", "10.9.9.9");
        const guarded = (on: boolean) => page.change(snapshot => planNatSettings(snapshot, {
            devices: stateIn(snapshot).devices.map(device => device.name === "charon0" ? { ...device, guarded: on } : device),
        }));
        await host.sh("ip -n charon address add 10.9.9.9/32 dev lo; for all in all charon0; do echo 0 > /proc/sys/net/ipv4/conf/$all/rp_filter; done");
        const before = await received();
        expect(stateIn(await page.read()).devices).toContainEqual({ name: "charon0", guarded: true, shared: false });
        await spoof();
        expect(await received()).toBe(before);
        expect(await pings(charon, "10.0.0.3")).toBe(true);
        await guarded(false);
        const control = await received();
        await spoof();
        expect(await received()).toBe(control + 1);
        await guarded(true);
    });

    test("a guest without a mapping: nothing, or the host's address by choice, and no private source ever leaves", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.11", guest: "10.0.0.3" }));
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.11"]));
        expect(await ask(styx, "udp", far.address, PORT)).toBeNull();
        expect(await ask(styx, "tcp", far.address, PORT)).toBeNull();
        await page.change(snapshot => planNatSettings(snapshot, {
            devices: stateIn(snapshot).devices.map(device => device.name === "styx0" ? { ...device, shared: true } : device),
        }));
        expect(await ask(styx, "udp", far.address, PORT)).toBe("203.0.113.1");
        expect(await ask(styx, "tcp", far.address, PORT)).toBe("203.0.113.1");
        expect(await ask(charon, "tcp", far.address, PORT)).toBe("203.0.113.10");
        expect(await leaked()).toBe(0);
    });

    test("the distribution's nftables.service restarted and reloaded: the table comes back by itself", async () => {
        // Started while ours was active; reloaded while ours was still starting; and several at once.
        for (const script of ["systemctl start nftables", "systemctl restart nftables; systemctl reload nftables", "systemctl reload nftables",
            "systemctl restart --no-block nftables; systemctl reload nftables || :; systemctl restart nftables; systemctl reload nftables"]) {
            await host.sh(script);
            await until("the unit to have finished", async () => (await host.attempt(["systemctl", "is-active", "kvm-tap-nat"])).status === 0);
            expect({ script, from: await ask(internet, "tcp", "203.0.113.10", PORT) }).toEqual({ script, from: "203.0.113.254" });
        }
        expect(await host.sh("systemctl stop nftables; nft list tables")).toBe("table inet kvm_tap\n");
        await host.sh("systemctl start nftables");
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
    });

    test("a table lost to flush ruleset is noticed within a second and comes back by one plan", async () => {
        await page.readUntil("both to agree", snapshot => agreementIn(snapshot) === "agree");
        const began = Date.now();
        await host.sh("nft flush ruleset");
        await page.readUntil("the loss to be noticed", snapshot => agreementIn(snapshot) === "lost");
        expect(Date.now() - began).toBeLessThan(1000);
        await page.change(planLoadSaved);
        await page.readUntil("both to agree", snapshot => agreementIn(snapshot) === "agree");
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
    });

    test("60 changes of other mappings: nobody loses a packet or a connection", async () => {
        const before = stateIn(await page.read());
        const other = (index: number): Mapping => ({
            public: { family: 4, address: `203.0.113.${20 + index % 7}`, length: 32 }, guest: { family: 4, address: `10.0.2.${index}`, length: 32 },
            description: `number ${index}`, enabled: true, claimed: true, log: false,
        });
        const transfer = await hold(internet, "203.0.113.10", PORT, 5);
        const datagrams = await burst(internet, "203.0.113.10", PORT, 1000, 10);
        let now = before;
        for (let index = 0; index < 60; index++) {
            const next = { ...before, mappings: [...before.mappings, other(index)] };
            await host.run(["/usr/lib/kvm-tap/kvm-tap-nat", "apply"], changeOf(now, next));
            now = next;
        }
        expect(await datagrams.answered()).toBe(1000);
        expect(transfer.state()).toBe("open");
        await host.run(["/usr/lib/kvm-tap/kvm-tap-nat", "apply"], changeOf(now, before));
        await page.readUntil("both to agree", snapshot => agreementIn(snapshot) === "agree");
    });

    test("an address that the host gets itself is the host's: not held, not answered for by proxy, and held again when it goes", async () => {
        const held = () => host.sh("ip route show proto 107; ip neigh show proxy");
        await page.change(snapshot => planEnableMappings(snapshot, ["203.0.113.10"], false));
        await host.sh("ip address add 203.0.113.10/32 dev eth0");
        await until("the route to go", async () => await held() === "");
        expect(await pings(internet, "203.0.113.10")).toBe(true);
        await host.sh("ip address del 203.0.113.10/32 dev eth0");
        await until("the route to come back", async () => /^203\.0\.113\.10 dev kvm-tap-hold/.test(await held()));
        expect(await pings(internet, "203.0.113.10")).toBe(false);
        await page.change(snapshot => planEnableMappings(snapshot, ["203.0.113.10"], true));
    });

    test("an uplink that goes down and up again: its neighbours are answered as before, without anybody's doing", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::10", guest: "fd00::2" }));
        const proxies = () => host.sh("ip neigh show proxy; ip -6 neigh show proxy");
        const before = await proxies();
        expect(before).toContain("203.0.113.10 dev eth0");
        await host.sh("ip link set eth0 down; ip link set eth0 up; ip -6 address add 2001:db8:0:1::1/64 dev eth0 nodad; ip route add default via 203.0.113.254");
        await until("the proxies", async () => await proxies() === before);
        await host.internet.sh("ip neigh flush dev br0");
        for (const address of ["203.0.113.10", "2001:db8:0:1::10"])
            await until(`an answer of ${address}`, async () => await ask(internet, "tcp", address, PORT) !== null);
        await page.change(snapshot => planRemoveMappings(snapshot, ["2001:db8:0:1::10"]));
    });

    test("another owner of the address is found before it is claimed", async () => {
        await host.internet.sh("ip address add 203.0.113.77/32 dev br0; ip link add other type veth peer name away; ip link set other up; "
            + "ip route add 203.0.113.79 dev other; ip neigh add proxy 203.0.113.79 dev br0");
        expect(await host.attempt(["/usr/lib/kvm-tap/kvm-tap-nat", "probe", "eth0", "203.0.113.77"])).toMatchObject({ status: 1, stderr: "" });
        expect(await host.attempt(["/usr/lib/kvm-tap/kvm-tap-nat", "probe", "eth0", "203.0.113.78"])).toMatchObject({ status: 0 });
        // Another host of ours: a proxy does not answer a question in nobody's name.
        expect(await host.attempt(["/usr/lib/kvm-tap/kvm-tap-nat", "probe", "eth0", "203.0.113.79"])).toMatchObject({ status: 1, stderr: "" });
        expect(await host.attempt(["/usr/lib/kvm-tap/kvm-tap-nat", "probe", "eth0", "2001:db8:0:1::fe"])).toMatchObject({ status: 1 });
        expect(await host.attempt(["/usr/lib/kvm-tap/kvm-tap-nat", "probe", "eth0", "2001:db8:0:1::77"])).toMatchObject({ status: 0 });
    });

    test("claimed and moved addresses are announced: a stale neighbour entry upstream is put right", async () => {
        await host.internet.sh("ip neigh replace 203.0.113.10 lladdr 02:00:00:00:99:99 dev br0 nud stale");
        await host.run(["/usr/lib/kvm-tap/kvm-tap-nat", "announce", "203.0.113.10"]);
        expect(await host.internet.sh("ip neigh show 203.0.113.10")).toContain("02:00:00:00:00:01");
    });
});
