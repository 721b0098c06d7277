// SPDX-License-Identifier: LGPL-2.1-or-later
// From the first release (test/host/upgrade has its package, as it was built from 6c6b6d7) while sessions go on and a change waits for its
// confirmation: nothing of it is lost, and the host's own stack lets go of the public addresses.
import { rmSync } from "node:fs";
import { planUpdateRules } from "../../src/actions/nat-drift.ts";
import { confirmChange } from "../../src/host/nat.ts";
import { agreement, natReading } from "../../src/model/nat-reading.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import { must } from "../lab/exec.ts";
import { startHost, until, type TestHost } from "../lab/host.ts";
import { far } from "../lab/internet.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything } from "./host-files.ts";
import { Page, ask, emulate, endPrograms, hold, hostPlace, internetPlace, pings, serve, type Place } from "./nat-lab.ts";
import { bring, buildPackages, type Built } from "./packages.ts";

const PORT = 7000;
const HELPER = "/usr/lib/kvm-tap/kvm-tap-nat";
const OLD = "test/host/upgrade/kvm-tap_0.1.0-1_all.deb";

let built: Built, example: string;
beforeAll(async () => {
    built = await buildPackages();
    example = await must(["sh", "-c", `dpkg-deb --fsys-tarfile ${OLD} | tar -xO ./usr/share/doc/kvm-tap/examples/nat.nft`]);
});
afterAll(() => { if (built) rmSync(built.directory, { recursive: true }); });

/** The file of the first release with these mappings: the example's has one, of a device with another name. */
function oldFile(...mappings: readonly [string, string][]): string {
    const head = example.slice(0, example.indexOf("# Uplinks"));
    return `${head}add element inet kvm_tap uplinks { "eth0" }\nadd element inet kvm_tap taps { "charon0" }\n${mappings.map(([outside, inside]) =>
        ["public4", "guest4", "owned4"].map((set, index) => `add element inet kvm_tap ${set} { ${
            [`${outside} : ${inside}`, `${inside} : ${outside}`, outside][index]} }`).join("; ")).join("\n")}\n`;
}

const agrees = (snapshot: Snapshot) => {
    const reading = natReading(snapshot);
    return reading.state === "read" ? agreement(reading.value) : reading.state;
};

await eachRelease(release => {
    if (!everything && release === "forky") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    // One release keeps the change that waits, the other has it put back.
    const keeps = release !== "bookworm";
    let host: TestHost, page: Page, charon: Place, internet: Place;
    const owned = () => host.sh("ip route show table all proto 107; ip neigh show proxy");
    const saved = () => host.machine.read("/etc/kvm-tap/nat.nft");

    beforeAll(async () => {
        host = await startHost({ release });
        internet = internetPlace(host);
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        await host.run(["dpkg", "--install", ...bring(host, { old: OLD })]);
        await host.machine.replace("/etc/kvm-tap/nat.nft", oldFile(["203.0.113.10", "10.0.0.2"]));
        await host.machine.replace("/etc/sysctl.d/60-kvm-tap.conf", "# Forwarding for 1:1 NAT, written by the KVM TAP page of Cockpit.\nnet/ipv4/ip_forward = 1\n");
        await host.sh("sysctl -qp /etc/sysctl.d/60-kvm-tap.conf; systemctl --quiet enable --now kvm-tap-nat kvm-tap-nat-announce");
        await Promise.all([serve(charon, PORT), serve(internet, PORT), serve(hostPlace(host), PORT + 1, "host")]);
    });
    afterAll(async () => {
        page?.close();
        endPrograms();
        await host.stop();
    });

    test("sessions go on, the change that waits still waits, and the host's own services answer no more while the table is away", async () => {
        expect(await owned()).toMatch(/^local 203\.0\.113\.10 dev lo/);
        const both = await Promise.all([hold(internet, "203.0.113.10", PORT, 5), hold(charon, far.address, PORT, 5)]);
        const change = "add element inet kvm_tap public4 { 203.0.113.11 : 10.0.0.3 }\nadd element inet kvm_tap guest4 { 10.0.0.3 : 203.0.113.11 }\n"
            + "add element inet kvm_tap owned4 { 203.0.113.11 }\n# cut added 203.0.113.11 10.0.0.3\n# announce 203.0.113.11\n";
        await host.run([HELPER, "arm", keeps ? "120" : "12"], `${change}# file\n${oldFile(["203.0.113.10", "10.0.0.2"], ["203.0.113.11", "10.0.0.3"])}`);
        await host.run(["env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--install", ...bring(host, { "kvm-tap": built.debs["kvm-tap"] ?? "" })]);
        expect(await host.sh(`${HELPER} status`)).toMatch(/^pending \d+/);
        const now = await owned();
        expect(now).toContain("203.0.113.10 dev kvm-tap-hold");
        expect(now).toContain("203.0.113.11 dev kvm-tap-hold");
        expect(now).not.toContain("local");
        if (keeps) {
            await confirmChange(host.machine);
            expect(await saved()).toBe(oldFile(["203.0.113.10", "10.0.0.2"], ["203.0.113.11", "10.0.0.3"]));
            expect(await host.sh("nft list map inet kvm_tap public4")).toContain("203.0.113.11");
        } else {
            await until("the change to be put back", async () => await host.sh(`${HELPER} status`) === "reverted\n", 20);
            expect(await saved()).toBe(oldFile(["203.0.113.10", "10.0.0.2"]));
            expect(await host.sh("nft list map inet kvm_tap public4")).not.toContain("203.0.113.11");
            expect(await owned()).not.toContain("203.0.113.11");
        }
        expect(both.map(each => each.state())).toEqual(["open", "open"]);
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
        await host.sh("nft flush ruleset");
        expect(await ask(internet, "tcp", "203.0.113.10", PORT + 1)).toBeNull();
        expect(await pings(internet, "203.0.113.10")).toBe(false);
        await host.sh("systemctl reload kvm-tap-nat");
    });

    test("nftables reloaded costs nobody a session, and a page of the older version is told what to do", async () => {
        const session = await hold(internet, "203.0.113.10", PORT, 5);
        await host.sh("systemctl start nftables; systemctl reload nftables; systemctl reload nftables");
        expect(session.state()).toBe("open");
        expect(await host.attempt([HELPER, "apply"], "add element inet kvm_tap public4 { 203.0.113.12 : 10.0.0.4 }\n"))
                .toMatchObject({ status: 1, stderr: expect.stringContaining("update cockpit-kvm-tap, and load the page again") });
    });

    test("the page says that the rules are of the version before; one plan brings today's, and the session goes on", async () => {
        page = new Page(host);
        const session = await hold(internet, "203.0.113.10", PORT, 5);
        await page.readUntil("the table and its file", snapshot => agrees(snapshot) === "outdated");
        await page.change(planUpdateRules);
        await page.readUntil("both to agree", snapshot => agrees(snapshot) === "agree");
        expect(session.state()).toBe("open");
        expect(await host.machine.read("/etc/sysctl.d/60-kvm-tap.conf")).toBeNull();
        page.close();
        endPrograms();
        await host.reboot();
        charon = await emulate(host, "charon", "10.0.0.2", "fd00::2");
        await serve(charon, PORT);
        expect(await ask(internet, "tcp", "203.0.113.10", PORT)).toBe("203.0.113.254");
    });
});
