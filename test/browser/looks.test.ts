// SPDX-License-Identifier: LGPL-2.1-or-later
// Every page in light and dark, wide and narrow: nothing sticks out, nothing keeps anybody out, and a picture of it for the documentation.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import type { TestHost } from "../lab/host.ts";
import { top } from "../lab/trees.ts";
import { barriers } from "./axe.ts";
import { startBrowser } from "./browser.ts";
import { Cockpit, journey } from "./cockpit.ts";
import { furnishDemo } from "./demo.ts";
import { startHostWithPlugin } from "./packages.ts";

/** `make pictures` has them made where the documentation shows them. */
const pictures = join(top, process.env["KVM_TAP_PICTURES"] ?? "output/pictures");
mkdirSync(pictures, { recursive: true });

const views = [
    { name: "guests", hash: "/guests", shows: "5 guests" },
    { name: "guest", hash: "/guests/charon", shows: "Life cycle" },
    { name: "taps", hash: "/taps", shows: "styx0" },
    { name: "nat", hash: "/nat", shows: "203.0.113.10" },
    { name: "host", hash: "/host", shows: "Checks" },
];

let host: TestHost, browser: Browser;

beforeAll(async () => {
    host = await startHostWithPlugin({ release: "trixie" });
    await furnishDemo(host);
    browser = await startBrowser(host);
});
afterAll(async () => {
    await browser?.close();
    await host?.stop();
});

/** Elements that are wider than the window, outside of what scrolls by itself. */
const sticksOut = (cockpit: Cockpit) => cockpit.document.evaluate(() => {
    const scrolls = (element: Element | null): boolean => element !== null
        && (/auto|scroll/.test(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
    return [...document.body.querySelectorAll("*")]
        .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !scrolls(element))
        .map(element => element.outerHTML.slice(0, 120));
});

/** The Protect dialog of charon. */
async function openProtect(cockpit: Cockpit): Promise<void> {
    await cockpit.go("/guests");
    await cockpit.row("charon").getByRole("button", { name: "Protect", exact: true }).click();
    await cockpit.dialog.getByText("What will be done").waitFor();
}

journey("a public address for the pictures", async () => {
    const cockpit = await Cockpit.login(browser, host, { path: "/kvm-tap#/nat" });
    await cockpit.frame.getByRole("button", { name: "Map address…" }).first().click();
    await cockpit.field("Guest address").fill("10.0.0.3");
    await cockpit.field("Public address").fill("203.0.113.10");
    await cockpit.field("Description").fill("mail");
    await cockpit.press("Map");
    await cockpit.dialog.waitFor({ state: "detached" });
    await cockpit.close();
});

for (const colorScheme of ["light", "dark"] as const) {
    for (const width of [1280, 414]) {
        journey(`${colorScheme}, ${width} pixels`, async () => {
            const cockpit = await Cockpit.login(browser, host, { colorScheme, width });
            const found: Record<string, string[]> = {};
            for (const { name, hash, shows } of views) {
                await cockpit.go(hash);
                await cockpit.frame.getByText(shows).first().waitFor();
                found[name] = [...await barriers(cockpit), ...await sticksOut(cockpit)];
                await cockpit.page.screenshot({ path: join(pictures, `${name}-${width}-${colorScheme}.png`), animations: "disabled" });
            }
            await openProtect(cockpit);
            found["guests"]?.push(...await barriers(cockpit), ...await sticksOut(cockpit));
            await cockpit.page.screenshot({ path: join(pictures, `protect-${width}-${colorScheme}.png`), animations: "disabled" });
            expect(found).toEqual(Object.fromEntries(views.map(({ name }) => [name, []])));
            await cockpit.close();
        });
    }
}
