// SPDX-License-Identifier: LGPL-2.1-or-later
// What the host itself lives on – its networks, gateways, name servers, whoever it is connected with, its neighbours – is not given to a
// device or a guest, whoever asks for it: the plan is refused when it is made, or before its first command where only then a machine
// answers.
import { planDeleteTap } from "../../src/actions/delete-tap.ts";
import { planApplyFile, planAtBoot, planBringBack, planEditTap, planSettings, planSetUp } from "../../src/actions/edit-tap.ts";
import { planMakeTap, type TapWish } from "../../src/actions/make-tap.ts";
import { planImport, planMapAddress } from "../../src/actions/map-address.ts";
import { inEnglish, msg } from "../../src/model/message.ts";
import { NEW_TAP, parseRoute, wishOf } from "../../src/model/tap-text.ts";
import { importText } from "../../src/model/nat-transfer.ts";
import type { Planned } from "../../src/model/plan.ts";
import { valueOf, type Snapshot } from "../../src/model/snapshot.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { hostFiles } from "./host-files.ts";
import { burst, endPrograms, hostPlace, internetPlace, serve, sessions } from "./nat-lab.ts";
import { watching, type Watching } from "./watching.ts";

const PORT = 7000;
const SERVER = "198.51.100.53";
/** A machine on the link that the host has never heard of. */
const MACHINE = "203.0.113.88", MACHINE6 = "2001:db8:0:1::88";

await eachRelease(release => {
    let host: TestHost, seen: Watching, connected: Awaited<ReturnType<typeof sessions>>;

    const wish = (more: Partial<TapWish>): TapWish =>
        ({ name: "t0", gateways: ["169.254.0.1"], guestAddresses: [], sysctls: new Map(), atBoot: true, ...more });
    const make = (more: Partial<TapWish>) => (now: Snapshot) => planMakeTap(now, wish(more));
    const map = (address: string, guest = "10.0.0.2") => (now: Snapshot) => planMapAddress(now, { public: address, guest });
    const told = (planned: Planned) => "problems" in planned ? planned.problems.map(({ says }) => inEnglish(says)).join("\n") : "no problem";
    /** What the plan is refused with: when it is made, or when it is to run. */
    const refused = async (plan: (now: Snapshot) => Planned) => {
        const [before, links] = [told(plan(seen.snapshot())), await host.sh("ip -br link; ls /etc/kvm-tap; nft list tables")];
        if (before !== "no problem")
            return before;
        const result = await seen.run(plan);
        expect(await host.sh("ip -br link; ls /etc/kvm-tap; nft list tables")).toBe(links);
        return result.state === "failed" ? inEnglish(result.says) : "done";
    };

    /** The same of what is announced by nobody: told by the look before planning. */
    const asked = (plan: (now: Snapshot) => Planned) => seen.run(plan).then(({ state }) => state, String);

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        await host.sh(`printf 'nameserver ${SERVER}\\nnameserver 127.0.0.53\\n' > /etc/resolv.conf
            ip tuntap add dev vpn0 mode tap; ip link set vpn0 up; ip address add 10.8.0.1/24 dev vpn0
            ip tuntap add dev own0 mode tap; ip link set own0 up; ip route add 10.0.0.2/32 dev own0`);
        await host.internet.run(["ip", "address", "add", `${MACHINE}/24`, "dev", "br0"]);
        await host.internet.run(["ip", "address", "add", `${MACHINE6}/64`, "dev", "br0", "nodad"]);
        await serve(internetPlace(host), PORT);
        connected = await sessions(hostPlace(host), far.address, PORT, 1, 10);
        seen = await watching(host);
        await until("the connection to be seen", async () => (await host.sh("ss -Htun")).includes(far.address));
        await seen.run(make({ name: "first0", guestAddresses: ["10.0.0.9"] }));
    });
    afterAll(async () => {
        seen?.close();
        endPrograms();
        await host?.stop();
    });

    const away: [string, RegExp][] = [
        ["128.0.0.0/1", /contains the network 203\.0\.113\.0\/24 of eth0/], ["default", /everything/], ["::/0", /everything/], ["203.0.113.0/24", /is the network of eth0/],
        ["203.0.112.0/20", /contains the network 203\.0\.113\.0\/24/], ["203.0.113.128/25", /contains 203\.0\.113\.254, a gateway/], ["203.0.113.254", /is a gateway/],
        ["2001:db8:0:1::/64", /is the network of eth0/], [`${SERVER}/32`, /is a name server/], ["198.51.100.48/28", /contains 198\.51\.100\.53, a name server/],
        [far.address, /is connected with this host/], ["10.8.0.0/16", /contains the network 10\.8\.0\.0\/24 of vpn0/],
    ];
    test.each(away)("no device takes %s as a route", async (destination, sentence) => {
        expect(await refused(make({ routes: [{ destination }] }))).toMatch(sentence);
    });

    test.each([
        "default via 10.0.0.9 table 0", "default table 0xfe", "default table 0376", "203.0.113.254 table 0", "192.0.2.0/24 table 00",
        "default table vpn",
    ])("nor %s", async line => {
        expect(await refused(make({ routes: [parseRoute(line) ?? { destination: line }] })))
                .toMatch(/everything|is a gateway|contains|number of the table/);
    });

    test("a table of its own can be had until a rule of either family leads there, by whatever name", async () => {
        const routes = wishOf({ ...NEW_TAP, routes: "default table 0x4d" }).routes; // 77
        expect(await seen.run(make({ name: "own77", routes }))).toMatchObject({ state: "done", holds: true });
        expect(await host.sh("ip route show table 77")).toContain("dev own77");
        expect(await seen.run(now => planDeleteTap(now, "own77"))).toMatchObject({ state: "done", holds: true });
        for (const family of ["-4", "-6"]) {
            await host.sh(`mkdir -p /etc/iproute2; printf '77 vpn\\n' > /etc/iproute2/rt_tables; ip ${family} rule add pref 500 table 77`);
            try {
                expect(await asked(make({ name: "own77", routes }))).toMatch(/everything/);
            } finally {
                await host.sh(`ip ${family} rule delete pref 500; rm /etc/iproute2/rt_tables`);
            }
        }
    });

    test("whom a server without a connected socket answers is known, too", async () => {
        const [, own = ""] = /inet ([\d.]+)/.exec(await host.sh("ip -4 -o address show dev eth0")) ?? [];
        await host.sh("nft 'add table inet watch; add chain inet watch in { type filter hook input priority 0; }; add rule inet watch in ct state established accept'");
        await host.internet.run(["ip", "address", "add", "192.0.2.99/32", "dev", "lo"]);
        await host.internet.run(["ip", "route", "add", `${own}/32`, "dev", "br0", "src", "192.0.2.99"]);
        try {
            await serve(hostPlace(host), 1195);
            const sent = await burst(internetPlace(host), own, 1195, 12, 400);
            expect(await sent.answered()).toBeGreaterThan(6);
            expect(await host.sh("ss -Htun")).not.toContain("192.0.2.99");
            expect(await asked(make({ guestAddresses: ["192.0.2.99"] }))).toMatch(/is connected with this host/);
        } finally {
            await host.internet.run(["ip", "route", "delete", `${own}/32`, "dev", "br0"]);
            await host.sh("nft delete table inet watch");
        }
    });

    test("nor is what goes over a device rerouted on it, or made the host's own", async () => {
        await host.sh("ip route add 192.0.2.128/25 via 10.8.0.2 dev vpn0");
        await seen.until("the route", now => valueOf(now.routes)?.some(({ gateway }) => gateway === "10.8.0.2"));
        const change = (more: Partial<TapWish>) => (now: Snapshot) => planEditTap(now, {
            ...wish({ name: "vpn0", gateways: ["10.8.0.1/24"], routes: [{ destination: "192.0.2.128/25", via: "10.8.0.2" }] }), ...more,
        });
        expect(await refused(change({ gateways: ["10.8.0.1/24", "10.8.0.2"] }))).toMatch(/10\.8\.0\.2 is a gateway/);
        expect(await refused(change({ routes: [{ destination: "10.8.0.2", via: "10.8.0.99" }] }))).toMatch(/10\.8\.0\.2 is a gateway/);
        await host.sh("ip route delete 192.0.2.128/25 via 10.8.0.2 dev vpn0");
    });

    test.each(["64.0.0.0/2", "8000::/1"])("nor %s, in which nothing of the host lies", async destination => {
        expect(await refused(make({ routes: [{ destination }] }))).toMatch(/is too wide/);
    });

    test.each([
        "route replace default dev hand0 proto static", "route replace 203.0.113.0/24 dev hand0 proto static",
        "address replace 203.0.113.254/32 dev hand0 noprefixroute",
    ])("nor what a file says in more words: %s", async line => {
        await host.sh(`printf 'tuntap add dev hand0 mode tap\\nlink set dev hand0 up\\n${line}\\n' > /etc/kvm-tap/hand0.tap`);
        await seen.until("the file", now => valueOf(now.files)?.get("/etc/kvm-tap/hand0.tap")?.content.includes(line));
        expect(await refused(now => planBringBack(now, "hand0"))).toMatch(/everything|is the network of eth0|is a gateway/);
        expect(await refused(now => planAtBoot(now, "hand0", true))).toMatch(/everything|is the network of eth0|is a gateway/);
        await host.sh("rm /etc/kvm-tap/hand0.tap");
    });

    test.each(["203.0.113.254", far.address, SERVER])("nor %s as its guest's address, as its gateway, or as a public address", async address => {
        const sentence = /gateway|connected with this host|name server/;
        expect(await refused(make({ guestAddresses: [address] }))).toMatch(sentence);
        expect(await refused(make({ gateways: [address] }))).toMatch(sentence);
        expect(await refused(map(address))).toMatch(sentence);
        expect(await refused(now => planImport(now, importText(`public,guest\n${address},10.0.0.2\n`), false))).toMatch(sentence);
    });

    test.each([MACHINE, MACHINE6])("%s, for which a machine answers that nobody had asked for: nothing runs", async address => {
        const guest = address === MACHINE ? "10.0.0.2" : "fd00::2";
        expect(await refused(make({ guestAddresses: [address] }))).toMatch(/is in use: a machine on eth0 answers for it/);
        expect(await refused(map(address, guest))).toMatch(/is in use: a machine on eth0 answers for it/);
        // From now on the form says so.
        expect(told(map(address, guest)(seen.snapshot()))).toMatch(/is in use: a machine on eth0 answers for it/);
    });

    test("one that has gone is asked for again, and free", async () => {
        await host.internet.run(["ip", "address", "delete", `${MACHINE}/24`, "dev", "br0"]);
        await host.sh(`ip neigh change ${MACHINE} dev eth0 nud stale`);
        expect(await seen.run(make({ name: "late0", guestAddresses: [MACHINE] }))).toMatchObject({ state: "done", holds: true });
        expect(await seen.run(now => planDeleteTap(now, "late0"))).toMatchObject({ state: "done", holds: true });
    });

    test("a single address of the host's network that nobody has can be had, with a hint", async () => {
        const planned = make({ name: "free0", guestAddresses: ["203.0.113.89"] })(seen.snapshot());
        expect("plan" in planned && planned.plan.notes?.map(inEnglish).join()).toMatch(/203\.0\.113\.89 lies in the network 203\.0\.113\.0\/24 of eth0/);
        expect(await seen.run(() => planned)).toMatchObject({ state: "done", holds: true });
    });

    test("what a file says by hand is looked at as well: made, applied, set up", async () => {
        await host.sh("printf 'tuntap add dev file0 mode tap\\nlink set dev file0 up\\nroute replace 203.0.113.0/24 dev file0\\n' > /etc/kvm-tap/file0.tap");
        await seen.until("the file", now => valueOf(now.files)?.has("/etc/kvm-tap/file0.tap"));
        expect(await refused(now => planBringBack(now, "file0"))).toMatch(/is the network of eth0/);
        await host.sh("ip tuntap add dev file0 mode tap");
        await seen.until("the device", now => valueOf(now.links)?.some(({ name }) => name === "file0"));
        expect(await refused(now => planApplyFile(now, "file0"))).toMatch(/is the network of eth0/);
        expect(await refused(now => planSetUp(now, "file0", true))).toMatch(/is the network of eth0/);
    });

    test("a device over which the host itself goes out is not set down, changed or deleted", async () => {
        // As OpenVPN lays it over the default route.
        await host.sh("ip route add 0.0.0.0/1 via 10.8.0.2 dev vpn0 onlink");
        try {
            await seen.until("the route", now => valueOf(now.routes)?.some(({ gateway }) => gateway === "10.8.0.2"));
            const mtu = (now: Snapshot) => planSettings(now, "vpn0", msg("Change"), () => ({ mtu: 1400 }));
            for (const plan of [(now: Snapshot) => planSetUp(now, "vpn0", false), mtu, (now: Snapshot) => planDeleteTap(now, "vpn0")])
                expect(await refused(plan)).toMatch(/default route leads over vpn0/);
        } finally {
            await host.sh("ip route delete 0.0.0.0/1 via 10.8.0.2 dev vpn0");
        }
    });

    test("the connection has not noticed anything", async () => {
        expect(await connected.end()).toMatchObject({ broken: 0 });
    });
});
