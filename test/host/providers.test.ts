// SPDX-License-Identifier: LGPL-2.1-or-later
// Hosts whose network systemd-networkd, NetworkManager or ifupdown configures: a device that one of them makes is recognised as its own,
// and ours are left alone by it, restarted, reloaded and at boot.
import { planAdopt, planApplyFile, planKeepOff } from "../../src/actions/edit-tap.ts";
import { planDeleteTap } from "../../src/actions/delete-tap.ts";
import { planMakeTap, type TapWish } from "../../src/actions/make-tap.ts";
import { runningSettings } from "../../src/actions/tap-steps.ts";
import { planProtect } from "../../src/actions/protect.ts";
import { bootProvider, type BootProvider } from "../../src/model/boot-provider.ts";
import { glance, hostFacts, subjects } from "../../src/model/glance.ts";
import { inEnglish } from "../../src/model/message.ts";
import { networkdPath } from "../../src/model/networkd-file.ts";
import { defaultSysctls } from "../../src/model/sysctl-file.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { isTap } from "../../src/model/tap.ts";
import { install } from "../lab/debs.ts";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import type { Release } from "../lab/trees.ts";
import { everything, hostFiles, tapFile } from "./host-files.ts";
import { factsOf } from "./tap-facts.ts";
import { given, watching, type Watching } from "./watching.ts";

interface Manager {
    by: BootProvider["by"];
    /** In the covering selection it is tested on this release only. */
    release: Release;
    packages: readonly string[];
    files: Record<string, string>;
    /** Shell commands after its packages were installed: the device `theirs` is theirs. */
    setUp: string;
    path: string;
    /** What is done to it while devices of ours are there, each as a shell command. */
    disturbances: readonly string[];
    /** Prints the state of a device; it has looked at one of ours when that is `left`. */
    state(device: string): string;
    left: RegExp;
}

const networkd: Manager = {
    by: "networkd", release: "trixie", packages: [], path: "/etc/systemd/network/50-theirs.netdev",
    files: {
        // For all links: what makes it dangerous for ours.
        "/etc/systemd/network/90-all.network": "[Match]\nName=*\n\n[Network]\nLinkLocalAddressing=no\n",
        "/etc/systemd/network/50-theirs.netdev": "[NetDev]\nName=theirs\nKind=tap\n",
    },
    setUp: "systemctl mask -q systemd-networkd-wait-online; systemctl enable -q --now systemd-networkd",
    disturbances: ["systemctl restart systemd-networkd", "networkctl reload", "networkctl reconfigure theirs"],
    state: device => `cat /run/systemd/netif/links/$(cat /sys/class/net/${device}/ifindex)`,
    left: /^ADMIN_STATE=unmanaged$/m,
};

const managers: readonly Manager[] = [networkd, {
    by: "NetworkManager", release: "bookworm", packages: ["network-manager"], path: "/etc/NetworkManager/system-connections/theirs.nmconnection",
    files: {},
    setUp: `systemctl mask -q NetworkManager-wait-online; nmcli connection add type tun con-name theirs ifname theirs mode tap \\
        ipv4.method manual ipv4.addresses 10.9.0.1/24 ipv6.method disabled`,
    disturbances: ["systemctl restart NetworkManager", "nmcli general reload", "nmcli connection reload"],
    state: device => `nmcli -g GENERAL.STATE device show ${device}`,
    left: /^(10 \(unmanaged\)|100 \(connected.*\))$/m,
}, {
    by: "ifupdown", release: "forky", packages: ["ifupdown"], path: "/etc/network/interfaces.d/theirs",
    files: {
        "/etc/network/interfaces": "source /etc/network/interfaces.d/*\n",
        "/etc/network/interfaces.d/theirs": `auto theirs
iface theirs inet static
    address 10.9.0.1/24
    pre-up ip tuntap add dev $IFACE mode tap
    post-down ip tuntap del dev $IFACE mode tap
`,
    },
    setUp: "systemctl restart networking",
    disturbances: ["systemctl restart networking", "ifdown -a", "ifup -a"],
    state: device => `ip link show dev ${device}`,
    left: /./,
}];

const done = { state: "done", holds: true };

await eachRelease(release => describe.each(managers.filter(manager => everything || manager.release === release))("$by", manager => {
    let host: TestHost;
    let seen: Watching;
    beforeAll(async () => {
        host = await startHost({ release, files: { ...hostFiles(), ...manager.files } });
        if (manager.packages.length > 0)
            await install(host, manager.packages);
        await host.sh(manager.setUp);
        seen = await watching(host);
    });
    afterAll(async () => {
        seen?.close();
        await host?.stop();
    });

    const tap = (name: string) => given(seen.snapshot().links).filter(isTap).find(link => link.name === name);
    const provider = (name: string) => bootProvider(seen.snapshot(), name, tap(name));
    const looked = (name: string) => until(`${manager.by} to have looked at ${name}`,
        async () => manager.left.test((await host.attempt(["sh", "-c", manager.state(name)])).stdout), 20);
    const reboot = async () => {
        seen.close();
        await host.reboot();
        seen = await watching(host);
    };
    const wish: TapWish = {
        name: "ours", gateways: ["169.254.0.1", "fe80::1/64"], guestAddresses: ["10.0.0.2", "10.0.0.3", "2001:db8:5::2"], mtu: 1400, atBoot: true,
        mac: "02:11:22:33:44:55", routes: [{ destination: "192.168.7.0/24", via: "10.0.0.2" }], sysctls: defaultSysctls("ours", true),
    };

    test("a device that it makes is recognised as its own, also after a reboot", async () => {
        await seen.until("the device", () => tap("theirs"));
        const expected = { by: manager.by, path: manager.path };
        await seen.until("its provider", () => provider("theirs").by === manager.by);
        expect(provider("theirs")).toEqual(expected);
        await reboot();
        await seen.until("the device", () => tap("theirs") !== undefined && provider("theirs").by === manager.by);
        expect(provider("theirs")).toEqual(expected);
    });

    let guest: Guest;

    /** Started and stopped, the device that it makes is the same one. */
    async function startAndStop(): Promise<void> {
        const index = tap("theirs")?.index;
        expect(index).toBeDefined();
        await guest.start();
        await guest.virsh("destroy");
        await seen.until("the guest off", now => given(now.guests).every(({ state }) => state === "off") && !tap("theirs")?.carrier);
        expect(tap("theirs")?.index).toBe(index);
    }

    test("a guest on it is protected by its definition alone: making the device stays its business", async () => {
        guest = await defineGuest(host, { name: "charybdis", interfaces: [ethernet("theirs")] });
        const label = (now: Snapshot) => {
            const facts = hostFacts(now);
            return (facts ? subjects(facts) : []).map(subject => inEnglish(glance(subject).label)).join();
        };
        const now = await seen.until("the guest in danger", at => label(at) === "Start fails, device is deleted");
        const planned = planProtect(now, { targets: [{ uuid: guest.uuid, index: 0 }] });
        if (!("plan" in planned))
            throw new Error(JSON.stringify(planned.problems));
        expect(planned.plan.steps).toHaveLength(1);
        expect((planned.plan.notes ?? []).map(inEnglish)).toEqual([`theirs is made at boot by ${manager.by} (${manager.path}): that is left as it is.`]);
        expect(await seen.run(() => planned)).toMatchObject(done);
        await seen.until("the guest safe", at => label(at) === "Kept");
        expect(await host.sh("ls /etc/kvm-tap; ls /etc/systemd/system/*.wants")).not.toContain("theirs");
        await startAndStop();
    });

    test("ours are left as they are, however it is disturbed, and after a reboot", async () => {
        await host.sh("ip tuntap add dev byhand mode tap; ip link set dev byhand up; ip address add 192.0.2.1/28 dev byhand; ip route add 10.7.0.0/16 dev byhand");
        await seen.until("the device", now => runningSettings(now, "byhand")?.routes.length === 1);
        expect(await seen.run(now => planMakeTap(now, wish))).toMatchObject(done);
        expect(await seen.run(now => planAdopt(now, "byhand"))).toMatchObject(done);
        const names = ["ours", "byhand"];
        const facts = async () => {
            for (const name of names)
                await looked(name);
            const [ours, byhand] = [await factsOf(host, "ours"), await factsOf(host, "byhand")];
            // Before it was taken over it was networkd's, which left its marks: IPv6 settings, and so the kernel's own routes.
            const routes = byhand.routes.filter(route => !("protocol" in route && route.protocol === "kernel"));
            return { ours, byhand: { ...byhand, routes, sysctls: "" } };
        };
        const before = await facts();
        for (const disturbance of manager.disturbances) {
            await host.sh(disturbance);
            expect([disturbance, await facts()]).toEqual([disturbance, before]);
        }
        await reboot();
        expect(await facts()).toEqual(before);
        await host.sh(manager.disturbances[0] ?? "");
        expect(await facts()).toEqual(before);
        await startAndStop();
        expect(names.map(name => provider(name).by)).toEqual(["kvm-tap", "kvm-tap"]);
    });

    if (manager === networkd) {
        test("one that was written down by hand is taken, and by newer ones stripped; kept off, it stays as it is", async () => {
            await host.machine.replace("/etc/kvm-tap/hand0.tap", tapFile("hand0", "10.0.9.2"));
            await host.sh("systemctl enable -q --now kvm-tap@hand0");
            await seen.until("networkd at it", now => given(now.networkd).get(tap("hand0")?.index ?? 0) === "/etc/systemd/network/90-all.network");
            await host.sh("systemctl restart systemd-networkd");
            // systemd 252 leaves what it did not set.
            if (release !== "bookworm")
                await seen.until("the loss", now => runningSettings(now, "hand0")?.addresses.length === 0);
            expect(await seen.run(now => planKeepOff(now, "hand0"))).toMatchObject(done);
            if (release !== "bookworm")
                expect(await seen.run(now => planApplyFile(now, "hand0"))).toMatchObject(done);
            const before = await factsOf(host, "hand0");
            await host.sh("systemctl restart systemd-networkd");
            await looked("hand0");
            expect(await factsOf(host, "hand0")).toEqual(before);
        });
    }

    test("deleted, nothing of ours is left, and theirs is still there", async () => {
        for (const name of ["ours", "byhand"])
            expect(await seen.run(now => planDeleteTap(now, name))).toMatchObject(done);
        expect(await host.machine.read(networkdPath("ours"))).toBeNull();
        expect((await host.sh("ls /etc/kvm-tap | grep -v hand0 || true; ls /etc/sysctl.d | grep kvm-tap || true")).trim()).toBe("");
        expect(tap("theirs")).toBeDefined();
    });
}));
