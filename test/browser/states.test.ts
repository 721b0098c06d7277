// SPDX-License-Identifier: LGPL-2.1-or-later
// What the page says when something is missing, and that it recovers without being loaded again.
import type { Browser } from "playwright-core";
import { defineGuest, ethernet } from "../lab/guest.ts";
import type { TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { startHostWithPlugin } from "./packages.ts";

const daemon = "libvirtd.service libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket";

await eachRelease(release => {
    let host: TestHost, browser: Browser, cockpit: Cockpit;

    const says = (text: string | RegExp) => cockpit.frame.locator("main").getByText(text).first();

    beforeAll(async () => {
        host = await startHostWithPlugin({ release });
        browser = await startBrowser(host);
        cockpit = await Cockpit.login(browser, host);
        await cockpit.mark();
    });
    afterAll(async () => {
        await browser?.close();
        await host?.stop();
    });

    journey("no guests: it says what to do first, and a new guest appears by itself", async () => {
        await says("No guests on this host").waitFor();
        expect(await barriers(cockpit)).toEqual([]);
        await defineGuest(host, { name: "acheron", interfaces: [ethernet("acheron0")] });
        // Not within a second: the page may still be at its first look with administrative access.
        await cockpit.rowText("acheron", "not there").waitFor();
    });

    journey("libvirt stops: the page says so; it starts: the guests are back", async () => {
        await host.sh(`systemctl stop ${daemon}`);
        await says("libvirt cannot be reached").waitFor({ timeout: 3000 });
        expect(await barriers(cockpit)).toEqual([]);
        await host.sh(`systemctl start ${daemon}`);
        await cockpit.row("acheron").waitFor();
        await host.run(["virsh", "start", "acheron"]);
        await cockpit.soon(cockpit.rowText("acheron", "running"));
        expect(await cockpit.sameDocument()).toBe(true);
    });

    journey("without administrative access it shows what can be read and says what cannot be done", async () => {
        await cockpit.dropAccess();
        await says("Limited access: you can look").waitFor();
        await cockpit.rowText("acheron", "running").waitFor();
        expect(await barriers(cockpit)).toEqual([]);
        await host.run(["virsh", "destroy", "acheron"]);
        await cockpit.soon(cockpit.rowText("acheron", "off"));
        await cockpit.gainAccess();
        await says("Limited access: you can look").waitFor({ state: "detached" });
        await host.run(["virsh", "start", "acheron"]);
        await cockpit.rowText("acheron", "running").waitFor({ timeout: 2000 });
        // libvirt 9.0 announces this to nobody: only the watch on its directory tells, which went with the access.
        await host.run(["sh", "-c", "virsh --quiet attach-device acheron /dev/stdin --config"], ethernet("acheron1"));
        await cockpit.soon(cockpit.row("acheron/1"));
        expect(await cockpit.sameDocument()).toBe(true);
    });

    journey("virsh or nft missing: each says which package brings it, and the rest is shown", async () => {
        await host.sh("mv /usr/bin/virsh /usr/bin/virsh.away; mv /usr/sbin/nft /usr/sbin/nft.away");
        const other = await Cockpit.login(browser, host);
        await other.frame.getByText("virsh is not installed").waitFor();
        expect(await barriers(other)).toEqual([]);
        await other.go("/nat");
        await other.frame.getByText("nft is not installed").waitFor();
        expect(await barriers(other)).toEqual([]);
        await other.go("/taps");
        await other.row("acheron0").waitFor();
        await host.sh("mv /usr/bin/virsh.away /usr/bin/virsh; mv /usr/sbin/nft.away /usr/sbin/nft");
        await other.close();
    });

    journey("no console complaints in all of this", () => cockpit.close());
});
