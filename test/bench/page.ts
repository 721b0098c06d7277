// SPDX-License-Identifier: LGPL-2.1-or-later
// What the page costs in the browser: Chromium through Cockpit's own login, with the packages installed.
import { setTimeout as pause } from "node:timers/promises";
import type { Browser } from "playwright-core";
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

/** One opening: milliseconds since our frame began to load, and what it took from the host until then. */
export interface Opening {
    /** Scripts and styles are there and have run. */
    scripts: number;
    /** The first and the last word of a program on the host. */
    first: number;
    last: number;
    /** The guests are on the screen: the frame after the one that put them there has begun. */
    shown: number;
    messages: number;
    bytes: number;
    /** What the bare commands took right before. */
    bare: number;
}

declare global {
    interface Window {
        opening?: Omit<Opening, "bare">;
    }
}

/** Runs in our frame before its scripts. Messages of the bridge come through the shell: text for control, bytes for data. */
function record(row: string) {
    if (!location.pathname.includes("/kvm-tap/"))
        return;
    const seen = { scripts: 0, first: 0, last: 0, shown: 0, messages: 0, bytes: 0 };
    window.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
        if (seen.shown > 0)
            return;
        seen.messages += 1;
        const size = data instanceof ArrayBuffer || ArrayBuffer.isView(data) ? data.byteLength : 0;
        seen.bytes += size;
        if (size > 0) {
            seen.last = performance.now();
            seen.first ||= seen.last;
        }
    }, true);
    document.addEventListener("DOMContentLoaded", () => { seen.scripts = performance.now(); });
    new MutationObserver((_, observer) => {
        if (!document.querySelector(`[data-row="${row}"]`))
            return;
        observer.disconnect();
        const last = seen.last;
        requestAnimationFrame(() => requestAnimationFrame(() => {
            window.opening = { ...seen, last, shown: performance.now() };
            seen.shown = 1;
        }));
    }).observe(document, { subtree: true, childList: true });
}

async function openings(cockpit: Cockpit, { row, rounds, beside }: Wish): Promise<Opening[]> {
    await cockpit.page.context().addInitScript(record, row);
    const found: Opening[] = [];
    for (let round = 0; round < rounds; round++) {
        const bare = await beside();
        await cockpit.mark();
        await cockpit.document.evaluate(() => { location.reload(); });
        await cockpit.frame.locator("html:not([data-mark])").waitFor({ state: "attached" });
        await cockpit.row(row).waitFor({ timeout: 60_000 });
        const opening = await cockpit.document.waitForFunction(() => window.opening);
        found.push({ ...await opening.jsonValue() as Opening, bare });
        await pause(2500);
    }
    return found;
}

/** What is in use after a collection of garbage: of our frame and the shell around it, which share a heap. In bytes. */
async function heap(cockpit: Cockpit): Promise<number> {
    const session = await cockpit.page.context().newCDPSession(cockpit.page);
    await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    await session.detach();
    return usedSize;
}

/** A storm while somebody looks: how long until the page shows its end, and the longest time in which it drew nothing. */
export async function storm(cockpit: Cockpit, row: string, text: string, change: () => Promise<unknown>) {
    const stop = await cockpit.document.evaluateHandle(() => {
        let last = performance.now(), longest = 0, ended = false;
        const frame = (now: number) => {
            longest = Math.max(longest, now - last);
            last = now;
            if (!ended)
                requestAnimationFrame(frame);
        };
        requestAnimationFrame(frame);
        return () => { ended = true; return longest; };
    });
    const { all, after } = await untilRowSays(cockpit, row, text, change);
    return { took: all - after, after, longest: await stop.evaluate(end => end()) };
}

export interface Wish {
    /** The name of a guest on the first page of the table, and of its device. */
    row: string;
    device: string;
    rounds: number;
    /** Runs the bare commands, right before each opening: how long they take. */
    beside(): Promise<number>;
}

async function latencies(cockpit: Cockpit, host: TestHost, { row, device, rounds }: Wish) {
    const links: number[] = [], guests: number[] = [];
    for (let round = 0; round < rounds; round++) {
        for (const state of ["down", "up"]) {
            const { all } = await untilRowSays(cockpit, row, `persistent, ${state}`, () => host.run(["ip", "link", "set", "dev", device, state]));
            links.push(all);
        }
        for (const [verb, state] of [["start", "running"], ["destroy", "off"]] as const)
            guests.push((await untilRowSays(cockpit, row, state, () => host.run(["virsh", "-q", verb, row]))).after);
    }
    return { links, guests };
}

/** Opens a browser with the page in it; `look` is done when all has been measured. */
export async function inBrowser<T>(host: TestHost, look: (cockpit: Cockpit) => Promise<T>): Promise<T> {
    const browser: Browser = await startBrowser(host);
    try {
        return await look(await Cockpit.login(browser, host));
    } finally {
        await browser.close();
    }
}

/** Loading our frame until the guests are in the table, events until their row has changed, memory; medians are for the caller. */
export async function pageCosts(cockpit: Cockpit, host: TestHost, wish: Wish) {
    await cockpit.row(wish.row).waitFor({ timeout: 60_000 });
    return {
        openings: await openings(cockpit, wish),
        heap: await heap(cockpit),
        ...await latencies(cockpit, host, wish),
    };
}
