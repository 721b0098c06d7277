// SPDX-License-Identifier: LGPL-2.1-or-later
// The RPMs unpacked on a test host, with their scriptlets run in rpm's order under a real systemd and libvirt. No Fedora can be had here,
// and no SELinux; what that leaves untried is in docs/host-files.md.
import { rmSync } from "node:fs";
import { must } from "../lab/exec.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { bareGuest, give, tapFile } from "./host-files.ts";
import { buildPackages, type Built } from "./packages.ts";

const hook = "/etc/libvirt/hooks/qemu.d/50-kvm-tap";
let host: TestHost, built: Built;

beforeAll(async () => {
    built = await buildPackages();
    host = await startHost({ release: "trixie" });
});
afterAll(async () => {
    await host?.stop();
    if (built)
        rmSync(built.directory, { recursive: true });
});

type Scriptlet = "PREIN" | "POSTIN" | "PREUN" | "POSTUN";

/** Runs a scriptlet as rpm does: `count` is how many versions will be there afterwards. */
async function scriptlet(file: string, tag: Scriptlet, count: number, change = (script: string) => script) {
    const script = await must(["rpm", "-qp", "--queryformat", `%|${tag}?{%{${tag}}}|`, file]);
    const { status, stdout, stderr } = await host.attempt(["sh", "-c", change(script), "sh", String(count)]);
    expect([tag, status, `${stdout}${stderr}`]).toEqual([tag, 0, expect.any(String)]);
    return `${stdout}${stderr}`;
}
const unpack = (file: string) =>
    must(["sh", "-euc", 'rpm2cpio "$1" | cpio --quiet -idmu -D "$0"', host.root, file]);
const files = async (file: string) => (await must(["rpm", "-qlp", file])).trim().split("\n");

async function install(packages: Record<string, string>, count: 1 | 2): Promise<void> {
    for (const file of Object.values(packages)) {
        await scriptlet(file, "PREIN", count);
        await unpack(file);
        await scriptlet(file, "POSTIN", count);
    }
}

/** Takes away what it owns, directories only when they are empty. */
async function erase(packages: Record<string, string>): Promise<string> {
    let said = "";
    for (const file of Object.values(packages).reverse()) {
        said += await scriptlet(file, "PREUN", 0);
        const paths = (await files(file)).sort().reverse();
        await host.run(["sh", "-c", 'for path; do rm -f "$path" 2>/dev/null || rmdir "$path" 2>/dev/null; done; true', "sh", ...paths]);
        said += await scriptlet(file, "POSTUN", 0);
    }
    return said;
}
const identity = () => host.sh(`pidof qemu-system-x86_64; cat /sys/class/net/charon_pvnet1/ifindex
    systemctl show -p InvocationID,ActiveState kvm-tap@charon_pvnet1`);
const libvirt = () => host.sh("systemctl show -p InvocationID libvirtd");
const mode = (path: string) => host.run(["stat", "--format", "%a", path]).then(text => text.trim());
const charon = (target: string) => bareGuest({ name: "charon", uuid: "bb111111-2222-4333-8444-555555555555", interfaces: [{ target }] });

test("installed beside a running guest: that goes on, nothing is enabled, and libvirt knows the hook", async () => {
    await give(host, "define", charon("dev='charon_pvnet1'"));
    await host.run(["virsh", "start", "charon"]);
    const qemu = await host.sh("pidof qemu-system-x86_64");
    await install(built.olderRpms, 1);
    expect(await host.sh("pidof qemu-system-x86_64")).toBe(qemu);
    expect((await host.attempt(["systemctl", "list-unit-files", "--state=enabled", "--no-legend", "kvm-tap*"])).stdout).toBe("");
    expect(await mode(hook)).toBe("755");
    expect(await host.sh("stat -c '%a %U' /usr/lib/kvm-tap/* /usr/share/cockpit/kvm-tap/manifest.json | sort -u")).toBe("644 root\n755 root\n");

    // Protected from its next start on: only the hook can bring the device back now.
    await host.machine.replace("/etc/kvm-tap/charon_pvnet1.tap", tapFile("charon_pvnet1", "10.0.0.2"));
    await host.run(["systemctl", "enable", "--quiet", "--now", "kvm-tap@charon_pvnet1"]);
    await give(host, "define", charon("dev='charon_pvnet1' managed='no'"));
    await host.run(["virsh", "destroy", "charon"]);
    await until("the device", async () => (await host.run(["ip", "route", "show", "dev", "charon_pvnet1"])).includes("10.0.0.2"), 1);
});

test("upgraded while a guest runs: nothing is restarted, the hook stays on", async () => {
    await host.run(["virsh", "start", "charon"]);
    const before = [await identity(), await libvirt()];
    await install(built.rpms, 2);
    for (const file of Object.values(built.olderRpms)) {
        await scriptlet(file, "PREUN", 1);
        await scriptlet(file, "POSTUN", 1);
    }
    expect([await identity(), await libvirt()]).toEqual(before);
    expect(await mode(hook)).toBe("755");
    expect(await host.sh("ls /run/kvm-tap")).not.toContain("hook-was-on");
});

describe("where SELinux is enforcing (its file, not its policy: there is none here)", () => {
    const enforcing = async (tag: Scriptlet, count: number) => {
        await host.sh("mkdir -p /run/test-selinux; echo 1 > /run/test-selinux/enforce");
        return scriptlet(built.rpms["kvm-tap"] ?? "", tag, count, script => script.replaceAll("/sys/fs/selinux", "/run/test-selinux"));
    };

    test("the hook is off after an installation, and that is said", async () => {
        await host.run(["chmod", "644", hook]);
        const before = await libvirt();
        expect(await enforcing("POSTIN", 1)).toContain("the libvirt hook is off");
        expect([await mode(hook), await libvirt()]).toEqual(["644", before]);
    });

    test("one that the administrator switched on stays on with an upgrade", async () => {
        await host.run(["chmod", "755", hook]);
        await enforcing("PREIN", 2);
        await host.run(["chmod", "644", hook]);
        await enforcing("POSTIN", 2);
        expect(await mode(hook)).toBe("755");
    });
});

test("erased: what runs stays, the next boot is spoken of, the administrator's files are kept", async () => {
    const before = await identity();
    const said = await erase(built.rpms);
    expect(said).toMatch(/next boot will not bring them back:.* kvm-tap@charon_pvnet1\.service/);
    expect(await identity()).toBe(before);
    expect(await host.machine.read("/etc/kvm-tap/charon_pvnet1.tap")).toContain("tuntap add");
    expect(await host.sh("find / -xdev -name '*kvm-tap*' -type f -not -path '/proc/*' -not -path '/sys/*' -not -path '/run/*' -not -path '/etc/kvm-tap/*'")).toBe("");
    await host.run(["virsh", "destroy", "charon"]);
    await host.run(["virsh", "start", "charon"]);
});
