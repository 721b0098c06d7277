// SPDX-License-Identifier: LGPL-2.1-or-later
// Every page, dialog and state on made-up hosts (test/harness/states.ts), in light and dark, wide and narrow: no barriers, nothing sticks
// out or is cut off, Escape closes what opened, the focus returns, and no word is left untranslated. A walk presses whatever there is, so
// new dialogs are found by themselves; the last test names what no walk has shown.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { jest } from "@jest/globals";
import gettext from "gettext-parser";
import type { Page } from "playwright-core";
import { states } from "../harness/states.ts";
import { top } from "../lab/trees.ts";
import { barriersIn } from "./axe.ts";
import { cutOff, sticksOut, untranslated } from "./looks.ts";
import { drawn, madeUp, openMadeUp, passing, Walk, widen, type Drawn, type Judge, type Look } from "./made-up.ts";

// Minutes, where other programs keep the machine busy.
jest.setTimeout(600_000);

const everything = process.env["KVM_TAP_ALL"] === "1";
const places = ["/guests", "/taps", "/nat", "/host"];
const made = madeUp();

const dark = (page: Page, on: boolean) =>
    page.evaluate(isOn => document.documentElement.classList.toggle("pf-v6-theme-dark", isOn), on);

const cramped = async (page: Page) => [...await sticksOut(page), ...await cutOff(page)];

/** In a narrow window, but for menus and popovers: nobody's window shrinks while they are open. */
async function whenNarrow(page: Page, part: string | undefined, withBarriers = false): Promise<string[]> {
    if (part !== undefined && passing.includes(part))
        return [];
    await widen(page, 414);
    const found = [...await cramped(page), ...withBarriers ? await barriersIn(page, part) : []];
    await widen(page, 1280);
    return found.map(what => `414 pixels: ${what}`);
}

/** In both styles on the spot: what differs between them is colour. */
const judge: Judge = async (page, part, first) => {
    const found = await barriersIn(page, first ? undefined : part);
    if (!first && part === undefined || passing.includes(part ?? ""))
        return found;
    await dark(page, true);
    found.push(...(await barriersIn(page, part, ["color-contrast"])).map(what => `dark: ${what}`));
    await dark(page, false);
    return everything ? [...found, ...await cramped(page), ...await whenNarrow(page, part, true)] : found;
};

const components: Drawn = new Map();
/** Sentences that were asked for by a page in the made-up language. */
const sentences = new Set<string>();

/** All places side by side, each in a window of its own. */
async function walk(look: Look, judges: Judge): Promise<string[]> {
    const { places: wanted = places, ends } = states[look.state ?? "furnished"] ?? {};
    const found = await Promise.all(wanted.map(async place => {
        const { page, complaints } = await openMadeUp(made, place, look);
        const walked = new Walk(page, place, judges, { press: ends !== undefined, thorough: everything });
        await walked.everything();
        if (look.language === "xh")
            (await page.evaluate(() => [...window.askedFor ?? []])).forEach(text => sentences.add(text));
        await drawn(page, components);
        await page.close();
        return [...walked.found, ...complaints];
    }));
    return [...new Set(found.flat())];
}

/** Some are enough to show most; with everything wanted it is all of them. */
const covering = everything ? Object.keys(states) : ["furnished", "empty", "a change fails"];

test.each(covering)("%s: no barriers, everything in its place, Escape and focus", async state => {
    expect(await walk({ state }, judge)).toEqual([]);
});

/** Data of the made-up hosts, and names that are the same in every language. */
const data = new RegExp([
    // Guests, devices, descriptions, the history's own words, amounts.
    "a-guest-with-quite-a-long-name\\.example\\.org|long_name_0|charon_pvnet1|old_guest0|gone0|vnet\\d",
    "(charon|styx|lethe|acheron|cocytus|phlegethon|elysium|tartarus|asphodel|guest|tap)\\d*|default|eth0|admin",
    "mail 📬(, and what else charon does for all of us here and elsewhere)?|a whole prefix|\\bold\\b|[\\d.,]+ (k|M)?B(/s)?",
    "was deleted when charon stopped \\(shutdown\\)|was made again|: managed='no' was set|1:1 NAT was loaded",
    // Programs and what libvirt, the kernel and systemd call things.
    "KVM TAP|libvirt|QEMU|qemu(-system-x86_64)?|systemd-networkd|firewalld|Docker|ufw|nftables|NetworkManager|ifupdown|netplan|cloud-init",
    "virtio(-\\w+)?|e1000e?|rtl8139|ethernet|network|vhost|iothread|timer|ioeventfd|event_idx|XML|CSV|JSON|MAC|MTU|tcp|udp|icmp|\\w+=\\w+",
    // What the walk writes into every field.
    "no \" such thing",
    "[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,}",
].join("|"), "g");

const longer: Judge = async (page, part) =>
    [...await untranslated(page, data), ...await cramped(page), ...await whenNarrow(page, part)];

// Nobody's language is both, but what fits like this fits in Hebrew and in German.
test.each(everything ? Object.keys(states) : ["furnished"])("%s, in a longer language from right to left: nothing untranslated, everything in its place",
    async state => expect(await walk({ state, language: "xh" }, longer)).toEqual([]));

if (everything) {
    test.each(["xh", "de"])("opened in a window of 414 pixels, language %s: everything in its place", async language =>
        expect(await walk({ language, width: 414 }, cramped)).toEqual([]));
}

test("every sentence is in the catalogue", () => {
    // Of the made-up hosts; and what is translated already when it is asked for once more.
    const own = ["$0 is not installed", "libvirt does not answer"];
    const catalogue = gettext.po.parse(readFileSync(join(top, "po/de.po"))).translations[""] ?? {};
    expect([...sentences].filter(text => !text.startsWith("⟦") && !own.includes(text) && catalogue[text] === undefined)).toEqual([]);
    expect(sentences.size).toBeGreaterThan(300);
});

if (everything) {
    // A component that is named here is seen in no state: give it one in test/harness/states.ts, so that all of the above is said of it.
    test("nothing is left that no walk has shown", () => {
        const elsewhere = ["App in src/app.tsx"];
        expect([...components].filter(([name, shown]) => !shown && !elsewhere.includes(name)).map(([name]) => name)).toEqual([]);
        expect(components.size).toBeGreaterThan(80);
    });
}
