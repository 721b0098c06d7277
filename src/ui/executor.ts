// SPDX-License-Identifier: LGPL-2.1-or-later
// How dialogs run plans, without knowing the machine: the page puts host/execute.ts here.
import { createContext, useContext } from "react";
import type { Message } from "../model/message.ts";
import type { Plan } from "../model/plan.ts";

export type StepState = "waiting" | "running" | "done" | "failed" | "undone" | "undo-failed";

export type Executed =
    /** All steps ran. `holds`: the host, read again, is as promised. `undo` takes the change back, where that is possible. */
    | { state: "done"; holds: boolean; undo?: Plan }
    /** A step failed and what ran before it was undone. `words` are the tool's own; `left` says what could not be undone. */
    | { state: "failed"; step: number; says: Message; words: string; left: readonly Message[] };

/** Runs a plan; tells of each step by its index. Never rejects. */
export type Execute = (plan: Plan, progress: (step: number, state: StepState) => void) => Promise<Executed>;

export const ExecuteContext = createContext<Execute>(() => Promise.reject(new Error("no executor")));

export function useExecute(): Execute {
    return useContext(ExecuteContext);
}
