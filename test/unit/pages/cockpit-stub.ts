// SPDX-License-Identifier: LGPL-2.1-or-later
// The least of cockpit.js that a component needs in jsdom: English, full access, an address that stays.

const location = {
    path: [], options: {}, href: "",
    go: () => undefined, replace: () => undefined, encode: (path: readonly string[]) => `/${path.join("/")}`,
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
