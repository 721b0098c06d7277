// SPDX-License-Identifier: LGPL-2.1-or-later
// Cockpit as a person uses it: logs in on its page, gains administrative access in its dialog, opens KVM TAP in its frame. The same for the
// shells of Cockpit 287, 337 and 370.
import { join } from "node:path";
import type { Browser, BrowserContext, Frame, FrameLocator, Locator, Page } from "playwright-core";
import { until } from "../lab/exec.ts";
import { login, type TestHost } from "../lab/host.ts";
import { top } from "../lab/trees.ts";

export interface SessionOptions {
    /** What the person's desktop asks for; the shell's own setting is `style()`. */
    colorScheme?: "light" | "dark";
    /** Of the window, in pixels. Default 1280. */
    width?: number;
    /** Cockpit's language code as its login page stores it: `de-de`, `he-il` … */
    language?: string;
    /** By which of the host's addresses. */
    address?: string;
    /** Where to go first: a path of the shell, by default the guests. */
    path?: string;
    /** Administrative access from the start. Default true. */
    administrator?: boolean;
}

const open = new Set<Cockpit>();

/** A test whose failure leaves pictures of all open windows in output/browser. */
export function journey(name: string, walk: () => Promise<void>): void {
    test(name, async () => {
        try {
            await walk();
        } catch (error) {
            const file = (expect.getState().currentTestName ?? name).replace(/[^A-Za-z0-9]+/g, "-");
            let number = 0;
            for (const { page } of open)
                await page.screenshot({ path: join(top, `output/browser/${file}-${++number}.png`), timeout: 5000 }).catch(() => undefined);
            throw error;
        }
    });
}

/** One person's browser window, logged in. */
export class Cockpit {
    /** What the console of our frame complained of; a test that leaves something here fails at close(). */
    readonly complaints: string[] = [];

    private constructor(readonly page: Page) {
        page.setDefaultTimeout(20_000);
        open.add(this);
        listen(page, this.complaints);
    }

    static async login(browser: Browser, host: TestHost, options: SessionOptions = {}): Promise<Cockpit> {
        const context = await browser.newContext({
            ignoreHTTPSErrors: true, colorScheme: options.colorScheme ?? "light",
            viewport: size(1280),
        });
        if (options.language !== undefined)
            await speak(context, host, options.language);
        const cockpit = new Cockpit(await context.newPage());
        await cockpit.page.goto(`https://${options.address ?? host.address()}:9090${options.path ?? "/kvm-tap"}`);
        await cockpit.enter();
        if (options.administrator !== false)
            await cockpit.gainAccess();
        // Only now, since narrow shells hide the access button in a menu.
        await cockpit.page.setViewportSize(size(options.width ?? 1280));
        return cockpit;
    }

    /** Fills in the login page. */
    async enter(): Promise<void> {
        await this.page.fill("#login-user-input", login.user);
        await this.page.fill("#login-password-input", login.password);
        await this.page.click("#login-button");
        await this.page.locator("#main").waitFor();
    }

    /** The KVM TAP page. */
    get frame(): FrameLocator {
        return this.page.frameLocator('iframe[name$="/kvm-tap"]');
    }

    /** The KVM TAP page's own document, for what a locator cannot say. */
    get document(): Frame {
        const frame = this.page.frames().find(one => one.name().endsWith("/kvm-tap"));
        if (!frame)
            throw new Error("KVM TAP is not open");
        return frame;
    }

    /** The row of a guest, device or mapping in the table on the screen. */
    row(key: string): Locator {
        return this.frame.locator(`[data-row="${key}"]`);
    }

    /** Where a row says something. */
    rowText(key: string, text: string | RegExp): Locator {
        return this.row(key).getByText(text).first();
    }

    /** Closes what was told of the last change: it lies over the table's right edge until somebody does, or for some seconds. */
    private async closeNews(): Promise<void> {
        for (const button of await this.frame.locator(".pf-v6-c-alert-group.pf-m-toast .pf-v6-c-alert__action button").all())
            await button.click({ timeout: 2000 }).catch(() => undefined);
    }

    /** Chooses from the menu of a row. */
    async act(key: string, action: string): Promise<void> {
        await this.closeNews();
        await this.row(key).getByRole("button", { name: /^Actions for/ }).click();
        await this.frame.getByRole("menuitem", { name: action }).click();
    }

    /** The open dialog. */
    get dialog(): Locator {
        return this.frame.getByRole("dialog");
    }

    /** A field of the open dialog, by its label. */
    field(label: string): Locator {
        const words = label.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
        return this.dialog.locator("input, select, textarea").and(this.dialog.getByLabel(new RegExp(`^${words}[\\s*]*$`)));
    }

    /** All that the open dialog says it will do, closed steps included. */
    async plan(): Promise<string> {
        return await this.dialog.getByRole("region", { name: "What will be done" }).textContent() ?? "";
    }

    /** Presses a button of the open dialog. */
    async press(name: string): Promise<void> {
        await this.dialog.getByRole("button", { name, exact: true }).click();
    }

    /** Something shows within a second, as it must when the host changed. */
    async soon(shown: Locator): Promise<void> {
        await shown.waitFor({ timeout: 1000 });
    }

    /** Marks the document, for `sameDocument`. */
    async mark(): Promise<void> {
        await this.document.evaluate(() => { document.documentElement.dataset["mark"] = "same"; });
    }

    /** Whether the page has not been loaded again since it was marked. */
    sameDocument(): Promise<boolean> {
        return this.document.evaluate(() => document.documentElement.dataset["mark"] === "same");
    }

    /** Presses the shell's "Limited access" and gives the password. */
    async gainAccess(): Promise<void> {
        await this.accessButton("locked").click();
        const password = this.page.locator("#switch-to-admin-access-password");
        await password.fill(login.password);
        await password.press("Enter");
        await this.accessButton("unlocked").waitFor();
        await this.page.locator("[role=dialog]").waitFor({ state: "detached" });
    }

    /** Presses the shell's "Administrative access" and confirms. */
    async dropAccess(): Promise<void> {
        await this.accessButton("unlocked").click();
        await this.page.locator("[role=dialog] button.pf-m-primary").click();
        await this.accessButton("locked").waitFor();
        await this.page.locator("[role=dialog]").waitFor({ state: "detached" });
    }

    /** By its class, since its words depend on the language. */
    private accessButton(state: "locked" | "unlocked") {
        return this.page.locator(`button.ct-${state} >> visible=true`).first();
    }

    /** The shell's path with our part after the hash: `/kvm-tap#/guests/charon`. */
    get path(): string {
        const { pathname, hash } = new URL(this.page.url());
        return pathname + hash;
    }

    /** Goes to another of our pages as a followed link does: without loading the shell again. */
    async go(hash: string): Promise<void> {
        await this.page.evaluate(path => { window.location.assign(path); }, `/kvm-tap#${hash}`);
    }

    /** The shell's own choice of style, as its session menu stores and announces it. */
    async style(style: "auto" | "light" | "dark"): Promise<void> {
        await this.page.locator("#toggle-menu").click();
        await this.page.locator(`.pf-v6-c-toggle-group #${style}, .pf-c-toggle-group #${style}`).click();
        await this.page.keyboard.press("Escape");
    }

    /** Waits for what no locator says. */
    async waitFor(what: string, holds: () => Promise<boolean>): Promise<void> {
        await until(what, holds, 5);
    }

    /** Ends the window. Fails if our frame complained. */
    async close(): Promise<void> {
        open.delete(this);
        await this.page.context().close();
        if (this.complaints.length > 0)
            throw new Error(`the page complained:\n${this.complaints.join("\n")}`);
    }

    /**
     * Presses "Reconnect" after the session was lost, logs in again and waits until `shown`. Cockpit (337 with its own Overview
     * page: 3 times in 10 on a busy machine) leaves a request unanswered while the lost session is still ending; a person then
     * loads the page again.
     */
    async reconnect(shown: Locator): Promise<void> {
        const button = this.page.locator("button", { hasText: "Reconnect" });
        await button.click({ noWaitAfter: true });
        const patience = { timeout: 8000 };
        const asked = this.page.locator("#login-user-input");
        for (let attempt = 1; ; attempt++) {
            try {
                await button.waitFor({ state: "detached", ...patience });
                await asked.or(this.page.locator("#main")).filter({ visible: true }).first().waitFor(patience);
                if (await asked.isVisible())
                    await this.enter();
                return await shown.waitFor(patience);
            } catch (error) {
                if (attempt === 6)
                    throw error;
                await this.page.reload(patience).catch(() => undefined);
            }
        }
    }
}

const size = (width: number) => ({ width, height: width < 600 ? 896 : 900 });

/** The language as the login page and the shell's own dialog store it. */
async function speak(context: BrowserContext, host: TestHost, language: string): Promise<void> {
    await context.addCookies([{ name: "CockpitLang", value: language, url: `https://${host.address()}:9090` }]);
    await context.addInitScript(`localStorage.setItem("cockpit.lang", ${JSON.stringify(language)})`);
}

/** Collects errors of our frame; Cockpit's own pages log some that are not ours to judge. */
function listen(page: Page, complaints: string[]): void {
    const ours = (url: string | undefined) => url?.includes("/kvm-tap/") === true;
    // Which fonts a shell has depends on its release; the style sheet names them all, one after the other.
    const optional = (url: string) => url.includes("/static/fonts/");
    page.on("console", message => {
        if (message.type() === "error" && ours(message.location().url) && !message.text().startsWith("Failed to load resource"))
            complaints.push(message.text());
    });
    page.on("pageerror", error => {
        if (ours(error.stack))
            complaints.push(error.stack ?? error.message);
    });
    page.on("response", response => {
        if (response.status() >= 400 && ours(response.frame().url()) && !optional(response.url()))
            complaints.push(`${response.status()} ${response.url()}`);
    });
}
