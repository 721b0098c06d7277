// SPDX-License-Identifier: LGPL-2.1-or-later
// libvirt's hook on real hosts: protected guests that run on their old definition get their device back however they end, others are
// left alone, and the journal tells what libvirt deleted.
import { eachRelease } from "../lab/releases.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { bareGuest, give, hostFiles, tapFile } from "./host-files.ts";

/** Whatever libvirt takes for a name, in its files, on the command line and in XML. */
const guest = `o'x "a" & <b> ü; $(touch gotcha) -`;
const uuid = "aa111111-2222-4333-8444-555555555555";

await eachRelease(release => {
    let host: TestHost;
    beforeAll(async () => {
        host = await startHost({ release, files: { ...hostFiles(), "/etc/kvm-tap/charon_pvnet1.tap": tapFile("charon_pvnet1", "10.0.0.2"),
            "/etc/kvm-tap/second-1.0.tap": tapFile("second-1.0", "10.0.0.3") } });
    });
    afterAll(() => host?.stop());

    const virsh = (...args: string[]) => host.run(["virsh", "--quiet", ...args]);
    const exists = async (name: string) => (await host.attempt(["test", "-e", `/sys/class/net/${name}`])).status === 0;

    /** Defines the guest with these targets; stops and restarts nothing. */
    const define = (targets: readonly string[], more: { extra?: string; metadata?: string } = {}) =>
        give(host, "define", bareGuest({ name: guest, uuid, interfaces: targets.map(target => ({ target })), ...more }));

    /** The lines of the history since `since`, "EVENT DEVICE GUEST REASON" each. */
    async function history(since: string): Promise<string[]> {
        const lines = (await host.run(["journalctl", "-q", "-t", "kvm-tap", "--since", since, "-o", "json"])).split("\n").filter(Boolean);
        return lines.map(line => JSON.parse(line) as Record<string, string>).filter(entry => entry["KVM_TAP_GUEST"] !== undefined)
            .map(entry => [entry["KVM_TAP_EVENT"], entry["KVM_TAP_DEVICE"], entry["KVM_TAP_GUEST"], entry["KVM_TAP_REASON"]].join("|"));
    }
    const now = async () => (await host.run(["date", "+%F %T.%6N"])).trim();

    /** Running on a definition without managed='no', configured with it, both units enabled. */
    async function pending(extra = ""): Promise<void> {
        await host.sh("systemctl disable --quiet --now kvm-tap@charon_pvnet1 kvm-tap@second-1.0");
        await define(["dev='charon_pvnet1'", "dev='second-1.0'"], { extra });
        await virsh("start", guest);
        await host.sh("systemctl enable --quiet --now kvm-tap@charon_pvnet1 kvm-tap@second-1.0");
        await define(["dev='charon_pvnet1' managed='no'", 'managed="no" dev="second-1.0"'], { extra });
        expect(await virsh("dumpxml", guest)).not.toContain("managed");
    }

    /** Both devices with address, route and persistence. Throws where something is missing. */
    async function complete(): Promise<void> {
        for (const [name, address] of [["charon_pvnet1", "10.0.0.2"], ["second-1.0", "10.0.0.3"]] as const) {
            expect(await host.run(["ip", "address", "show", "dev", name])).toContain("169.254.0.1/32");
            expect(await host.run(["ip", "route", "show", "dev", name])).toContain(address);
            expect(await host.run(["ip", "-d", "link", "show", "dev", name])).toContain("persist on");
        }
    }
    const completeWithinASecond = () => until("both devices with addresses and routes", async () => { await complete(); return true; }, 1);

    describe("a guest that is protected from its next start on, and runs on its old definition", () => {
        beforeEach(() => pending());

        it("has its devices back when it was destroyed", async () => {
            const since = await now();
            await virsh("destroy", guest);
            await completeWithinASecond();
            const events = await history(since);
            expect(events).toEqual([expect.stringContaining(`restored|charon_pvnet1|${guest}|`), expect.stringContaining(`restored|second-1.0|${guest}|`)]);
        });

        it("has them back when QEMU was killed", async () => {
            await host.sh("kill -9 $(pidof qemu-system-x86_64)");
            await until("libvirt to notice", async () => (await virsh("domstate", guest)).includes("shut off"));
            await completeWithinASecond();
        });

        it("has them back when it was saved, and again when it was restored and destroyed", async () => {
            await virsh("managedsave", guest);
            await completeWithinASecond();
            // What was saved says nothing of managed='no': with the devices there libvirt refuses to go on, and deletes them.
            const since = await now();
            expect((await host.attempt(["virsh", "start", guest])).stderr).toContain("already exists");
            await completeWithinASecond();
            expect(await history(since)).toEqual(expect.arrayContaining([expect.stringMatching(/^deleted\|charon_pvnet1\|.*\|failed$/)]));
            await virsh("managedsave-remove", guest);
        });

        it("has them back when libvirt finds QEMU dead at its own start", async () => {
            await host.sh("systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd; kill -9 $(pidof qemu-system-x86_64); sleep 0.2");
            await host.sh("systemctl start libvirtd.socket libvirtd");
            await until("libvirt to notice", async () => (await virsh("domstate", guest)).includes("shut off"));
            await completeWithinASecond();
        });

        it("has them back when it ends while libvirt-guests stops, without making that wait", async () => {
            await host.sh("systemctl start libvirt-guests; (sleep 1; virsh destroy \"$0\") >/dev/null 2>&1 &".replace("$0", guest.replace(/["$\\]/g, "\\$&")));
            const before = Date.now();
            await host.run(["systemctl", "stop", "libvirt-guests"]);
            expect(Date.now() - before).toBeLessThan(5000);
            await completeWithinASecond();
        });
    });

    it("a protected guest that fails to start keeps its devices; of the others it tells what libvirt deleted", async () => {
        await host.sh("systemctl restart kvm-tap@charon_pvnet1 kvm-tap@second-1.0; ip tuntap add hers mode tap");
        await define(["dev='charon_pvnet1' managed='no'", "dev='second-1.0' managed='no'", "dev='hers'"]);
        const since = await now();
        expect((await host.attempt(["virsh", "start", guest])).stderr).toContain("The hers interface already exists");
        await completeWithinASecond();
        expect(await history(since)).toEqual([`deleted|hers|${guest}|failed`]);
        expect(await exists("hers")).toBe(false);
    });

    it("a device that somebody deleted is made before its guest starts", async () => {
        await host.sh("ip link delete charon_pvnet1");
        await define(["dev='charon_pvnet1' managed='no'", "dev='second-1.0' managed='no'"]);
        const since = await now();
        await virsh("start", guest);
        await complete();
        expect(await history(since)).toEqual([expect.stringContaining(`restored|charon_pvnet1|${guest}|`)]);
        const index = await host.run(["cat", "/sys/class/net/charon_pvnet1/ifindex"]);
        await virsh("destroy", guest);
        expect(await host.run(["cat", "/sys/class/net/charon_pvnet1/ifindex"])).toBe(index);
    });

    it("so is that of a guest without a configured definition", async () => {
        await virsh("undefine", guest);
        await host.sh("ip link delete charon_pvnet1");
        await give(host, "create", bareGuest({ name: guest, uuid, interfaces: [{ target: "dev='charon_pvnet1' managed='no'" }] }));
        await virsh("destroy", guest);
        await complete();
    });

    describe("is left alone", () => {
        beforeEach(() => host.sh("systemctl restart kvm-tap@charon_pvnet1 kvm-tap@second-1.0"));

        it("what the definition does not protect, although its unit is enabled", async () => {
            await define(["dev='charon_pvnet1'"], {
                metadata: `<x:y xmlns:x="urn:x"><!-- <interface type='ethernet'><target dev='charon_pvnet1' managed='no'/></interface> -->
                    <devices><interface type="ethernet"><target dev="charon_pvnet1" managed="no"/></interface></devices></x:y>`,
            });
            const since = await now();
            expect((await host.attempt(["virsh", "start", guest])).status).not.toBe(0);
            expect(await exists("charon_pvnet1")).toBe(false);
            expect(await history(since)).toEqual([`deleted|charon_pvnet1|${guest}|failed`]);
            await virsh("start", guest);
            await virsh("destroy", guest);
            expect(await exists("charon_pvnet1")).toBe(false);
        });

        it("what has no enabled unit", async () => {
            await host.sh("systemctl disable --quiet kvm-tap@second-1.0; ip link delete second-1.0");
            await define(["dev='charon_pvnet1' managed='no'", "dev='second-1.0' managed='no'"]);
            expect((await host.attempt(["virsh", "start", guest])).stderr).toContain("managed='no' but specified dev doesn't exist");
            expect(await exists("second-1.0")).toBe(false);
            await host.sh("systemctl enable --quiet kvm-tap@second-1.0");
        });
    });

    it("a unit that fails keeps no guest from its start or stop, and the journal says so", async () => {
        await define(["dev='charon_pvnet1' managed='no'"]);
        await host.sh("systemctl restart kvm-tap@charon_pvnet1");
        await virsh("start", guest);
        await host.sh("echo nonsense > /etc/kvm-tap/charon_pvnet1.tap; ip link delete charon_pvnet1");
        const since = await now();
        await virsh("destroy", guest);
        expect(await history(since)).toEqual([expect.stringContaining("failed|charon_pvnet1|")]);
        await host.machine.replace("/etc/kvm-tap/charon_pvnet1.tap", tapFile("charon_pvnet1", "10.0.0.2"));
    });

    describe("keeps no guest from its start or stop, and makes the device again all the same", () => {
        const long = "g".repeat(247);
        const other = "bb111111-2222-4333-8444-555555555555";
        const start = async (name: string) => {
            await host.sh("ip link delete charon_pvnet1 || :; systemctl enable --quiet kvm-tap@charon_pvnet1");
            await virsh("start", name);
            await until("the device", async () => await exists("charon_pvnet1"), 1);
            await virsh("destroy", name);
        };
        afterAll(() => host.sh("ip link delete charon_pvnet1"));
        afterEach(() => host.sh("umount -lq /run/kvm-tap || :; rm -rf /run/kvm-tap/guests; mkdir -p /run/kvm-tap/guests"));

        test.each([
            ["with /run/kvm-tap out of inodes", "mount -t tmpfs -o nr_inodes=1 tmpfs /run/kvm-tap"],
            ["with it full", "mount -t tmpfs -o size=4k tmpfs /run/kvm-tap; head -c 1M /dev/zero >/run/kvm-tap/full || :"],
            ["with it read-only", "mount -t tmpfs -o ro tmpfs /run/kvm-tap"],
            ["with a file in its place", "mount -t tmpfs tmpfs /run/kvm-tap; touch /run/kvm-tap/guests"],
        ])("%s", async (_title, command) => {
            await define(["dev='charon_pvnet1' managed='no'"]);
            await host.sh(command);
            await start(guest);
        });

        test("with the longest name that libvirt takes, 247 bytes", async () => {
            await give(host, "define", bareGuest({ name: long, uuid: other, interfaces: [{ target: "dev='charon_pvnet1' managed='no'" }] }));
            await start(long);
            await virsh("undefine", long);
        });
    });

    it("does nothing once the helper is gone, and no guest's name was ever run", async () => {
        await host.sh("mv /usr/lib/kvm-tap/kvm-tap-device /usr/lib/kvm-tap/away");
        await define(["dev='charon_pvnet1' managed='no'"]);
        expect((await host.attempt(["virsh", "start", guest])).stderr).toContain("doesn't exist");
        await host.sh("mv /usr/lib/kvm-tap/away /usr/lib/kvm-tap/kvm-tap-device");
        expect(await host.sh("ls / /root; ls /run/kvm-tap/guests")).not.toMatch(/gotcha|taps|starting/);
    });
});
