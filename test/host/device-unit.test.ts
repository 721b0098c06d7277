// SPDX-License-Identifier: LGPL-2.1-or-later
// kvm-tap@NAME.service and its helper on real hosts: what is made, applied again, left, deleted and brought back by a boot.
import fc from "fast-check";
import { batchLines, wordsIn } from "../../src/model/ip-batch.ts";
import { eachRelease } from "../lab/releases.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { bareGuest, everything, give, hostFiles, tapFile } from "./host-files.ts";

const helper = "/usr/lib/kvm-tap/kvm-tap-device";
const guestUuid = "11111111-2222-4333-8444-555555555555";

await eachRelease(release => {
    // The oldest and the newest; packages.test.ts has devices on trixie at boot.
    if (release === "trixie" && !everything)
        return;
    let host: TestHost;
    beforeAll(async () => { host = await startHost({ release, files: hostFiles() }); });
    afterAll(() => host?.stop());

    const unit = (name: string) => `kvm-tap@${name}.service`;
    const write = (name: string, content: string) => host.machine.replace(`/etc/kvm-tap/${name}.tap`, content);
    const show = async (name: string, property: string) =>
        (await host.run(["systemctl", "show", "--value", "--property", property, unit(name)])).trim();
    const ifindex = async (name: string) => (await host.machine.read(`/sys/class/net/${name}/ifindex`))?.trim();
    /** What was said of the device. Not by unit: journald cannot tell the unit of a process that has ended already. */
    const journal = async (name: string) =>
        (await host.run(["journalctl", "--quiet", "-b", "-t", "kvm-tap", "-o", "cat"])).split("\n").filter(line => line.includes(name)).join("\n");

    async function made(name: string, guestAddress: string, options = "") {
        await write(name, tapFile(name, guestAddress, options));
        await host.run(["systemctl", "enable", "--quiet", "--now", unit(name)]);
    }

    /** Runs a guest on these targets while `body` runs. */
    async function whileRunning(interfaces: { target: string; driver?: string }[], body: () => Promise<void>) {
        await give(host, "create", bareGuest({ name: "holder", uuid: guestUuid, interfaces }));
        try {
            await body();
        } finally {
            await host.run(["virsh", "--quiet", "destroy", "holder"]);
        }
    }

    it("makes the device with its addresses, routes and settings", async () => {
        await host.machine.replace("/etc/sysctl.d/60-kvm-tap-first.conf",
            "net/ipv4/conf/first/send_redirects = 0\nnet/ipv6/conf/first/accept_ra = 0\n");
        await made("first", "10.0.0.2");
        const [link] = JSON.parse(await host.run(["ip", "-d", "-j", "addr", "show", "dev", "first"]));
        expect(link).toMatchObject({
            flags: expect.arrayContaining(["UP"]),
            linkinfo: { info_kind: "tun", info_data: { type: "tap", persist: true } },
            addr_info: [{ local: "169.254.0.1", prefixlen: 32 }],
        });
        expect(JSON.parse(await host.run(["ip", "-j", "route", "show", "dev", "first"]))).toMatchObject([{ dst: "10.0.0.2" }]);
        expect(await host.run(["cat", "/proc/sys/net/ipv4/conf/first/send_redirects"])).toBe("0\n");
        expect(await host.run(["cat", "/proc/sys/net/ipv6/conf/first/accept_ra"])).toBe("0\n");
        expect(await journal("first")).toContain("first was made from /etc/kvm-tap/first.tap");
    });

    it("applies a changed file to the same device, and puts back what is missing", async () => {
        const before = await ifindex("first");
        await write("first", `${tapFile("first", "10.0.0.2")}route replace 10.0.0.3/32 \\\n    dev first\n`);
        await host.run(["ip", "address", "flush", "dev", "first"]);
        await host.run(["systemctl", "reload", unit("first")]);
        expect(await host.run(["ip", "route", "show", "dev", "first"])).toMatch(/10\.0\.0\.2.*\n10\.0\.0\.3/);
        expect(await host.run(["ip", "address", "show", "dev", "first"])).toContain("169.254.0.1/32");
        expect(await ifindex("first")).toBe(before);
    });

    it.each(["a-b.c", "x_1", "abcdefghijklmno", "1.2"])("takes the name %s", async name => {
        await made(name, "10.0.1.1");
        expect(await ifindex(name)).toBeDefined();
        await host.run(["systemctl", "disable", "--quiet", "--now", unit(name)]);
        expect(await ifindex(name)).toBeUndefined();
    });

    it.each([
        ["-h", "no '-' at the start"],
        ["all", "settings for all devices"],
        ["default", "settings for all devices"],
        ["abcdefghijklmnop", "more than 15 characters"],
        ["a b", "use letters"],
        ["../tap", "use letters"],
        ["", "use letters"],
        [".", "use letters"],
        ["absent", "/etc/kvm-tap/absent.tap is missing"],
    ])("refuses the name %p and says why", async (name, why) => {
        const { status, stderr } = await host.attempt([helper, "start", name]);
        expect(stderr).toContain(why);
        expect(status).toBe(1);
    });

    it("leaves a link alone that is no TAP device", async () => {
        await host.sh("ip link add other type veth peer name other2");
        await write("other", tapFile("other", "10.0.1.2"));
        const { status } = await host.attempt(["systemctl", "start", unit("other")]);
        expect(status).not.toBe(0);
        expect(await journal("other")).toContain("other exists and is no TAP device");
        expect(await host.run(["ip", "address", "show", "dev", "other"])).not.toContain("169.254.0.1");
        expect((await host.attempt([helper, "stop", "other"])).stderr).toContain("no TAP device");
        await host.sh("ip link show other; ip link delete other; rm /etc/kvm-tap/other.tap");
    });

    it("fails visibly at a line that fails, and applies the others", async () => {
        const lines = tapFile("bad", "10.0.1.3").split("\n");
        await write("bad", [...lines.slice(0, 3), "address replace 10.1.1.300/32 dev bad", "link set dev bad group nonsense", ...lines.slice(3)].join("\n"));
        expect((await host.attempt(["systemctl", "start", unit("bad")])).status).not.toBe(0);
        expect(await show("bad", "ActiveState")).toBe("failed");
        expect(await journal("bad")).toMatch(/'address replace 10.1.1.300\/32 dev bad' failed: Error: .*10\.1\.1\.300/);
        expect(await journal("bad")).toContain("'link set dev bad group nonsense' failed");
        expect(await host.run(["ip", "route", "show", "dev", "bad"])).toContain("10.0.1.3");

        await write("bad", tapFile("bad", "10.0.1.3"));
        await host.run(["systemctl", "restart", unit("bad")]);
        expect(await show("bad", "ActiveState")).toBe("active");
    });

    it("is made from a file whose comments end with a backslash", async () => {
        await write("slash", tapFile("slash", "10.0.1.6", " multi_queue # not single \\").replace(" of a test", " \\"));
        await host.run(["systemctl", "start", unit("slash")]);
        expect(await host.run(["ip", "-d", "link", "show", "dev", "slash"])).toMatch(/multi_queue .*addrgenmode none/);
        expect(await host.run(["ip", "route", "show", "dev", "slash"])).toContain("10.0.1.6");
        await host.sh("systemctl stop kvm-tap@slash; rm /etc/kvm-tap/slash.tap");
    });

    it("says that the last line wants to go on, and applies the others", async () => {
        await write("slash", `${tapFile("slash", "10.0.1.6")}link set dev slash mtu 1400 \\\n`);
        expect((await host.attempt(["systemctl", "start", unit("slash")])).status).not.toBe(0);
        expect(await journal("slash")).toContain("its last line ends with a backslash and was left out: 'link set dev slash mtu 1400 '");
        expect(await host.run(["ip", "route", "show", "dev", "slash"])).toContain("10.0.1.6");
        await host.sh("ip tuntap del dev slash mode tap; rm /etc/kvm-tap/slash.tap");
    });

    it("ip takes the lines of any text as the page does", async () => {
        const piece = fc.constantFrom("zz", "zy q", " ", "\t", "\r", "\u00a0", "#", "\\", "\\\n", "\n", "# x \\\n");
        const texts = fc.sample(fc.array(piece, { maxLength: 25 }).map(pieces => `${pieces.join("")}\n`), 150);
        for (const text of texts) {
            const { stderr } = await host.attempt(["ip", "-force", "-batch", "-"], text);
            const said = [...stderr.matchAll(/^Object "([^"]*)" is unknown/gm)].map(([, word]) => word);
            expect([text, said]).toEqual([text, batchLines(text).flatMap(({ command }) => wordsIn(command ?? "").slice(0, 1))]);
        }
    });

    it("says which line does not make the device", async () => {
        await write("none", "link set dev none up\n");
        expect((await host.attempt([helper, "start", "none"])).stderr).toContain("has no line 'tuntap add dev none mode tap'");
        await write("none", "tuntap add dev elsewhere mode tap\n");
        expect((await host.attempt([helper, "start", "none"])).stderr).toContain("does not make none");
        await write("none", "tuntap add dev none mode tap user nobody-of-that-name\n");
        expect((await host.attempt([helper, "start", "none"])).stderr).toContain("could not be made by");
        await host.sh("ip tuntap del dev elsewhere mode tap; rm /etc/kvm-tap/none.tap");
    });

    it.each([
        ["single-queue", "", ""],
        ["multi-queue", " multi_queue", "queues='2'"],
    ])("keeps a %s device while a guest is on it, and deletes it afterwards", async (_, options, driver) => {
        await made("held", "10.0.1.4", options);
        const before = await ifindex("held");
        await whileRunning([{ target: "dev='held' managed='no'", driver }], async () => {
            await host.run(["systemctl", "stop", unit("held")]);
            expect(await journal("held")).toMatch(/held was left: it is in use by qemu-system-x86 \(process \d+\)/);
            expect(await ifindex("held")).toBe(before);
            await host.run(["systemctl", "start", unit("held")]);
        });
        expect(await ifindex("held")).toBe(before);
        await host.run(["systemctl", "disable", "--quiet", "--now", unit("held")]);
        expect(await ifindex("held")).toBeUndefined();
        expect(await journal("held")).toContain("held was deleted");
    });

    it("configures a device that a guest made itself, and says that it goes with it", async () => {
        await write("theirs", tapFile("theirs", "10.0.1.5"));
        await whileRunning([{ target: "dev='theirs'" }], async () => {
            await host.run(["systemctl", "start", unit("theirs")]);
            expect(await journal("theirs")).toMatch(/theirs is not persistent and goes when qemu-system-x86 \(process \d+\) ends/);
            expect(await host.run(["ip", "route", "show", "dev", "theirs"])).toContain("10.0.1.5");
        });
        expect(await ifindex("theirs")).toBeUndefined();
        await host.sh("systemctl stop kvm-tap@theirs; rm /etc/kvm-tap/theirs.tap");
    });

    it("says that queues change only with a new device", async () => {
        await write("first", tapFile("first", "10.0.0.2", " multi_queue"));
        await host.run(["systemctl", "reload", unit("first")]);
        expect(await journal("first")).toContain("first is not multi-queue and /etc/kvm-tap/first.tap says it is");
        await write("first", tapFile("first", "10.0.0.2"));
    });

    it("can be restarted as often as one likes", async () => {
        await host.sh("for i in $(seq 12); do systemctl restart kvm-tap@first; done");
        expect(await show("first", "ActiveState")).toBe("active");
    });

    describe("after a boot", () => {
        beforeAll(async () => {
            await made("wan-1.0", "10.0.0.9", " multi_queue");
            await give(host, "define", bareGuest({
                name: "boots", uuid: guestUuid,
                interfaces: [{ target: "dev='first' managed='no'" }, { target: "dev='wan-1.0' managed='no'", driver: "queues='2'" }],
            }));
            await host.run(["virsh", "--quiet", "autostart", "boots"]);
            await host.run(["virsh", "--quiet", "start", "boots"]);
            await host.sh("systemctl enable --quiet libvirt-guests; systemctl start libvirt-guests");
            await host.reboot();
        });

        it("every enabled device is there with its addresses and routes", async () => {
            for (const [name, address] of [["first", "10.0.0.2"], ["wan-1.0", "10.0.0.9"]] as const) {
                expect(await host.run(["ip", "route", "show", "dev", name])).toContain(address);
                expect(await host.run(["ip", "address", "show", "dev", name])).toContain("169.254.0.1/32");
            }
            expect(await host.run(["cat", "/proc/sys/net/ipv4/conf/first/send_redirects"])).toBe("0\n");
        });

        it("they were there before libvirt started, and its guests run on them", async () => {
            const active = Number(await show("first", "ActiveEnterTimestampMonotonic"));
            const libvirt = Number((await host.run(["systemctl", "show", "--value", "-p", "ExecMainStartTimestampMonotonic", "libvirtd"])).trim());
            expect(active).toBeGreaterThan(0);
            expect(active).toBeLessThan(libvirt);
            expect(await host.run(["virsh", "domstate", "boots"])).toContain("running");
            expect(await host.machine.read("/sys/class/net/first/carrier")).toBe("1\n");
        });

        it("systemd found no ordering cycle, and the shutdown took no device from a guest", async () => {
            expect((await host.attempt(["journalctl", "-q", "-b", "--grep", "ordering cycle"])).stdout).toBe("");
            const shutdown = await host.attempt(["journalctl", "-q", "-b", "-1", "-t", "kvm-tap", "KVM_TAP_EVENT=device-down", "-n", "1", "-o", "cat"]);
            expect(shutdown.stdout).not.toMatch(/first|wan/);
        });

        it("the same holds after the power was cut", async () => {
            await host.reboot({ cut: true });
            expect(await host.run(["ip", "route", "show", "dev", "first"])).toContain("10.0.0.2");
            expect(await host.run(["virsh", "domstate", "boots"])).toContain("running");
        });

        it("a disabled one stays away", async () => {
            await host.run(["systemctl", "disable", "--quiet", unit("wan-1.0")]);
            await host.run(["virsh", "--quiet", "autostart", "--disable", "boots"]);
            await host.reboot();
            expect(await ifindex("wan-1.0")).toBeUndefined();
            expect(await ifindex("first")).toBeDefined();
        });
    });
});
