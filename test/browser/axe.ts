// SPDX-License-Identifier: LGPL-2.1-or-later
// axe-core in our frame. The debugger may evaluate there what the content security policy forbids to the page.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AxeResults } from "axe-core";
import type { Frame, Page } from "playwright-core";
import { top } from "../lab/trees.ts";
import type { Cockpit } from "./cockpit.ts";

const source = readFileSync(join(top, "node_modules/axe-core/axe.min.js"), "utf8");

/** What is wrong, a line per rule with the elements it concerns; empty when nothing is. */
export const barriers = (cockpit: Cockpit): Promise<string[]> => barriersIn(cockpit.document);

/** The same for any document, or for the part of it that a selector names; of some rules only where they are named. */
export async function barriersIn(frame: Frame | Page, part?: string, rules?: readonly string[]): Promise<string[]> {
    if (!await frame.evaluate(() => "axe" in window))
        await frame.evaluate(source);
    // Colours in the middle of a transition are nobody's. Ended rather than waited for: in a window that nobody sees they never end.
    await frame.evaluate(() => document.getAnimations().forEach(animation => {
        if (animation.effect?.getComputedTiming().endTime !== Infinity)
            animation.finish();
    }));
    const context = part === undefined ? "document" : JSON.stringify(part);
    const options = JSON.stringify({ resultTypes: ["violations"], ...rules && { runOnly: rules } });
    const results = await frame.evaluate<AxeResults>(`axe.run(${context}, ${options})`);
    return results.violations.map(({ id, help, nodes }) =>
        `${id}: ${help}\n${nodes.map(node => `    ${node.target.join(" ")}  ${node.html.slice(0, 200)}\n      ${node.any.map(check => check.message).join("; ")}`).join("\n")}`);
}
