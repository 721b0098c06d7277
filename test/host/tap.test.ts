// SPDX-License-Identifier: LGPL-2.1-or-later
// The life of TAP devices through the page's own planners and executor on real hosts.
import { planMakeSeries, planMakeTap, type TapWish } from "../../src/actions/make-tap.ts";
import { planDeleteTap, findOrphans } from "../../src/actions/delete-tap.ts";
import { planAdopt, planApplyFile, planAtBoot, planBringBack, planEditTap, planSetUp, planTakeOver } from "../../src/actions/edit-tap.ts";
import { planDeleteWith } from "../../src/actions/hand-over-tap.ts";
import { fileOf, runningSettings } from "../../src/actions/tap-steps.ts";
import { bootProvider } from "../../src/model/boot-provider.ts";
import type { Planned } from "../../src/model/plan.ts";
import { inEnglish } from "../../src/model/message.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { defaultSysctls, sysctlFilePath } from "../../src/model/sysctl-file.ts";
import { isTap } from "../../src/model/tap.ts";
import { driftOf } from "../../src/model/tap-settings.ts";
import { defineGuest, ethernet } from "../lab/guest.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { hostFiles } from "./host-files.ts";
import { factsOf } from "./tap-facts.ts";
import { given, watching, type Watching } from "./watching.ts";

function wish(name: string, more: Partial<TapWish> = {}): TapWish {
    return { name, gateways: ["169.254.0.1"], guestAddresses: ["10.0.0.2"], sysctls: defaultSysctls(name, false), atBoot: true, ...more };
}

await eachRelease(release => {
    let host: TestHost;
    let seen: Watching;
    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        seen = await watching(host);
    });
    afterAll(async () => {
        seen?.close();
        await host?.stop();
    });

    const tap = (name: string) => given(seen.snapshot().links).filter(isTap).find(link => link.name === name);
    const drift = (name: string) => {
        const now = seen.snapshot();
        const file = fileOf(now, name), running = runningSettings(now, name);
        if (!file || !running)
            throw new Error(`${name}: ${file ? "not running" : "no file"}`);
        return driftOf(file.settings, running);
    };
    const done = { state: "done", holds: true };
    const problems = (planned: Planned) => "problems" in planned ? planned.problems.map(problem => inEnglish(problem.says)) : [];
    const reboot = async () => {
        seen.close();
        await host.reboot();
        seen = await watching(host);
    };
    const facts = (name: string) => factsOf(host, name);
    /** What the page reads of a device, in the words of `ip -d -j`, which it must equal. */
    const shown = (name: string) => {
        const now = seen.snapshot(), link = tap(name);
        if (!link)
            throw new Error(`${name} is not there`);
        const { tun, mac, mtu, up, addrGenMode } = link;
        return {
            mac, mtu, up, mode: addrGenMode, persist: tun.persistent, queues: tun.multiQueue, owner: tun.owner ?? "", group: tun.group ?? "",
            addresses: (given(now.addresses).get(name) ?? []).map(({ address, prefix }) => `${address}/${prefix}`).sort(),
            routes: given(now.routes).filter(({ device }) => device === name)
                .map(({ destination, gateway = "", table }) => [destination, gateway, table].join(" ")).sort(),
        };
    };
    const asIp = async (name: string) => {
        const { link, addresses, routes } = await factsOf(host, name, { mac: true });
        const { address, mtu, flags, inet6_addr_gen_mode: mode, linkinfo: { info_data: tun } } = link as {
            address: string; mtu: number; flags: string[]; inet6_addr_gen_mode: string;
            linkinfo: { info_data: { persist: boolean; multi_queue: boolean; user?: string; group?: string } };
        };
        return {
            mac: address, mtu, up: flags.includes("UP"), mode, persist: tun.persist, queues: tun.multi_queue, owner: tun.user ?? "", group: tun.group ?? "",
            addresses: (addresses as { local: string; prefixlen: number }[]).map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort(),
            routes: (routes as { dst: string; gateway?: string; table?: string }[])
                .map(({ dst, gateway = "", table = "main" }) => [dst, gateway, table].join(" ")).sort(),
        };
    };

    const options: [string, Partial<TapWish>][] = [
        ["simple", {}],
        ["v6-dual", { gateways: ["169.254.0.1", "fe80::1/64"], guestAddresses: ["10.0.1.2", "10.0.1.3", "2001:db8:5::2"] }],
        ["mq.dev", { multiQueue: true, guestAddresses: ["10.0.2.2"], owner: "libvirt-qemu", group: "kvm" }],
        ["full_1", {
            guestAddresses: ["10.0.3.2"], mtu: 1400, mac: "02:11:22:33:44:55", description: "a router's device",
            routes: [{ destination: "192.168.7.0/24", via: "10.0.3.2" }, { destination: "192.168.8.0/24", via: "10.0.3.2", metric: 7, table: "100" }],
            sysctls: new Map([...defaultSysctls("full_1", false), ["net/ipv4/conf/full_1/proxy_arp", "1"]]),
        }],
        ["six-only", {
            gateways: ["fe80::1/64", "2001:db8:6::1/64"], guestAddresses: ["2001:db8:7::2", "2001:db8:7::3"], owner: "0", group: "1000",
            routes: [{ destination: "2001:db8:8::/48", via: "2001:db8:6::2" }], sysctls: defaultSysctls("six-only", true),
        }],
    ];

    test("devices of every kind are made, and are the same after a reboot", async () => {
        for (const [name, more] of options)
            expect([name, await seen.run(now => planMakeTap(now, wish(name, more)))]).toEqual([name, expect.objectContaining(done)]);
        const before = new Map<string, unknown>();
        for (const [name] of options) {
            before.set(name, await facts(name));
            expect([name, shown(name)]).toEqual([name, await asIp(name)]);
        }
        await reboot();
        for (const [name] of options) {
            expect([name, await facts(name)]).toEqual([name, before.get(name)]);
            expect([name, shown(name)]).toEqual([name, await asIp(name)]);
            expect(drift(name)).toEqual([]);
            expect(bootProvider(seen.snapshot(), name, tap(name))).toMatchObject({ by: "kvm-tap" });
        }
    });

    test("an edit changes the running device in place and survives a reboot; taken back, all is as before", async () => {
        const index = tap("simple")?.index;
        const before = await facts("simple");
        const changed = await seen.run(now => planEditTap(now, wish("simple", {
            guestAddresses: ["10.0.0.9", "2001:db8:9::9"], mtu: 1420, sysctls: new Map([...defaultSysctls("simple", false), ["net/ipv4/conf/simple/rp_filter", "2"]]),
        })));
        expect(changed).toMatchObject(done);
        expect(tap("simple")).toMatchObject({ index, mtu: 1420 });
        expect(drift("simple")).toEqual([]);
        const edited = await facts("simple");
        expect(edited.sysctls).toMatch(/rp_filter:2/);
        await reboot();
        expect(await facts("simple")).toEqual(edited);
        if (changed.state !== "done" || !changed.undo)
            throw new Error("no undo");
        const { undo } = changed;
        expect(await seen.run(() => ({ plan: undo }))).toMatchObject({ state: "done" });
        expect(await facts("simple")).toEqual(before);
    });

    test("every option is changed, one after the other, and all are there after a reboot; not at boot means gone", async () => {
        let now = wish("six-only", options.find(([name]) => name === "six-only")?.[1]);
        const index = tap("six-only")?.index;
        const changes: Partial<TapWish>[] = [
            { description: "for styx" }, { mtu: 1300 }, { mac: "02:11:22:33:44:66" }, { gateways: ["fe80::1/64", "2001:db8:6::9/64"] },
            { guestAddresses: ["2001:db8:7::3", "10.0.6.6"] }, { routes: [{ destination: "2001:db8:9::/48", via: "2001:db8:6::2", metric: 50 }] },
            { sysctls: new Map([...defaultSysctls("six-only", true), ["net/ipv6/conf/six-only/accept_ra", "2"]]) },
        ];
        for (const change of changes) {
            now = { ...now, ...change };
            expect([change, await seen.run(at => planEditTap(at, now))]).toEqual([change, expect.objectContaining(done)]);
            expect([change, drift("six-only"), shown("six-only")]).toEqual([change, [], await asIp("six-only")]);
        }
        expect(tap("six-only")?.index).toBe(index);
        for (const change of [{ owner: "libvirt-qemu" }, { group: "kvm" }, { multiQueue: true }, { multiQueue: false, owner: "root" }]) {
            now = { ...now, ...change };
            expect([change, await seen.run(at => planEditTap(at, now))]).toEqual([change, expect.objectContaining(done)]);
            expect([change, drift("six-only"), shown("six-only")]).toEqual([change, [], await asIp("six-only")]);
        }
        expect(tap("six-only")?.index).not.toBe(index);
        const before = await facts("six-only");
        expect(before.sysctls).toMatch(/six-only\/accept_ra:2/);
        const still = wish("mq.dev", { ...options.find(([name]) => name === "mq.dev")?.[1], atBoot: false });
        expect(await seen.run(at => planEditTap(at, still))).toMatchObject(done);
        expect(tap("mq.dev")).toBeDefined();
        await reboot();
        expect(await facts("six-only")).toEqual(before);
        expect(shown("six-only")).toEqual(await asIp("six-only"));
        expect(fileOf(seen.snapshot(), "six-only")?.settings.description).toBe("for styx");
        expect(tap("mq.dev")).toBeUndefined();
        expect(await seen.run(at => planBringBack(at, "mq.dev"))).toMatchObject(done);
    });

    test("multi-queue is changed by a new device, and refused while a guest runs", async () => {
        const guest = await defineGuest(host, { name: "holder", interfaces: [ethernet("simple", { managed: "no" })] });
        await guest.start();
        await seen.until("the guest on its device", now => given(now.guests).some(({ state }) => state === "running") && tap("simple")?.carrier);
        expect(problems(planEditTap(seen.snapshot(), wish("simple", { multiQueue: true }))).join()).toMatch(/Shut holder down/);
        expect(problems(planDeleteTap(seen.snapshot(), "simple")).join()).toMatch(/holder runs on simple/);
        await guest.virsh("destroy");
        await seen.until("the guest off", now => given(now.guests).every(({ state }) => state === "off") && !tap("simple")?.carrier);
        expect(await seen.run(now => planEditTap(now, wish("simple", { multiQueue: true })))).toMatchObject(done);
        expect(tap("simple")?.tun.multiQueue).toBe(true);
        await guest.virsh("undefine");
    });

    test("a device made by hand is adopted as it is: same ifindex, and the same after a reboot", async () => {
        await host.sh(`ip tuntap add dev byhand mode tap user libvirt-qemu
            ip link set dev byhand mtu 1300 up; ip address add 192.0.2.1/28 dev byhand; ip route add 10.7.0.0/16 via 192.0.2.5 dev byhand metric 7`);
        await seen.until("the device", now => runningSettings(now, "byhand")?.routes.length === 1);
        const index = tap("byhand")?.index;
        expect(bootProvider(seen.snapshot(), "byhand", tap("byhand"))).toEqual({ by: "nothing" });
        expect(await seen.run(now => planAdopt(now, "byhand"))).toMatchObject(done);
        expect(tap("byhand")?.index).toBe(index);
        const before = await facts("byhand");
        const mac = tap("byhand")?.mac;
        expect(shown("byhand")).toEqual(await asIp("byhand"));
        await reboot();
        expect({ ...await facts("byhand"), sysctls: "" }).toEqual({ ...before, sysctls: "" });
        expect(shown("byhand")).toEqual(await asIp("byhand"));
        expect(tap("byhand")?.mac).toBe(mac);
    });

    test("drift is seen, and goes either way", async () => {
        await host.sh("ip address add 192.0.2.77/32 dev byhand; ip route del 10.7.0.0/16");
        await seen.until("the change", () => drift("byhand").length === 2);
        expect(drift("byhand")).toEqual([
            { what: "address", kernel: "192.0.2.77/32" }, { what: "route", file: "10.7.0.0/16 via 192.0.2.5 metric 7" },
        ]);
        expect(await seen.run(now => planApplyFile(now, "byhand"))).toMatchObject(done);
        expect(drift("byhand")).toEqual([]);
        await host.sh("ip address add 192.0.2.78/32 dev byhand; echo '# a line of mine' >> /etc/kvm-tap/byhand.tap");
        await seen.until("the change", now => drift("byhand").length === 1 && fileOf(now, "byhand"));
        await seen.until("my line", now => given(now.files).get("/etc/kvm-tap/byhand.tap")?.content.includes("of mine"));
        expect(await seen.run(now => planTakeOver(now, "byhand"))).toMatchObject(done);
        expect(await host.machine.read("/etc/kvm-tap/byhand.tap")).toMatch(/address replace 192\.0\.2\.78\/32 dev byhand\n[^]*# a line of mine\n/);
    });

    test("up, down, at boot or not, and brought back", async () => {
        expect(await seen.run(now => planSetUp(now, "byhand", false))).toMatchObject(done);
        expect(tap("byhand")?.up).toBe(false);
        expect(await host.machine.read("/etc/kvm-tap/byhand.tap")).toContain("link set dev byhand down\n");
        // The kernel has forgotten its route, which is no drift; nor does the unit fail for it at boot.
        expect(drift("byhand")).toEqual([]);
        const old = tap("byhand")?.index;
        await host.run(["systemctl", "restart", "kvm-tap@byhand"]);
        await seen.until("the new one, down", () => ![undefined, old].includes(tap("byhand")?.index) && tap("byhand")?.tun?.persistent === true);
        expect(tap("byhand")?.up).toBe(false);
        expect(await seen.run(now => planSetUp(now, "byhand", true))).toMatchObject(done);
        expect(drift("byhand")).toEqual([]);
        expect(runningSettings(seen.snapshot(), "byhand")?.routes).toHaveLength(1);
        const down = await seen.run(now => planSetUp(now, "byhand", false));
        const undo = down.state === "done" && down.undo;
        expect(await seen.run(() => undo ? { plan: undo } : { problems: [] })).toMatchObject({ state: "done" });
        expect(drift("byhand")).toEqual([]);
        expect(await seen.run(now => planAtBoot(now, "byhand", false))).toMatchObject(done);
        expect(bootProvider(seen.snapshot(), "byhand", tap("byhand"))).toEqual({ by: "nothing" });
        expect(await seen.run(now => planAtBoot(now, "byhand", true))).toMatchObject(done);
        await host.run(["ip", "tuntap", "del", "dev", "byhand", "mode", "tap"]);
        await seen.until("the loss", () => tap("byhand") === undefined);
        expect(await seen.run(now => planBringBack(now, "byhand"))).toMatchObject(done);
        expect(drift("byhand")).toEqual([]);
    });

    test("a step that fails leaves the host as it was, with the words of the one that failed", async () => {
        const listing = async () => (await host.sh("ls /etc/kvm-tap /etc/sysctl.d /etc/systemd/system/multi-user.target.wants; ip -br link")).replace(/@.*/g, "");
        const before = await listing();
        const result = await seen.run(now => planMakeTap(now, wish("nobodys", { guestAddresses: ["10.0.4.2"], owner: "no-such-user" })));
        expect(result).toMatchObject({ state: "failed", left: [] });
        expect(result.state === "failed" && result.words).toMatch(/no-such-user/);
        expect(await listing()).toBe(before);
    });

    test("a file that changed meanwhile is not overwritten", async () => {
        const planned = planEditTap(seen.snapshot(), wish("full_1", { guestAddresses: ["10.0.3.9"], atBoot: true }));
        await host.sh("echo '# mine' >> /etc/kvm-tap/full_1.tap");
        const result = await seen.run(() => planned);
        expect(result).toMatchObject({ state: "failed", step: 0 });
        expect(await host.machine.read("/etc/kvm-tap/full_1.tap")).toMatch(/# mine\n$/);
    });

    test("a series", async () => {
        const series = { prefix: "web", first: 8, count: 4 };
        expect(await seen.run(now => planMakeSeries(now, wish("web", { guestAddresses: ["10.0.8.254"] }), series))).toMatchObject(done);
        expect(runningSettings(seen.snapshot(), "web11")?.routes).toEqual([{ destination: "10.0.9.1/32" }]);
        expect(problems(planMakeSeries(seen.snapshot(), wish("web"), series)).join()).toMatch(/web8 exists already/);
    });

    test("what names no guest is found and cleared; nothing is left of any device", async () => {
        await host.sh("ip tuntap add dev stray mode tap; systemctl enable -q kvm-tap@ghost; echo 'net/ipv4/conf/old/rp_filter = 1' > " + sysctlFilePath("old"));
        const orphans = (now: Snapshot) => findOrphans(now).map(({ kind, device }) => `${kind} ${device}`);
        await seen.until("the orphans", now => ["unused stray", "unused web8", "unit ghost", "sysctl old"].every(item => orphans(now).includes(item)));
        const devices = [...new Set(findOrphans(seen.snapshot()).map(({ device }) => device))];
        expect(await seen.run(now => planDeleteWith(now, devices, {}))).toMatchObject(done);
        const left = await host.sh("ls /etc/kvm-tap; ls /etc/sysctl.d | grep kvm-tap || true; ls /etc/systemd/system/*.wants | grep kvm-tap@ || true; ip -br link show type tun");
        expect(left.trim()).toBe("");
        expect(findOrphans(seen.snapshot())).toEqual([]);
    });

    test("bad input is refused before anything runs", () => {
        const now = seen.snapshot();
        const refused = (more: Partial<TapWish>, name = "fresh") => problems(planMakeTap(now, wish(name, more)));
        expect(refused({})).toEqual([]);
        for (const name of ["", "-h", "all", "default", "..", "a/b", "sixteen-letters-", "vnet7", "eth0", "é"])
            expect([name, refused({}, name).length]).toEqual([name, 1]);
        for (const address of ["10.0.0", "224.0.0.5", "127.0.0.2", "203.0.113.1", "203.0.113.254", "10.0.0.0/8", "fe80::5", "0.0.0.0"])
            expect([address, refused({ guestAddresses: [address] }).length]).toEqual([address, 1]);
        expect(refused({ mtu: 20 }).length).toBe(1);
        expect(refused({ mac: "01:00:00:00:00:01" }).length).toBe(1);
        expect(refused({ owner: "a b" }).length).toBe(1);
    });
});
