// SPDX-License-Identifier: LGPL-2.1-or-later
// The TAP devices page: create, take over, drift, bring back, delete; what it shows is what the kernel has.
import type { Browser } from "playwright-core";
import type { TestHost } from "../lab/host.ts";
import { oneRelease } from "../lab/releases.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

let host: TestHost, browser: Browser, cockpit: Cockpit;

const done = () => cockpit.dialog.waitFor({ state: "detached" });

beforeAll(async () => {
    host = await startHostWithPlugin({ release: oneRelease() });
    browser = await startBrowser(host);
    cockpit = await Cockpit.login(browser, host, { path: "/kvm-tap#/taps" });
    await cockpit.mark();
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

journey("names that cannot be are refused while typing; a good one makes the device, with its address, now and at boot", async () => {
    await cockpit.frame.getByRole("button", { name: "Create device…" }).first().click();
    const button = cockpit.dialog.getByRole("button", { name: "Create", exact: true });
    for (const name of ["all", "default", "vnet0", "a name", "sixteen-letters-", "..", "eth0"]) {
        await cockpit.field("Name").fill("styx0");
        await cockpit.waitFor("a good name to be taken", () => button.isEnabled());
        await cockpit.field("Name").fill(name);
        await cockpit.waitFor(`${name} to be refused`, () => button.isDisabled());
    }
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.field("Name").fill("styx0");
    await cockpit.press("Create");
    await done();
    await cockpit.soon(cockpit.row("styx0"));
    expect(await host.run(["ip", "-d", "link", "show", "dev", "styx0"])).toContain("tun type tap");
    expect((await host.run(["systemctl", "is-enabled", "kvm-tap@styx0.service"])).trim()).toBe("enabled");
});

journey("a device made by hand is taken over exactly as it is", async () => {
    await host.sh("ip tuntap add dev hand0 mode tap; ip link set dev hand0 up mtu 1400; ip route add 10.0.0.9/32 dev hand0");
    await cockpit.soon(cockpit.row("hand0"));
    const index = await host.run(["cat", "/sys/class/net/hand0/ifindex"]);
    await cockpit.act("hand0", "Take over…");
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.press("Take over");
    await done();
    expect(await host.run(["cat", "/etc/kvm-tap/hand0.tap"])).toMatch(/mtu 1400[^]*10\.0\.0\.9/);
    expect(await host.run(["cat", "/sys/class/net/hand0/ifindex"])).toBe(index);
});

journey("drift shows within a second and is settled either way", async () => {
    await host.run(["ip", "link", "set", "dev", "hand0", "mtu", "1450"]);
    await cockpit.soon(cockpit.frame.getByRole("button", { name: "1 differs from its file" }));
    await cockpit.act("hand0", "Make device and file agree…");
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.press("Take over what runs");
    await done();
    expect(await host.run(["cat", "/etc/kvm-tap/hand0.tap"])).toContain("mtu 1450");
});

journey("a device that is lost is brought back; deleted, nothing of it is left", async () => {
    await host.run(["ip", "tuntap", "del", "dev", "hand0", "mode", "tap"]);
    await cockpit.soon(cockpit.frame.getByRole("button", { name: "1 is missing" }));
    await cockpit.act("hand0", "Bring back…");
    await cockpit.press("Bring back");
    await done();
    expect(await host.run(["ip", "route", "show", "10.0.0.9"])).toContain("hand0");
    for (const name of ["hand0", "styx0"]) {
        await cockpit.act(name, "Delete…");
        await cockpit.press("Delete");
        await done();
    }
    await cockpit.frame.getByText("No TAP devices on this host").waitFor();
    expect(await host.sh("ls /etc/kvm-tap")).toBe("");
    expect(await cockpit.sameDocument()).toBe(true);
    await cockpit.close();
});
