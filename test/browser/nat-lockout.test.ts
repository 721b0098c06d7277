// SPDX-License-Identifier: LGPL-2.1-or-later
// A person maps the very address that this browser came in on. The page cannot get through anew, so the host puts it back, and
// the page says so.
import type { Browser } from "playwright-core";
import type { TestHost } from "../lab/host.ts";
import { oneRelease } from "../lab/releases.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

let host: TestHost, browser: Browser, cockpit: Cockpit;

beforeAll(async () => {
    host = await startHostWithPlugin({ release: oneRelease() });
    await host.sh(`
        ip tuntap add dev charon0 mode tap
        ip link set dev charon0 up
        ip address add 169.254.0.1/32 dev charon0
        ip route add 10.0.0.2/32 dev charon0`);
    browser = await startBrowser(host);
    cockpit = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

const map = async (address: string) => {
    await cockpit.frame.getByRole("button", { name: "Map address…" }).first().click();
    await cockpit.field("Guest address").fill("10.0.0.2");
    await cockpit.field("Public address").fill(address);
};

journey("the host's own address: said twice, reverted by the host, and the page says so", async () => {
    await map("203.0.113.1");
    await cockpit.dialog.getByText(/host's own address on eth0/).waitFor();
    await cockpit.dialog.getByLabel(/^Map the host's own address/).check();
    await cockpit.dialog.getByLabel(/^I know that 203\.0\.113\.1/).check();
    await cockpit.press("Map");
    await cockpit.frame.getByText(/Keep this change\? The host puts it back in \d+ s/).first().waitFor();
    await cockpit.frame.getByText(/^A new connection to this host failed/).first().waitFor();
    await cockpit.frame.getByText("The host put the last change of NAT back").first().waitFor({ timeout: 30_000 });
    await cockpit.frame.getByText(/nobody confirmed it within 15 s/).first().waitFor();
    expect((await host.attempt(["nft", "list", "table", "inet", "kvm_tap"])).status).not.toBe(0);
    expect(await host.machine.read("/etc/kvm-tap/nat.nft")).toBeNull();
});

journey("after that an address of its own is mapped, and the page says what speaks against it", async () => {
    await cockpit.frame.getByRole("button", { name: "Dismiss" }).click();
    await map("203.0.113.10");
    await cockpit.dialog.getByText(/Nobody answers for it on eth0/).waitFor();
    await cockpit.press("Map");
    await cockpit.row("203.0.113.10").getByText("May not work").click();
    await cockpit.frame.getByText("No guest is attached to charon0 now.").first().waitFor();
    await cockpit.frame.getByText("Running and saved agree").waitFor();
    await cockpit.waitFor("the unit to be active", async () => (await host.attempt(["systemctl", "is-active", "kvm-tap-nat"])).status === 0);
    await host.sh("nft flush ruleset");
    await cockpit.soon(cockpit.frame.getByText("The table is gone: nothing is translated").first());
});
