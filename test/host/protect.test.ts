// SPDX-License-Identifier: LGPL-2.1-or-later
// Protect on real hosts, as the page does it: read, planned, run, read again – and then the guest is stopped.
import { planRestartLibvirt } from "../../src/actions/libvirt-daemon.ts";
import { planProtect } from "../../src/actions/protect.ts";
import { planUnprotect } from "../../src/actions/unprotect.ts";
import { devicesAtRisk } from "../../src/model/glance.ts";
import { hostChecks } from "../../src/model/host-checks.ts";
import { valueOf } from "../../src/model/snapshot.ts";
import { until } from "../lab/exec.ts";
import { defineGuest, ethernet } from "../lab/guest.ts";
import { startHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import type { Release } from "../lab/trees.ts";
import { everything, hostFiles } from "./host-files.ts";
import { notesOf, planOf, Protecting } from "./protecting.ts";

await eachRelease(release => {
    let on: Protecting;
    beforeAll(async () => { on = await Protecting.on(await startHost({ release, files: hostFiles() })); });
    afterAll(async () => {
        on?.close();
        await on?.host.stop();
    });

    /** A case that check-all runs on every release, and the covering selection on one. */
    const only = (where: Release, name: string, body: () => Promise<void>) => {
        if (everything || release === where)
            test(name, body);
    };

    let made = 1;
    const byHand = (name: string, more = "") => on.host.sh(`ip tuntap add dev ${name} mode tap ${more}; ip link set dev ${name} up
        ip address add 169.254.0.1/32 dev ${name}; ip route add 10.0.0.${++made}/32 dev ${name}`);
    const hasRoute = async (name: string, address: string) => (await on.host.run(["ip", "route", "show", "dev", name])).includes(address);

    test("a device made by hand: adopted, and kept by everything that comes", async () => {
        await byHand("hand0");
        const guest = await defineGuest(on.host, { name: "charon", interfaces: [ethernet("hand0")] });
        await on.shows(guest, "Start fails, device is deleted");
        await on.protect(guest);
        expect(await on.host.run(["cat", "/etc/kvm-tap/hand0.tap"])).toMatch(/^tuntap add dev hand0 mode tap\n[^]*route replace 10.0.0.2\/32 dev hand0\n$/);
        const before = await on.index("hand0");
        await on.shows(guest, "Kept");
        await guest.start();
        await guest.virsh("destroy");
        expect(await on.index("hand0")).toBe(before);
        await on.reboot();
        expect(await hasRoute("hand0", "10.0.0.2")).toBe(true);
        await on.forget(guest, "hand0");
    });

    only("bookworm", "a device that is missing: made, with the queues that the definition asks for and the guest's address", async () => {
        const guest = await defineGuest(on.host, { name: "lethe", interfaces: [ethernet("lack0", { inside: "<driver queues='2'/>" })] });
        await on.shows(guest, "Made by libvirt, gone when the guest stops");
        await on.protect(guest, { guestAddress: "10.0.9.1" });
        await on.shows(guest, "Kept");
        await guest.start();
        expect(await hasRoute("lack0", "10.0.9.1")).toBe(true);
        await on.forget(guest, "lack0");
    });

    test("a guest that runs on libvirt's own device: pending, and there again after the stop", async () => {
        const guest = await defineGuest(on.host, { name: "styx", interfaces: [ethernet("own0")] });
        await guest.start();
        await on.host.sh("ip address add 169.254.0.1/32 dev own0; ip route add 10.0.1.3/32 dev own0");
        await on.shows(guest, "Made by libvirt, gone when the guest stops");
        await on.until("the route", now => valueOf(now.routes)?.some(route => route.device === "own0" && route.destination.startsWith("10.0.1.3")));
        expect(await on.protect(guest)).toMatch(/the hook makes it again at once/);
        await on.shows(guest, "Pending: protected from the next start");
        expect(on.needed()).toEqual([]);
        await guest.virsh("destroy");
        await until("the device to be back", () => hasRoute("own0", "10.0.1.3"), 2);
        await on.shows(guest, "Kept");
        await guest.start();
        await guest.virsh("destroy");
        expect(await on.host.run(["ip", "-d", "link", "show", "dev", "own0"])).toContain("persist on user root");
        await on.forget(guest, "own0");
    });

    test("the same with a definition that says managed='no' already: its start would fail, so Protect is offered", async () => {
        const interfaces = (managed: object) => [ethernet("next0", { mac: "52:54:00:00:98:01", ...managed })];
        const guest = await defineGuest(on.host, { name: "tartarus", interfaces: interfaces({}) });
        await guest.start();
        await defineGuest(on.host, { name: "tartarus", uuid: guest.uuid, interfaces: interfaces({ managed: "no" }) });
        await on.shows(guest, "Start fails: device missing");
        expect(on.needed()).toEqual([{ uuid: guest.uuid, index: 0 }]);
        const plan = on.planFor(guest);
        expect(plan.steps.map(({ does }) => does.type === "file" ? does.path : does.argv.join(" ")))
            .toEqual(["/etc/kvm-tap/next0.tap", "/etc/sysctl.d/60-kvm-tap-next0.conf", "systemctl enable --now kvm-tap@next0.service"]);
        await on.change(plan);
        await on.shows(guest, "Pending: protected from the next start");
        await guest.virsh("destroy");
        await on.shows(guest, "Kept");
        await guest.start();
        await guest.virsh("destroy");
        expect(on.tap("next0")?.tun.persistent).toBe(true);
        await on.forget(guest, "next0");
    });

    only("forky", "a running guest whose device somebody deleted: made again, and there after the stop", async () => {
        // QEMU ends when a virtio card is reset whose device is gone (tap_fd_set_vnet_hdr_len), and a BIOS resets it.
        const card = ethernet("lost0", { inside: "<rom enabled='no'/>" }).replace("virtio", "e1000");
        const guest = await defineGuest(on.host, { name: "erebus", interfaces: [card] });
        await guest.start();
        await on.host.sh("ip link delete lost0");
        await on.shows(guest, "Device missing");
        await on.protect(guest);
        await guest.virsh("destroy");
        await on.shows(guest, "Kept");
        await guest.start();
        await on.forget(guest, "lost0");
    });

    // Before libvirt 10 nothing that can be changed in a running guest takes its managed='no' away.
    const disarmed = release === "bookworm" ? () => undefined : only;
    disarmed("trixie", "a running guest whose protection a live update took away", async () => {
        await byHand("bare0");
        const interfaces = (managed: object) => [ethernet("bare0", { mac: "52:54:00:00:97:01", ...managed })];
        const guest = await defineGuest(on.host, { name: "asphodel", interfaces: interfaces({ managed: "no" }) });
        await guest.start();
        const disarming = interfaces({}).join("").replace("<interface ", "<interface trustGuestRxFilters='yes' ");
        await on.host.run(["virsh", "update-device", guest.uuid, "/dev/stdin", "--live"], disarming);
        await on.shows(guest, "Deleted when the guest stops");
        expect(on.needed()).toEqual([{ uuid: guest.uuid, index: 0 }]);
        expect(await on.protect(guest)).toMatch(/libvirt takes bare0 away then, and the hook makes it again at once/);
        await on.shows(guest, "Pending: protected from the next start");
        const before = await on.index("bare0");
        await guest.virsh("destroy");
        await until("the device to be another one", async () => await on.index("bare0") !== before, 2);
        await on.shows(guest, "Kept");
        await on.forget(guest, "bare0");
    });

    only("trixie", "a device that is not persistent and that another guest holds: written down, and made when it is needed", async () => {
        const holder = await defineGuest(on.host, { name: "holder", interfaces: [ethernet("held0")] });
        await holder.start();
        const guest = await defineGuest(on.host, { name: "minos", interfaces: [ethernet("held0")] });
        await on.shows(guest, "Start fails: used by holder");
        await on.protect(guest);
        await holder.virsh("destroy");
        await on.until("the device to go", () => !on.tap("held0"));
        await on.shows(guest, "Missing, made again at the next start");
        await guest.start();
        await guest.virsh("destroy");
        await on.until("the device to be there and to stay", () => on.tap("held0")?.tun.persistent);
        await holder.virsh("undefine");
        await on.forget(guest, "held0");
    });

    only("forky", "a hook that may not be in effect, while a guest waits for it: put in effect, and the guest goes on", async () => {
        const guest = await defineGuest(on.host, { name: "rho", interfaces: [ethernet("rho0")] });
        await guest.start();
        await on.shows(guest, "Made by libvirt, gone when the guest stops");
        await on.protect(guest);
        await on.shows(guest, "Pending: protected from the next start");
        // One that is newer than the daemon, which has called none since it started: it may have replaced another one, or be the first.
        await on.host.sh(`systemctl restart libvirtd
            cd /etc/libvirt/hooks/qemu.d; cp -p 50-kvm-tap /root; rm 50-kvm-tap; mv /root/50-kvm-tap .`);
        await on.shows(guest, "Start fails: device missing");
        const now = await on.until("the danger", at => hostChecks(at).some(({ id, severity }) => id === "hook" && severity === "danger"));
        expect(await on.execute(planOf(planRestartLibvirt(now)))).toMatchObject({ state: "done", holds: true });
        await on.shows(guest, "Pending: protected from the next start");
        await guest.virsh("destroy");
        await on.shows(guest, "Kept");
        await on.forget(guest, "rho0");
    });

    test("a step that fails: everything is as it was", async () => {
        await byHand("fail0");
        const guest = await defineGuest(on.host, { name: "acheron", interfaces: [ethernet("fail0")] });
        await on.shows(guest, "Start fails, device is deleted");
        const plan = on.planFor(guest);
        await defineGuest(on.host, { name: "acheron", uuid: guest.uuid, interfaces: [ethernet("fail0", { mac: "52:54:00:00:99:01" })] });
        const before = await on.state();
        expect(await on.execute(plan)).toMatchObject({ state: "failed", left: [] });
        expect(await on.state()).toBe(before);
        await on.forget(guest, "fail0");
    });

    for (const [name, where, mode, inside, label, says] of [
        ["many0", "trixie", "multi_queue", "", "Start fails: device exists", /gets two queues/],
        ["one0", "bookworm", "", "<driver queues='4'/>", "Start fails, device is deleted", /gets one queue/],
    ] as const) {
        only(where, `queues that do not fit follow the device: ${name}`, async () => {
            await byHand(name, mode);
            const guest = await defineGuest(on.host, { name: `cocytus-${name}`, interfaces: [ethernet(name, { inside })] });
            await on.shows(guest, label);
            expect(await on.protect(guest)).toMatch(says);
            await on.shows(guest, "Kept");
            await guest.start();
            await guest.virsh("destroy");
            await on.shows(guest, "Kept");
            await on.forget(guest, name);
        });
    }

    only("trixie", "several interfaces of one guest: one there, one missing, one protected already", async () => {
        await byHand("three0");
        const guest = await defineGuest(on.host, { name: "cerberus", interfaces: [ethernet("three0"), ethernet("three1"), ethernet("three2", { managed: "no" })] });
        await on.shows(guest, "Start fails, device is deleted", "Made by libvirt, gone when the guest stops", "Start fails: device missing");
        await on.change(on.planFor(guest, [{ index: 0 }, { index: 1 }, { index: 2 }]));
        await on.shows(guest, "Kept", "Kept", "Kept");
        await guest.start();
        await guest.virsh("destroy");
        expect(["three0", "three1", "three2"].map(name => on.tap(name)?.tun.persistent)).toEqual([true, true, true]);
        await on.forget(guest, "three0", "three1", "three2");
    });

    only("bookworm", "all at once, and taken back: the host is as it was before", async () => {
        await byHand("all0");
        await byHand("all1");
        await byHand("all2");
        const first = await defineGuest(on.host, { name: "phlegethon", interfaces: [ethernet("all0"), ethernet("all1")] });
        const second = await defineGuest(on.host, { name: "eridanos", interfaces: [ethernet("all2")] });
        await on.until("three devices at risk", now => devicesAtRisk(on.subjects(now)).length === 3);
        const before = await on.state();
        const plan = planOf(planProtect(on.snapshot, { targets: on.needed(), leavesOut: true }));
        expect(notesOf(plan)).toBe("");
        const undo = await on.change(plan);
        await on.until("no device at risk", now => devicesAtRisk(on.subjects(now)).length === 0);
        await on.change(undo);
        await on.until("three devices at risk again", now => devicesAtRisk(on.subjects(now)).length === 3);
        expect(await on.state()).toBe(before);
        await on.forget(first, "all0", "all1");
        await on.forget(second, "all2");
    });

    test("the protection is taken off: the host is as it was, with the warning of what comes then", async () => {
        await byHand("off0");
        const kept = await defineGuest(on.host, { name: "aeacus", interfaces: [ethernet("off0")] });
        const bare = await defineGuest(on.host, { name: "rhadamanthys", interfaces: [ethernet("off1")] });
        await on.shows(kept, "Start fails, device is deleted");
        await on.shows(bare, "Made by libvirt, gone when the guest stops");
        const before = await on.state();
        await on.protect(kept);
        await on.protect(bare);
        await on.shows(bare, "Kept");
        const off = planOf(planUnprotect(on.snapshot, { uuid: kept.uuid, index: 0, device: "until-boot" }));
        expect(notesOf(off)).toMatch(/The start fails since off0 exists .* and the failed start deletes the device/);
        await on.change(off);
        const deleted = planOf(planUnprotect(on.snapshot, { uuid: bare.uuid, index: 0, device: "deleted" }));
        expect(notesOf(deleted)).toBe("libvirt makes a device of its own, which goes when the guest stops.");
        await on.change(deleted);
        expect(await on.state()).toBe(before);
        await on.shows(kept, "Start fails, device is deleted");
        await expect(kept.start()).rejects.toThrow();
        await on.until("the device to be gone, as was said", () => !on.tap("off0"));
        await on.forget(kept, "off0");
        await on.forget(bare);
    });
});
