// SPDX-License-Identifier: LGPL-2.1-or-later
// "Something does not work": the administrator presses Test and is told which table, chain and rule drops the packet.
import type { Browser } from "playwright-core";
import { emulate } from "../host/nat-lab.ts";
import type { TestHost } from "../lab/host.ts";
import { oneRelease } from "../lab/releases.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

let host: TestHost, browser: Browser, cockpit: Cockpit;

beforeAll(async () => {
    host = await startHostWithPlugin({ release: oneRelease() });
    await emulate(host, "charon", "10.0.0.2", "fd00::2");
    browser = await startBrowser(host);
    cockpit = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

const house = "nft add table inet house; nft 'add chain inet house way { type filter hook forward priority 0; }'; "
    + "nft 'add rule inet house way ip daddr 10.0.0.2 drop comment \"nobody asked\"'";
const left = () => host.sh("nft list tables | grep trace || :; ip -br link | grep probe || :; ip netns | grep kvm-tap || :");

journey("a mapping that works, tested by keyboard; one that a foreign rule breaks is told with that rule; nothing is left", async () => {
    await cockpit.frame.getByRole("button", { name: "Map address…" }).first().click();
    await cockpit.field("Guest address").fill("10.0.0.2");
    await cockpit.field("Public address").fill("203.0.113.10");
    await cockpit.press("Map");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.act("203.0.113.10", "Test…");
    await cockpit.dialog.waitFor();
    // The router of the uplink stands there already.
    await cockpit.waitFor("the sender", async () => await cockpit.field("Sender").inputValue() === "203.0.113.254");
    await cockpit.field("Sender").fill("203.0.113.1");
    await cockpit.dialog.getByText("203.0.113.1 is this host's own").waitFor();
    expect(await cockpit.dialog.getByRole("button", { name: "Test", exact: true }).isDisabled()).toBe(true);
    await cockpit.field("Sender").fill("203.0.113.254");
    await cockpit.field("Sender").press("Enter");
    await cockpit.dialog.getByText("It works: the guest answered, and its answer leaves as 203.0.113.10.").waitFor();
    expect(await barriers(cockpit)).toEqual([]);
    await host.sh(house);
    await cockpit.press("Test again");
    await cockpit.dialog.getByText("Dropped on the way to the guest, by inet house way: ip daddr 10.0.0.2 drop comment \"nobody asked\"").waitFor();
    await cockpit.dialog.getByRole("button", { name: "Test again" }).waitFor();
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.waitFor("everything of the test to be gone", async () => await left() === "");
});

journey("waiting for a packet from outside: told when it comes; the dialog ends the test when it is closed", async () => {
    await cockpit.field("Packet").selectOption({ label: "None: wait for one from outside" });
    await cockpit.press("Test again");
    await cockpit.dialog.getByText(/^Waiting for packets/).waitFor();
    await cockpit.waitFor("a packet to be told", async () => {
        await host.internet.attempt(["busybox", "ping", "-q", "-c", "1", "-W", "1", "203.0.113.10"]);
        return cockpit.dialog.getByText(/^Dropped on the way to the guest/).isVisible();
    });
    await host.run(["nft", "delete", "table", "inet", "house"]);
    await cockpit.dialog.getByRole("button", { name: "Close", exact: true }).last().click();
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.waitFor("everything of the test to be gone", async () => await left() === "");
});

journey("a firewall that somebody changes shows at the mapping by itself", async () => {
    const says = cockpit.rowText("203.0.113.10", "Does not work");
    await says.waitFor({ state: "detached" });
    await host.sh(house);
    await says.waitFor();
    await host.run(["nft", "delete", "table", "inet", "house"]);
    await says.waitFor({ state: "detached" });
    await cockpit.close();
});
