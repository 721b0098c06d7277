// SPDX-License-Identifier: LGPL-2.1-or-later
// A stand-in for base1/cockpit.js, so that pages can be looked at without a host. `?lang=he` in the address sets the language.
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
    window.cockpit = {
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
        language: new URLSearchParams(window.location.search).get("lang") ?? "en",
        language_direction: /lang=(he|ar)/.test(window.location.search) ? "rtl" : "ltr",
        gettext: text => translations[text]?.[1] ?? text,
        ngettext: (one, many, count) => translations[one]?.[count === 1 ? 1 : 2] ?? (count === 1 ? one : many),
        locale: more => { translations = { ...translations, ...more }; },
        // The host's programs: conntrack has something to say, the others are not there. Files are not there either.
        channel: ({ spawn }) => {
            const channel = new EventTarget();
            const listen = channel.addEventListener.bind(channel);
            const close = options => channel.dispatchEvent(new CustomEvent("close", { detail: options }));
            setTimeout(() => {
                if (spawn?.[0] !== "conntrack")
                    return spawn && close({ problem: "not-found", message: "not found" });
                const line = port => `tcp 6 431999 ESTABLISHED src=192.0.2.80 dst=203.0.113.10 sport=${port} dport=22 `
                    + `src=10.0.0.2 dst=192.0.2.80 sport=22 dport=${port} [ASSURED] mark=0 use=1\n`;
                channel.dispatchEvent(new CustomEvent("message", { detail: new TextEncoder().encode([1, 2, 3].map(line).join("")) }));
                return close({});
            }, 20);
            return Object.assign(channel, {
                valid: true, send: () => undefined, control: () => undefined, close: () => undefined,
                addEventListener: (name, heard) => listen(name, event => heard(event, event.detail)),
            });
        },
        file: () => ({ read: () => Promise.resolve(null), replace: () => Promise.resolve(), close: () => undefined }),
        permission: () => permission,
        hidden: false,
        jump: place => console.log("jump", place),
        transport: { host: "localhost" },
    };
})();
