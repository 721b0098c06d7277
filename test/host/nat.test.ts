// SPDX-License-Identifier: LGPL-2.1-or-later
// 1:1 NAT with real packets: the internet, the host and two guests talk to one another.
import { planEnableMappings, planMapAddress, planRemoveMappings } from "../../src/actions/map-address.ts";
import { planHold } from "../../src/actions/nat-drift.ts";
import { unheld } from "../../src/model/nat-held.ts";
import { natReading } from "../../src/model/nat-reading.ts";
import { startHost, type TestHost, until } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { hostFiles } from "./host-files.ts";
import { Page, ask, emulate, endPrograms, hold, hostPlace, internetPlace, pings, serve, type Place } from "./nat-lab.ts";

const PORT = 7000;

await eachRelease(release => {
    let host: TestHost;
    let page: Page;
    let charon: Place, styx: Place, internet: Place, self: Place;

    async function guests(): Promise<void> {
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        styx = await emulate(host, "styx", "10.0.0.3", "fd00::3");
        self = hostPlace(host);
        await Promise.all([charon, styx, self, internet].map(place => serve(place, PORT)));
    }

    beforeAll(async () => {
        host = await startHost({ release, files: hostFiles() });
        page = new Page(host);
        internet = internetPlace(host);
        await guests();
    });
    afterAll(async () => {
        page.close();
        endPrograms();
        await host.stop();
    });

    test("before: nobody answers for the address, and the host has nothing of ours", async () => {
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBeNull();
        expect((await page.read()).natTable).toEqual({ state: "read", value: null });
    });

    test("one mapping works at once, both ways", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.10", guest: "10.0.0.2", description: "charon" }));
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
        expect(await ask(internet, "udp", "203.0.113.10", PORT)).toBe("203.0.113.254");
        expect(await pings(internet, "203.0.113.10")).toBe(true);
        expect(await ask(charon, "tcp", far.address, PORT)).toBe("203.0.113.10");
        expect(await ask(charon, "udp", far.address, PORT)).toBe("203.0.113.10");
        expect(await pings(charon, far.address)).toBe(true);
    });

    test("a route that somebody removed comes back by itself; without the watch the page says who does not answer, and has the cure", async () => {
        const says = async () => {
            const snapshot = await page.read();
            const reading = natReading(snapshot);
            const state = reading.state === "read" ? reading.value.running?.state : undefined;
            return unheld(snapshot, state?.mappings ?? []);
        };
        const remove = () => host.run(["ip", "route", "del", "203.0.113.10", "dev", "kvm-tap-hold"]);
        expect(await says()).toEqual([]);
        await remove();
        await until("the route to come back", async () => await host.sh("ip route show dev kvm-tap-hold") !== "");
        await host.run(["systemctl", "stop", "kvm-tap-nat-watch"]);
        await remove();
        await until("that it is missed", async () => (await says()).length > 0, 3);
        expect(await says()).toEqual(["203.0.113.10"]);
        await page.change(planHold);
        expect(await says()).toEqual([]);
        await host.run(["systemctl", "start", "kvm-tap-nat-watch"]);
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
    });

    test("from the host itself, with the guard in place", async () => {
        expect(await ask(self, "tcp", "203.0.113.10", PORT)).not.toBeNull();
        expect(await pings(self, "203.0.113.10")).toBe(true);
        expect(await ask(self, "tcp", "10.0.0.2", PORT)).toBe("169.254.0.1");
    });

    test("from the guest to its own public address, and guest to guest by public address", async () => {
        await page.change(snapshot => planMapAddress(snapshot, { public: "203.0.113.11", guest: "10.0.0.3" }));
        expect(await ask(charon, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.10");
        expect(await ask(charon, "tcp", "203.0.113.11", PORT)).toBe("203.0.113.10");
        expect(await ask(styx, "udp", "203.0.113.10", PORT)).toBe("203.0.113.11");
        expect(await ask(charon, "tcp", "10.0.0.3", PORT)).toBe("10.0.0.2");
    });

    test("a disabled mapping does not lead to the host's own services, and works again when enabled", async () => {
        await page.change(snapshot => planEnableMappings(snapshot, ["203.0.113.10"], false));
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBeNull();
        expect(await ask(internet, "tcp", "203.0.113.1", PORT)).toBe("203.0.113.254");
        await page.change(snapshot => planEnableMappings(snapshot, ["203.0.113.10"], true));
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
    });

    test("after a reboot it works without anybody", async () => {
        endPrograms();
        page.close();
        await host.reboot();
        await guests();
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
        expect(await ask(charon, "tcp", far.address, PORT)).toBe("203.0.113.10");
        page = new Page(host);
    });

    test("removal ends exactly the connections of that mapping", async () => {
        const [gone, stays, out] = await Promise.all([
            hold(internet, "203.0.113.10", PORT), hold(internet, "203.0.113.11", PORT), hold(charon, far.address, PORT),
        ]);
        const local = await hold(charon, "10.0.0.3", PORT);
        await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.10"]));
        await until("the connections of the mapping to end", () => gone.state() === "closed" && out.state() === "closed");
        expect(stays.state()).toBe("open");
        expect(local.state()).toBe("open");
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBeNull();
    });

    test("after the last removal nothing is left on the host", async () => {
        const { undo } = await page.change(snapshot => planRemoveMappings(snapshot, ["203.0.113.11"]));
        expect((await page.read()).natTable).toEqual({ state: "read", value: null });
        expect(await host.sh("cd /etc; find kvm-tap sysctl.d -name '*kvm-tap*' -o -name 'nat*'")).toBe("kvm-tap\n");
        const left = () => host.sh("ip route show proto 107; ip neigh show proxy; ip -6 neigh show proxy; tc filter show dev eth0 egress; "
            + "tc qdisc show dev eth0 | grep clsact || :; ls -d /sys/class/net/kvm-tap-hold 2> /dev/null || :; cat /proc/sys/net/ipv4/ip_forward");
        expect(await left()).toBe("0\n");
        expect((await host.attempt(["systemctl", "is-enabled", "kvm-tap-nat.service"])).stdout.trim()).toBe("disabled");
        await until("the units to end", async () => await host.sh("systemctl is-active kvm-tap-nat kvm-tap-nat-watch || :") === "inactive\ninactive\n");
        expect(undo && await page.execute(undo)).toMatchObject({ state: "done", holds: true });
        await page.confirm();
        expect(await ask(internet, "tcp", "203.0.113.11", PORT)).toBe("203.0.113.254");
        expect((await host.attempt(["systemctl", "is-enabled", "kvm-tap-nat.service"])).stdout.trim()).toBe("enabled");
    });
});
