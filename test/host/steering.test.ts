// SPDX-License-Identifier: LGPL-2.1-or-later
// A guest cannot steer the host: one router advertisement out of a device changes nothing, whichever plan made the device; the check
// finds one that was made by hand, and its cure works at once and after a reboot.
import { planAdopt } from "../../src/actions/edit-tap.ts";
import { planHarden } from "../../src/actions/harden.ts";
import { planMakeTap } from "../../src/actions/make-tap.ts";
import { planProtect } from "../../src/actions/protect.ts";
import { hostChecks } from "../../src/model/host-checks.ts";
import type { Planned } from "../../src/model/plan.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { NEW_TAP, wishOf } from "../../src/model/tap-text.ts";
import { defineGuest, ethernet } from "../lab/guest.ts";
import { startHost, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { watching, type Watching } from "./watching.ts";

const word = (value: number) => value.toString(16).padStart(4, "0");

/** A router advertisement: "I am the way to everything, and you are in 2001:db8:bad::/64". */
function advertisement(): string {
    const from = "fe80000000000000505400fffe000001", to = "ff020000000000000000000000000001";
    const prefix = `0304${"40c0"}${"00015180"}${"00003840"}00000000${"20010db80bad0000"}${"0000000000000000"}`;
    const body = (sum: string) => `8600${sum}40000708${"00000000"}${"00000000"}${prefix}`;
    const whole = `${from}${to}${word(0)}${word(body("0000").length / 2)}0000003a${body("0000")}`;
    let sum = 0;
    for (let at = 0; at < whole.length; at += 4)
        sum += parseInt(whole.slice(at, at + 4), 16);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    const packet = body(word(~sum & 0xffff));
    return `333300000001${"525400000001"}86dd${"60000000"}${word(packet.length / 2)}3aff${from}${to}${packet}`;
}

await eachRelease(release => {
    if (!everything && release !== "trixie")
        return;
    let host: TestHost;
    let seen: Watching;
    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        seen = await watching(host);
        seen.show({ sysctls: true });
    });
    afterAll(async () => {
        seen?.close();
        await host?.stop();
    });

    /** Sends it out of the device as the guest behind it would, and tells what the host then has by advertisements. */
    async function advertised(device: string): Promise<string> {
        await host.sh(`ip link set dev ${device} up`);
        await host.run(["perl", "-e", `open(my $tun, "+<", "/dev/net/tun") or die $!;
            my $request = pack("a16 s x22", "${device}", 0x1002);
            ioctl($tun, 0x400454ca, $request) or die $!;
            select(undef, undef, undef, 0.2);
            syswrite($tun, pack("H*", "${advertisement()}")) or die $!;
            select(undef, undef, undef, 0.3);`]);
        return host.sh(`ip -6 route show default dev ${device}; ip -6 -o address show dev ${device} scope global`);
    }

    const change = async (plan: (now: Snapshot) => Planned) =>
        expect(await seen.run(plan)).toMatchObject({ state: "done", holds: true });
    const guestOn = (name: string, device: string) => defineGuest(host, { name, interfaces: [ethernet(device)] });
    const protect = (uuid: string) => change(now => planProtect(now, { targets: [{ uuid, index: 0 }] }));

    test("by itself the kernel believes the guest", async () => {
        await host.sh("ip tuntap add dev plain0 mode tap; ip link set dev plain0 addrgenmode none up");
        expect(await advertised("plain0")).toContain("proto ra");
        await host.sh("ip link delete plain0");
    });

    test("a device of Create", async () => {
        await change(now => planMakeTap(now, wishOf({ ...NEW_TAP, name: "made0", guestAddresses: "10.0.9.1" })));
        expect(await advertised("made0")).toBe("");
    });

    test("a device that Protect makes", async () => {
        const guest = await guestOn("aether", "aether0");
        await seen.until("the guest", now => now.guests.state === "read" && now.guests.value.some(({ name }) => name === "aether"));
        await protect(guest.uuid);
        expect(await advertised("aether0")).toBe("");
    });

    test("a device made by hand that Protect or Take over writes down", async () => {
        await host.sh("for name in hemera0 erebus0; do ip tuntap add dev $name mode tap user root; ip link set dev $name up; done");
        const guest = await guestOn("hemera", "hemera0");
        await seen.until("device and guest", now => now.guests.state === "read" && now.guests.value.some(({ name }) => name === "hemera")
            && now.links.state === "read" && now.links.value.some(({ name }) => name === "erebus0"));
        await protect(guest.uuid);
        await change(now => planAdopt(now, "erebus0"));
        expect(await advertised("hemera0")).toBe("");
        expect(await advertised("erebus0")).toBe("");
    });

    test("the check finds a device that was made by hand; its cure works at once and after a reboot", async () => {
        await host.sh(`printf '%s\\n' 'tuntap add dev nyx0 mode tap user root' 'link set dev nyx0 up' >/etc/kvm-tap/nyx0.tap
            systemctl enable --quiet --now kvm-tap@nyx0`);
        await guestOn("nyx", "nyx0");
        const told = (now: Snapshot) => hostChecks(now).filter(({ id }) => id === "steering").map(({ says }) => says.args?.join());
        seen.show({ sysctls: true });
        await seen.until("the finding", now => told(now).join().includes("nyx0"));
        expect(told(seen.snapshot())).toEqual(["nyx0"]);
        await change(planHarden);
        expect(told(seen.snapshot())).toEqual([]);
        expect(await advertised("nyx0")).toBe("");
        seen.close();
        await host.reboot();
        seen = await watching(host);
        expect(await host.sh("cat /proc/sys/net/ipv6/conf/nyx0/accept_ra /proc/sys/net/ipv4/conf/nyx0/rp_filter")).toBe("0\n1\n");
        expect(await advertised("nyx0")).toBe("");
    });
});
