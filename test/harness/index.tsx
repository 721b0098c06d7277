// SPDX-License-Identifier: LGPL-2.1-or-later
// The page on a made-up host, for looking at it while it is built: node build.mjs test/harness/index.tsx --out=tmp/harness,
// then test/harness/shoot.mjs. It is no part of what is installed.
import "@patternfly/patternfly/patternfly-base.css";
import { createRoot } from "react-dom/client";
import { Page } from "../../src/app.tsx";
import type { Execute } from "../../src/model/executed.ts";
import type { Snapshot } from "../../src/model/snapshot.ts";
import "../../src/ui/page.css";
import { followShell } from "../../src/ui/theme.ts";
import { failing, fixture } from "./fixture.ts";
import { withNat } from "./nat.ts";
import { withTaps } from "./taps.ts";

const state = new URLSearchParams(window.location.search).get("state") ?? "";
const snapshot = state === "failed" ? failing()
    : state === "empty" ? { ...fixture(), guests: { state: "read" as const, value: [] } }
    : state === "reading" ? { ...fixture(), guests: { state: "reading" as const } }
    : state.startsWith("nat") ? withNat(state.slice(4))
    : fixture(Number(state) || 0);

const wait = (milliseconds: number) => new Promise(resolve => setTimeout(resolve, milliseconds));
const execute: Execute = async (plan, progress) => {
    for (const [index] of plan.steps.entries()) {
        progress(index, "running");
        await wait(200);
        progress(index, "done");
    }
    return { state: "done", holds: true };
};

followShell();
const access = window.location.search.includes("limited") ? "limited" as const : "admin" as const;
const page = document.getElementById("page");
const root = page && createRoot(page);
const nothing = () => undefined;
const show = (now: Snapshot) => root?.render(<Page snapshot={{ ...now, access }} execute={execute} show={nothing} retry={nothing} />);
let second = 0;
show(state === "taps" ? withTaps(second) : snapshot);
if (state === "taps")
    setInterval(() => show(withTaps(++second)), 600);
