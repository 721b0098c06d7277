// SPDX-License-Identifier: LGPL-2.1-or-later
// What administrators install, on hosts whose guests are running and in use: nothing that runs is touched by an installation, an
// upgrade or a removal, what was removed is said, and a purge leaves nothing behind.
import { existsSync, rmSync } from "node:fs";
import { finish, must } from "../lab/exec.ts";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { parsePrefix } from "../../src/model/nat-address.ts";
import { natFile } from "../../src/model/nat-file.ts";
import { everything, tapFile } from "./host-files.ts";
import { bring, buildPackages, locked, type Built } from "./packages.ts";

const publicAddress = "203.0.113.50";
let built: Built;
beforeAll(async () => { built = await buildPackages(); });
afterAll(() => { if (built) rmSync(built.directory, { recursive: true }); });


function mapping() {
    const [outside, inside] = [parsePrefix(publicAddress), parsePrefix("10.0.0.2")];
    if (!outside || !inside)
        throw new Error("addresses of the test");
    return natFile({
        uplinks: ["eth0"], devices: [{ name: "charon_pvnet1", guarded: true, shared: false }],
        mappings: [{ public: outside, guest: inside, description: "charon", enabled: true, claimed: true, log: false }],
    });
}

/** A guest in use: its QEMU, its device, its mapping, and a connection from the internet through it. */
function inUse(host: TestHost) {
    const charon = () => defineGuest(host, {
        name: "charon", interfaces: [ethernet("charon_pvnet1", { mac: "52:54:00:25:6f:3f", managed: "no" })], boots: [{ address: "10.0.0.2" }],
    });

    async function setUp(): Promise<Guest> {
        await host.machine.replace("/etc/kvm-tap/charon_pvnet1.tap", tapFile("charon_pvnet1", "10.0.0.2"));
        await host.machine.replace("/etc/kvm-tap/nat.nft", mapping());
        await host.machine.replace("/etc/sysctl.d/60-kvm-tap.conf", "net/ipv4/ip_forward = 1\n");
        await host.machine.replace("/etc/sysctl.d/60-kvm-tap-charon_pvnet1.conf", "net/ipv4/conf/charon_pvnet1/send_redirects = 0\n");
        await host.sh("sysctl -q -p /etc/sysctl.d/60-kvm-tap.conf");
        await host.run(["systemctl", "enable", "--quiet", "--now", "kvm-tap@charon_pvnet1", "kvm-tap-nat", "kvm-tap-nat-announce"]);
        const guest = await charon();
        await guest.virsh("autostart");
        await guest.start();
        await guest.answers();
        return guest;
    }

    /** All that must be the same before and after. */
    async function identity(): Promise<Record<string, string>> {
        return {
            qemu: await host.sh("pidof qemu-system-x86_64"),
            device: await host.run(["cat", "/sys/class/net/charon_pvnet1/ifindex"]),
            units: await host.sh("systemctl show -p InvocationID,ActiveState kvm-tap@charon_pvnet1 kvm-tap-nat"),
            table: (await host.run(["nft", "-a", "list", "table", "inet", "kvm_tap"])).replace(/packets \d+ bytes \d+|expires \S+/g, ""),
            routes: await host.sh("ip route show table all; ip -4 addr show | grep inet"),
        };
    }

    /** The guest's answer through its mapping, to somebody in the internet. */
    const answer = () => host.internet.run(["curl", "-sS", "-m", "3", `http://${publicAddress}/`]);
    const answers = () => until("the guest's answer through its mapping", answer, 60);

    /** Runs `change` in the middle of a connection; that and all else survives. */
    async function survives(change: () => Promise<unknown>): Promise<void> {
        const before = await identity();
        const connection = host.internet.run(["curl", "-sS", "-m", "60", "--data-binary", "sleep 3; echo survived", `http://${publicAddress}/cgi-bin/sh`]);
        await until("the connection", async () => (await host.sh("conntrack -L 2>/dev/null")).includes(`dst=${publicAddress}`));
        await change();
        expect(await connection).toContain("survived");
        expect(await identity()).toEqual(before);
    }
    return { setUp, survives, answers };
}

await eachRelease(release => {
    // The whole story takes a minute or two.
    if (release !== "trixie" && !everything)
        return;
    let host: TestHost, use: ReturnType<typeof inUse>, guest: Guest;
    beforeAll(async () => {
        host = await startHost({ release });
        use = inUse(host);
    });
    afterAll(() => host?.stop());

    const dpkg = async (...args: string[]) => {
        const { status, stdout, stderr } = await host.attempt(["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", ...args]);
        expect([status, `${stdout}${stderr}`]).toEqual([0, expect.any(String)]);
        return `${stdout}${stderr}`;
    };
    const active = (unit: string) => host.attempt(["systemctl", "is-active", unit]).then(({ stdout }) => stdout.trim());
    const libvirt = () => host.sh("systemctl show -p InvocationID libvirtd");

    it("installs on a host with a running guest of somebody's, enables nothing, and libvirt knows the hook", async () => {
        await host.sh("ip tuntap add dev other mode tap; ip link set other up");
        const other = await defineGuest(host, { name: "other", interfaces: [ethernet("other", { managed: "no" })] });
        await other.start();
        const qemu = await host.sh("pidof qemu-system-x86_64");
        await dpkg("--install", ...bring(host, built.older));
        expect(await host.sh("pidof qemu-system-x86_64")).toBe(qemu);
        expect(await other.state()).toBe("running");
        expect((await host.attempt(["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "kvm-tap*"])).stdout).toBe("");
        expect((await host.attempt(["dpkg", "--verify", "kvm-tap", "cockpit-kvm-tap"])).stdout.replace(/.*\/usr\/share\/doc\/.*\n/g, "")).toBe("");

        await other.virsh("destroy");
        await host.machine.replace("/etc/kvm-tap/other.tap", tapFile("other", "10.0.0.7"));
        await host.run(["systemctl", "enable", "--quiet", "kvm-tap@other"]);
        await host.run(["ip", "link", "delete", "other"]);
        await other.start();
        expect(await host.run(["ip", "route", "show", "dev", "other"])).toContain("10.0.0.7");
        await other.virsh("destroy");
        await host.sh("systemctl disable --quiet --now kvm-tap@other; rm /etc/kvm-tap/other.tap");
    });

    it("its units are in order, as systemd sees it, and its manual can be read", async () => {
        const { status, stderr } = await host.attempt(["systemd-analyze", "verify", "--man=no", "kvm-tap@a-b.service", "kvm-tap-nat.service", "kvm-tap-nat-announce.service"]);
        expect(stderr.split("\n").filter(line => line.includes("kvm-tap"))).toEqual([]);
        expect(status).toBe(0);
        expect(await host.sh("zcat /usr/share/man/man7/kvm-tap.7.gz")).toContain("RECOVERING FROM THE CONSOLE");
    });

    it("is upgraded while its guest is in use, and libvirt is not restarted by it", async () => {
        guest = await use.setUp();
        await use.answers();
        const before = await libvirt();
        await use.survives(() => dpkg("--install", ...bring(host, built.debs)));
        expect(await libvirt()).toBe(before);
        expect(await host.sh("cat /etc/libvirt/hooks/qemu.d/50-kvm-tap")).not.toContain("as it was in 0.0.9");
    });

    it("is installed again over itself", () => use.survives(() => dpkg("--install", ...bring(host, built.debs))));

    it("works on without its page, also after the next boot", async () => {
        await use.survives(() => dpkg("--remove", "cockpit-kvm-tap"));
        expect(existsSync(`${host.root}/usr/share/cockpit/kvm-tap`)).toBe(false);
        await host.reboot();
        expect(await use.answers()).toBe("charon\n");
    });

    it("says at its removal what the next boot will miss, and leaves what runs; guests start and stop without it", async () => {
        await use.survives(async () => {
            const said = await dpkg("--remove", "kvm-tap");
            expect(said).toMatch(/next boot will not bring them back:.* kvm-tap@charon_pvnet1\.service/);
            expect(said).toContain("kvm-tap-nat.service");
        });
        await guest.virsh("destroy");
        await guest.start();
        expect(await use.answers()).toBe("charon\n");
    });

    it("picks up where it was when it is installed again", async () => {
        await use.survives(() => dpkg("--install", ...bring(host, built.debs)));
        await host.reboot();
        expect(await use.answers()).toBe("charon\n");
    });

    it("leaves nothing behind when it is purged, and what runs until the next boot", async () => {
        await use.survives(() => dpkg("--purge", "cockpit-kvm-tap", "kvm-tap"));
        expect(await host.sh("rm /root/*.deb; find / -xdev '(' -name '*kvm-tap*' -o -name '*kvm_tap*' ')' -not -path '/proc/*' -not -path '/sys/*'")).toBe("");
        expect(await host.sh("grep -rl kvm-tap /etc /var/lib/systemd /var/lib/dpkg/status || true")).toBe("");
        await host.reboot();
        expect(await active("kvm-tap@charon_pvnet1")).toBe("inactive");
        expect((await host.attempt(["nft", "list", "tables"])).stdout).toBe("");
        expect(await host.sh("ip -br link")).not.toContain("charon");
        expect(await host.sh("systemctl --failed --no-legend --plain | grep -v libvirt || true")).toBe("");
        expect((await host.attempt(["virsh", "list", "--all"])).status).toBe(0);
    });
});

describe("the files", () => {
    const lines = async (argv: string[]) => (await must(argv)).split("\n").filter(Boolean);
    const withoutCompression = (path: string) => path.replace(/^(.*\/(?:man|doc)\/.*)\.gz$/, "$1");

    it.each(["kvm-tap", "cockpit-kvm-tap"])("of %s are the same in deb and RPM", async name => {
        const deb = (await lines(["sh", "-c", `dpkg-deb --fsys-tarfile ${built.debs[name]} | tar -t`]))
            .filter(path => !path.endsWith("/")).map(path => withoutCompression(path.slice(1)))
            // Those of Debian alone, its Python's memory of whose modules to compile among them.
            .filter(path => !/\/(copyright|changelog\.Debian)$|\/lintian\/overrides\/|\/python3\/runtime\.d\//.test(path)).sort();
        const rpm = (await lines(["rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\\n]", built.rpms[name] ?? ""]))
            .filter(line => !line.startsWith("d")).map(line => withoutCompression(line.replace(/^\S+ /, "")))
            .filter(path => !path.startsWith("/usr/share/licenses/")).sort();
        expect(rpm).toEqual(deb);
    });

    it("a second archive of the same commit is equal to the first", async () => {
        const [first, second] = (await locked(`
            make --silent dist >&2; cat output/kvm-tap-*.tar.xz | sha256sum
            touch pkg/*; umask 077; make --silent dist >&2; cat output/kvm-tap-*.tar.xz | sha256sum`)).trim().split("\n");
        expect(first).toBeTruthy();
        expect(second).toBe(first);
        // Not into dist/, which others may be installing.
        const again = `${built.directory}/page`;
        await must(["node", "build.mjs", `--out=${again}`]);
        await must(["diff", "-r", "--exclude=bundled-packages.txt", "dist", again]);
    });

    it("lintian has nothing to say of the deb that is not explained", async () => {
        const { stdout, status } = await finish(["sh", "-c", `lintian --pedantic --display-info --fail-on none ${built.directory}/*.changes 2>/dev/null`]);
        expect([status, stdout]).toEqual([0, ""]);
    });

    it("nor rpmlint of the RPM", async () => {
        const { stdout } = await finish(["sh", "-c", `rpmlint --rpmlintrc pkg/rpmlintrc ${built.directory}/*.rpm pkg/kvm-tap.spec`]);
        expect(stdout.split("\n").filter(line => /: [EW]: /.test(line))).toEqual([]);
        expect(stdout).toMatch(/ 3 packages and 1 specfiles checked; 0 errors, 0 warnings/);
    });

    it("the metainfo is valid, and every file tells the same version", async () => {
        await must(["appstreamcli", "validate", "--no-net", "pkg/org.kvm_tap.cockpit_kvm_tap.metainfo.xml"]);
        const version = JSON.parse(await must(["cat", "package.json"])).version;
        expect(await must(["cat", "pkg/kvm-tap.spec"])).toMatch(new RegExp(`^Version: +${version}$`, "m"));
        expect(await must(["head", "-1", "pkg/debian/changelog"])).toContain(`(${version}-`);
        expect(await must(["cat", "pkg/org.kvm_tap.cockpit_kvm_tap.metainfo.xml"])).toContain(`<release version="${version}"`);
    });
});
