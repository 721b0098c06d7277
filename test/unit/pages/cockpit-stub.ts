// SPDX-License-Identifier: LGPL-2.1-or-later
// The least of cockpit.js that a component needs in jsdom: English, full access, an address that stays.
import type { Machine } from "../../../src/host/run.ts";

const location = {
    path: [], options: {}, href: "",
    go: () => undefined, replace: () => undefined, encode: (path: readonly string[]) => `/${path.join("/")}`,
};

/** A host that does not answer. */
export const bareMachine: Machine = {
    run: () => new Promise(() => undefined),
    stream: () => ({ write: () => undefined, close: () => undefined }),
    read: () => Promise.resolve(null), replace: () => Promise.resolve(), watchDirectory: () => ({ close: () => undefined }),
};

/** Installs it as the page finds it. Call before importing components. */
export function stubCockpit(): void {
    Object.assign(globalThis, {
        cockpit: {
            gettext: (text: string) => text,
            ngettext: (one: string, many: string, count: number) => count === 1 ? one : many,
            language: "en", location, addEventListener: () => undefined, removeEventListener: () => undefined,
        },
    });
}
