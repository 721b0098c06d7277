// SPDX-License-Identifier: LGPL-2.1-or-later
// A person with a keyboard and nothing else: goes from element to element with Tab, like everybody who cannot use a pointer.
import type { Frame, Page } from "playwright-core";

/** More than any page or dialog has: whoever needs more is caught in a trap. */
const patience = 150;

export class Keys {
    /** `document`: what is looked at, the page itself or our frame in it. */
    constructor(readonly page: Page, readonly document: Page | Frame = page) {}

    /** What has the focus, as a screen reader calls it. */
    focused(): Promise<string> {
        return this.document.evaluate(() => {
            const element = document.activeElement;
            const label = element?.id ? document.querySelector(`label[for="${CSS.escape(element.id)}"]`)?.textContent : undefined;
            return (element?.getAttribute("aria-label") ?? label ?? element?.textContent ?? "").replace(/\s*\*\s*$/, "").trim();
        });
    }

    async press(...keys: readonly string[]): Promise<void> {
        for (const key of keys)
            await this.page.keyboard.press(key);
    }

    /** Tab until the element of this name has the focus. */
    async to(name: string | RegExp, key = "Tab"): Promise<void> {
        const passed: string[] = [];
        while (passed.length < patience) {
            const now = await this.focused();
            if (typeof name === "string" ? now === name : name.test(now))
                return;
            passed.push(now.slice(0, 40));
            await this.press(key);
        }
        throw new Error(`${name} is not reached with ${key}, only ${[...new Set(passed)].join(" | ")}`);
    }

    /** Goes to a button or link and presses it. */
    async use(name: string | RegExp): Promise<void> {
        await this.to(name);
        await this.press("Enter");
    }

    /** The dialog that was asked for is there, and the focus in it: a key that is pressed sooner reaches the page. */
    async inDialog(): Promise<void> {
        await this.document.waitForFunction(() => Boolean(document.activeElement?.closest("[role=dialog]")));
    }

    /** Opens a menu and chooses from it. */
    async choose(menu: string, item: string): Promise<void> {
        await this.use(menu);
        await this.document.locator("[role=menu]").waitFor();
        await this.press("ArrowDown");
        await this.to(item, "ArrowDown");
        await this.press("Enter");
    }

    /** Goes to a field and replaces what is in it. */
    async fill(name: string | RegExp, text: string): Promise<void> {
        await this.to(name);
        await this.press("ControlOrMeta+a");
        await this.page.keyboard.type(text);
    }
}
