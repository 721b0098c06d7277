// SPDX-License-Identifier: LGPL-2.1-or-later
// The packet test on a host with real packets: it names the table, chain and rule of whoever drops them, says when the guest answers,
// sends nothing outside, and leaves nothing behind, however it ends.
import { planEnableMappings, planMapAddress } from "../../src/actions/map-address.ts";
import { likelySender } from "../../src/actions/packet-test.ts";
import { readFirewalls } from "../../src/host/firewall.ts";
import { startPacketTest, type PacketTest } from "../../src/host/packet-test.ts";
import { inEnglish } from "../../src/model/message.ts";
import { parseLimits } from "../../src/model/nat-limits.ts";
import { stories, type Story } from "../../src/model/packet-test.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { Page, ask, emulate, endPrograms, internetPlace, runIn, serve, sessions, type Place } from "./nat-lab.ts";

const PORT = 7000;
const GATEWAY = "203.0.113.254";

await eachRelease(release => {
    // make check: the oldest nft.
    if (!everything && release !== "bookworm") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost;
    let page: Page;
    let charon: Place, internet: Place;

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        page = new Page(host);
        internet = internetPlace(host);
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        await Promise.all([charon, internet].map(place => serve(place, PORT)));
        // Whatever of a test's answers reached the outside would be counted here.
        await host.internet.run(["nft", "-f", "-"], `table inet watch { chain every { type filter hook prerouting priority -300; policy accept;
            ip saddr 203.0.113.10 counter
            ip daddr 10.0.0.2 counter
            ip saddr 10.0.0.2 counter
            icmp type destination-unreachable counter
            icmpv6 type destination-unreachable counter
            ip6 saddr 2001:db8:0:1::10 counter\n}\n}`);
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    const leaked = async () => (await runIn(internet, ["nft", "list", "table", "inet", "watch"])).match(/^.* packets [1-9].*$/gm) ?? [];

    /** What a test makes on the host. */
    const left = () => host.sh(`nft list tables | grep trace || :; ip -br link | grep probe || :; ip netns | grep kvm-tap || :
        ls /run | grep trace || :; systemctl show -p ActiveState --value kvm-tap-trace.service | grep -v inactive || :`);
    const tracked = () => host.sh(`conntrack -L 2>/dev/null | grep ${GATEWAY} || :`);

    const mapped: PacketTest = { public: "203.0.113.10", guest: "10.0.0.2", uplink: "eth0", kind: "ping", from: GATEWAY, port: "" };

    async function told(lines: readonly string[], test: PacketTest): Promise<Story[]> {
        const { firewalls } = await readFirewalls(host.machine);
        return stories(lines, { public: test.public, guest: test.guest, device: "charon0", uplink: "eth0", firewalls });
    }

    /** Runs a test to its end: what it says of each connection. */
    async function runTest(wish: Partial<PacketTest>): Promise<string[]> {
        const test = { ...mapped, ...wish };
        const lines: string[] = [];
        await new Promise<void>((resolve, reject) => {
            startPacketTest(host.machine, test, {
                lines: more => lines.push(...more),
                end: error => { if (error) reject(error); else resolve(); },
            });
        });
        await until("everything of the test to be gone", async () => await left() === "");
        return (await told(lines, test)).map(story => `${story.result.severity}: ${inEnglish(story.result.says)}`);
    }

    /** The same, and that the kernel knows none of its connections any more. */
    async function outcome(wish: Partial<PacketTest> = {}): Promise<string> {
        const [said] = await runTest(wish);
        await until("every connection to be gone", async () => await tracked() === "");
        return said ?? "nothing seen";
    }

    /** With other rules for a while. */
    async function beside(set: string, clear: string, wish: Partial<PacketTest> = {}): Promise<string> {
        await host.sh(set);
        try {
            return await outcome(wish);
        } finally {
            await host.sh(clear);
        }
    }

    const house = (rule: string) => `nft -f - <<END
        table inet house { chain way { type filter hook forward priority 0; policy accept;
        ${rule} comment "nobody asked"\n}\n}\nEND`;
    const noHouse = "nft delete table inet house";

    test("the guest answers, to a ping and to a connection, with its public address, which nobody outside sees", async () => {
        expect(await outcome({ from: likelySender(await page.read(), "eth0", 4) }))
            .toBe("success: It works: the guest answered, and its answer leaves as 203.0.113.10.");
        expect(await outcome({ kind: "tcp", port: String(PORT), from: "192.0.2.80" }))
            .toBe("success: It works: the guest answered, and its answer leaves as 203.0.113.10.");
        expect(await leaked()).toEqual([]);
    }, 90_000);

    test("a port where nothing listens: the guest's own refusal", async () => {
        expect(await outcome({ kind: "tcp", port: "9" }))
            .toBe("warning: The guest answers that nothing listens at port 9. The way there and back works.");
        expect(await leaked()).toEqual([]);
    }, 90_000);

    test("a foreign table that drops what goes to the guest: its table, chain and rule", async () => {
        expect(await beside(house(`ip daddr 10.0.0.2 tcp dport ${PORT} counter drop`), noHouse, { kind: "tcp", port: String(PORT) })).toBe(
            `danger: Dropped on the way to the guest, by inet house way: ip daddr 10.0.0.2 tcp dport ${PORT} drop comment "nobody asked"`);
    }, 90_000);

    test("a foreign table that rejects the answers", async () => {
        expect(await beside(house("ip saddr 10.0.0.2 icmp type echo-reply reject"), noHouse))
            .toMatch(/^danger: Dropped on the way out, by inet house way: ip saddr 10\.0\.0\.2 .*reject.* comment "nobody asked"$/);
    }, 90_000);

    test("Docker's policy, by its program", async () => {
        expect(await beside("iptables-nft -N DOCKER-USER; iptables-nft -A FORWARD -j DOCKER-USER; iptables-nft -P FORWARD DROP",
            "iptables-nft -P FORWARD ACCEPT; iptables-nft -F; iptables-nft -X"))
            .toBe("danger: Dropped on the way to the guest by Docker: ip filter FORWARD: policy drop");
    }, 90_000);

    test("iptables-legacy, which no trace shows, and forwarding that is off: by no rule, and why that may be", async () => {
        expect(await beside("iptables-legacy -P FORWARD DROP", "iptables-legacy -P FORWARD ACCEPT"))
            .toMatch(/^danger: The kernel dropped the packet after .*, by no rule of nftables\.$/);
        expect(await beside("sysctl -qw net.ipv4.conf.eth0.forwarding=0", "sysctl -qw net.ipv4.conf.eth0.forwarding=1"))
            .toMatch(/^danger: The kernel dropped the packet after .*, by no rule of nftables\.$/);
    }, 90_000);

    test("the mapping's own limits, and a mapping that is disabled", async () => {
        const limits = parseLimits("tcp/7000");
        await page.change(snapshot => planMapAddress(snapshot,
            { public: "203.0.113.12", guest: "10.0.0.3", ..."problem" in limits ? {} : limits }));
        expect(await outcome({ public: "203.0.113.12", guest: "10.0.0.3" }))
            .toBe("danger: Dropped on the way to the guest by KVM TAP: inet kvm_tap limits: drop");
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.13", guest: "10.0.0.4" }));
        await page.change(snapshot => planEnableMappings(snapshot, ["203.0.113.13"], false));
        expect(await outcome({ public: "203.0.113.13", guest: "10.0.0.4" }))
            .toBe("danger: Dropped on the way to the guest by KVM TAP: inet kvm_tap prerouting: ip daddr @owned4 fib daddr type != local drop");
    }, 90_000);

    test("a guest address without a route: the packet, which would have left again, does not", async () => {
        const sent = async () => (await runIn(internet, ["nft", "list", "table", "inet", "watch"]))
                .match(/daddr 10\.0\.0\.2 counter packets (\d+)/)?.[1];
        expect(await sent()).toBe("0");
        expect(await beside("ip route del 10.0.0.2/32 dev charon0", "ip route add 10.0.0.2/32 dev charon0"))
            .toBe("danger: The packet left by eth0 again: no route leads to the guest.");
        expect(await sent()).toBe("0");
    }, 90_000);

    test("a guest that is silent, and one that is not there", async () => {
        expect(await beside("ip netns exec charon sysctl -qw net.ipv4.icmp_echo_ignore_all=1",
            "ip netns exec charon sysctl -qw net.ipv4.icmp_echo_ignore_all=0"))
            .toBe("warning: The packet was handed to the guest, which did not answer.");
        expect(await beside("ip -n charon link set eth0 arp off; ip neigh flush dev charon0", "ip -n charon link set eth0 arp on"))
            .toBe("danger: The packet went out by charon0, but nobody there answers for 10.0.0.2.");
    }, 90_000);

    test("IPv6, with a neighbour as sender", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:1::10", guest: "fd00::2" }));
        const from = likelySender(await page.read(), "eth0", 6);
        expect(await outcome({ public: "2001:db8:0:1::10", guest: "fd00::2", from }))
            .toBe("success: It works: the guest answered, and its answer leaves as 2001:db8:0:1::10.");
        expect(await leaked()).toEqual([]);
    }, 90_000);

    test.each([
        ["iptables' way of refusing", "iptables-nft -I FORWARD -d 10.0.0.2 -j REJECT", "iptables-nft -F; iptables-nft -X"],
        ["the kernel's own, before it knows the connection", "ip route replace unreachable 10.0.0.2/32; ip route del 10.0.0.2/32 dev charon0 || :",
            "ip route del unreachable 10.0.0.2/32; ip route replace 10.0.0.2/32 dev charon0"],
        ["the guest's", "ip netns exec charon nft 'table inet no { chain in { type filter hook input priority 0; reject with icmpx admin-prohibited; }; }'",
            "ip netns exec charon nft delete table inet no"],
    ])("messages about the packet reach nobody outside: %s", async (_whose, set, clear) => {
        for (const kind of [{}, { kind: "tcp", port: String(PORT) }] as const)
            expect(await beside(set, clear, kind)).toMatch(/^(danger|warning): /);
        expect(await leaked()).toEqual([]);
    }, 90_000);

    test("nothing that the packet's sender says by itself comes in by the uplink", async () => {
        await host.run(["nft", "-f", "-"], `table inet noise { chain in { type filter hook prerouting priority -300; policy accept;
            iifname "eth0" icmpv6 type { nd-router-solicit, mld-listener-report, mld2-listener-report } counter\n}\n}`);
        await outcome({ public: "2001:db8:0:1::10", guest: "fd00::2", from: "2001:db8:77::7" });
        expect(await host.sh("nft list table inet noise; nft delete table inet noise")).toContain("packets 0");
    }, 90_000);

    test("without the table: what comes in is held, and what goes out is kept at the uplink by the guard, which no trace shows", async () => {
        const [there, back] = ["systemctl stop kvm-tap-nat-watch; nft delete table inet kvm_tap", "systemctl restart kvm-tap-nat; systemctl start kvm-tap-nat-watch"];
        expect(await beside(there, back)).toBe("danger: Dropped by this host, which holds 203.0.113.10: nothing translated the packet.");
        const wish: PacketTest = { ...mapped, kind: "wait", from: "" };
        const lines: string[] = [];
        await host.sh(there);
        const waiting = startPacketTest(host.machine, wish, { lines: more => lines.push(...more), end: () => undefined });
        await until("what the guest sends", async () => {
            await ask(charon, "udp", GATEWAY, PORT);
            const [story] = await told(lines, wish);
            return story && inEnglish(story.result.says) === "Dropped at eth0 by the guard of KVM TAP: nothing translated the private source address 10.0.0.2.";
        }).finally(() => { waiting.close(); });
        await host.sh(back);
        expect(await runIn(internet, ["nft", "list", "table", "inet", "watch"])).not.toMatch(/saddr 10\.0\.0\.2 counter packets [1-9]/);
    }, 90_000);

    test("real connections of the same two go on as if there were no test, in either direction, and the host still knows them", async () => {
        const from = { 4: GATEWAY, 6: likelySender(await page.read(), "eth0", 6) };
        for (const [family, outside, guest] of [[4, "203.0.113.10", "10.0.0.2"], [6, "2001:db8:0:1::10", "fd00::2"]] as const) {
            const test: Partial<PacketTest> = { public: outside, guest, from: from[family] };
            const inward = await sessions(internet, outside, PORT, 5, 10), outward = await sessions(charon, from[family], PORT, 5, 10);
            const pings = runIn(internet, ["busybox", "ping", "-q", "-c", "8", "-w", "12", outside]);
            const known = async () => (await host.sh(`conntrack -L -f ipv${family} -p tcp 2>/dev/null`)).match(/sport=\d+ dport=7000 /g)?.sort();
            const before = await known();
            const [ping, tcp] = [await runTest(test), await runTest({ ...test, kind: "tcp", port: String(PORT) })];
            expect([ping, tcp]).toEqual([ping, tcp].map(() => [`success: It works: the guest answered, and its answer leaves as ${outside}.`]));
            const waiting = startPacketTest(host.machine, { ...mapped, ...test, kind: "wait" }, { lines: () => undefined, end: () => undefined });
            await until("the test to wait", async () => (await left()).includes("kvm_tap_trace"));
            waiting.close();
            await until("everything of the test to be gone", async () => await left() === "");
            expect(await known()).toEqual(before);
            const silence = { broken: 0, longest: expect.any(Number) };
            const ends = [await inward.end(), await outward.end()];
            expect(ends).toEqual([silence, silence]);
            expect(Math.max(...ends.map(({ longest }) => longest))).toBeLessThan(900);
            expect(await pings).toMatch(/ 8 packets received/);
            await host.sh(`conntrack -D -f ipv${family} -p tcp --dport ${PORT} >/dev/null 2>&1 || :; conntrack -D -f ipv${family} -s ${from[family]} >/dev/null 2>&1 || :`);
        }
    }, 90_000);

    test("waiting: a real packet from outside is told; a second test is refused; ended by the page it is gone at once", async () => {
        const wish: PacketTest = { ...mapped, kind: "wait", from: "" };
        const lines: string[] = [];
        const waiting = startPacketTest(host.machine, wish, { lines: more => lines.push(...more), end: () => undefined });
        await until("the test to wait", () => lines.includes("# waiting"));
        expect(await left()).toContain("kvm_tap_trace");
        await expect(outcome()).rejects.toThrow("another test is running");
        await until("a real packet", async () => {
            expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe(GATEWAY);
            const [story] = await told(lines, wish);
            return story && story.result.severity === "success";
        });
        waiting.close();
        await until("everything of the test to be gone", async () => await left() === "");
    }, 90_000);

    test("a page that is cut off leaves nothing: systemd ends the test after a minute, and takes everything away however it ends", async () => {
        const lines: string[] = [];
        startPacketTest(host.machine, { ...mapped, kind: "wait" }, { lines: more => lines.push(...more), end: () => undefined });
        await until("the test to wait", () => lines.includes("# waiting"));
        await host.sh("pkill -KILL -f '^systemd-run.*kvm-tap-trace'");
        expect(await host.sh("systemctl show -p RuntimeMaxUSec --value kvm-tap-trace.service")).toBe("1min 10s\n");
        expect(await left()).toContain("kvm_tap_trace");
        await host.sh("systemctl kill --kill-who=main --signal=KILL kvm-tap-trace.service");
        await until("everything of the test to be gone", async () => await left() === "");
    }, 90_000);
});
