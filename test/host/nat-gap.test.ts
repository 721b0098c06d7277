// SPDX-License-Identifier: LGPL-2.1-or-later
// What becomes of packets while the table is away, or is about to be: nobody's session breaks when nftables.service is reloaded, restarted,
// stopped and started; the host's own services never answer at a public address; no private source leaves by the uplink.
import { planMapAddresses } from "../../src/actions/map-address.ts";
import { sleep, startHost, until, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything, hostFiles } from "./host-files.ts";
import { Page, ask, emulate, endPrograms, hostPlace, internetPlace, knock, pings, runIn, serve, sessions, type Place } from "./nat-lab.ts";

const PORT = 7000;
const PUBLIC = "203.0.113.10";
const PUBLIC6 = "2001:db8:0:1::10";

await eachRelease(release => {
    let host: TestHost;
    let page: Page;
    let charon: Place, internet: Place;

    /** Packets with a guest's private source that left by the uplink since the last question. */
    const leaked = async () => {
        const listing = await runIn(internet, ["nft", "reset", "counters", "table", "inet", "watch"]);
        return [...listing.matchAll(/packets (\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
    };

    /** Twenty sessions in, five out, and somebody who knocks, while something happens. */
    async function meanwhile(happens: () => Promise<void>) {
        await leaked();
        const all = await Promise.all([
            sessions(internet, PUBLIC, PORT, 10, 1), sessions(internet, PUBLIC6, PORT, 10, 1), sessions(charon, far.address, PORT, 5, 1),
        ]);
        const knocking = knock(internet, PUBLIC, PORT, 5);
        const knocking6 = knock(internet, PUBLIC6, PORT, 5);
        await happens().catch((error: unknown) => { endPrograms(); throw error; });
        const answers = { ...await knocking.end(), ...await knocking6.end() };
        const ended = await Promise.all(all.map(each => each.end()));
        return { broken: ended.map(({ broken }) => broken), hostAnswers: answers["host"] ?? 0, refusals: answers["ECONNREFUSED"] ?? 0,
            guestAnswers: answers[far.address] ?? answers["203.0.113.254"] ?? 0, leaked: await leaked() };
    }

    const unharmed = { broken: [0, 0, 0], hostAnswers: 0, refusals: 0, leaked: 0 };

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles(), enable: ["nftables"] });
        page = new Page(host);
        internet = internetPlace(host);
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        await Promise.all([serve(charon, PORT), serve(internet, PORT), serve(hostPlace(host), PORT, "host")]);
        await host.internet.run(["nft", "-f", "-"], ["table inet watch {", "counter four {}", "counter six {}", "chain every {",
            "type filter hook prerouting priority -300", "iifname br0 ip saddr { 10.0.0.0/8, 169.254.0.0/16 } counter name four",
            "iifname br0 ip6 saddr fc00::/7 counter name six", "}", "}", ""].join("\n"));
        await page.change(snapshot => planMapAddresses(snapshot, [
            { public: PUBLIC, guest: "10.0.0.2" }, { public: PUBLIC6, guest: "fd00::2" },
            { public: "203.0.113.11", guest: "10.0.0.3", enabled: false },
        ]));
        await until("the unit", async () => (await host.attempt(["systemctl", "is-active", "kvm-tap-nat", "kvm-tap-nat-watch"])).status === 0);
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("what watches the host costs nothing while nothing changes", async () => {
        const used = () => host.sh("systemctl show --property=CPUUsageNSec --value kvm-tap-nat-watch");
        // Its own last run, which the first one caused.
        let before = "";
        await until("it to be at rest", async () => {
            const now = await used();
            await sleep(1000);
            before = await used();
            return now === before;
        });
        await sleep(3000);
        expect(await used()).toBe(before);
    });

    test("20 reloads and 10 restarts of nftables.service: no session breaks, the host answers nothing, nothing leaks", async () => {
        const result = await meanwhile(async () => {
            for (let index = 0; index < (everything ? 20 : 7); index++)
                await host.run(["systemctl", "reload", "nftables"]);
            for (let index = 0; index < (everything ? 10 : 4); index++)
                await host.sh("systemctl restart nftables; systemctl reset-failed nftables");
        });
        expect(result).toMatchObject(unharmed);
        expect(result.guestAnswers).toBeGreaterThan(0);
    });

    test("nftables.service stopped and started: the 1:1 NAT goes on", async () => {
        const result = await meanwhile(async () => {
            await host.run(["systemctl", "stop", "nftables"]);
            expect(await ask(internet, "tcp", PUBLIC, PORT)).toBe("203.0.113.254");
            expect(await host.sh("nft list tables")).toBe("table inet kvm_tap\n");
            await host.run(["systemctl", "start", "nftables"]);
        });
        expect(result).toMatchObject(unharmed);
    });

    test("all tables flushed by hand for 3 s: the host answers nothing, nothing leaks, and sessions go on afterwards", async () => {
        const result = await meanwhile(async () => {
            await host.run(["nft", "flush", "ruleset"]);
            expect(await pings(internet, PUBLIC)).toBe(false);
            expect(await pings(internet, "203.0.113.11")).toBe(false);
            await sleep(2000);
            await host.run(["systemctl", "reload", "kvm-tap-nat"]);
            await sleep(1000);
        });
        expect(result).toMatchObject({ ...unharmed, broken: [0, 0, 0] });
        // What began without the table is not stuck.
        expect(await ask(internet, "udp", PUBLIC, PORT)).toBe("203.0.113.254");
        expect(await ask(charon, "udp", far.address, PORT)).toBe(PUBLIC);
    });
});
