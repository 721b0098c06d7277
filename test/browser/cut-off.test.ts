// SPDX-License-Identifier: LGPL-2.1-or-later
// An administrator whose own session goes over what the page is asked to change: refused with a sentence, or put back by the host within
// 20 s. Three ways in: from a desk on the host's link, through a TAP device that is the administrator's VPN, and through a guest.
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { planMapAddresses } from "../../src/actions/map-address.ts";
import { until } from "../lab/exec.ts";
import type { TestHost } from "../lab/host.ts";
import { oneRelease } from "../lab/releases.ts";
import { top } from "../lab/trees.ts";
import { Page, emulate, hostPlace, internetPlace, pings, runIn } from "../host/nat-lab.ts";
import { desk, startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

const VPN = "10.8.0.1", CLIENT = "10.8.0.2", GUEST = "203.0.113.10";

let host: TestHost, browser: Browser;
const windows: Cockpit[] = [];

async function come(address: string, path: string): Promise<Cockpit> {
    const cockpit = await Cockpit.login(browser, host, { address, path: `/kvm-tap#/${path}` });
    windows.push(cockpit);
    return cockpit;
}

beforeAll(async () => {
    host = await startHostWithPlugin({ release: oneRelease() });
    // The VPN's client is the internet itself, which the desk's packets to the VPN pass.
    await host.internet.run(["ip", "link", "add", "client", "type", "veth", "peer", "name", "vx", "netns", String(host.leader)]);
    await host.sh(`ip tuntap add dev vpn0 mode tap; ip link set vpn0 up; ip address add ${VPN}/24 dev vpn0; ip link set vx up
        ip tuntap add dev free0 mode tap; ip link set free0 up; ip route add 10.0.0.9/32 dev free0`);
    await host.internet.sh(`ip link set client up; ip address add ${CLIENT}/24 dev client
        nft -f - <<'END'
table ip vpn {
    chain out { type nat hook postrouting priority 100; oifname client masquerade; }
}
END`);
    host.internet.start([...hostPlace(host).enter, "/usr/bin/python3", join(top, "test/browser/tap-peer.py"), "vpn0", "vx"]);
    await until("the VPN", () => pings(internetPlace(host), VPN));
    // The guest hands on what comes for Cockpit, as a firewall or VPN in a guest does.
    const guest = await emulate(host, "charon", "10.0.0.2", "fd00::2");
    await runIn(guest, ["sh", "-euc", `echo 1 > /proc/sys/net/ipv4/ip_forward
        nft -f - <<'END'
table ip gate {
    chain in { type nat hook prerouting priority -100; tcp dport 9090 dnat to 169.254.0.1; }
    chain out { type nat hook postrouting priority 100; masquerade; }
}
END`]);
    const page = new Page(host);
    await page.change(now => planMapAddresses(now, [
        { public: GUEST, guest: "10.0.0.2" }, { public: "203.0.113.50", guest: "10.0.0.5", enabled: false },
    ]));
    page.close();
    browser = await startBrowser(host);
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

/** Nothing of this runs, and why. */
async function refused(cockpit: Cockpit, button: string, sentence: RegExp) {
    await cockpit.dialog.getByText(sentence).first().waitFor();
    await cockpit.waitFor(`${button} to be refused`, () => cockpit.dialog.getByRole("button", { name: button, exact: true }).isDisabled());
}

async function leave(cockpit: Cockpit) {
    await cockpit.press("Cancel");
    await cockpit.dialog.waitFor({ state: "detached" });
}

journey("from the desk: no device takes the desk's address, its network, or the host's own", async () => {
    const cockpit = await come(host.address(), "taps");
    await cockpit.frame.getByRole("button", { name: "Create device…" }).first().click();
    await cockpit.dialog.locator("details.kt-more > summary").click();
    await cockpit.field("Name").fill("new0");
    for (const [field, typed, sentence] of [
        ["Guest addresses", desk, /is connected with this host right now/], ["Gateway", host.address(), /host's own address on eth0/],
        ["Gateway", `${desk}/30`, /is connected with this host right now/], ["More routes", `${desk}/32`, /is connected with this host right now/],
        ["More routes", "203.0.113.192/26", /contains 203\.0\.113\.254, a gateway/], ["More routes", "203.0.113.0/24", /is the network of eth0/],
        ["More routes", "128.0.0.0/1", /contains the network/], ["More routes", "default", /is everything/],
    ] as const) {
        await cockpit.field(field).fill(typed);
        await refused(cockpit, "Create", sentence);
        await cockpit.field(field).fill("");
    }
    await leave(cockpit);
});

journey("from the desk: no mapping takes it, or a prefix around it, or an address that the host got meanwhile", async () => {
    const [cockpit] = windows;
    await cockpit?.page.goto(`https://${host.address()}:9090/kvm-tap#/nat`);
    if (!cockpit)
        throw new Error("no window");
    await cockpit.frame.getByRole("button", { name: "Map address…" }).first().click();
    await cockpit.field("Guest address").fill("10.0.0.9");
    await cockpit.field("Public address").fill(desk);
    await refused(cockpit, "Map", /is connected with this host right now/);
    await cockpit.field("Guest address").fill("10.0.1.200/29");
    await cockpit.field("Public address").fill("203.0.113.200/29");
    await refused(cockpit, "Map", /contains 203\.0\.113\.200, which is connected with this host/);
    await leave(cockpit);
    await host.sh("ip address add 203.0.113.50/24 dev eth0");
    const own = await come("203.0.113.50", "nat");
    await own.act("203.0.113.50", "Enable…");
    await refused(own, "Enable", /this host's own address on eth0/);
    await leave(own);
});

journey("through a TAP device of the administrator's own: not set down, changed or deleted under the session", async () => {
    const cockpit = await come(VPN, "taps");
    const sentence = new RegExp(`connected with ${CLIENT.replaceAll(".", "\\.")} over vpn0: this would break the connection`);
    await cockpit.act("vpn0", "Set down…");
    await refused(cockpit, "Set down", sentence);
    await leave(cockpit);
    await cockpit.act("vpn0", "Change…");
    await cockpit.dialog.locator("details.kt-more > summary").click();
    await cockpit.field("MTU").fill("1300");
    await refused(cockpit, "Change", sentence);
    await cockpit.field("MTU").fill("");
    await cockpit.field("Gateway").fill("10.8.0.7/24");
    await refused(cockpit, "Change", sentence);
    await leave(cockpit);
});

/** Closes the dialog once its plan has ended, of which a session that was cut off hears late. */
async function ended(cockpit: Cockpit) {
    const close = cockpit.dialog.locator("footer").getByRole("button", { name: "Close", exact: true });
    await until("the dialog to be closed", async () => {
        if (await close.isVisible())
            await close.click();
        return await cockpit.dialog.count() === 0;
    }, 60);
}

journey("through a guest: what ends its mapping comes back by itself", async () => {
    // They would confirm it over their own ways, which are not cut off.
    for (const window of windows.splice(0))
        await window.page.context().close();
    const cockpit = await come(GUEST, "nat");
    expect(await host.sh("ss -Htn state established '( sport = :9090 )'")).toContain("10.0.0.2");
    const connects = async () => (await host.internet.attempt(["timeout", "1", "bash", "-c", `exec 3<>/dev/tcp/${GUEST}/9090`])).status === 0;
    for (const [what, change] of [
        ["Remove…", () => cockpit.press("Remove")],
        ["Change…", async () => {
            await cockpit.dialog.getByRole("button", { name: "Limits, logging, anti-spoofing" }).click();
            await cockpit.field("Only let in").fill("tcp/22");
            await cockpit.press("Change");
        }],
    ] as const) {
        await cockpit.act(GUEST, what);
        await change();
        await until("the guest to be cut off", async () => !await connects(), 10);
        await until("it to be back", connects, 40);
        // The session goes on when TCP tries again, which it does less and less often.
        await cockpit.frame.getByText("The host put the last change of NAT back").first().waitFor({ timeout: 60_000 });
        await cockpit.row(GUEST).waitFor();
        await ended(cockpit);
        await cockpit.frame.getByRole("button", { name: "Dismiss" }).click();
    }
});
