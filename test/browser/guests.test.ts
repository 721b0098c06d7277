// SPDX-License-Identifier: LGPL-2.1-or-later
// Protect in each of its cases, for ten guests at once, by keyboard alone; and the page telling the truth while devices are deleted.
import type { Browser } from "playwright-core";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { oneRelease } from "../lab/releases.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

let host: TestHost, browser: Browser, cockpit: Cockpit;

const define = (name: string, inside?: Parameters<typeof ethernet>[1]) => defineGuest(host, { name, interfaces: [ethernet(`${name}0`, inside)] });
const makeDevice = (name: string, options = "") => host.sh(`ip tuntap add dev ${name} mode tap ${options}; ip link set dev ${name} up`);
const managedOf = async (name: string) => /managed='(\w+)'/.exec(await host.run(["virsh", "dumpxml", "--inactive", name]))?.[1];
const persistent = async (device: string) => (await host.run(["ip", "-d", "link", "show", "dev", device])).includes("persist on");

/** Presses the dialog's button, waits until it has done its work, and closes the news of it, which may lie over the next row's button. */
async function confirm(button: string, seconds = 10): Promise<void> {
    await cockpit.press(button);
    await cockpit.dialog.waitFor({ state: "detached", timeout: seconds * 1000 });
    await cockpit.frame.locator(".pf-v6-c-alert-group").getByRole("button", { name: "Close" }).click();
}

/** By the row's button, which stands where something is lost otherwise, or from its menu. */
async function protect(name: string, by: "button" | "menu" = "button"): Promise<void> {
    if (by === "menu")
        await cockpit.act(name, "Protect…");
    else
        await cockpit.row(name).getByRole("button", { name: "Protect" }).click();
    await confirm("Protect");
}

beforeAll(async () => {
    host = await startHostWithPlugin({ release: oneRelease() });
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
    await cockpit.row("alpha").getByRole("button", { name: "Protect" }).click();
    await cockpit.dialog.waitFor();
    expect(await barriers(cockpit)).toEqual([]);
    await confirm("Protect");
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
    await cockpit.dialog.getByText("Enter an IP address").waitFor();
    expect(await cockpit.dialog.getByRole("button", { name: "Protect", exact: true }).isDisabled()).toBe(true);
    await cockpit.field("Guest address").fill("10.0.0.20");
    await confirm("Protect");
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

journey("the same, with a definition that wants a device that nobody has made: offered all the same", async () => {
    const mac = "52:54:00:00:98:01";
    const theta = await define("theta", { mac });
    await theta.start();
    await cockpit.rowText("theta", "Made by libvirt, gone when the guest stops").waitFor();
    await host.run(["virsh", "update-device", theta.uuid, "/dev/stdin", "--config"], ethernet("theta0", { mac, managed: "no" }));
    await cockpit.rowText("theta", "Start fails: device missing").waitFor();
    await protect("theta");
    await cockpit.rowText("theta", "Pending: protected from the next start").waitFor();
    await theta.virsh("destroy");
    await cockpit.soon(cockpit.rowText("theta", "Kept"));
    expect(await persistent("theta0")).toBe(true);
});

journey("a device that systemd-networkd makes at boot: restoring it is left to that", async () => {
    await host.sh(`printf '[NetDev]\\nName=iota0\\nKind=tap\\n' > /etc/systemd/network/iota0.netdev
        systemctl enable --quiet --now systemd-networkd; until [ -e /sys/class/net/iota0 ]; do sleep 0.1; done`);
    const iota = await define("iota");
    await cockpit.rowText("iota", "Start fails, device is deleted").waitFor();
    await cockpit.row("iota").getByRole("button", { name: "Protect" }).click();
    await cockpit.dialog.getByText("is made at boot by networkd (/etc/systemd/network/iota0.netdev): that is left as it is.").waitFor();
    expect(await cockpit.plan()).not.toContain("systemctl");
    await confirm("Protect");
    await cockpit.rowText("iota", "Kept").waitFor();
    expect(await host.sh("ls /etc/kvm-tap; ls /etc/systemd/system/*.wants")).not.toContain("iota0");
    await iota.start();
    await iota.virsh("destroy");
    expect(await persistent("iota0")).toBe(true);
});

journey("queues that do not fit the device, either way", async () => {
    await makeDevice("kappa0");
    await makeDevice("lambda0", "multi_queue");
    const guests = [await define("kappa", { inside: "<driver queues='4'/>" }), await define("lambda")];
    for (const [guest, shown, told] of [
        ["kappa", "Start fails, device is deleted", "gets one queue"], ["lambda", "Start fails: device exists", "gets two queues"],
    ] as const) {
        await cockpit.rowText(guest, shown).waitFor();
        await cockpit.row(guest).getByRole("button", { name: "Protect" }).click();
        await cockpit.dialog.getByText(told).waitFor();
        await confirm("Protect");
        await cockpit.rowText(guest, "Kept").waitFor();
    }
    for (const guest of guests)
        await guest.start();
});

journey("a device that is not persistent and that another guest holds", async () => {
    const holder = await define("mu");
    await holder.start();
    await defineGuest(host, { name: "nu", interfaces: [ethernet("mu0")] });
    await cockpit.rowText("nu", "Start fails: used by mu").waitFor();
    await protect("nu");
    await cockpit.rowText("nu", "Start fails: used by mu").waitFor();
    await holder.virsh("destroy");
    await cockpit.rowText("nu", "Missing, made again at the next start").waitFor();
    await host.run(["virsh", "start", "nu"]);
    await cockpit.soon(cockpit.rowText("nu", "persistent, up"));
});

journey("several interfaces of one guest, chosen in the table: one plan", async () => {
    await makeDevice("xi0");
    await defineGuest(host, { name: "xi", interfaces: [ethernet("xi0"), ethernet("xi1")] });
    await cockpit.rowText("xi/0", "Start fails, device is deleted").waitFor();
    for (const key of ["xi/0", "xi/1"])
        await cockpit.row(key).getByRole("checkbox").check();
    await cockpit.frame.getByRole("button", { name: "Actions for the selection" }).click();
    await cockpit.frame.getByRole("menuitem", { name: "Protect…" }).click();
    await cockpit.dialog.getByText("Protect 2 interfaces").waitFor();
    await confirm("Protect");
    for (const key of ["xi/0", "xi/1"])
        await cockpit.rowText(key, "Kept").waitFor();
    expect((await host.run(["virsh", "dumpxml", "--inactive", "xi"])).match(/managed='no'/g)).toHaveLength(2);
    for (const key of ["xi/0", "xi/1"])
        await cockpit.row(key).getByRole("checkbox").uncheck();
});

journey("two guests that name one device: the second gets one of its own", async () => {
    await defineGuest(host, { name: "omicron", interfaces: [ethernet("alpha0", { managed: "no" })] });
    await cockpit.go("/guests/omicron");
    const finding = cockpit.row("omicron").getByRole("listitem").filter({ hasText: "only one of them can run" });
    await finding.getByRole("button", { name: "Cure…" }).click();
    expect(await cockpit.field("Name").inputValue()).toBe("omicron0");
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.field("Name").fill("alpha0");
    await cockpit.dialog.getByText("The definition of alpha names alpha0 already").waitFor();
    await cockpit.field("Name").fill("omicron0");
    await cockpit.field("Guest address").fill("10.0.0.21");
    await confirm("Make and use it");
    await cockpit.rowText("omicron", "Kept").waitFor();
    await cockpit.row("omicron").getByRole("link", { name: "omicron0" }).first().waitFor();
    expect(await host.run(["ip", "route", "show", "10.0.0.21"])).toContain("dev omicron0");
    await cockpit.go("/guests");
});

/** pi, running on a persistent device of this name without managed='no': a live update took that away. */
async function unprotectedOn(device: string): Promise<Guest> {
    const mac = "52:54:00:00:97:01";
    if (host.release === "bookworm") {
        // Nothing that can be changed in a running guest does this there: the device is exchanged under a card that bears it.
        const card = ethernet(device, { mac, inside: "<rom enabled='no'/>" }).replace("virtio", "e1000");
        const pi = await defineGuest(host, { name: "pi", interfaces: [card] });
        await pi.start();
        await host.sh(`ip link delete ${device}`);
        await makeDevice(device);
        return pi;
    }
    await makeDevice(device);
    const pi = await define("pi", { mac, managed: "no" });
    await pi.start();
    await cockpit.rowText("pi", "Kept").waitFor();
    const disarming = ethernet(device, { mac }).replace("<interface ", "<interface trustGuestRxFilters='yes' ");
    await host.run(["virsh", "update-device", pi.uuid, "/dev/stdin", "--live"], disarming);
    return pi;
}

journey("a running guest's device is deleted at its stop: told at once, with the event, in the open row", async () => {
    const pi = await unprotectedOn("pi0");
    await cockpit.rowText("pi", "Deleted when the guest stops").waitFor();
    await cockpit.go("/guests/pi");
    await cockpit.rowText("pi", "Life cycle").waitFor();
    await pi.virsh("destroy");
    await cockpit.soon(cockpit.rowText("pi", /libvirt deleted pi0 when pi stopped( \(destroyed\))?$/));
    await cockpit.rowText("pi", "not there").waitFor();
    await cockpit.go("/guests");
});

journey("the life cycle by keyboard, and as a table", async () => {
    await define("sigma", { managed: "no" });
    await cockpit.rowText("sigma", "Start fails: device missing").waitFor();
    await cockpit.go("/guests/sigma");
    const detail = cockpit.row("sigma");
    const { keyboard } = cockpit.page;
    await detail.getByRole("button", { name: /^Start: the device is/ }).focus();
    const said = detail.locator(".kt-life-reason");
    await said.getByText("Start: fails.").waitFor();
    const events = new Set<string>();
    for (let step = 0; step < 15; step++) {
        events.add(await said.locator("strong").textContent() ?? "");
        await keyboard.press("Tab");
    }
    expect(events.size).toBe(15);
    await detail.getByText("As a table").focus();
    await keyboard.press("Enter");
    const table = detail.getByRole("table");
    expect(await table.getByRole("rowheader").count()).toBe(15);
    expect(await table.getByRole("columnheader").allTextContents()).toEqual(["Event", "Device", "Why"]);
    await table.getByText("managed='no' says that sigma0 is there, and it is not").first().waitFor();
    await cockpit.go("/guests");
});

journey("the protection is taken off again, with its warning; the device goes or stays as is wished", async () => {
    await cockpit.act("alpha", "Take the protection off…");
    await cockpit.dialog.getByText("the failed start deletes the device").waitFor();
    await confirm("Take off");
    await cockpit.rowText("alpha", "Start fails, device is deleted").waitFor();
    expect(await managedOf("alpha")).not.toBe("no");
    await cockpit.act("beta", "Take the protection off…");
    await cockpit.field("The device").selectOption({ label: "is deleted now: libvirt makes one of its own at the next start" });
    await cockpit.dialog.getByText("libvirt makes a device of its own").waitFor();
    await confirm("Take off");
    await cockpit.rowText("beta", "Made by libvirt, gone when the guest stops").waitFor();
    expect(await host.sh("ip -br link; ls /etc/kvm-tap")).not.toContain("beta0");
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
    await confirm("Try again");
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
    await Promise.all(names.map(async name => { await makeDevice(`${name}0`); await define(name); }));
    for (const name of names)
        await cockpit.rowText(name, "Start fails, device is deleted").waitFor();
    await cockpit.frame.getByRole("button", { name: /^Protect all/ }).click();
    const plan = await cockpit.plan();
    for (const name of names)
        expect(plan).toContain(`/etc/kvm-tap/${name}0.tap`);
    await confirm("Protect", 60);
    expect(await Promise.all(names.map(managedOf))).toEqual(names.map(() => "no"));
    await cockpit.frame.getByRole("button", { name: "0 devices will be deleted" }).waitFor();
    expect(await cockpit.sameDocument()).toBe(true);
    await cockpit.close();
});
