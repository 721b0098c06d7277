// SPDX-License-Identifier: LGPL-2.1-or-later
// The 1:1 NAT page: every dialog of it, what it refuses, several mappings at once, files, drift, and two people at the same time.
import { readFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import { defineGuest, ethernet } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { everything } from "../host/host-files.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

const REFUSED: readonly [field: string, text: string, sentence: RegExp][] = [
    ["Public address", "300.1.1.1", /is not an address/], ["Public address", "224.0.0.5", /multicast/], ["Public address", "127.0.0.1", /loopback/],
    ["Public address", "203.0.113.1", /host's own address on eth0/], ["Public address", "203.0.113.0", /means all of the network on eth0/],
    ["Public address", "203.0.113.255", /means all of the network on eth0/], ["Public address", "203.0.113.254", /is a gateway of this host/],
    ["Public address", "203.0.113.17/28", /not its beginning: that would be 203\.0\.113\.16\/28/], ["Public address", "2001:db8::5", /of the same kind/],
    ["Guest address", "10.0.0", /is not an address/], ["Guest address", "10.0.0.0/29", /not of the same size/],
    ["Guest address", "203.0.113.1", /own address on eth0, not a guest's/], ["Guest address", "203.0.113.10", /must differ/],
    ["Description", "say \"hi\"", /double quotes/], ["Description", "📬".repeat(33), /132 bytes long, nftables keeps 128/],
    ["Description", "x".repeat(10_240), /10240 bytes long/],
    ["Only let in", "tcp/99999", /"tcp\/99999" is not a protocol or port/], ["Only let in", "http", /is not a protocol or port/],
];

await eachRelease(release => {
    // make check: one shell; the page itself is the same on all.
    if (!everything && release !== "trixie") {
        test.skip("all of this with KVM_TAP_ALL=1", () => undefined);
        return;
    }
    let host: TestHost, browser: Browser, cockpit: Cockpit;

    const table = () => host.run(["nft", "list", "table", "inet", "kvm_tap"]);
    const file = () => host.run(["cat", "/etc/kvm-tap/nat.nft"]);
    const open = (name: string, who = cockpit) => who.frame.getByRole("button", { name }).first().click();
    const closed = (who = cockpit) => who.dialog.waitFor({ state: "detached" });
    const button = (name: string, who = cockpit) => who.dialog.getByRole("button", { name, exact: true });
    const says = (text: string | RegExp, who = cockpit) => who.dialog.getByText(text).first().waitFor();
    const menu = async (name: string) => {
        await open("More about all mappings");
        await cockpit.frame.getByRole("menuitem", { name }).click();
    };
    /** Fills the form for a new mapping in. */
    const form = async (guest: string, address: string, who = cockpit) => {
        await open("Map address…", who);
        await who.field("Guest address").fill(guest);
        await who.field("Public address").fill(address);
    };
    /** Presses the button of the dialog and waits until it has done its work, and the page has kept the change over a new connection. */
    const done = async (name: string, who = cockpit) => {
        await who.press(name);
        await closed(who);
        await kept();
    };
    const bulk = async (action: string) => {
        await cockpit.frame.getByRole("button", { name: "Actions for the selection" }).click();
        await cockpit.frame.getByRole("menuitem", { name: action }).click();
    };
    const kept = () => cockpit.waitFor("the change to be kept", async () => (await host.attempt(["ls", "-d", "/run/kvm-tap/nat-pending"])).status !== 0);
    const undo = async () => {
        const before = await host.machine.read("/etc/kvm-tap/nat.nft");
        await cockpit.frame.getByRole("button", { name: "Undo" }).click();
        await cockpit.waitFor("the change to be taken back for good", async () => await host.machine.read("/etc/kvm-tap/nat.nft") !== before);
        await kept();
    };
    const agree = () => cockpit.frame.getByText("Running and saved agree").waitFor();

    beforeAll(async () => {
        host = await startHostWithPlugin({ release });
        await host.sh(`
            ip tuntap add dev styx0 mode tap; ip link set dev styx0 up
            for n in 3 4 5 6; do ip route add 10.0.0.$n/32 dev styx0; done
            ip link add br7 type bridge; ip link set br7 up; ip address add 10.7.0.1/24 dev br7`);
        await defineGuest(host, { name: "styx", interfaces: [ethernet("styx0", { managed: "no" })] });
        const lethe = await defineGuest(host, { name: "lethe", interfaces: ["<interface type='bridge'><mac address='52:54:00:aa:00:07'/><source bridge='br7'/></interface>"] });
        await lethe.start();
        // Its device gives the bridge another MAC address, which makes the kernel forget neighbours.
        await host.sh("ip neigh replace 10.7.0.2 lladdr 52:54:00:aa:00:07 dev br7 nud permanent");
        browser = await startBrowser(host);
        cockpit = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
        await cockpit.mark();
    });
    afterAll(async () => {
        await browser?.close();
        await host?.stop();
    });

    journey("every field is checked while it is typed in, and nothing runs", async () => {
        await form("10.0.0.3", "203.0.113.10");
        await open("Limits, logging, anti-spoofing");
        const good = { "Guest address": "10.0.0.3", "Public address": "203.0.113.10", "Description": "", "Only let in": "" };
        for (const [field, text, sentence] of REFUSED) {
            await cockpit.field(field).fill(text);
            await says(sentence);
            expect(await button("Map").isDisabled()).toBe(true);
            await cockpit.field(field).fill(good[field as keyof typeof good]);
            await cockpit.waitFor("what is right to be taken again", () => button("Map").isEnabled());
        }
        await cockpit.field("Description").fill("x".repeat(10_240));
        expect(await barriers(cockpit)).toEqual([]);
        await cockpit.press("Cancel");
        await closed();
        expect(await host.sh("nft list tables; ls /etc/kvm-tap")).toBe("");
    });

    journey("a guest behind a bridge is picked with the address the host knows of it; who has an address already is named", async () => {
        await open("Map address…");
        // By the device that libvirt made for it.
        const lethe = cockpit.field("Guest").locator("option", { hasText: /^lethe · \S+ · 10\.7\.0\.2$/ });
        await lethe.waitFor({ state: "attached" });
        await cockpit.field("Guest").selectOption(await lethe.textContent() ?? "");
        await says("From this host's neighbour table: the address of 52:54:00:aa:00:07.");
        expect(await cockpit.field("Guest address").inputValue()).toBe("10.7.0.2");
        await cockpit.field("Public address").fill("203.0.113.10");
        await cockpit.field("Description").fill("mail 📬; it's 100 % {really} # fine");
        await done("Map");
        await cockpit.soon(cockpit.rowText("203.0.113.10", "10.7.0.2"));
        await cockpit.rowText("203.0.113.10", "mail 📬; it's 100 % {really} # fine").waitFor();
        await cockpit.rowText("203.0.113.10", "lethe").waitFor();
        await agree();
        await form("10.0.0.3", "203.0.113.10");
        await says("203.0.113.10 is mapped already, to 10.7.0.2.");
        await cockpit.field("Public address").fill("203.0.113.11");
        await cockpit.field("Guest address").fill("10.7.0.2");
        await says("10.7.0.2 has a public address already: 203.0.113.10.");
        await cockpit.field("Guest").selectOption("styx · styx0 · 10.0.0.3");
        await says("This host has a route to it over styx0.");
        await done("Map");
        await cockpit.row("203.0.113.11").waitFor();
    });

    journey("connections are counted, and how many a removal ends is said before", async () => {
        await cockpit.rowText("203.0.113.10", /^not since/).waitFor();
        await cockpit.rowText("203.0.113.10", "0 open now").waitFor();
        await host.internet.attempt(["busybox", "ping", "-q", "-c", "1", "-W", "1", "203.0.113.10"]);
        await cockpit.rowText("203.0.113.10", "1 open now").waitFor();
        await cockpit.rowText("203.0.113.10", "1 in, 0 out").waitFor();
        await cockpit.row("203.0.113.10").getByText(/^(now|[\d:]+ [AP]M)$/).waitFor();
        await cockpit.rowText("203.0.113.11", /^not since/).waitFor();
        await host.internet.attempt(["busybox", "ping", "-q", "-c", "1", "-W", "1", "203.0.113.10"]);
        await cockpit.act("203.0.113.10", "Remove…");
        await says(/^203\.0\.113\.10\. [12] open connections? will end\.$/);
        await says("Open connections over a removed mapping end at once. That cannot be undone.");
        expect(await barriers(cockpit)).toEqual([]);
        await cockpit.press("Cancel");
        await closed();
    });

    journey("a mapping is changed, and the change taken back", async () => {
        await cockpit.act("203.0.113.11", "Change…");
        await cockpit.field("Description").fill("web");
        await open("Limits, logging, anti-spoofing");
        await cockpit.field("Only let in").fill("icmp, tcp/80-443");
        await done("Change");
        await cockpit.soon(cockpit.rowText("203.0.113.11", "web"));
        expect(await file()).toMatch(/203\.0\.113\.11 comment "web" : 10\.0\.0\.3.*203\.0\.113\.11 \. tcp \. 80-443/);
        await undo();
        await cockpit.row("203.0.113.11").getByText("web").waitFor({ state: "detached" });
        expect(await file()).not.toContain("80-443");
        expect(await table()).not.toContain("80-443");
        await agree();
    });

    journey("import: errors by line and nothing applied; then the difference, and all of it at once", async () => {
        await menu("Import…");
        await cockpit.dialog.waitFor();
        const text = cockpit.dialog.locator("textarea").first();
        const head = "public,guest,description,enabled,limits,log\n";
        await text.fill(`${head}203.0.113.12,10.0.0.4,,,,\n203.0.113.300,10.0.0.5,,,,\n203.0.113.13,10.0.0.4,,,,\n203.0.113.14,10.0.0.6,"two\nlines",,,\n`
            + "203.0.113.1,10.0.0.6,,,,\n203.0.113.15,10.0.0.6,,perhaps,,\n203.0.113.16,10.0.0.6,,,tcp/0,\n203.0.113.17,10.0.0.7\n");
        for (const line of [
            /^Line 3: "203\.0\.113\.300" is not an address/, /^Line 4: 10\.0\.0\.4 has a public address already: 203\.0\.113\.12/,
            /^Line 5: A description is one line of text/, /^Line 7: 203\.0\.113\.1 is this host's own address on eth0/,
            /^Line 8: "perhaps" is neither yes nor no/, /^Line 9: "tcp\/0" is not a protocol or port/,
            /^Line 10: This line has 2 fields, the first has 6/,
        ])
            await says(line);
        expect(await button("Import").isDisabled()).toBe(true);
        expect(await barriers(cockpit)).toEqual([]);
        await text.fill(`${head}203.0.113.11,10.0.0.3,changed,,,\n203.0.113.12,10.0.0.4,"a, ""b""",,,\n`);
        await says(/^Line 3: A description cannot contain double quotes/);
        await text.fill(`${head}203.0.113.11,10.0.0.3,changed,,,\n203.0.113.12,10.0.0.4,"a, b",,,\n203.0.113.13,10.0.0.5,,no,,\n`);
        await cockpit.dialog.getByRole("heading", { name: "Import: 2 added, 1 changed, 0 removed" }).waitFor();
        expect(await cockpit.plan()).toContain("add element inet kvm_tap disabled4 { 203.0.113.13 : 10.0.0.5 }");
        expect(await table()).not.toContain("203.0.113.12");
        await done("Import");
        await cockpit.soon(cockpit.rowText("203.0.113.13", "disabled"));
        await cockpit.rowText("203.0.113.12", "a, b").waitFor();
        await agree();
    });

    journey("what is exported is what there is, and can be imported", async () => {
        const exported = async (name: string) => {
            const [download] = await Promise.all([cockpit.page.waitForEvent("download"), menu(name)]);
            return readFileSync(await download.path(), "utf8");
        };
        expect(await exported("Export as CSV")).toBe([
            "public,guest,description,enabled,limits,log", "203.0.113.10,10.7.0.2,mail 📬; it's 100 % {really} # fine,yes,,no",
            "203.0.113.11,10.0.0.3,changed,yes,,no", "203.0.113.12,10.0.0.4,\"a, b\",yes,,no", "203.0.113.13,10.0.0.5,,no,,no", "",
        ].join("\r\n"));
        const json = await exported("Export as JSON");
        await menu("Import…");
        await cockpit.dialog.locator("textarea").first().fill(json);
        await cockpit.dialog.getByRole("heading", { name: "Import: 0 added, 0 changed, 0 removed" }).waitFor();
        await cockpit.press("Cancel");
        await closed();
    });

    journey("searched, sorted, selected; disabled and enabled together", async () => {
        const rows = () => cockpit.frame.locator("[data-row]").evaluateAll(all => all.map(row => row.getAttribute("data-row")));
        const search = cockpit.frame.getByRole("searchbox").or(cockpit.frame.getByPlaceholder(/^Search/)).first();
        await search.fill("styx0 changed");
        await cockpit.waitFor("one row to be left", async () => (await rows()).join() === "203.0.113.11");
        await search.fill("styx0");
        await cockpit.frame.getByRole("button", { name: "Public address" }).click();
        await cockpit.waitFor("the last to be first", async () => (await rows()).join() === "203.0.113.13,203.0.113.12,203.0.113.11");
        await cockpit.frame.getByRole("checkbox", { name: "Select all on this page" }).check();
        await bulk("Disable…");
        await cockpit.dialog.getByRole("heading", { name: "Disable 2 mappings?" }).waitFor();
        expect(await barriers(cockpit)).toEqual([]);
        await done("Disable");
        for (const key of ["203.0.113.11", "203.0.113.12", "203.0.113.13"])
            await cockpit.rowText(key, "disabled").waitFor();
        await bulk("Enable…");
        await cockpit.dialog.getByRole("heading", { name: "Enable 3 mappings?" }).waitFor();
        await done("Enable");
        for (const key of ["203.0.113.11", "203.0.113.12", "203.0.113.13"])
            await cockpit.rowText(key, "enabled").waitFor();
        await bulk("Select none");
        await search.fill("");
        await cockpit.row("203.0.113.10").waitFor();
        await agree();
    });

    journey("settings: anti-spoofing of a device", async () => {
        const guarded = () => host.run(["nft", "list", "set", "inet", "kvm_tap", "guarded"]);
        expect(await guarded()).toContain("styx0");
        await menu("Uplinks and devices…");
        await cockpit.dialog.getByRole("group", { name: "Device styx0" }).getByLabel("Anti-spoofing").uncheck();
        expect(await barriers(cockpit)).toEqual([]);
        await done("Change");
        expect(await guarded()).not.toContain("styx0");
        await agree();
    });

    journey("two people at one mapping: each sees what the other did, and whose change stays is asked", async () => {
        await host.run(["mv", "/usr/sbin/conntrack", "/root"]);
        const other = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
        await other.rowText("203.0.113.12", "Not known").click();
        await other.frame.getByText(/^conntrack is not installed\. Install the package conntrack/).waitFor();
        await other.page.keyboard.press("Escape");
        await host.run(["mv", "/root/conntrack", "/usr/sbin"]);
        await cockpit.act("203.0.113.12", "Change…");
        await cockpit.field("Description").fill("mine");
        await other.act("203.0.113.12", "Disable…");
        await done("Disable", other);
        await cockpit.soon(cockpit.dialog.getByText("Somebody changed this mapping meanwhile"));
        const both = cockpit.dialog.getByLabel("What somebody else changed");
        expect(await both.textContent()).toMatch(/removed: public4: 203\.0\.113\.12 .*added: disabled4: 203\.0\.113\.12 /);
        expect(await button("Change").isDisabled()).toBe(true);
        expect(await barriers(cockpit)).toEqual([]);
        await cockpit.press("Go on with mine");
        await done("Change");
        await cockpit.rowText("203.0.113.12", "mine").waitFor();
        await other.soon(other.rowText("203.0.113.12", "mine"));
        await other.rowText("203.0.113.12", "disabled").waitFor();

        await form("10.0.0.6", "203.0.113.14");
        await form("10.0.0.6", "203.0.113.14", other);
        await done("Map", other);
        await cockpit.soon(cockpit.dialog.getByText("203.0.113.14 is mapped already, to 10.0.0.6."));
        expect(await button("Map").isDisabled()).toBe(true);
        await cockpit.press("Cancel");
        await closed();

        await cockpit.act("203.0.113.14", "Remove…");
        await other.act("203.0.113.14", "Remove…");
        await done("Remove", other);
        await cockpit.soon(cockpit.dialog.getByText("203.0.113.14 is not mapped any more."));
        expect(await button("Remove").isDisabled()).toBe(true);
        await cockpit.press("Cancel");
        await closed();
        await other.close();
    });

    journey("a change by another program shows within a second; either side can win", async () => {
        await agree();
        await host.run(["nft", "delete element inet kvm_tap public4 { 203.0.113.13 }"]);
        await cockpit.soon(cockpit.frame.getByText("The running table differs from what is saved"));
        expect(await barriers(cockpit)).toEqual([]);
        await open("Load what is saved…");
        await says(/public4: 203\.0\.113\.13 : 10\.0\.0\.5/);
        await done("Load");
        await cockpit.soon(cockpit.frame.getByText("Running and saved agree"));
        expect(await table()).toContain("203.0.113.13");

        await host.run(["nft", "add element inet kvm_tap disabled4 { 203.0.113.19 comment \"by hand\" : 10.0.0.6 }"]);
        await cockpit.soon(cockpit.rowText("203.0.113.19", "by hand"));
        await open("Save what runs…");
        await done("Save");
        await cockpit.soon(cockpit.frame.getByText("Running and saved agree"));
        expect(await file()).toContain("203.0.113.19 comment \"by hand\" : 10.0.0.6");
    });

    journey("a table that was flushed away is missed within a second and comes back by one click", async () => {
        await host.run(["nft", "flush", "ruleset"]);
        await cockpit.soon(cockpit.frame.getByText("The table is gone: nothing is translated").first());
        await open("Load what is saved…");
        await done("Load");
        await cockpit.soon(cockpit.frame.getByText("Running and saved agree"));
        expect(await table()).toContain("203.0.113.13");
    });

    journey("all removed together: the last takes the table along, and the way back is open", async () => {
        const remove = async () => {
            await cockpit.frame.getByRole("checkbox", { name: "Select all on this page" }).check();
            await bulk("Remove…");
            await cockpit.dialog.getByRole("heading", { name: "Remove 5 mappings?" }).waitFor();
            await done("Remove");
            await cockpit.frame.getByText("No public addresses are mapped").waitFor();
            expect(await host.sh("nft list tables; ls /etc/kvm-tap")).toBe("");
        };
        await remove();
        await undo();
        await cockpit.row("203.0.113.10").waitFor();
        await agree();
        await remove();
        expect(await cockpit.sameDocument()).toBe(true);
        await cockpit.close();
    });
});
