// SPDX-License-Identifier: LGPL-2.1-or-later
// Several uplinks with real packets. The default route leads out by eth0 alone, and each provider drops what comes to it with a source
// address of the other (BCP 38), so an answer that leaves by the wrong uplink never arrives.
import { planMapAddress, planNatSettings } from "../../src/actions/map-address.ts";
import { planRestoreWays } from "../../src/actions/nat-ways.ts";
import { readForwarding } from "../../src/host/nat.ts";
import { inEnglish } from "../../src/model/message.ts";
import { currentState, natReading } from "../../src/model/nat-reading.ts";
import { waysProblems, type ReversePath } from "../../src/model/nat-ways.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { Page, ask, emulate, endPrograms, hold, hostPlace, internetPlace, pings, serve, type Place } from "./nat-lab.ts";

const PORT = 7000;
/** A public address that both providers would carry. */
const ANYWHERE = "192.0.2.10";

const PROVIDERS = `table inet providers {
    chain filter { type filter hook prerouting priority -300
        iifname br0 ip saddr 198.51.100.0/24 counter drop
        iifname br1 ip saddr 203.0.113.0/24 counter drop
        iifname br0 ip6 saddr 2001:db8:0:2::/64 counter drop
        iifname br1 ip6 saddr 2001:db8:0:1::/64 counter drop
    }
    chain anywhere { type filter hook prerouting priority -290
        iifname br0 ip saddr ${ANYWHERE} counter
        iifname br1 ip saddr ${ANYWHERE} counter
    }
}
`;

function sentences(snapshot: Snapshot, reversePath?: ReversePath): string[] {
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        throw new Error("not read");
    return waysProblems(snapshot, currentState(reading.value), [4, 6], reversePath).map(({ says }) => inEnglish(says));
}

await eachRelease(release => {
    // make check: one release; what the releases' own ip and nft make of it is in nat.test.ts and nat-nft.test.ts.
    if (!everything && release !== "trixie") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost;
    let page: Page;
    let charon: Place, styx: Place, internet: Place, self: Place;

    async function guests(): Promise<void> {
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        styx = await emulate(host, "styx", "10.0.0.3", "fd00::3");
        await Promise.all([charon, styx, internet].map(place => serve(place, PORT)));
    }

    /** Answers from ANYWHERE that came to the first and to the second provider. */
    const answers = async () => [...(await host.internet.sh("nft list chain inet providers anywhere"))
            .matchAll(/packets (\d+)/g)].map(([, count]) => Number(count));

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles(), uplinks: 2 });
        page = new Page(host);
        internet = internetPlace(host);
        self = hostPlace(host);
        await host.internet.run(["nft", "-f", "-"], PROVIDERS);
        // Strict, as many distributions set it: what comes in by eth1 from afar is dropped.
        await host.sh("for link in default eth0 eth1; do echo 1 > /proc/sys/net/ipv4/conf/$link/rp_filter; done");
        await guests();
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("before: with one uplink the address in the other network cannot be reached", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2" }));
        await page.change(snapshot => planMapAddress(snapshot, { public: "198.51.100.10", guest: "10.0.0.3" }));
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).not.toBeNull();
        expect(await pings(internet, "198.51.100.10", "-I", far.address)).toBe(false);
    });

    test("the second uplink and its gateway: answers leave where the question came in, and each guest by its own uplink", async () => {
        await page.change(snapshot => planNatSettings(snapshot,
            { uplinks: ["eth0", "eth1"], gateways: { eth1: { gateway4: "198.51.100.254", gateway6: "2001:db8:0:2::fe" } } }));
        expect(sentences(await page.read())).toEqual([]);
        for (const [place, address] of [[charon, "203.0.113.10"], [styx, "198.51.100.10"]] as const) {
            expect(await ask(internet, "tcp", address, PORT)).not.toBeNull();
            expect(await ask(internet, "udp", address, PORT)).not.toBeNull();
            expect(await pings(internet, address, "-I", far.address)).toBe(true);
            expect(await ask(place, "tcp", far.address, PORT)).toBe(address);
            expect(await ask(place, "udp", far.address, PORT)).toBe(address);
            expect(await pings(place, far.address)).toBe(true);
        }
    });

    test("what does not leave goes as before: the host, its guests, by public and by inside address", async () => {
        expect(await ask(self, "tcp", "198.51.100.10", PORT)).not.toBeNull();
        expect(await ask(self, "tcp", "10.0.0.3", PORT)).toBe("169.254.0.1");
        expect(await ask(charon, "tcp", "198.51.100.10", PORT)).toBe("203.0.113.10");
        expect(await ask(styx, "udp", "203.0.113.10", PORT)).toBe("198.51.100.10");
        expect(await ask(styx, "tcp", "198.51.100.10", PORT)).toBe("198.51.100.10");
        expect(await ask(styx, "tcp", "10.0.0.2", PORT)).toBe("10.0.0.3");
    });

    test("IPv6 alike", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "2001:db8:0:2::10", guest: "fd00::3" }));
        expect(await ask(internet, "tcp", "2001:db8:0:2::10", PORT)).not.toBeNull();
        expect(await ask(styx, "tcp", far.address6, PORT)).toBe("2001:db8:0:2::10");
        expect(sentences(await page.read())).toEqual([]);
    });

    test("an address that both providers carry: each connection is answered by the uplink that it came in by", async () => {
        await host.sh("ip -n charon address add 10.0.0.4/32 dev eth0; ip route add 10.0.0.4/32 dev charon0");
        await page.change(snapshot => planMapAddress(snapshot, { public: ANYWHERE, guest: "10.0.0.4" }));
        const udp = (via: string) => host.internet.sh(`ip route replace ${ANYWHERE}/32 via ${via}`).then(() => pings(internet, ANYWHERE));
        expect(await udp("198.51.100.1")).toBe(true);
        const [first, second = 0] = await answers();
        expect([first, second > 0]).toEqual([0, true]);
        expect(await udp("203.0.113.1")).toBe(true);
        const [now = 0, same] = await answers();
        expect([now > 0, same]).toEqual([true, second]);
    });

    test("a lost rule, a lost route and a strict filter are named, and one plan cures them", async () => {
        // Else rule and routes come back by themselves.
        await host.run(["systemctl", "stop", "kvm-tap-nat-watch"]);
        await host.sh("ip rule del pref 10702; ip route flush table 10702; echo 1 > /proc/sys/net/ipv4/conf/eth1/rp_filter");
        const broken = await page.readUntil("the loss to be noticed", snapshot => sentences(snapshot).length > 1);
        const { reversePath } = await readForwarding(host.machine, ["eth0", "eth1"]);
        expect(sentences(broken, reversePath)).toEqual([
            "The rule that leads answers back to eth1 is missing: they leave by the default route.",
            "The IPv4 default route of eth1 is missing in its table 10702: answers to what came in there leave by the host's default route.",
            "rp_filter of eth1 is 1 (strict): the kernel drops what comes in there from addresses that the default route leads elsewhere.",
        ]);
        expect(await ask(internet, "udp", "198.51.100.10", PORT)).not.toBeNull(); // a neighbour of eth1: its own network
        expect(await ask(styx, "udp", far.address, PORT)).toBeNull();
        await page.change(planRestoreWays);
        expect((await readForwarding(host.machine, ["eth1"])).reversePath.get("eth1")).toBe(2);
        expect(await ask(styx, "udp", far.address, PORT)).toBe("198.51.100.10");
        await host.run(["systemctl", "start", "kvm-tap-nat-watch"]);
    });

    test("a connection goes on while uplinks of others change, and after a reboot everything is as it was", async () => {
        const held = await hold(internet, "198.51.100.10", PORT);
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.20", guest: "10.0.0.20" }));
        expect(held.state()).toBe("open");
        endPrograms();
        page.close();
        await host.reboot();
        await guests();
        page = new Page(host);
        await until("the uplinks to be set", async () => sentences(await page.read()).length === 0);
        expect(await ask(internet, "tcp", "198.51.100.10", PORT)).not.toBeNull();
        expect(await ask(styx, "tcp", far.address, PORT)).toBe("198.51.100.10");
        expect(await ask(charon, "tcp", far.address, PORT)).toBe("203.0.113.10");
    });

    test("back to one uplink: no rule and no table of ours is left", async () => {
        await page.change(snapshot => planNatSettings(snapshot, { uplinks: ["eth0"] }));
        expect(await host.sh("ip rule show; ip -6 rule show; ip route show table all proto 107; ip -6 route show table all proto 107"))
                .not.toMatch(/107\d\d/);
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).not.toBeNull();
    });
});
