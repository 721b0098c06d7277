// SPDX-License-Identifier: LGPL-2.1-or-later
// What the page sees of a real host while things happen there, and what it costs.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../../src/host/run.ts";
import { inEnglish, msg } from "../../src/model/message.ts";
import { valueOf, type Reading, type Snapshot } from "../../src/model/snapshot.ts";
import { defineGuest, ethernet, guestXml, type Guest } from "../lab/guest.ts";
import { sleep, startHost, type TestHost } from "../lab/host.ts";
import { eachRelease, oneRelease } from "../lab/releases.ts";
import { hostFiles, tapFile } from "./host-files.ts";
import { given, watching, type Watching } from "./watching.ts";

/** A machine that notes what it starts; `find … -exec grep` is two processes. */
function counting(machine: Machine): { machine: Machine; started: string[] } {
    const started: string[] = [];
    const note = (argv: readonly string[]) => { started.push(argv.join(" ")); if (argv.includes("-exec")) started.push("grep of find"); };
    return {
        started,
        machine: {
            ...machine,
            run: (argv, options) => { note(argv); return machine.run(argv, options); },
            stream: (argv, handlers, options) => { note(argv); return machine.stream(argv, handlers, options); },
        },
    };
}

/** A machine whose administrative access the test gives and takes. */
function limited(machine: Machine) {
    let admin = false, bridge = 0;
    const listeners = new Set<(admin: boolean) => void>();
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig", "TERM", "--"];
    const as = (argv: readonly string[]) => admin ? argv : [...nobody, ...argv];
    return {
        machine: {
            ...machine,
            run: (argv, options) => machine.run(as(argv), options),
            stream: (argv, handlers, options) => machine.stream(as(argv), handlers, options),
            watchAccess(changed) {
                listeners.add(changed);
                changed(admin);
                return { close: () => { listeners.delete(changed); } };
            },
            // A bridge without access sees no change in directories of root; one that goes takes its watches along.
            watchDirectory: (path, changed) => {
                const mine = bridge;
                return machine.watchDirectory(path, what => { if (admin && mine === bridge) changed(what); });
            },
        } satisfies Machine,
        set(access: boolean) {
            admin = access;
            bridge++;
            for (const changed of listeners)
                changed(admin);
        },
    };
}

await eachRelease(release => {
    let host: TestHost;
    let seen: Watching;
    let styx: Guest;
    let started: string[];
    beforeAll(async () => {
        host = await startHost({ release, files: { ...hostFiles(), "/etc/kvm-tap/styx0.tap": tapFile("styx0", "10.0.0.2") } });
        await host.run(["systemctl", "enable", "--quiet", "--now", "kvm-tap@styx0"]);
        styx = await defineGuest(host, { name: "the \"styx\" é", interfaces: [ethernet("styx0", { managed: "no", mac: "52:54:00:aa:00:01" })] });
        const counted = counting(host.machine);
        started = counted.started;
        seen = await watching(host, counted.machine, false);
    });
    afterAll(async () => {
        seen?.close();
        await host?.stop();
    });

    const guest = (now: Snapshot) => valueOf(now.guests)?.find(({ uuid }) => uuid === styx.uuid);
    const link = (now: Snapshot, name: string) => valueOf(now.links)?.find(item => item.name === name);
    /** All that is there, as far as it can be compared between two who look. */
    const counted = (now: Snapshot) => ({
        guests: given(now.guests)
            .map(({ name, state, autostart, configured }) => [name, state, autostart, configured?.interfaces[0]?.target]).sort(),
        links: given(now.links).map(({ index, name, up, tun }) => [index, name, up, tun?.persistent]),
    });
    const says = (reading: Reading<unknown>) => reading.state === "failed" ? inEnglish(reading.says) : reading.state;
    /** Processes and threads that were started in the host up to now: the last process ID of its namespace. */
    const lastPid = async () => Number((await host.run(["cat", "/proc/loadavg"])).trim().split(" ")[4]);

    test("the host is read whole, with 12 processes at most", () => {
        expect(started.length).toBeLessThanOrEqual(12);
        const now = seen.snapshot();
        expect(given(now.libvirt)).toMatchObject({ driver: "QEMU", packageVersion: expect.stringMatching(/^\d+\.\d+\.\d+-/) });
        expect(guest(now)).toMatchObject({
            name: "the \"styx\" é", state: "off", persistent: true, autostart: false,
            configured: { interfaces: [{ type: "ethernet", target: "styx0", managed: "no" }] },
        });
        expect(guest(now)).not.toHaveProperty("live");
        expect(link(now, "styx0")).toMatchObject({ up: true, carrier: false, tun: { type: "tap", persistent: true, multiQueue: false } });
        expect(given(now.addresses).get("styx0")).toMatchObject([{ address: "169.254.0.1", prefix: 32 }]);
        expect(given(now.routes).filter(route => route.device === "styx0" && route.protocol === "boot")).toMatchObject([{ destination: "10.0.0.2" }]);
        expect(given(now.units).get("styx0")).toEqual({ name: "styx0", enabled: true, active: "active" });
        expect(given(now.files).get("/etc/kvm-tap/styx0.tap")?.content).toBe(tapFile("styx0", "10.0.0.2"));
        expect(given(now.natTable)).toBeNull();
        expect(given(now.hook)).toEqual({ installed: true, inEffect: true });
        expect(given(now.history)).toMatchObject([{ device: "styx0", event: "device-up" }]);
        expect(now.streams).toEqual({
            libvirt: { state: "live" }, network: { state: "live" }, nat: { state: "live" }, history: { state: "live" },
        });
    });

    test("no process is started while nothing happens", async () => {
        await sleep(1500);
        const before = await lastPid(), count = started.length;
        await sleep(5000);
        expect(started.slice(count)).toEqual([]);
        // The question itself is one; the host may do something of its own; a page that polls would start five at least.
        expect(await lastPid() - before).toBeLessThan(4);
    });

    test("a guest is followed through its life within a second each, and no process is started for it", async () => {
        const count = started.length;
        await styx.start();
        await seen.until("running", now => guest(now)?.state === "running" && guest(now)?.live && link(now, "styx0")?.carrier, 1);
        await styx.virsh("suspend");
        await seen.until("paused", now => guest(now)?.state === "paused", 1);
        await styx.virsh("resume");
        await styx.virsh("managedsave");
        await seen.until("saved", now => guest(now)?.state === "off" && guest(now)?.managedSave && !link(now, "styx0")?.carrier, 1);
        await styx.virsh("managedsave-remove");
        await seen.until("not saved", now => guest(now)?.managedSave === false, 1);
        await styx.virsh("autostart");
        await seen.until("autostart", now => guest(now)?.autostart, 1);
        await styx.virsh("autostart", "--disable");
        await seen.until("no autostart", now => guest(now)?.autostart === false, 1);
        expect(started.slice(count)).toEqual([]);
    });

    test("a change of the configured definition shows, also where libvirt sends no event", async () => {
        await host.run(["sh", "-c", 'cat | virsh --quiet attach-device "$0" /dev/stdin --config', styx.uuid], ethernet("other0"));
        await seen.until("the second interface", now => guest(now)?.configured?.interfaces.length === 2, 1);
        const [, second] = guest(seen.snapshot())?.configured?.interfaces ?? [];
        expect(second).toMatchObject({ target: "other0" });
        await host.run(["sh", "-c", 'cat | virsh --quiet detach-device "$0" /dev/stdin --config', styx.uuid], second?.xml);
        await seen.until("one interface", now => guest(now)?.configured?.interfaces.length === 1, 1);
    });

    test("guests come, are renamed and go; others stay as they are", async () => {
        await sleep(500); // what the last change still does to its files
        const before = guest(seen.snapshot());
        const acheron = await defineGuest(host, { name: "acheron", interfaces: [] });
        await seen.until("acheron", now => valueOf(now.guests)?.some(({ name }) => name === "acheron"), 1);
        await host.run(["virsh", "domrename", acheron.uuid, "cocytus"]);
        await seen.until("cocytus", now => valueOf(now.guests)?.map(({ name }) => name).includes("cocytus"), 1);
        expect(given(seen.snapshot().guests)).toHaveLength(2);
        await acheron.virsh("undefine");
        await seen.until("its end", now => valueOf(now.guests)?.length === 1, 1);
        expect(guest(seen.snapshot())).toBe(before);
    });

    test("links, addresses and routes show within a second; what did not change stays the same object", async () => {
        const styx0 = link(seen.snapshot(), "styx0");
        await host.sh("ip tuntap add dev new0 mode tap; ip addr add 192.0.2.9/32 dev new0; ip link set new0 up");
        await seen.until("new0", now => link(now, "new0")?.up && valueOf(now.addresses)?.get("new0")?.some(item => item.address === "192.0.2.9"), 1);
        await host.sh("ip route add 10.9.0.0/16 dev new0");
        await seen.until("the route", now => valueOf(now.routes)?.some(route => route.destination === "10.9.0.0/16"), 1);
        expect(link(seen.snapshot(), "styx0")).toBe(styx0);
        await host.run(["ip", "link", "set", "new0", "name", "new1"]).catch(() => host.sh("ip link set new0 down; ip link set new0 name new1"));
        await seen.until("the name", now => link(now, "new1") && !link(now, "new0"), 1);
        await host.sh("ip link set new1 up; ip route add 10.8.0.0/16 dev new1");
        await seen.until("the route of the new name", now => valueOf(now.routes)?.some(route => route.device === "new1"), 1);
        await host.sh("ip link del new1");
        await seen.until("no new1", now => link(now, "styx0") && !link(now, "new1"), 1);
    });

    test("the routes are the kernel's, also where one replaces another's or goes without a word", async () => {
        await host.sh("ip link add w1 type veth peer name w2; ip link set w1 up; ip link set w2 up; ip address add 10.3.0.1/24 dev w1");
        const ways = (now: Snapshot) => (valueOf(now.routes) ?? []).filter(({ table }) => table === "main").map(({ destination, device }) => `${destination} ${device}`).sort();
        const kernel = async () => {
            const routes = JSON.parse(`[${(await host.sh("ip -j route show; ip -j -6 route show")).trim().split("\n").join(",")}]`) as { dst: string; dev?: string }[][];
            return routes.flat().map(({ dst, dev }) => `${dst} ${dev}`).sort();
        };
        for (const change of [
            "route add 10.61.0.2 dev w1", "route replace 10.61.0.2 dev w2", "route change 10.61.0.2 dev w1", "route del 10.61.0.2",
            "route add 2001:db8:61::2 dev w1", "route replace 2001:db8:61::2 dev w2", "route del 2001:db8:61::2",
            "route add default via 10.3.0.9 dev w1 metric 70", "route replace default dev w2 metric 70", "route del default metric 70",
            "nexthop add id 77 via 10.3.0.9 dev w1", "route add 10.78.0.0/16 nhid 77", "nexthop replace id 77 via 10.3.0.8 dev w1", "nexthop del id 77",
        ]) {
            await host.sh(`ip ${change}`);
            const now = await kernel();
            await seen.until(`${change}: ${now.join("; ")}`, at => JSON.stringify(ways(at)) === JSON.stringify(now), 1);
        }
        await host.sh("ip route add 10.59.0.0/16 encap ip id 7 dst 192.0.2.1 dev w1");
        await seen.until("a route with a tunnel of its own", now => ways(now).includes("? w1"), 1);
        expect(ways(seen.snapshot()).filter(way => way.startsWith("192.0.2.1"))).toEqual([]);
        await host.sh("ip link del w1");
        await seen.until("neither of them", now => !link(now, "w1") && !link(now, "w2"), 1);
    });

    test("devices with names that mean more in a batch keep their addresses", async () => {
        await host.sh("ip link add 'a#b' type veth peer name 'a\"b'; ip link add name a type veth peer name 'a@b'");
        const names = ["a#b", "a\"b", "a@b", "a"];
        for (const [index, name] of names.entries()) {
            await host.run(["ip", "address", "add", `10.62.0.${index}/32`, "dev", name]);
            await host.run(["ip", "link", "set", "dev", name, "mtu", String(1300 + index)]);
        }
        const is = (now: Snapshot) => names.every((name, index) => link(now, name)?.mtu === 1300 + index
            && valueOf(now.addresses)?.get(name)?.some(({ address }) => address === `10.62.0.${index}`));
        await seen.until("all of them", is, 1);
        await host.sh("ip link del 'a#b'; ip link del dev a");
        await seen.until("none of them", now => names.every(name => !link(now, name)), 1);
    });

    test("a new device is seen to be persistent, which the kernel does not announce", async () => {
        const names = Array.from({ length: 10 }, (_, index) => `lasting${index}`);
        for (const name of names) {
            await host.run(["ip", "tuntap", "add", "dev", name, "mode", "tap"]);
            await seen.until(name, now => link(now, name)?.tun?.persistent, 1);
        }
        for (const name of names)
            await host.run(["ip", "tuntap", "del", "dev", name, "mode", "tap"]);
        await seen.until("none of them", now => names.every(name => !link(now, name)), 1);
    });

    test("a storm of a thousand events is followed without a process for each; many guests cost as many processes as one", async () => {
        const opening = counted(seen.snapshot()), count = started.length;
        const devices = Array.from({ length: 260 }, (_, index) => `storm${index}`), guests = devices.slice(0, 60);
        for (const name of guests)
            writeFileSync(join(host.root, "var/tmp", `${name}.xml`), guestXml({ name, interfaces: [ethernet(name)] }));
        const lines = (names: readonly string[], line: (name: string) => string) => names.map(name => `${line(name)}\n`).join("");
        let snapshots = 0;
        const end = seen.until("the end of the storm", now => {
            snapshots++;
            return link(now, "last0") && !link(now, "storm0") && valueOf(now.guests)?.some(({ name }) => name === "last0");
        }, 60);
        await host.run(["ip", "-batch", "-"],
            lines(devices, name => `tuntap add dev ${name} mode tap`) + lines(devices, name => `link set ${name} up`));
        await host.run(["virsh", "-q"], lines(guests, name => `define /var/tmp/${name}.xml`) + lines(guests, name => `autostart ${name}`));
        await host.run(["ip", "-batch", "-"], lines(devices.slice(0, -10), name => `tuntap del dev ${name} mode tap`));
        await host.run(["virsh", "-q"], `${lines(guests.slice(0, -30), name => `undefine ${name}`)}domrename storm59 last0\n`);
        await host.run(["ip", "tuntap", "add", "dev", "last0", "mode", "tap"]);
        await end;
        // Somebody who looks now for the first time sees the same.
        const fresh = counting(host.machine);
        const other = await watching(host, fresh.machine, false);
        expect(fresh.started.length).toBeLessThanOrEqual(12);
        await seen.until("what is true", now => JSON.stringify(counted(now)) === JSON.stringify(counted(other.snapshot())), 5);
        other.close();
        const { guests: { length: left }, links: { length: kept } } = counted(seen.snapshot());
        expect([left - opening.guests.length, kept - opening.links.length]).toEqual([30, 11]);
        // ip ends where a device goes while it is asked for it, and is started again with the next reading.
        expect(started.slice(count).filter(argv => !argv.startsWith("ip "))).toEqual([]);
        expect(started.length - count).toBeLessThan(20);
        // About 900 changes, and each is several events.
        expect(snapshots).toBeLessThan(700);
        await host.run(["ip", "-batch", "-"], lines([...devices.slice(-10), "last0"], name => `tuntap del dev ${name} mode tap`));
        await host.run(["virsh", "-q"], lines([...guests.slice(30, -1), "last0"], name => `undefine ${name}`));
        await seen.until("all gone", now => JSON.stringify(counted(now)) === JSON.stringify(opening), 10);
    });

    test("history is what root wrote, whole; what users write under our name is none, however they write it", async () => {
        const write = (fields: string) => `printf '${fields}' | logger --journald`;
        const long = `<interface>${"<!-- as it was -->".repeat(600)}</interface>`;
        await host.run(["tee", "/home/user.sh"], `
            logger -t kvm-tap 'a lie'
            ${write("MESSAGE=a lie\\nSYSLOG_IDENTIFIER=kvm-tap\\nKVM_TAP_EVENT=deleted\\nKVM_TAP_DEVICE=styx0\\nKVM_TAP_USER=root\\n_UID=0\\n")}
            echo 'a lie' | systemd-cat -t kvm-tap
            systemd-cat -t kvm-tap sudo -n /bin/echo 'a lie'
            for i in $(seq 600); do echo "a lie $i"; done | logger -t kvm-tap`);
        const before = given(seen.snapshot().history);
        await host.sh(`
            echo 'admin ALL=(root) NOPASSWD: /bin/echo' > /etc/sudoers.d/echo
            su admin -s /bin/sh /home/user.sh; rm /etc/sudoers.d/echo
            journalctl --sync; [ "$(journalctl -q -t kvm-tap -o cat | grep -c 'a lie')" -ge 100 ]
            journalctl -q -t kvm-tap _UID=0 -o cat | grep -qx 'a lie'`);
        await host.run(["logger", "--journald"], `MESSAGE=the truth\nSYSLOG_IDENTIFIER=kvm-tap\nKVM_TAP_WAS=${long}\n`);
        await seen.until("the truth", now => valueOf(now.history)?.at(-1)?.text === "the truth", 3);
        expect(given(seen.snapshot().history).slice(before.length)).toEqual([{ time: expect.any(Number), text: "the truth", was: long }]);
        // Who comes later sees the same, though all the lies were told since.
        const later = await watching(host);
        await later.until("the truth", now => valueOf(now.history)?.at(-1)?.text === "the truth").finally(() => later.close());
        expect(later.snapshot().history).toEqual(seen.snapshot().history);
    });

    test("units, files and the table of the NAT show within a second", async () => {
        await host.run(["systemctl", "disable", "--quiet", "kvm-tap@styx0"]);
        await seen.until("disabled", now => valueOf(now.units)?.get("styx0")?.enabled === false && valueOf(now.enabled)?.size === 0, 1);
        await host.run(["systemctl", "stop", "kvm-tap@styx0"]);
        await seen.until("stopped", now => valueOf(now.units)?.get("styx0")?.active !== "active" && !link(now, "styx0"), 1);
        await host.run(["systemctl", "enable", "--quiet", "--now", "kvm-tap@styx0"]);
        await seen.until("back", now => valueOf(now.units)?.get("styx0")?.active === "active" && valueOf(now.units)?.get("styx0")?.enabled, 1);
        await seen.until("its history", now => valueOf(now.history)?.some(entry => entry.event === "device-down"), 1);
        await host.sh("echo '# by hand' >> /etc/kvm-tap/styx0.tap");
        await seen.until("the line", now => valueOf(now.files)?.get("/etc/kvm-tap/styx0.tap")?.content.endsWith("# by hand\n"), 1);
        expect(valueOf(seen.snapshot().services)?.get("nftables.service")).not.toBe("active");
        await host.run(["systemctl", "start", "nftables"]);
        await seen.until("the firewall's unit", now => valueOf(now.services)?.get("nftables.service") === "active", 1);
        await host.run(["systemctl", "stop", "nftables"]);
        await seen.until("its end", now => valueOf(now.services)?.get("nftables.service") !== "active", 1);
        await host.sh("nft add table inet kvm_tap; nft add table inet others");
        await seen.until("the table", now => valueOf(now.natTable), 1);
        await host.sh("nft flush ruleset");
        await seen.until("no table", now => now.natTable.state === "read" && now.natTable.value === null, 1);
    });

    test("who holds a device, and traffic, are read while they are on the screen", async () => {
        expect(seen.snapshot().holders.state).toBe("reading");
        await styx.start();
        seen.show({ holders: true, traffic: true });
        await seen.until("the holder", now => valueOf(now.holders)?.get("styx0")?.[0]?.program.startsWith("qemu-system"), 2);
        const count = started.length;
        const traffic = link(seen.snapshot(), "eth0")?.traffic;
        await host.run(["ping", "-q", "-c", "3", "-i", "0.2", "203.0.113.254"]);
        await seen.until("traffic", now => (link(now, "eth0")?.traffic?.rxPackets ?? 0) > (traffic?.rxPackets ?? 0), 2);
        expect(started.slice(count)).toEqual([]);
        await styx.virsh("destroy");
        await seen.until("no holder", now => valueOf(now.holders)?.get("styx0") === undefined, 2);
        seen.show({});
    });

    // Once is enough: it takes as long as somebody is patient.
    (release === oneRelease() ? test : test.skip)("a libvirt that hangs is said to hang; a plan ends all the same, and trying again finds it back", async () => {
        const pid = (await host.run(["pidof", "libvirtd"])).trim();
        await host.run(["kill", "-STOP", pid]);
        try {
            seen.retry();
            const begun = Date.now();
            const result = await seen.run(() => ({ plan: { title: msg("Nothing"), steps: [], holds: now => now.guests.state === "failed" } }));
            expect(result).toMatchObject({ state: "done", holds: false, unknown: { says: msg("The host could not be read again within $0 seconds.", "20") } });
            expect(Date.now() - begun).toBeLessThan(25_000);
            await host.sh("ip link add w1 type veth peer name w2");
            await seen.until("the rest of the host", now => link(now, "w1"), 1);
            await host.sh("ip link del w1");
            await seen.until("that libvirt hangs", now => /^libvirt does not answer/.test(says(now.guests)), 60);
            expect(says(seen.snapshot().libvirt)).toMatch(/^libvirt does not answer/);
            expect(valueOf(seen.snapshot().links)).toBeDefined();
            const undefining = { type: "command" as const, argv: ["virsh", "-c", "qemu:///system", "autostart", styx.uuid] };
            const lost = await seen.run(() => ({ plan: { title: msg("Autostart"), steps: [{ says: msg("Autostart"), does: undefining }], holds: () => true } }));
            expect(lost).toMatchObject({ state: "failed", says: msg("The answer of $0 was lost: it is not known whether this step was done.", "virsh") });
            expect(lost.state === "failed" && lost.left.map(inEnglish)).toEqual([expect.stringMatching(/^Whether “virsh .*” was done is not known/)]);
        } finally {
            await host.run(["kill", "-CONT", pid]);
        }
        seen.retry();
        await seen.until("the guests again", now => now.guests.state === "read" && now.libvirt.state === "read", 10);
    }, 180_000);

    test("libvirt restarted, stopped and started again: told, and read again by itself", async () => {
        await host.run(["systemctl", "restart", "libvirtd"]);
        await sleep(300);
        await seen.until("the new stream", now => now.streams.libvirt.state === "live" && now.guests.state === "read", 10);
        await styx.start();
        await seen.until("running", now => guest(now)?.state === "running", 2);
        await styx.virsh("destroy");
        await host.sh("systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd.service");
        expect(await host.sh("systemctl is-active libvirtd.service || true")).toBe("inactive\n");
        await seen.until("that libvirt cannot be reached", now => /libvirt cannot be reached/.test(says(now.guests)), 10);
        expect(given(seen.snapshot().links).length).toBeGreaterThan(1);
        await sleep(8000); // all attempts are over
        const count = started.length;
        await sleep(2000);
        expect(started.slice(count)).toEqual([]);
        await host.sh("systemctl start libvirtd.socket");
        await seen.until("the guests again", now => now.guests.state === "read" && now.streams.libvirt.state === "live", 10);
    });

    test("a program that is missing is named, and used when it is there again", async () => {
        seen.close();
        await host.sh("mv /usr/bin/virsh /usr/bin/virsh.away; mv /usr/sbin/nft /usr/sbin/nft.away");
        const without = await watching(host);
        expect(says(without.snapshot().guests)).toMatch(/^virsh is not installed/);
        expect(says(without.snapshot().natTable)).toMatch(/^nft is not installed/);
        expect(without.snapshot().links.state).toBe("read");
        await host.sh("mv /usr/bin/virsh.away /usr/bin/virsh; mv /usr/sbin/nft.away /usr/sbin/nft");
        without.retry();
        await without.until("both", now => now.guests.state === "read" && now.natTable.state === "read", 5);
        without.close();
    });

    test("without administrative access what can be read is read; gained, the rest comes by itself", async () => {
        const access = limited(host.machine);
        seen.close();
        seen = await watching(host, access.machine, false);
        expect(seen.snapshot().access).toBe("limited");
        expect(says(seen.snapshot().guests)).toMatch(/without administrative access/);
        expect(says(seen.snapshot().natTable)).toMatch(/without administrative access/);
        expect(says(seen.snapshot().history)).toMatch(/without administrative access/);
        expect(link(seen.snapshot(), "styx0")?.tun?.persistent).toBe(true);
        access.set(true);
        await seen.until("everything", now => now.access === "admin" && now.guests.state === "read" && now.natTable.state === "read", 5);
        await host.sh("nft add table inet kvm_tap");
        await seen.until("the table", now => valueOf(now.natTable), 2);
        await styx.virsh("autostart"); // told by a file only
        await seen.until("autostart", now => guest(now)?.autostart, 2);
        await host.sh("echo '# with access' >> /etc/kvm-tap/styx0.tap");
        await seen.until("the line", now => valueOf(now.files)?.get("/etc/kvm-tap/styx0.tap")?.content.endsWith("# with access\n"), 2);
    });

    test("nothing is left running when it is closed", async () => {
        seen.close();
        await sleep(500);
        const left = await host.run(["sh", "-c", "ps -e -o args | grep -E '^(virsh|ip |nft|journalctl)' || true"]);
        expect(left).toBe("");
    });
});
