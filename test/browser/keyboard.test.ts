// SPDX-License-Identifier: LGPL-2.1-or-later
// Every journey by keyboard alone, on a made-up host. That Escape closes each dialog, menu and popover and that the focus returns is shown
// of all of them by everything.test.ts; in the real shell a device is protected by keyboard (guests.test.ts).
import { jest } from "@jest/globals";
import type { Locator, Page } from "playwright-core";
import { Keys } from "./keys.ts";
import { madeUp, openMadeUp } from "./made-up.ts";

jest.setTimeout(300_000);

const made = madeUp();
let page: Page, keys: Keys, dialog: Locator;

afterEach(() => page.close());

async function open(place: string, row: string, state?: string): Promise<void> {
    ({ page } = await openMadeUp(made, place, { ...state !== undefined && { state } }));
    keys = new Keys(page);
    dialog = page.locator(".pf-v6-c-modal-box");
    await page.locator(`[data-row="${row}"]`).waitFor();
}

/**
 * The button that changes the host is pressed; what was done is said, unless it is to be confirmed first, and the focus is where it was
 * before the dialog.
 */
async function finish(button: string, done: string | undefined, focusReturnsTo: string | RegExp): Promise<void> {
    await keys.inDialog();
    await keys.use(button);
    await dialog.waitFor({ state: "detached" });
    if (done !== undefined)
        await page.getByText(done).first().waitFor();
    await page.waitForFunction(() => document.activeElement !== document.body);
    expect(await keys.focused()).toMatch(focusReturnsTo);
}

test("protect", async () => {
    await open("/guests", "charon");
    await page.locator("h1").click();
    await keys.press("/");
    expect(await keys.focused()).toBe("Search");
    await page.keyboard.type("charon");
    await keys.use("Protect");
    await finish("Protect", "charon_pvnet1 is protected", "Protect");
});

test("create a device", async () => {
    await open("/taps", "styx0");
    await keys.use("Create device…");
    await keys.inDialog();
    await keys.fill("Name", "lethe7");
    await finish("Create", "lethe7 was created", "Create device…");
});

test("map an address", async () => {
    await open("/nat", "203.0.113.10");
    await keys.use("Map address…");
    await keys.inDialog();
    await keys.fill("Public address", "203.0.113.77");
    await keys.to("Guest address", "Shift+Tab");
    await keys.fill("Guest address", "10.0.0.9");
    await finish("Map", undefined, "Map address…");
});

test("keep a change that waits for its confirmation", async () => {
    await open("/nat", "203.0.113.10", "nat waits");
    await keys.use("Keep it");
    await page.getByText("Change kept").first().waitFor();
});

test("edit an interface", async () => {
    await open("/guests", "charon");
    await keys.use("Open the details of charon");
    await keys.use("Edit interface…");
    await keys.inDialog();
    await keys.fill("Model", "e1000e");
    await finish("Change", "The interface was changed", "Edit interface…");
});

test("delete a device", async () => {
    await open("/taps", "old_guest0");
    await keys.choose("Actions for old_guest0", "Delete…");
    await finish("Delete", "old_guest0 was deleted", "Actions for old_guest0");
});

test("import mappings", async () => {
    await open("/nat", "203.0.113.10");
    await keys.choose("More about all mappings", "Import…");
    await keys.inDialog();
    await keys.fill("Text of the file", "public,guest\n203.0.113.77,10.0.0.9\n");
    await finish("Import", undefined, "More about all mappings");
});

test("a table: select rows and act on them, sort, open and close a row, leave a menu", async () => {
    await open("/taps", "styx0");
    await keys.to("Select styx0");
    await keys.press("Space");
    await keys.to("Select tartarus0");
    await keys.press("Space");
    await page.getByRole("button", { name: "Actions for the selection" }).filter({ hasText: "2 selected" }).waitFor();
    await keys.to("Open the details of styx0", "Shift+Tab");
    await keys.press("Space");
    await keys.to("Close the details of styx0");
    await keys.press("Enter");
    await page.locator("[id='detail-styx0']").waitFor({ state: "detached" });
    await keys.use("Actions for styx0");
    await keys.press("ArrowDown", "Escape");
    await page.locator("[role=menu]").waitFor({ state: "detached" });
    expect(await keys.focused()).toBe("Actions for styx0");
});

test("a dialog keeps the focus inside, in both directions, and Escape leaves it with what was typed thrown away", async () => {
    await open("/taps", "styx0");
    await keys.use("Create device…");
    await keys.inDialog();
    for (const key of ["Tab", "Shift+Tab"]) {
        for (let step = 0; step < 40; step++) {
            await keys.press(key);
            expect(await dialog.evaluate(element => element.contains(document.activeElement))).toBe(true);
        }
    }
    await keys.press("Escape");
    await dialog.waitFor({ state: "detached" });
    expect(await keys.focused()).toBe("Create device…");
});

test.each(["/guests", "/taps", "/nat", "/host"])("%s has no trap: Tab goes on to the end", async place => {
    ({ page } = await openMadeUp(made, place));
    await page.locator("main table").first().waitFor();
    const isLast = () => page.evaluate(() => {
        const reachable = [...document.querySelectorAll<HTMLElement>("a[href], button:not(:disabled), input:not(:disabled), summary, [tabindex='0']")]
            .filter(element => element.checkVisibility() && element.tabIndex >= 0);
        return document.activeElement === reachable.at(-1);
    });
    let steps = 0;
    while (!await isLast() && steps++ < 500)
        await page.keyboard.press("Tab");
    expect(steps).toBeLessThan(500);
});
