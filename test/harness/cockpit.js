// SPDX-License-Identifier: LGPL-2.1-or-later
// A stand-in for base1/cockpit.js, so that pages can be looked at without a host. `?lang=he` in the address sets the language; `xx`, and
// `xh` from right to left, are made up: ⟦each sentence in brackets, and longer⟧, so that one sees what is not translated.
// Commands and files are answered from `window.madeUp` (states.ts).
(() => {
    const events = new EventTarget();
    let translations = {};
    const parse = () => {
        const href = window.location.hash.slice(1);
        const [path = "", query = ""] = href.split("?");
        const options = {};
        for (const [key, value] of new URLSearchParams(query))
            options[key] = key in options ? [options[key], value].flat() : value;
        return { href, path: path.split("/").filter(Boolean).map(decodeURIComponent), options };
    };
    const encode = (path, options = {}) => {
        const query = new URLSearchParams(Object.entries(options).flatMap(([key, value]) => [value].flat().map(item => [key, item])));
        return `/${path.map(encodeURIComponent).join("/")}${query.size > 0 ? `?${query}` : ""}`;
    };
    const set = (path, options, replace) => {
        const hash = `#${encode(path, options)}`;
        if (replace)
            window.history.replaceState(null, "", hash);
        else
            window.history.pushState(null, "", hash);
        current = null;
        events.dispatchEvent(new Event("locationchanged"));
    };
    let current = null;
    window.addEventListener("hashchange", () => {
        current = null;
        events.dispatchEvent(new Event("locationchanged"));
    });
    const permission = new EventTarget();
    permission.allowed = !window.location.search.includes("limited");
    const language = new URLSearchParams(window.location.search).get("lang") ?? "en";
    const pseudo = /^x[xh]$/.test(language);
    // Which sentences were asked for: those that the catalogue does not have are found out by the tests.
    const asked = window.askedFor = new Set();
    const bracketed = text => `⟦${text}${"~".repeat(Math.ceil(text.length * 0.3))}⟧`;
    const gettext = text => {
        asked.add(text);
        return pseudo ? bracketed(text) : translations[text]?.[1] ?? text;
    };
    const ngettext = (one, many, count) => {
        asked.add(one);
        return pseudo ? bracketed(count === 1 ? one : many) : translations[one]?.[count === 1 ? 1 : 2] ?? (count === 1 ? one : many);
    };

    /** A command that prints what the state says, or is not installed. */
    const channel = ({ payload, spawn = [] }) => {
        const target = new EventTarget();
        const listen = (type, listener) => target.addEventListener(type, event => listener(event, event.detail));
        const tell = (type, detail) => target.dispatchEvent(new CustomEvent(type, { detail }));
        const answer = () => {
            const [, output] = Object.entries(window.madeUp?.commands ?? {}).find(([start]) => spawn.join(" ").startsWith(start)) ?? [];
            if (output === undefined)
                return tell("close", { problem: "not-found", message: "" });
            tell("message", new TextEncoder().encode(output));
            tell("close", { "exit-status": 0 });
        };
        if (payload === "stream")
            setTimeout(answer);
        const nothing = () => undefined;
        return { valid: true, addEventListener: listen, removeEventListener: nothing, send: nothing, control: nothing, close: nothing };
    };
    const file = path => ({
        path, close: () => undefined, replace: () => Promise.resolve("1"),
        read: () => ({ then: (done, failed) => Promise.resolve().then(() => done(window.madeUp?.files?.[path] ?? null, "1")).catch(failed) }),
    });

    window.cockpit = {
        channel, file, gettext, ngettext, language,
        addEventListener: events.addEventListener.bind(events),
        removeEventListener: events.removeEventListener.bind(events),
        get location() {
            current ??= {
                ...parse(), encode,
                go: (path, options) => set(path, options, false),
                replace: (path, options) => set(path, options, true),
            };
            return current;
        },
        language_direction: /^(he|ar|xh)/.test(language) ? "rtl" : "ltr",
        locale: more => { translations = { ...translations, ...more }; },
        permission: () => permission,
        hidden: false,
        jump: place => console.log("jump", place),
        transport: { host: "localhost" },
    };
})();
