// SPDX-License-Identifier: LGPL-2.1-or-later
// The page on a made-up host, for looking at it while it is built: node build.mjs test/harness/index.tsx --out=tmp/harness,
// then test/harness/shoot.mjs. Tests walk through it as well (test/browser/made-up.ts). It is no part of what is installed.
import "@patternfly/patternfly/patternfly-base.css";
import { createRoot } from "react-dom/client";
import { Page } from "../../src/app.tsx";
import type { Snapshot } from "../../src/model/snapshot.ts";
import "../../src/ui/page.css";
import { followShell } from "../../src/ui/theme.ts";
import { failing, fixture } from "./fixture.ts";
import { withNat } from "./nat.ts";
import { conntrack, executes, states, type State } from "./states.ts";
import { withTaps } from "./taps.ts";

declare global {
    interface Window {
        /** What the stand-in for cockpit.js answers with. */
        madeUp?: Pick<State, "files" | "commands">;
        /** The sentences that the page asked it to translate. */
        askedFor?: Set<string>;
    }
}

const name = new URLSearchParams(window.location.search).get("state") ?? "";

/** Those with a name, and the short ones of shoot.mjs. */
function stateOf(): State {
    const named = states[name];
    if (named)
        return { ...named, snapshot: named.make() };
    const snapshot = name === "failed" ? failing()
        : name === "empty" ? { ...fixture(), guests: { state: "read" as const, value: [] } }
        : name === "reading" ? { ...fixture(), guests: { state: "reading" as const } }
        : name === "taps" ? withTaps(0)
        : name.startsWith("nat") ? withNat(name.slice(4))
        : fixture(Number(name) || 0);
    const access = window.location.search.includes("limited") ? "limited" as const : "admin" as const;
    return { snapshot: { ...snapshot, access }, commands: { conntrack } };
}

const nothing = () => undefined;

function start(): void {
    const state = stateOf();
    window.madeUp = state;
    const execute = executes(state.ends ?? "well");
    const page = document.getElementById("page");
    const root = page && createRoot(page);
    const show = (now: Snapshot) => root?.render(<Page snapshot={now} execute={execute} show={nothing} retry={nothing} />);
    show(state.snapshot);
    let second = 0;
    if (name === "taps")
        setInterval(() => show({ ...withTaps(++second), access: state.snapshot.access }), 600);
}

followShell();
start();
