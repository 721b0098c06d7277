// SPDX-License-Identifier: LGPL-2.1-or-later
// The page on a made-up host (test/harness) in a real Chromium, and a walk through all of it: every place, every row, every menu,
// every dialog with everything in it opened.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { chromium, type Browser, type Locator, type Page, type Route } from "playwright-core";
import { top } from "../lab/trees.ts";

/** As Cockpit's own. */
const policy = "default-src 'self'; img-src 'self' data:";
const types: Readonly<Record<string, string>> = { js: "text/javascript", css: "text/css", html: "text/html" };

export interface Look {
    state?: string;
    /** A language of po/, or `xx` (made up), `xh` (made up, from right to left). */
    language?: string;
    colorScheme?: "light" | "dark";
    width?: number;
}

/** The harness, built into a directory of its own, and Debian's Chromium, whose only network is what `openMadeUp` answers. */
export interface MadeUp {
    directory: string;
    browser: Browser;
}

/** For a file of tests: made before its first test, gone after its last. */
export function madeUp(): MadeUp {
    const directory = mkdtempSync(join(tmpdir(), "kvm-tap-made-up-"));
    let browser: Browser | undefined;
    beforeAll(async () => {
        await promisify(execFile)("node", ["build.mjs", "test/harness/index.tsx", `--out=${directory}`], { cwd: top });
        browser = await chromium.launch({
            executablePath: "/usr/bin/chromium", chromiumSandbox: false,
            args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
    });
    afterAll(async () => {
        await browser?.close();
        rmSync(directory, { recursive: true });
    });
    return {
        directory,
        get browser() {
            if (!browser)
                throw new Error("no test runs yet");
            return browser;
        },
    };
}

async function answer(route: Route, directory: string, language: string): Promise<void> {
    const { pathname } = new URL(route.request().url());
    const name = pathname.split("/").at(-1) ?? "";
    const file = name === "cockpit.js" ? join(top, "test/harness/cockpit.js")
        : name === "po.js" ? join(directory, pathname.includes("base1") ? "none" : `po.${language}.js`)
        : join(directory, name);
    await route.fulfill({
        status: existsSync(file) || name === "po.js" ? 200 : 404, body: existsSync(file) ? readFileSync(file) : "",
        contentType: types[name.split(".").at(-1) ?? ""] ?? "application/octet-stream", headers: { "Content-Security-Policy": policy },
    });
}

/** Opens the page in a state at a place such as `/guests/charon`. Its console must stay silent: `complaints`. */
export async function openMadeUp(
    { browser, directory }: MadeUp, place: string, look: Look = {},
): Promise<{ page: Page; complaints: string[] }> {
    const { state = "furnished", language = "en", colorScheme = "light", width = 1280 } = look;
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, reducedMotion: "reduce" });
    page.setDefaultTimeout(10_000);
    const complaints: string[] = [];
    page.on("console", message => {
        if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
            complaints.push(message.text());
    });
    page.on("pageerror", error => complaints.push(error.stack ?? error.message));
    await page.coverage.startJSCoverage({ resetOnNavigation: false, reportAnonymousScripts: false });
    await page.route("**/*", route => answer(route, directory, language));
    await page.goto(`http://made-up.invalid/cockpit/kvm-tap/index.html?lang=${language}&state=${encodeURIComponent(state)}#${place}`);
    await page.locator("main").waitFor();
    return { page, complaints };
}

/** Components of src/ by whether a page has drawn them, told by Chromium's own count of calls. */
export type Drawn = Map<string, boolean>;

/** Adds what this page has drawn. Call it before the page is closed. */
export async function drawn(page: Page, so: Drawn): Promise<void> {
    for (const { url, source = "", functions } of await page.coverage.stopJSCoverage()) {
        // esbuild writes the module's path before each.
        const modules = url.endsWith("/index.js") ? [...source.matchAll(/^ *\/\/ (src\/\S+\.tsx)$/gm)] : [];
        const moduleAt = (offset: number) => modules.findLast(({ index }) => index < offset)?.[1];
        for (const { functionName, ranges: [range] } of functions) {
            const module = range && moduleAt(range.startOffset);
            if (!module || !/^[A-Z][A-Za-z]*[a-z]\d*$/.test(functionName))
                continue;
            const name = `${functionName.replace(/\d+$/, "")} in ${module}`;
            so.set(name, so.get(name) === true || range.count > 0);
        }
    }
}

/** Changes the width of the window; menus and popovers have followed when it is over. */
export async function widen(page: Page, width: number): Promise<void> {
    await page.setViewportSize({ width, height: 900 });
    await page.evaluate(async () => {
        for (let frame = 0; frame < 3; frame++)
            await new Promise(resolve => requestAnimationFrame(resolve));
    });
}

/**
 * What a walk does wherever something new stands on the screen: says what is wrong there. `part` is a selector of what is new, all of the
 * page without; `first`: it is the first of its kind, so how it sits in the page is to be judged as well.
 */
export type Judge = (page: Page, part: string | undefined, first: boolean) => Promise<string[]>;

// Dialogs not by role, which popovers have as well.
const [dialogs, popovers, menus] = [".pf-v6-c-modal-box", ".pf-v6-c-popover", ".pf-v6-c-menu"];
/** What closes when one does something else. */
export const passing: readonly string[] = [popovers, menus];

export interface WalkOptions {
    /** The button that changes something is pressed in each dialog. */
    press?: boolean;
    /** What stands in the menus of all rows, not once for each of its names. */
    thorough?: boolean;
}

/** The names of rows in what a button is called, so that the same button of many rows counts as one. */
const general = (name: string, row: string | null) => row === null ? name : name.replace(row, "*");

export class Walk {
    readonly found: string[] = [];
    private readonly seen = new Set<string>();
    private readonly shapes = new Set<string>();

    constructor(readonly page: Page, readonly place: string, readonly judge: Judge, readonly options: WalkOptions = {}) {}

    /** Everything at the place that the page shows now. */
    async everything(): Promise<void> {
        await this.look(this.place);
        const all = this.page.locator("main :is(button, summary):visible");
        for (let index = 0; index < await all.count(); index++)
            await this.try(all.nth(index));
    }

    /**
     * Looks unless something of the same kind was seen in the same words already. Where only a part is new, the whole page is looked at
     * with the first of its kind; a dialog is all there is while it is open.
     */
    private async look(where: string, part?: string, kind = part): Promise<void> {
        const shape = `${kind} ${await this.page.evaluate(shapeOf, part ?? "body")}`;
        if (this.shapes.has(shape))
            return;
        const first = part !== dialogs && !this.shapes.has(`${kind}`);
        this.shapes.add(shape).add(`${kind}`);
        this.found.push(...(await this.judge(this.page, part, first)).map(what => `${where}: ${what}`));
    }

    private async try(button: Locator): Promise<void> {
        const { name, row, disabled, expanded, sorts } = await button.evaluate(element => ({
            name: element.getAttribute("aria-label") ?? element.textContent ?? "",
            row: element.closest<HTMLElement>("[data-row]")?.dataset["row"] ?? null,
            disabled: element.matches(":disabled, [aria-disabled=true]"), expanded: element.getAttribute("aria-expanded"),
            sorts: element.closest("thead") !== null,
        }));
        const key = general(name, row);
        // Rows differ in what stands under them and in their menus.
        if (this.seen.has(key) && !(row !== null && expanded !== null))
            return;
        this.seen.add(key);
        if (disabled)
            return this.hint(button, `${this.place} ${key}`);
        const before = this.page.url();
        await button.click();
        await this.after(button, `${this.place} ${name}`, sorts);
        if (this.page.url() !== before)
            await this.page.evaluate(address => { window.location.replace(address); }, before);
    }

    /** What a button that cannot be pressed says for itself. */
    private async hint(button: Locator, where: string): Promise<void> {
        await button.focus();
        await this.look(`${where} (why not)`);
        await button.blur();
    }

    /** Whatever the button opened: a dialog, a menu, the details of a row, or another view of the same place. */
    private async after(button: Locator, where: string, sorts: boolean): Promise<void> {
        if (await this.dialogIsOpen())
            return this.dialog(button, where);
        const [menu, popover] = [this.page.locator(menus), this.page.locator(popovers)];
        if (await menu.count() > 0)
            return this.menu(button, menu, where);
        if (await popover.count() > 0) {
            await this.look(where, popovers);
            return this.escape(popover, button, where);
        }
        if (await button.count() > 0 && await button.getAttribute("aria-expanded") === "true")
            await this.details(button, where);
        else if (!sorts)
            await this.look(where);
    }

    /** Details stay open while what is in them is tried. */
    private async details(toggle: Locator, where: string): Promise<void> {
        const id = await toggle.getAttribute("aria-controls") ?? "";
        const part = `[id="${id}"]`;
        await (id === "" ? this.look(where) : this.look(where, part, "details"));
        const inside = this.page.locator(`${part} :is(button, summary):visible`);
        for (let index = 0; id !== "" && index < await inside.count(); index++)
            await this.try(inside.nth(index));
        await toggle.click();
    }

    private async menu(toggle: Locator, menu: Locator, where: string): Promise<void> {
        await this.look(where, menus);
        const items = menu.locator("[role=menuitem]:not([aria-disabled=true])");
        const names = await items.allTextContents();
        for (const [index, name] of names.entries()) {
            if (!this.options.thorough && this.seen.has(`menu ${name}`))
                continue;
            this.seen.add(`menu ${name}`);
            if (await menu.count() === 0)
                await toggle.click();
            await items.nth(index).click();
            if (await this.dialogIsOpen())
                await this.dialog(toggle, `${where}: ${name}`);
        }
        if (await menu.count() > 0)
            await this.escape(menu, toggle, where);
    }

    /** Escape closes it, and the focus is where it was. */
    private async escape(open: Locator, opener: Locator, where: string): Promise<void> {
        await this.page.keyboard.press("Escape");
        await open.waitFor({ state: "detached" }).catch(() => this.found.push(`${where}: Escape does not close it`));
        await this.mustFocus(opener, where);
    }

    private async dialogIsOpen(): Promise<boolean> {
        // React renders in the same task as the click, so what is not there now does not come.
        return await this.page.locator(dialogs).count() > 0;
    }

    private async dialog(opener: Locator, where: string): Promise<void> {
        const dialog = this.page.locator(dialogs);
        await dialog.waitFor();
        await this.look(where, dialogs);
        await this.openAll(dialog);
        await this.look(`${where} (opened)`, dialogs);
        await this.choices(dialog, where);
        if (this.options.press)
            await this.pressed(dialog, where);
        else
            await this.wrongInput(dialog, where);
        if (await dialog.count() > 0)
            await this.escape(dialog, opener, where);
    }

    private async openAll(dialog: Locator): Promise<void> {
        await dialog.evaluate(element => element.querySelectorAll("details").forEach(details => { details.open = true; }));
        for (const toggle of await dialog.locator("button[aria-expanded=false]").all())
            await toggle.click();
    }

    /** Each choice of each list: other fields come with some. */
    private async choices(dialog: Locator, where: string): Promise<void> {
        const selects = dialog.locator("select:enabled");
        for (let index = 0; index < await selects.count(); index++) {
            const select = selects.nth(index);
            const values = await select.locator("option:not([disabled])").evaluateAll(options => options.map(option => (option as HTMLOptionElement).value));
            const first = await select.inputValue();
            for (const value of values) {
                await select.selectOption(value);
                await this.look(`${where} (${value})`, dialogs);
            }
            await select.selectOption(first);
        }
    }

    /** What the dialog says when nothing in it can be right. */
    private async wrongInput(dialog: Locator, where: string): Promise<void> {
        for (const input of await dialog.locator("input[type=text]:enabled:not([readonly]), input:not([type]):enabled, textarea:enabled").all())
            await input.fill("no \" such thing");
        await this.look(`${where} (wrong input)`, dialogs);
    }

    private async pressed(dialog: Locator, where: string): Promise<void> {
        for (const box of await dialog.locator("#plan-dialog-confirm").all())
            await box.check();
        const button = dialog.locator(".pf-v6-c-modal-box__footer button").first();
        if (!await button.isEnabled() || await dialog.locator(".pf-v6-c-modal-box__footer button").count() < 2)
            return;
        await button.click();
        await this.page.waitForTimeout(100);
        const still = await dialog.count() > 0;
        await this.look(`${where} (pressed)`, still ? dialogs : undefined);
        if (still && !await dialog.locator(".pf-v6-c-modal-box__footer button").last().isEnabled())
            await this.page.reload();
    }

    private async mustFocus(element: Locator, where: string): Promise<void> {
        const has = await element.evaluate(async node => {
            for (let frame = 0; frame < 10 && document.activeElement !== node; frame++)
                await new Promise(resolve => requestAnimationFrame(resolve));
            return document.activeElement === node;
        });
        if (!has)
            this.found.push(`${where}: the focus does not return to what opened it, but goes to ${await this.page.evaluate(() => document.activeElement?.outerHTML.slice(0, 120) ?? "")}`);
    }
}

/** Kinds of elements on the screen with their states, and the headings: equal for two rows' dialogs of the same kind. */
function shapeOf(root: string): string {
    const kinds = new Set<string>();
    for (const element of document.querySelectorAll<HTMLElement>(`${root} *`)) {
        const { role = "", ariaInvalid, ariaDisabled, ariaExpanded } = element;
        const words = element.matches("h1, h2, h3, label") ? element.textContent?.replace(/[\w.-]*\d[\w.:-]*/g, "#") : "";
        kinds.add([element.tagName, element.getAttribute("class"), role, ariaInvalid, ariaDisabled, ariaExpanded, element.matches(":disabled"), words].join(" "));
    }
    return [...kinds].sort().join("\n");
}
