// SPDX-License-Identifier: LGPL-2.1-or-later
// axe-core in our frame. The debugger may evaluate there what the content security policy forbids to the page.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import { top } from "../lab/trees.ts";
import type { Cockpit } from "./cockpit.ts";

const source = readFileSync(join(top, "node_modules/axe-core/axe.min.js"), "utf8");

/** What is wrong, a line per rule with the elements it concerns; empty when nothing is. */
export async function barriers(cockpit: Cockpit): Promise<string[]> {
    const frame = cockpit.document;
    if (!await frame.evaluate(() => "axe" in window))
        await frame.evaluate(source);
    // Colours in the middle of a transition are nobody's.
    await frame.evaluate(() => Promise.all(document.getAnimations().map(animation => animation.finished.catch(() => undefined))));
    const results = await frame.evaluate<AxeResults>("axe.run(document, { resultTypes: ['violations'] })");
    return results.violations.map(({ id, help, nodes }) =>
        `${id}: ${help}\n${nodes.map(node => `    ${node.target.join(" ")}  ${node.html.slice(0, 200)}\n      ${node.any.map(check => check.message).join("; ")}`).join("\n")}`);
}
