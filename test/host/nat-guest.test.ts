// SPDX-License-Identifier: LGPL-2.1-or-later
// 1:1 NAT of a guest that boots a kernel of its own, on a real TAP device: both ways, hairpin, anti-spoofing by IP and MAC address with
// DHCP, ARP and neighbour discovery through it; and what only IPv6 has: routed prefixes, announcements, router advertisements.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planMapAddress } from "../../src/actions/map-address.ts";
import { currentState, natReading } from "../../src/model/nat-reading.ts";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles, tapFile } from "./host-files.ts";
import { Page, endPrograms, hostPlace, internetPlace, pings, runIn } from "./nat-lab.ts";

const MAC = "52:54:00:25:6f:3f";

/** A router advertisement (RFC 4861, 4.2) that is good for half an hour, by the link with this index. */
const ADVERTISE = `
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 IPPROTO_IPV6);
my ($index) = @ARGV;
socket my $socket, AF_INET6, SOCK_RAW, 58 or die;
setsockopt $socket, IPPROTO_IPV6, 17, pack "i", $index or die;
setsockopt $socket, IPPROTO_IPV6, 18, pack "i", 255 or die;
send $socket, pack("CCnCCnNN", 134, 0, 0, 64, 0, 1800, 0, 0), 0, pack_sockaddr_in6 0, inet_pton(AF_INET6, "ff02::1"), $index or die;
`;

await eachRelease(release => {
    if (!everything && release !== "forky") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost, page: Page, charon: Guest;

    const fromInternet = (url: string) => host.internet.attempt(["curl", "-s", "-g", "-m", "3", "--noproxy", "*", url]).then(({ stdout }) => stdout);
    /** The last line of what the guest gets from there. */
    const inGuest = (address: string, path = "/") =>
        charon.sh(`printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 ${address} 80 | tail -n 1`);
    const advertise = async () => host.internet.run(["perl", "-e", ADVERTISE, (await host.internet.sh("ip -o link show br0")).split(":")[0] ?? ""]);
    const learntRoute = () => host.sh("ip -6 route show default proto ra");

    beforeAll(async () => {
        const device = `${tapFile("charon0", "10.0.0.2")}address replace fe80::1/64 dev charon0 nodad\n`
            + "route replace fd00::2/128 dev charon0\nroute replace fd00:0:0:55::/64 dev charon0\n";
        host = await startHost({
            release, files: { ...hostFiles(), "/etc/kvm-tap/charon0.tap": device, "/etc/sysctl.d/60-kvm-tap-charon0.conf": "net/ipv4/conf/charon0/rp_filter = 1\n" },
            enable: ["kvm-tap@charon0.service"],
        });
        page = new Page(host);
        charon = await defineGuest(host, {
            name: "charon", interfaces: [ethernet("charon0", { mac: MAC, managed: "no" })],
            boots: [[{ address: "10.0.0.2" }, { address: "fd00::2" }]],
        });
        await charon.start();
        await charon.answers();
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("a mapping of the guest works at once: from outside, out, and by its own public address", async () => {
        await page.readUntil("the guest to be read", snapshot => snapshot.guests.state === "read" && snapshot.guests.value.length === 1);
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
        expect(await fromInternet("http://203.0.113.10/")).toBe("charon\n");
        await inGuest(far.address, "/out");
        expect(host.internet.received()).toContainEqual({ from: "203.0.113.10", path: "/out" });
        expect(await inGuest("203.0.113.10")).toBe("charon\n");
        expect(await pings(hostPlace(host), "203.0.113.10")).toBe(true);
    });

    test("anti-spoofing is on, for the MAC address of the guest's definition: from another nothing comes out", async () => {
        const reading = natReading(await page.read());
        expect(reading.state === "read" && currentState(reading.value).devices).toEqual([{ name: "charon0", guarded: true, shared: false, macs: [MAC] }]);
        const said = await charon.sh(`
            ip link set dev eth0 address 52:54:00:00:00:99
            ping -q -c 1 -W 1 ${far.address} > /dev/null && echo through || echo dropped
            ip link set dev eth0 address ${MAC}
            ping -q -c 1 -W 1 ${far.address} > /dev/null && echo through || echo dropped`);
        expect(said).toBe("dropped\nthrough\n");
    });

    test("nor from an address that is not routed to it, although the reverse path filter is off", async () => {
        await host.sh("echo 0 > /proc/sys/net/ipv4/conf/charon0/rp_filter");
        const said = await charon.sh(`
            ip address add 10.9.9.9/32 dev lo
            ping -q -c 1 -W 1 -I 10.9.9.9 169.254.0.1 > /dev/null && echo through || echo dropped
            ip address del 10.9.9.9/32 dev lo`);
        expect(said).toBe("dropped\n");
        await host.sh("echo 1 > /proc/sys/net/ipv4/conf/charon0/rp_filter");
    });

    test("ARP with a foreign address is not answered and teaches the host nothing", async () => {
        const said = await charon.sh(`
            ip address add 10.0.0.3/32 dev lo
            arping -q -c 1 -w 1 -I eth0 -s 10.0.0.3 169.254.0.1 && echo answered || echo silence
            arping -q -U -c 1 -w 1 -I eth0 -s 10.0.0.3 10.0.0.3
            ip address del 10.0.0.3/32 dev lo
            arping -q -c 1 -w 1 -I eth0 169.254.0.1 && echo answered || echo silence`);
        expect(said).toBe("silence\nanswered\n");
        expect(await host.sh("ip neigh show 10.0.0.3")).toBe("");
    });

    test("a DHCP client gets its lease through it, and neighbours discover each other", async () => {
        const directory = mkdtempSync(join(tmpdir(), "kvm-tap-dhcp-"));
        try {
            writeFileSync(join(directory, "leases"), "");
            writeFileSync(join(directory, "conf"), ["start 10.0.0.2", "end 10.0.0.2", "interface charon0", "max_leases 1",
                `lease_file ${directory}/leases`, `pidfile ${directory}/pid`, "option subnet 255.255.255.255", ""].join("\n"));
            const server = runIn(hostPlace(host), ["timeout", "15", "busybox", "udhcpd", "-f", `${directory}/conf`]).catch(() => undefined);
            expect(await charon.sh("udhcpc -f -i eth0 -n -q -t 10 -T 1 -s /bin/true 2>&1")).toContain("lease of 10.0.0.2 obtained");
            process.kill(Number(readFileSync(join(directory, "pid"), "utf8")));
            await server;
        } finally {
            rmSync(directory, { recursive: true });
        }
        await host.sh("ip -6 neigh flush dev charon0");
        expect(await pings(hostPlace(host), "fd00::2")).toBe(true);
        expect(await charon.sh("ip -6 neigh flush dev eth0 > /dev/null; ping -6 -q -c 1 -W 2 fe80::1%eth0 > /dev/null && echo through")).toBe("through\n");
    });

    test("the first IPv6 mapping switches forwarding on, and the default route from router advertisements stays", async () => {
        await host.sh("ip -6 route del default; echo 1 > /proc/sys/net/ipv6/conf/eth0/accept_ra");
        await advertise();
        await until("a route from the advertisement", learntRoute);
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::10", guest: "fd00::2" }));
        expect(await host.sh("cat /proc/sys/net/ipv6/conf/all/forwarding /proc/sys/net/ipv6/conf/eth0/accept_ra")).toBe("1\n2\n");
        expect(await learntRoute()).toContain("via fe80::");
        expect(await fromInternet("http://[2001:db8:0:1::10]/")).toBe("charon\n");
        await inGuest(far.address6, "/out6");
        expect(host.internet.received()).toContainEqual({ from: "2001:db8:0:1::10", path: "/out6" });
        expect(await inGuest("2001:db8:0:1::10")).toBe("charon\n");
    });

    test("IPv6 addresses are announced: whoever took another machine for the owner is put right", async () => {
        await host.internet.sh("ip neigh replace 2001:db8:0:1::10 lladdr 02:00:00:00:99:99 dev br0 nud stale");
        await host.run(["/usr/lib/kvm-tap/kvm-tap-nat", "announce", "2001:db8:0:1::10"]);
        expect(await host.internet.sh("ip neigh show 2001:db8:0:1::10")).toContain("02:00:00:00:00:01");
    });

    test("an IPv6 prefix that the router sends here is mapped whole", async () => {
        await host.internet.sh("ip -6 route add 2001:db8:0:55::/64 via 2001:db8:0:1::1");
        await charon.sh("ip -6 address add fd00:0:0:55::9/128 dev eth0");
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:55::/64", guest: "fd00:0:0:55::/64" }));
        expect(await fromInternet("http://[2001:db8:0:55::9]/")).toBe("charon\n");
        expect(await pings(internetPlace(host), "2001:db8:0:55::8")).toBe(false);
        expect(await charon.sh(`ping -6 -q -c 1 -W 2 -I fd00:0:0:55::9 ${far.address6} > /dev/null && echo through`)).toBe("through\n");
    });

    test("after a reboot advertisements are still heard, and the guest is reached", async () => {
        page.close();
        await host.reboot();
        await host.sh("ip -6 route del default");
        await advertise();
        await until("a route from the advertisement", learntRoute);
        await charon.start();
        await charon.answers();
        expect(await fromInternet("http://203.0.113.10/")).toBe("charon\n");
        expect(await fromInternet("http://[2001:db8:0:1::10]/")).toBe("charon\n");
        page = new Page(host);
    });
});
