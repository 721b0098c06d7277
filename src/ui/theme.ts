// SPDX-License-Identifier: LGPL-2.1-or-later
// Light or dark, language and direction: as the shell around this frame has them, also when they change while we are open.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** The shell's choice: "light", "dark" or "auto". It writes it to localStorage and, within one tab, also sends an event. */
function apply(style: string | null = window.localStorage.getItem("shell:style")) {
    const isDark = style === "dark" || (style !== "light" && dark.matches);
    document.documentElement.classList.toggle("pf-v6-theme-dark", isDark);
}

export function followShell() {
    window.addEventListener("storage", event => {
        if (event.key === "shell:style")
            apply();
    });
    window.addEventListener("cockpit-style", event => {
        const detail: unknown = event instanceof CustomEvent ? event.detail : undefined;
        if (typeof detail === "object" && detail !== null && "style" in detail && typeof detail.style === "string")
            apply(detail.style);
    });
    dark.addEventListener("change", () => apply());
    apply();
    document.documentElement.lang = cockpit.language.replace("_", "-");
    document.documentElement.dir = cockpit.language_direction ?? "ltr";
}
