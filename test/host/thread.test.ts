// SPDX-License-Identifier: LGPL-2.1-or-later
// The problem that this project starts from (libvir-list, March 2009), as it is today: the guest of the thread with a device made by hand.
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";

await eachRelease(release => {
    let host: TestHost, charon: Guest;

    const links = () => host.run(["ip", "-br", "link"]);
    const define = (managed?: "no") => defineGuest(host, {
        name: "charon",
        uuid: "08a3af0e-f145-54c6-30a2-efdab5478523",
        interfaces: [ethernet("charon_pvnet1", { mac: "52:54:00:25:6f:3f", inside: "<script path='/bin/true'/>", ...managed && { managed } })],
        boots: [{ address: "10.0.0.2" }],
    });
    const makeDevice = () => host.sh(`
        ip tuntap add dev charon_pvnet1 mode tap
        ip link set dev charon_pvnet1 up
        ip address replace 169.254.0.1/32 dev charon_pvnet1
        ip route replace 10.0.0.2/32 dev charon_pvnet1`);

    beforeAll(async () => { host = await startHost({ release }); });
    afterAll(() => host.stop());

    test("charon as in the thread does not start, and its device is deleted by that", async () => {
        charon = await define();
        await makeDevice();
        await expect(charon.start()).rejects.toMatchObject({ words: expect.stringContaining("The charon_pvnet1 interface already exists") });
        expect(await links()).not.toContain("charon_pvnet1");
    });

    test("with managed='no' it answers over the device, which outlives a reboot and a shutdown of the guest", async () => {
        charon = await define("no");
        await makeDevice();
        const index = () => host.run(["cat", "/sys/class/net/charon_pvnet1/ifindex"]);
        const before = await index();
        await charon.start();
        expect(await charon.answers()).toBe("charon\n");

        await charon.sh("(sleep 1; reboot -f) > /dev/null 2>&1 &");
        await host.run(["sleep", "2"]);
        expect(await charon.answers()).toBe("charon\n");

        await charon.virsh("shutdown");
        await charon.reaches("shut off");
        expect(await index()).toBe(before);
    });
});
