// SPDX-License-Identifier: LGPL-2.1-or-later
// What the page costs in the browser: Chromium through Cockpit's own login, with the packages installed.
import { setTimeout as pause } from "node:timers/promises";
import { startBrowser } from "../browser/browser.ts";
import { Cockpit } from "../browser/cockpit.ts";
import type { TestHost } from "../lab/host.ts";

/** Milliseconds until the row says `text`, from the call of `change`. The clock of page and test is one: they share a kernel. */
async function untilRowSays(cockpit: Cockpit, row: string, text: string, change: () => Promise<unknown>) {
    const seen = cockpit.document.evaluate(([name, words]) => new Promise<number>(resolve => {
        const holds = () => document.querySelector(`[data-row="${name}"]`)?.textContent.includes(words ?? "") === true;
        new MutationObserver((_, observer) => {
            if (holds()) {
                observer.disconnect();
                resolve(Date.now());
            }
        }).observe(document.body, { subtree: true, childList: true, characterData: true });
    }), [row, text]);
    await pause(300);
    const start = Date.now();
    await change();
    const done = Date.now();
    const at = await seen;
    return { all: at - start, after: at - done };
}

/** Loading our frame until the guests are in the table, and events until their row has changed; medians are for the caller. */
export async function pageCosts(host: TestHost, row: string, device: string, rounds: number) {
    const browser = await startBrowser(host);
    try {
        const cockpit = await Cockpit.login(browser, host);
        await cockpit.row(row).waitFor({ timeout: 60_000 });
        const loads: number[] = [], links: number[] = [], guests: number[] = [];
        for (let round = 0; round < rounds; round++) {
            await cockpit.mark();
            const start = Date.now();
            await cockpit.document.evaluate(() => { location.reload(); });
            await cockpit.frame.locator("html:not([data-mark])").waitFor({ state: "attached" });
            await cockpit.row(row).waitFor({ timeout: 60_000 });
            loads.push(Date.now() - start);
            await pause(1500);
        }
        for (let round = 0; round < rounds; round++) {
            for (const state of ["down", "up"]) {
                const { all } = await untilRowSays(cockpit, row, `persistent, ${state}`, () => host.run(["ip", "link", "set", "dev", device, state]));
                links.push(all);
            }
            for (const [verb, state] of [["start", "running"], ["destroy", "off"]] as const)
                guests.push((await untilRowSays(cockpit, row, state, () => host.run(["virsh", "-q", verb, row]))).after);
        }
        return { loads, links, guests };
    } finally {
        await browser.close();
    }
}
