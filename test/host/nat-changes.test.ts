// SPDX-License-Identifier: LGPL-2.1-or-later
// Changes of the 1:1 NAT that are cut off, killed, refused or have no room: the host is as before or says what is true, and nobody
// who needs the table waits for them.
import { spawn } from "node:child_process";
import { planMapAddress, planRemoveMappings } from "../../src/actions/map-address.ts";
import { planLoadSaved } from "../../src/actions/nat-drift.ts";
import { changeStatus, confirmChange, keepChange, revertChange } from "../../src/host/nat.ts";
import { natFile } from "../../src/model/nat-file.ts";
import type { Mapping, NatState } from "../../src/model/nat.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { inHost } from "../lab/machine.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { Page, ask, changeOf, emulate, endPrograms, internetPlace, serve, type Place } from "./nat-lab.ts";

const PORT = 7000;
const HELPER = "/usr/lib/kvm-tap/kvm-tap-nat";

await eachRelease(release => {
    // make check: one release; what differs between them is nft, ip and systemd, which nat.test.ts and nat-gap.test.ts have.
    if (!everything && release !== "bookworm") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost, page: Page, internet: Place;

    const mapping = (last: number, more: Partial<Mapping> = {}): Mapping => ({
        public: { family: 4, address: `203.0.113.${last}`, length: 32 }, guest: { family: 4, address: `10.0.2.${last}`, length: 32 },
        description: "", enabled: true, claimed: true, log: false, ...more,
    });
    const base: NatState = {
        uplinks: ["eth0"], devices: [{ name: "charon0", guarded: true, shared: false }],
        mappings: [mapping(10, { guest: { family: 4, address: "10.0.0.2", length: 32 } })],
    };
    const with20: NatState = { ...base, mappings: [...base.mappings, mapping(20)] };
    const table = () => host.sh("nft --stateless list table inet kvm_tap | grep -v counter || :");
    const saved = () => host.machine.read("/etc/kvm-tap/nat.nft");
    /** All that a change of NAT leaves on a host. */
    const everythingOfIt = async () => [await table(), await saved(), await host.sh("ip route show proto 107; ip neigh show proxy; "
        + "tc filter show dev eth0 egress; cat /proc/sys/net/ipv4/ip_forward; ls /run/kvm-tap | grep nat-pending || :")];
    const arm = (text: string, seconds = 15) => host.attempt([HELPER, "arm", String(seconds)], text);
    /** With all that belongs to it. */
    const reverted = async () => {
        await until("the change to be put back", async () => (await changeStatus(host.machine)).state === "reverted");
        await host.run(["flock", "/run/kvm-tap/nat-lock", "true"]);
    };

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        page = new Page(host);
        internet = internetPlace(host);
        await serve(await emulate(host, "charon", "10.0.0.2", "fd00::2"), PORT);
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("the first mapping, put back: the host forwards no more, and has no file of it", async () => {
        expect(await host.sh("cat /proc/sys/net/ipv4/ip_forward")).toBe("0\n");
        const { status, stderr } = await arm(changeOf({ uplinks: [], devices: [], mappings: [] }, base).replace(/"nft":\[.*?\],"save"/s,
            `"nft":${JSON.stringify(natFile(base).trimEnd().split("\n"))},"save"`));
        expect([status, stderr]).toEqual([0, ""]);
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
        expect(await host.sh("cat /proc/sys/net/ipv4/ip_forward")).toBe("1\n");
        await revertChange(host.machine);
        expect(await everythingOfIt()).toEqual(["", null, "0\n"]);
        expect((await host.attempt(["systemctl", "is-enabled", "kvm-tap-nat"])).stdout.trim()).toBe("disabled");
    });

    test("cut off anywhere on its way it is refused, and nothing has happened", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
        await until("the unit", async () => (await host.attempt(["systemctl", "is-active", "kvm-tap-nat"])).status === 0);
        const before = await everythingOfIt();
        const text = changeOf(base, with20);
        for (const length of [0, 1, 100, text.length >> 1, text.length - 1]) {
            for (const verb of [["arm", "15"], ["apply"]]) {
                const { status, stderr } = await host.attempt([HELPER, ...verb], text.slice(0, length));
                expect([status, stderr]).toEqual([1, expect.stringContaining("the change is not complete")]);
            }
        }
        expect(await everythingOfIt()).toEqual(before);
        expect(await changeStatus(host.machine)).toEqual({ state: "none" });
    });

    test("while a page is in the middle of sending, nobody waits: the table is loaded, other changes are made", async () => {
        const [program = "", ...args] = inHost(host.leader, [HELPER, "arm", "15"]);
        const sending = spawn(program, args, { stdio: ["pipe", "ignore", "ignore"] });
        sending.stdin.write(changeOf(base, with20).slice(0, 200));
        await until("it to read", async () => (await host.attempt(["pgrep", "-f", "kvm-tap-nat arm"])).status === 0);
        await host.run(["timeout", "5", "systemctl", "reload", "kvm-tap-nat"]);
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.21", guest: "10.0.2.21" }));
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.21"]));
        sending.kill("SIGKILL");
    });

    test("an address that somebody holds by a local route: refused, taken back, and his route stays", async () => {
        await host.sh("ip route add local 203.0.113.20 dev lo; ip route add 203.0.113.20 dev charon0");
        const before = await everythingOfIt();
        const { status, stderr } = await arm(changeOf(base, with20));
        expect([status, stderr]).toEqual([1,
            expect.stringMatching(/203\.0\.113\.20\/32 dev kvm-tap-hold.*: RTNETLINK answers: File exists/)]);
        expect(await everythingOfIt()).toEqual(before);
        expect(await host.sh("ip route show 203.0.113.20; ip route show table local 203.0.113.20")).toMatch(/dev charon0.*\n.*local 203.0.113.20/);
        const planned = planMapAddress(await page.read(), { public: "203.0.113.20", guest: "10.0.2.20" });
        expect("problems" in planned && planned.problems.map(({ says }) => says.id)).toEqual([expect.stringContaining("already")]);
        await host.sh("ip route del local 203.0.113.20 dev lo; ip route del 203.0.113.20 dev charon0");
    });

    test("nft refuses a line: nothing has happened", async () => {
        const before = await everythingOfIt();
        const broken = JSON.parse(changeOf(base, with20)) as { nft: string[] };
        const nonsense = "add element inet kvm_tap public4 { 203.0.113.22 : nonsense }";
        const { status, stderr } = await arm(JSON.stringify({ ...broken, nft: [...broken.nft, nonsense] }));
        expect([status, stderr]).toEqual([1, expect.stringContaining("nonsense")]);
        const file = { ...broken, save: { mappings: ["table inet kvm_tap {"] } };
        expect(await arm(JSON.stringify(file))).toMatchObject({ status: 1, stderr: expect.stringContaining("unexpected end of file") });
        expect(await everythingOfIt()).toEqual(before);
    });

    test("killed in the middle: systemd puts it back; where nothing would, the next that has to do with it does", async () => {
        const before = await everythingOfIt();
        for (const systemd of [true, false]) {
            // As soon as the change is in the kernel.
            await host.attempt(["sh", "-c", 'exec 3<&0; "$@" <&3 & until nft list set inet kvm_tap owned4 | grep -q 203.0.113.20; do :; done; kill -9 $!',
                "sh", HELPER, "arm", "4"], changeOf(base, with20));
            expect(await table()).toContain("203.0.113.20");
            if (systemd) {
                await reverted();
            } else {
                await host.sh("systemctl stop kvm-tap-nat-revert.timer");
                await page.readUntil("the difference to be noticed", snapshot => JSON.stringify(snapshot.natTable).includes("203.0.113.20"));
                await page.change(planLoadSaved);
            }
            expect(await everythingOfIt()).toEqual(before);
        }
    });

    test("no room for the file: not confirmed, said so, and put back by the host in time", async () => {
        const before = await everythingOfIt();
        await host.sh("mkdir /run/full; mount -t tmpfs -o size=64k none /run/full; cp -a /etc/kvm-tap/. /run/full; mount --bind /run/full /etc/kvm-tap; "
            + "head -c 1M /dev/zero > /etc/kvm-tap/filler 2> /dev/null || :");
        expect(await arm(changeOf(base, with20), 4)).toMatchObject({ status: 0 });
        await expect(confirmChange(host.machine)).rejects.toThrow("/etc/kvm-tap/nat.nft could not be written: No space left on device");
        expect(await host.sh("ls /etc/kvm-tap")).toBe("filler\nnat.nft\n");
        await reverted();
        await host.sh("umount /etc/kvm-tap /run/full");
        expect(await everythingOfIt()).toEqual(before);
    });

    test("no room for the second file: neither is changed, and the kernel has the table of before, whichever verb was to save it", async () => {
        const before = await everythingOfIt();
        const change = JSON.parse(changeOf(base, with20)) as { save: object };
        const text = JSON.stringify({ ...change, save: { ...change.save, sysctl: ["net/ipv4/conf/eth0/rp_filter = 2"] } });
        await host.sh("mount -t tmpfs -o size=64k none /etc/sysctl.d; head -c 1M /dev/zero > /etc/sysctl.d/filler 2> /dev/null || :");
        const noRoom = "/etc/sysctl.d/60-kvm-tap.conf could not be written: No space left on device";
        expect(await host.attempt([HELPER, "apply"], text)).toMatchObject({ status: 1, stderr: expect.stringContaining(noRoom) });
        expect(await everythingOfIt()).toEqual(before);
        expect(await arm(text, 4)).toMatchObject({ status: 0 });
        await expect(confirmChange(host.machine)).rejects.toThrow(noRoom);
        expect(await saved()).toBe(before[1]);
        await reverted();
        await expect(keepChange(host.machine)).rejects.toThrow(noRoom);
        expect(await everythingOfIt()).toEqual(before);
        expect(await host.sh("ls /etc/kvm-tap /etc/sysctl.d")).toMatch(/^\/etc\/kvm-tap:\nnat.nft\n\n\/etc\/sysctl.d:\nfiller\n$/);
        await host.sh("umount /etc/sysctl.d");
    });

    test("somebody wrote into nat.nft meanwhile: not confirmed, his words stay, and the change is put back", async () => {
        const before = await saved();
        expect(await arm(changeOf(base, with20), 4)).toMatchObject({ status: 0 });
        await host.sh("echo '# by hand' >> /etc/kvm-tap/nat.nft");
        await expect(confirmChange(host.machine)).rejects.toThrow("/etc/kvm-tap/nat.nft was changed meanwhile");
        await reverted();
        expect(await saved()).toBe(`${before}# by hand\n`);
        await host.machine.replace("/etc/kvm-tap/nat.nft", before);
    });

    test("“keep it anyway” after later changes: refused, and these are not lost", async () => {
        expect(await arm(changeOf(base, with20), 1)).toMatchObject({ status: 0 });
        await reverted();
        await host.run([HELPER, "apply"], changeOf(base, { ...base, mappings: [...base.mappings, mapping(24)] }));
        await expect(keepChange(host.machine)).rejects.toThrow("nothing was put back");
        expect(await saved()).toContain("203.0.113.24");
        await host.run([HELPER, "apply"], changeOf({ ...base, mappings: [...base.mappings, mapping(24)] }, base));
    });

    test("the table as it was cannot be loaded: what is saved is, and that is what the page is told", async () => {
        expect(await arm(changeOf(base, with20), 15)).toMatchObject({ status: 0 });
        await host.sh("echo nonsense >> /run/kvm-tap/nat-pending/before");
        await revertChange(host.machine);
        const status = await changeStatus(host.machine);
        expect(status).toMatchObject({ state: "reverted", reason: expect.stringContaining("/etc/kvm-tap/nat.nft was loaded instead") });
        expect(await table()).not.toContain("203.0.113.20");
        expect(await table()).toContain("203.0.113.10");
    });

    test("nftables reloaded while a change waits: the change is there, and goes when it is put back", async () => {
        expect(await arm(changeOf(base, with20), 4)).toMatchObject({ status: 0 });
        await host.sh("systemctl start nftables; systemctl reload nftables");
        expect(await table()).toContain("203.0.113.20");
        await reverted();
        expect(await table()).not.toContain("203.0.113.20");
        await host.sh("systemctl stop nftables");
    });

    test("a saved file that is empty or damaged: not loaded, said so, and neither the host answers nor a private source leaves", async () => {
        const before = await saved() ?? "";
        await host.sh(": > /etc/kvm-tap/nat.nft");
        expect(await host.attempt(["systemctl", "reload", "kvm-tap-nat"])).toMatchObject({ status: 1 });
        expect(await host.sh("journalctl -u kvm-tap-nat -o cat -n 20")).toContain("/etc/kvm-tap/nat.nft has no mappings: it is empty, or damaged");
        expect(await table()).toContain("203.0.113.10");
        await host.machine.replace("/etc/kvm-tap/nat.nft", `${before}add element inet kvm_tap public4 { 203.0.113.30 : nonsense }\n`);
        page.close();
        endPrograms();
        await host.reboot();
        page = new Page(host);
        await serve(await emulate(host, "charon", "10.0.0.2", "fd00::2"), PORT);
        expect((await host.attempt(["systemctl", "is-active", "kvm-tap-nat"])).stdout).toBe("failed\n");
        expect(await host.sh("nft list tables")).toBe("");
        expect(await host.sh("cat /proc/sys/net/ipv4/ip_forward; ip route show proto 107; tc filter show dev eth0 egress | grep -c bytecode"))
                .toMatch(/^0\n203\.0\.113\.10 dev kvm-tap-hold.*\n[12]\n$/); // IPv6 once its device is there
        await host.machine.replace("/etc/kvm-tap/nat.nft", before);
        await host.run(["systemctl", "restart", "kvm-tap-nat"]);
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
    });

    test("a bad line in the sysctl file is named, and all the rest is set", async () => {
        await host.machine.replace("/etc/sysctl.d/60-kvm-tap.conf", "net/ipv4/conf/eth0/rp_filter = é\nnet/ipv4/conf/eth0/log_martians = 1\n");
        await host.sh("sysctl -qw net.ipv4.ip_forward=0; tc qdisc del dev eth0 clsact; systemctl restart kvm-tap-nat");
        expect(await host.sh("cat /proc/sys/net/ipv4/conf/eth0/log_martians /proc/sys/net/ipv4/ip_forward; tc filter show dev eth0 egress"))
                .toMatch(/^1\n1\n[^]* bytecode /);
        expect(await host.sh("journalctl -u kvm-tap-nat -o cat -n 20")).toContain("net/ipv4/conf/eth0/rp_filter could not be set to");
        await host.sh("rm /etc/sysctl.d/60-kvm-tap.conf");
    });

    test("a device of somebody else with the name of the one that holds addresses: refused, and it stays", async () => {
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.10"]));
        await until("the unit to end", async () => (await host.attempt(["systemctl", "is-active", "kvm-tap-nat"])).stdout === "inactive\n");
        await host.sh("ip tuntap add dev kvm-tap-hold mode tap user 1000; ip link set kvm-tap-hold up");
        expect(await arm(changeOf({ uplinks: [], devices: [], mappings: [] }, base).replace(/"nft":\[.*?\],"save"/s,
            `"nft":${JSON.stringify(natFile(base).trimEnd().split("\n"))},"save"`)))
            .toMatchObject({ status: 1, stderr: expect.stringContaining("kvm-tap-hold is a device that somebody else made") });
        expect(await host.sh("nft list tables; ip -d link show kvm-tap-hold; ip route show proto 107")).toMatch(/^\d+: kvm-tap-hold.*persist on user (1000|admin)[^\n]*\n$/s);
        await host.sh("ip link del kvm-tap-hold");
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
    });

    test("nothing is kept where forwarding was on before, or where others need it", async () => {
        await host.sh("nft 'table ip others { chain out { type nat hook postrouting priority 100; }; }'");
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.10"]));
        await until("the unit to end", async () => (await host.attempt(["systemctl", "is-active", "kvm-tap-nat"])).stdout === "inactive\n");
        expect(await host.sh("cat /proc/sys/net/ipv4/ip_forward")).toBe("1\n");
        await host.sh("nft delete table ip others");
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.10"]));
        expect(await host.sh("cat /proc/sys/net/ipv4/ip_forward")).toBe("1\n");
    });
});
