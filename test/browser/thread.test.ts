// SPDX-License-Identifier: LGPL-2.1-or-later
// The problem that this project starts from (libvir-list, March 2009), solved by a person in a browser: charon keeps its device.
import type { Browser } from "playwright-core";
import { defineGuest, ethernet, type Guest } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { until } from "../lab/exec.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

const publicAddress = "203.0.113.10";
let host: TestHost, browser: Browser, cockpit: Cockpit, charon: Guest, traces: string, ifindex: string;

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
    find /etc/kvm-tap /etc/sysctl.d /etc/systemd/system /etc/systemd/network -name '*kvm-tap*' -o -name '*charon*' | sort
    systemctl list-units --all --plain --no-legend 'kvm-tap*' | grep -v charon-copy || true
    ip -br link; ip -br address; ip route show table all; ip rule
    nft list tables
    sysctl -a 2> /dev/null | grep -E '^net.ipv4.(ip_forward|conf.*.(forwarding|rp_filter|proxy_arp|arp_ignore)) '`);

beforeAll(async () => {
    host = await startHostWithPlugin({ release: "trixie" });
    traces = await hostState();
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
    await charon.sh(`wget -q -T 5 -O - http://192.0.2.80${path} || true`);
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
    const { dialog } = cockpit;
    await dialog.getByText("kvm-tap@charon_pvnet1.service").first().waitFor();
    await dialog.getByRole("button", { name: "Protect" }).click();
    await dialog.waitFor({ state: "detached" });
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
