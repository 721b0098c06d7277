// SPDX-License-Identifier: LGPL-2.1-or-later
// The problem that this project starts from (libvir-list, March 2009), solved by a person in a browser: charon keeps its device.
import type { Browser } from "playwright-core";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { until } from "../lab/exec.ts";
import { oneRelease } from "../lab/releases.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

const publicAddress = "203.0.113.10";
let host: TestHost, browser: Browser, cockpit: Cockpit, charon: Guest, ifindex: string;
let before: readonly [state: string, forwarding: string];

/** A device made by hand, as in the thread. */
const makeDevice = (name: string, address: string) => host.sh(`
    ip tuntap add dev ${name} mode tap
    ip link set dev ${name} up
    ip address replace 169.254.0.1/32 dev ${name}
    ip route replace ${address}/32 dev ${name}`);

const define = (name: string, device: string, mac: string, uuid?: string) => defineGuest(host, {
    name, ...uuid !== undefined && { uuid }, interfaces: [ethernet(device, { mac, inside: "<script path='/bin/true'/>" })],
    boots: [{ address: "10.0.0.2" }],
});

const indexOf = (device: string) => host.run(["cat", `/sys/class/net/${device}/ifindex`]);

/** All that a device or a mapping could leave behind. */
const hostState = () => host.sh(`
    find /etc/kvm-tap; find /etc/sysctl.d /etc/systemd -name '*kvm-tap*' -o -name '*charon*'
    systemctl list-units --all --plain --no-legend 'kvm-tap*' | grep -v charon-copy || true
    (ip -br link; ip -4 -br address) | sed 's/@if[0-9]*//'
    ip route show table all | grep -v fe80:; ip rule; nft list tables`);

const forwarding = () => host.sh("sysctl -a 2> /dev/null | grep -E '^net[.]ipv[46][.].*(forward|rp_filter|proxy_|arp_ignore)'");

beforeAll(async () => {
    host = await startHostWithPlugin({ release: oneRelease() });
    before = [await hostState(), await forwarding()];
    browser = await startBrowser(host);
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

/** From anywhere in the internet charon answers on its public address, and its own requests arrive from it. */
async function bothWays(): Promise<void> {
    await until("charon to answer on its public address", async () =>
        await host.internet.run(["curl", "-sS", "-m", "2", `http://${publicAddress}/`]) === "charon\n", 30);
    const path = `/from-charon-${Date.now()}`;
    await charon.sh(`printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' | nc -w 5 192.0.2.80 80 > /dev/null`);
    expect(host.internet.received()).toContainEqual({ from: publicAddress, path });
}

journey("(a) charon as in the mailing list: the page says what a start will do, and that is so", async () => {
    await makeDevice("charon_pvnet1", "10.0.0.2");
    charon = await define("charon", "charon_pvnet1", "52:54:00:25:6f:3f", "08a3af0e-f145-54c6-30a2-efdab5478523");
    cockpit = await Cockpit.login(browser, host);
    await cockpit.mark();
    await cockpit.rowText("charon", "Start fails, device is deleted").waitFor();
    await cockpit.frame.getByRole("button", { name: "1 device will be deleted" }).waitFor();

    await makeDevice("copy_pvnet1", "10.0.0.9");
    const copy = await define("charon-copy", "copy_pvnet1", "52:54:00:25:6f:40");
    await cockpit.soon(cockpit.rowText("charon-copy", "Start fails, device is deleted"));
    await expect(copy.start()).rejects.toMatchObject({ words: expect.stringContaining("already exists") });
    await cockpit.soon(cockpit.rowText("charon-copy", "not there"));
    expect(await host.run(["ip", "-br", "link"])).not.toContain("copy_pvnet1");
    await copy.virsh("undefine");
    await cockpit.row("charon-copy").waitFor({ state: "detached", timeout: 1000 });
});

journey("(b) Protect", async () => {
    ifindex = await indexOf("charon_pvnet1");
    await cockpit.row("charon").getByRole("button", { name: "Protect" }).click();
    const plan = await cockpit.plan();
    for (const part of ["systemctl enable --now kvm-tap@charon_pvnet1.service", "/etc/kvm-tap/charon_pvnet1.tap", "managed='no'", "virsh"])
        expect(plan).toContain(part);
    await cockpit.press("Protect");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.soon(cockpit.rowText("charon", "Kept"));
    expect(await charon.virsh("dumpxml", "--inactive")).toMatch(/<target dev='charon_pvnet1' managed='no'\/>/);
    expect((await host.run(["systemctl", "is-enabled", "kvm-tap@charon_pvnet1.service"])).trim()).toBe("enabled");
    expect(await indexOf("charon_pvnet1")).toBe(ifindex);
});

journey("(c) it starts, answers over the device and shuts down; the device is the same, and the page followed each step", async () => {
    await charon.start();
    await cockpit.soon(cockpit.rowText("charon", "running"));
    await charon.answers();
    await charon.virsh("shutdown");
    await charon.reaches("shut off");
    await cockpit.soon(cockpit.rowText("charon", "off"));
    await cockpit.soon(cockpit.rowText("charon", "persistent, up"));
    expect(await indexOf("charon_pvnet1")).toBe(ifindex);
    expect(await cockpit.sameDocument()).toBe(true);
});

journey("(d) a public address is mapped: a client in the internet has charon's answer on it, and charon's requests arrive from it", async () => {
    await charon.virsh("autostart");
    await charon.start();
    await cockpit.go("/nat");
    await cockpit.frame.getByRole("button", { name: "Map address…" }).first().click();
    await cockpit.field("Guest").selectOption("charon · charon_pvnet1 · 10.0.0.2");
    await cockpit.field("Public address").fill(publicAddress);
    await cockpit.press("Map");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.soon(cockpit.row(publicAddress));
    await charon.answers();
    await bothWays();
    await cockpit.rowText(publicAddress, "charon (running)").waitFor();
    await cockpit.rowText(publicAddress, "No obstacle found").waitFor();
    expect(await cockpit.sameDocument()).toBe(true);
    await cockpit.close();
});

journey("(e) the host reboots, nobody opens a page, and both still hold", async () => {
    await host.reboot();
    await charon.answers();
    await bothWays();
});

journey("(f) the mapping and the device are deleted, and nothing of either is left on the host", async () => {
    cockpit = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
    await cockpit.act(publicAddress, "Remove…");
    await cockpit.press("Remove");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.row(publicAddress).waitFor({ state: "detached", timeout: 1000 });
    await expect(host.internet.run(["curl", "-sS", "-m", "2", `http://${publicAddress}/`])).rejects.toThrow();

    await charon.virsh("shutdown");
    await charon.reaches("shut off");
    await cockpit.go("/taps");
    await cockpit.act("charon_pvnet1", "Delete…");
    await cockpit.press("Delete");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.row("charon_pvnet1").waitFor({ state: "detached", timeout: 1000 });
    expect(await hostState()).toBe(before[0]);
    await cockpit.close();

    expect(await forwarding()).toBe(before[1]);
    await host.reboot();
    expect([await hostState(), await forwarding()]).toEqual(before);
});
