// SPDX-License-Identifier: LGPL-2.1-or-later
// What becomes of a plan: told step by step, and in the end.
import type { Message } from "./message.ts";
import type { Plan } from "./plan.ts";

export type StepState = "waiting" | "running" | "done" | "failed" | "undone" | "undo-failed";

export type Executed =
    /**
     * All steps ran. `holds`: the host, read again, is as promised; where that could not be found out it is false, and `unknown` says why.
     * `undo` takes the change back, where that is possible.
     */
    | { state: "done"; holds: boolean; unknown?: { says: Message; words: string }; undo?: Plan }
    /** A step failed and what ran before it was undone. `words` are the tool's own; `left` says what could not be undone. */
    | { state: "failed"; step: number; says: Message; words: string; left: readonly Message[] };

/** Runs a plan; tells of each step by its index. Never rejects. */
export type Execute = (plan: Plan, progress: (step: number, state: StepState) => void) => Promise<Executed>;
