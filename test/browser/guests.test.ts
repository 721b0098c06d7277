// SPDX-License-Identifier: LGPL-2.1-or-later
// Protect in each of its cases, for ten guests at once, by keyboard alone; and the page telling the truth while devices are deleted.
import type { Browser } from "playwright-core";
import { defineGuest, ethernet } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

let host: TestHost, browser: Browser, cockpit: Cockpit;

const define = (name: string, inside?: { managed: "no" }) => defineGuest(host, { name, interfaces: [ethernet(`${name}0`, inside)] });
const makeDevice = (name: string, options = "") => host.sh(`ip tuntap add dev ${name} mode tap ${options}; ip link set dev ${name} up`);
const managedOf = async (name: string) => /managed='(\w+)'/.exec(await host.run(["virsh", "dumpxml", "--inactive", name]))?.[1];
const persistent = async (device: string) => (await host.run(["ip", "-d", "link", "show", "dev", device])).includes("persist on");

/** By the row's button, which stands where something is lost otherwise, or from its menu. */
async function protect(name: string, by: "button" | "menu" = "button"): Promise<void> {
    if (by === "menu")
        await cockpit.act(name, "Protect…");
    else
        await cockpit.row(name).getByRole("button", { name: "Protect" }).click();
    await cockpit.dialog.waitFor();
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.press("Protect");
    await cockpit.dialog.waitFor({ state: "detached" });
}

beforeAll(async () => {
    host = await startHostWithPlugin({ release: "trixie" });
    browser = await startBrowser(host);
    cockpit = await Cockpit.login(browser, host);
    await cockpit.mark();
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

journey("off, with a device made by hand", async () => {
    await makeDevice("alpha0");
    const alpha = await define("alpha");
    await cockpit.rowText("alpha", "Start fails, device is deleted").waitFor();
    await protect("alpha");
    await cockpit.rowText("alpha", "Kept").waitFor();
    expect(await managedOf("alpha")).toBe("no");
    await alpha.start();
    await cockpit.soon(cockpit.rowText("alpha", "running"));
    await alpha.virsh("destroy");
    await cockpit.soon(cockpit.rowText("alpha", "off"));
    expect(await persistent("alpha0")).toBe(true);
});

journey("off, its device missing: made with the guest's address routed over it", async () => {
    await define("beta", { managed: "no" });
    await cockpit.rowText("beta", "Start fails: device missing").waitFor();
    await cockpit.row("beta").getByRole("button", { name: "Protect" }).click();
    await cockpit.field("Guest address").fill("not-an-address");
    await cockpit.dialog.getByText("is no IP address").waitFor();
    expect(await cockpit.dialog.getByRole("button", { name: "Protect", exact: true }).isDisabled()).toBe(true);
    await cockpit.field("Guest address").fill("10.0.0.20");
    await cockpit.press("Protect");
    await cockpit.rowText("beta", "Kept").waitFor();
    await cockpit.rowText("beta", "10.0.0.20").waitFor();
    expect(await host.run(["ip", "route", "show", "10.0.0.20"])).toContain("dev beta0");
});

journey("running on a device of libvirt's own: pending until it stops, then back by itself", async () => {
    const gamma = await define("gamma");
    await gamma.start();
    await cockpit.rowText("gamma", "Made by libvirt, gone when the guest stops").waitFor();
    await protect("gamma", "menu");
    await cockpit.rowText("gamma", "Pending").waitFor();
    expect(await persistent("gamma0")).toBe(false);
    await gamma.virsh("destroy");
    await cockpit.rowText("gamma", "Kept").waitFor({ timeout: 3000 });
    expect(await persistent("gamma0")).toBe(true);
});

journey("the protection is taken off again", async () => {
    await cockpit.act("alpha", "Take the protection off…");
    await cockpit.press("Take off");
    await cockpit.rowText("alpha", "Start fails, device is deleted").waitFor();
    expect(await managedOf("alpha")).not.toBe("no");
});

journey("a deletion shows within a second, with the event that caused it", async () => {
    await expect(host.run(["virsh", "start", "alpha"])).rejects.toThrow();
    await cockpit.soon(cockpit.rowText("alpha", "not there"));
    await cockpit.go("/guests/alpha");
    await cockpit.rowText("alpha", "libvirt deleted alpha0 when alpha failed to start").waitFor({ timeout: 2000 });
    await cockpit.go("/guests");
});

journey("a step that fails: its own words in the dialog, the host as before, the input kept", async () => {
    await makeDevice("delta0");
    await define("delta");
    await host.run(["systemctl", "mask", "kvm-tap@delta0.service"]);
    await cockpit.row("delta").getByRole("button", { name: "Protect" }).click();
    await cockpit.press("Protect");
    await cockpit.dialog.getByText(/masked/).first().waitFor();
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.dialog.getByText("the host is as it was").waitFor();
    expect(await managedOf("delta")).not.toBe("no");
    expect(await host.sh("ls /etc/kvm-tap")).not.toContain("delta0");
    await host.run(["systemctl", "unmask", "kvm-tap@delta0.service"]);
    await cockpit.press("Try again");
    await cockpit.rowText("delta", "Kept").waitFor();
});

journey("by keyboard alone", async () => {
    await makeDevice("epsilon0");
    await define("epsilon");
    await cockpit.row("epsilon").waitFor();
    const { keyboard } = cockpit.page;
    await cockpit.frame.locator("h1").click();
    await keyboard.press("/");
    await keyboard.type("epsilon");
    await cockpit.row("alpha").waitFor({ state: "detached" });
    const focused = () => cockpit.document.evaluate(() => document.activeElement?.textContent ?? "");
    for (let step = 0; step < 40 && !/^Protect/.test(await focused()); step++)
        await keyboard.press("Tab");
    await keyboard.press("Enter");
    await cockpit.dialog.waitFor();
    await keyboard.press("Escape");
    await cockpit.dialog.waitFor({ state: "detached" });
    expect(await focused()).toMatch(/^Protect/);
    await keyboard.press("Enter");
    await cockpit.dialog.waitFor();
    for (let step = 0; step < 40 && await focused() !== "Protect"; step++)
        await keyboard.press("Tab");
    await keyboard.press("Enter");
    await cockpit.rowText("epsilon", "Kept").waitFor();
    await cockpit.go("/guests");
});

journey("Protect all over ten guests: one plan, one confirmation", async () => {
    const names = Array.from({ length: 10 }, (_unused, index) => `zeta${index}-`);
    for (const name of names) {
        await makeDevice(`${name}0`);
        await define(name);
    }
    await cockpit.frame.getByRole("button", { name: "11 devices will be deleted" }).or(
        cockpit.frame.getByRole("button", { name: "10 devices will be deleted" })).waitFor();
    await cockpit.frame.getByRole("button", { name: /^Protect all/ }).click();
    await cockpit.dialog.waitFor();
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.press("Protect");
    await cockpit.dialog.waitFor({ state: "detached", timeout: 60_000 });
    for (const name of names)
        expect([name, await managedOf(name)]).toEqual([name, "no"]);
    await cockpit.frame.getByRole("button", { name: "0 devices will be deleted" }).waitFor();
    expect(await cockpit.sameDocument()).toBe(true);
    await cockpit.close();
});
