// SPDX-License-Identifier: LGPL-2.1-or-later
// The 1:1 NAT page: what it refuses, several mappings at once, import, drift, and two people at the same time.
import type { Browser } from "playwright-core";
import { defineGuest, ethernet } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

let host: TestHost, browser: Browser, cockpit: Cockpit;

const table = () => host.run(["nft", "list", "table", "inet", "kvm_tap"]);
const open = (name: string) => cockpit.frame.getByRole("button", { name }).first().click();

beforeAll(async () => {
    host = await startHostWithPlugin({ release: "trixie" });
    await host.sh(`ip tuntap add dev styx0 mode tap; ip link set dev styx0 up
        for n in 3 4 5 6; do ip route add 10.0.0.$n/32 dev styx0; done`);
    await defineGuest(host, { name: "styx", interfaces: [ethernet("styx0", { managed: "no" })] });
    browser = await startBrowser(host);
    cockpit = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
    await cockpit.mark();
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

journey("bad input is refused while typing, and nothing runs", async () => {
    await open("Map address…");
    await cockpit.field("Guest address").fill("10.0.0.3");
    const button = cockpit.dialog.getByRole("button", { name: "Map", exact: true });
    for (const address of ["300.1.1.1", "224.0.0.5", "127.0.0.1", "203.0.113.1", "203.0.113.0", "203.0.113.255", "2001:db8::5", "not an address"]) {
        await cockpit.field("Public address").fill("203.0.113.10");
        await cockpit.waitFor("a good address to be taken", () => button.isEnabled());
        await cockpit.field("Public address").fill(address);
        await cockpit.waitFor(`${address} to be refused`, () => button.isDisabled());
    }
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.press("Cancel");
    expect(await host.sh("nft list tables; ls /etc/kvm-tap")).toBe("");
});

journey("a mapping is made and shows at once; the same address twice is refused", async () => {
    await open("Map address…");
    await cockpit.field("Guest address").fill("10.0.0.3");
    await cockpit.field("Public address").fill("203.0.113.10");
    await cockpit.field("Description").fill("mail 📬");
    await cockpit.press("Map");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.soon(cockpit.rowText("203.0.113.10", "10.0.0.3"));
    expect(await table()).toContain("203.0.113.10");
    await open("Map address…");
    await cockpit.field("Guest address").fill("10.0.0.4");
    await cockpit.field("Public address").fill("203.0.113.10");
    await cockpit.waitFor("the second mapping of one address to be refused",
        async () => await cockpit.field("Public address").getAttribute("aria-invalid") === "true");
    await cockpit.press("Cancel");
});

journey("import: errors by line and nothing applied; then all of it at once", async () => {
    await open("More about all mappings");
    await cockpit.frame.getByRole("menuitem", { name: "Import…" }).click();
    await cockpit.dialog.waitFor();
    expect(await barriers(cockpit)).toEqual([]);
    const text = cockpit.dialog.locator("textarea").first();
    await text.fill("public,guest\n203.0.113.11,10.0.0.4\n203.0.113.300,10.0.0.5\n");
    await cockpit.dialog.getByText(/203\.0\.113\.300/).last().waitFor();
    expect(await cockpit.dialog.getByRole("button", { name: "Import", exact: true }).isDisabled()).toBe(true);
    await text.fill("public,guest\n203.0.113.11,10.0.0.4\n203.0.113.12,10.0.0.5\n203.0.113.13,10.0.0.6\n");
    await cockpit.press("Import");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.row("203.0.113.13").waitFor();
});

journey("a change by another program shows within a second; a lost table comes back by one click", async () => {
    await host.sh("nft 'delete element inet kvm_tap public4 { 203.0.113.13 }'");
    await cockpit.soon(cockpit.frame.getByText(/differ/i).first());
    expect(await barriers(cockpit)).toEqual([]);
    await host.run(["systemctl", "reload-or-restart", "kvm-tap-nat.service"]);
    await cockpit.soon(cockpit.frame.getByText("Running and saved agree"));
    await host.run(["nft", "flush", "ruleset"]);
    await cockpit.soon(cockpit.frame.getByText("The table is gone").first());
    await open("Load what is saved…");
    await cockpit.press("Load");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.soon(cockpit.frame.getByText("Running and saved agree"));
    expect(await table()).toContain("203.0.113.13");
});

journey("two people at once: each sees the other's change within a second", async () => {
    const other = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
    await other.act("203.0.113.12", "Disable…");
    await other.press("Disable");
    await other.dialog.waitFor({ state: "detached" });
    await cockpit.soon(cockpit.rowText("203.0.113.12", "disabled"));
    await other.close();
});

journey("several mappings removed together; the last one takes the table along", async () => {
    await cockpit.frame.getByRole("checkbox", { name: "Select all on this page" }).check();
    await cockpit.frame.getByRole("button", { name: "Actions for the selection" }).click();
    await cockpit.frame.getByRole("menuitem", { name: "Remove…" }).click();
    expect(await barriers(cockpit)).toEqual([]);
    await cockpit.press("Remove");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.frame.getByText("No public addresses are mapped").waitFor();
    expect(await host.sh("nft list tables; ls /etc/kvm-tap")).toBe("");
    expect(await cockpit.sameDocument()).toBe(true);
    await cockpit.close();
});
