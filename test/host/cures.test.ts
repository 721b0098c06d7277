// SPDX-License-Identifier: LGPL-2.1-or-later
// The cures of traps on a real host: each is found, cured as the page does it, and not found any more. On trixie; in check-all everywhere.
import { planCure, type Choice } from "../../src/actions/cure.ts";
import { interfaceChecks, type CheckId } from "../../src/model/checks.ts";
import { inEnglish } from "../../src/model/message.ts";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import { startHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { notesOf, planOf, Protecting } from "./protecting.ts";

await eachRelease(release => {
    if (!everything && release !== "trixie")
        return;
    let on: Protecting;
    beforeAll(async () => { on = await Protecting.on(await startHost({ release, files: hostFiles() })); });
    afterAll(async () => {
        on?.close();
        await on?.host.stop();
    });

    const found = (guest: Guest, now = on.snapshot) => interfaceChecks(now).filter(check => check.guest.uuid === guest.uuid);
    const device = (name: string, file: string) => on.host.sh(`printf '%s\\n' 'tuntap add dev ${name} mode tap user root' '${file}' > /etc/kvm-tap/${name}.tap
        systemctl enable --quiet --now kvm-tap@${name}`);
    const up = (name: string) => `link set dev ${name} up`;

    /** Finds the trap, cures it, and looks whether it is gone. Answers what was told beside the steps. */
    async function cure(guest: Guest, id: CheckId, choice?: Choice): Promise<string> {
        const now = await on.until(`${id} on ${guest.name}`, at => found(guest, at).some(check => check.id === id && check.cure));
        const check = found(guest, now).find(one => one.id === id);
        if (!check?.cure)
            throw new Error(`${id} has no cure: ${check && inEnglish(check.says)}`);
        const plan = planOf(planCure(now, check.cure, choice));
        await on.change(plan);
        await on.until(`${id} to be cured`, at => found(guest, at).every(one => one.id !== id));
        return notesOf(plan);
    }

    const configured = (guest: Guest) => guest.virsh("dumpxml", "--inactive");
    const startsTwice = async (guest: Guest) => {
        for (let time = 0; time < 2; time++) {
            await guest.start();
            await guest.virsh("destroy");
        }
    };

    test("a reserved name: kept with managed='no', written down, and in use", async () => {
        await on.host.sh("ip tuntap add dev vnet77 mode tap; ip link set dev vnet77 up");
        const guest = await defineGuest(on.host, { name: "aura", interfaces: [ethernet("vnet77")] });
        expect(await configured(guest)).not.toContain("vnet77");
        await cure(guest, "name-dropped");
        expect(await configured(guest)).toContain("<target dev='vnet77' managed='no'/>");
        await on.shows(guest, "Kept");
        await startsTwice(guest);
        expect(on.tap("vnet77")?.tun.persistent).toBe(true);
    });

    test("too long a name, and a device that two guests name: a new device each", async () => {
        const long = await defineGuest(on.host, { name: "boreas", interfaces: [ethernet("sixteen-bytes-xx", { managed: "no" })] });
        await cure(long, "name-too-long", { device: "boreas0", guestAddress: "10.0.5.1" });
        await startsTwice(long);
        const other = await defineGuest(on.host, { name: "zephyros", interfaces: [ethernet("boreas0", { managed: "no" })] });
        await cure(other, "same-device", { device: "zephyros0", guestAddress: "10.0.5.2" });
        await Promise.all([long.start(), other.start()]);
        await on.until("both on their own", () => on.tap("boreas0")?.carrier && on.tap("zephyros0")?.carrier);
        expect(await on.host.run(["ip", "route"])).toMatch(/10\.0\.5\.1 dev boreas0[^]*10\.0\.5\.2 dev zephyros0/);
        await Promise.all([long.virsh("destroy"), other.virsh("destroy")]);
    });

    test("a multi-queue device that libvirt lets both use", async () => {
        await device("twice0", "link set dev twice0 up");
        await on.host.sh("sed -i 's/mode tap/& multi_queue/' /etc/kvm-tap/twice0.tap; systemctl restart kvm-tap@twice0");
        const two = (name: string) => defineGuest(on.host, { name, interfaces: [ethernet("twice0", { managed: "no", inside: "<driver queues='2'/>" })] });
        const [first, second] = [await two("castor"), await two("pollux")];
        await first.start();
        await second.start();
        await on.until("both running", () => [first, second].every(guest => on.subjects().some(one => one.guest.uuid === guest.uuid && one.pair.live)));
        expect(await cure(second, "shared-queues", { device: "pollux0", guestAddress: "" }))
            .toBe("pollux runs on without pollux0 until it is shut down and started again.");
        await second.virsh("destroy");
        await startsTwice(second);
        expect(on.tap("pollux0")?.tun.multiQueue).toBe(true);
        await first.virsh("destroy");
    });

    test("one MAC address on two guests", async () => {
        const mac = "52:54:00:00:55:01";
        await device("mac0", up("mac0"));
        await device("mac1", up("mac1"));
        await defineGuest(on.host, { name: "eos", interfaces: [ethernet("mac0", { mac, managed: "no" })] });
        const other = await defineGuest(on.host, { name: "helios", interfaces: [ethernet("mac1", { mac, managed: "no" })] });
        expect(await cure(other, "same-mac")).toMatch(/sees a new card/);
        expect(await configured(other)).not.toContain(mac);
        expect(await configured(other)).toContain("<target dev='mac1' managed='no'/>");
    });

    test("<source><ip>: resuming and the second start work again, with the address on the device", async () => {
        await device("src0", up("src0"));
        const inside = "<source><ip address='10.9.8.1' prefix='24'/></source>";
        const guest = await defineGuest(on.host, { name: "iris", interfaces: [ethernet("src0", { managed: "no", inside })] });
        await guest.start();
        await guest.virsh("suspend");
        await expect(guest.virsh("resume")).rejects.toThrow(/Failed to add IP address/);
        await guest.virsh("destroy");
        await cure(guest, "host-addresses");
        expect(await on.host.machine.read("/etc/kvm-tap/src0.tap")).toContain("address replace 10.9.8.1/24 dev src0\n");
        await startsTwice(guest);
        expect(await on.host.run(["ip", "address", "show", "dev", "src0"])).toContain("10.9.8.1/24");
    });

    test("a needless script, a device that is down and everybody's, an MTU that never reaches it", async () => {
        await device("low0", "link set dev low0 down");
        await on.host.sh("sed -i 's/ user root//' /etc/kvm-tap/low0.tap; systemctl restart kvm-tap@low0");
        const inside = "<script path='/bin/true'/><mtu size='1400'/>";
        const guest = await defineGuest(on.host, { name: "notos", interfaces: [ethernet("low0", { managed: "no", inside })] });
        for (const id of ["needless-script", "device-down", "mtu-differs", "open-device"] as const)
            await cure(guest, id);
        expect(found(guest)).toEqual([]);
        expect(on.tap("low0")).toMatchObject({ up: true, mtu: 1400, tun: { owner: "root" } });
        expect(await configured(guest)).not.toContain("/bin/true");
        await on.reboot();
        expect(on.tap("low0")).toMatchObject({ up: true, mtu: 1400, tun: { owner: "root" } });
    });

    test("a device made by hand for a protected guest: there after the next boot", async () => {
        await on.host.sh("ip tuntap add dev hand1 mode tap user root; ip link set dev hand1 up");
        const guest = await defineGuest(on.host, { name: "selene", interfaces: [ethernet("hand1", { managed: "no" })] });
        await on.shows(guest, "Kept");
        await cure(guest, "lost-at-boot");
        await on.reboot();
        await guest.start();
        await guest.virsh("destroy");
        expect(on.tap("hand1")?.tun.persistent).toBe(true);
    });
});
