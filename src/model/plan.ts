// SPDX-License-Identifier: LGPL-2.1-or-later
// A change of the host as the exact steps it takes: shown before it runs, undone in reverse when a step fails.
import type { Message } from "./message.ts";
import type { Snapshot } from "./snapshot.ts";
import { touchOf, type Touch } from "./touch.ts";

export interface Command {
    type: "command";
    argv: readonly string[];
    /** Standard input. */
    input?: string;
    /** Exit statuses beside 0 that mean "nothing to do" (conntrack -D: 1). */
    accept?: readonly number[];
    /** Whose last lines of the journal explain a failure: systemctl itself only says that there was one. */
    unit?: string;
}

/** A file written whole, or removed where `content` is null. */
export interface FileChange {
    type: "file";
    path: string;
    content: string | null;
}

/** What was read when the plan was made. Read again right before the step: if it differs, the step does not run. */
export type Expectation =
    | { type: "file"; path: string; content: string | null }
    | { type: "interface"; uuid: string; which: "live" | "configured"; index: number; xml: string }
    /** `listing`: of `nft --stateless list table`, so that counters make no difference. */
    | { type: "table"; family: string; table: string; listing: string };

export interface Step {
    says: Message;
    does: Command | FileChange;
    expects?: Expectation;
    /** Takes it back while the plan runs, when a later step fails. */
    undo?: Command | FileChange;
    /** Takes it back after the plan has ended, where that is another command than `undo`. */
    back?: Command;
    /** It may leave something behind when it fails, so its own undo runs then too: `systemctl enable --now`. */
    partial?: true;
    /** It changes nothing that would have to be taken back: a check, a reload. */
    inert?: true;
    /** The difference to show for this step where the command alone does not tell: XML or nft, before and after. */
    shows?: { before: string; after: string };
}

export interface Plan {
    title: Message;
    steps: readonly Step[];
    /** What stays true after the plan although a reader may hope otherwise: "charon runs on its old definition until…" */
    notes?: readonly Message[];
    /** For the history: which device and guest (by name) it concerns, and the `<interface>` before it became one of another type. */
    about?: { device?: string; guest?: string; was?: string };
    /** What it takes from the host, or interrupts: looked at again right before it runs. */
    touches?: Touch;
    /** The steps armed a revert on the host: it comes after so many seconds unless somebody confirms. */
    confirm?: { seconds: number };
    /** Whether the host, read again afterwards, is as the plan promised. */
    holds(after: Snapshot): boolean;
}

/** What a planner answers: a plan, or why there is none. Fields name the input that is at fault. */
export type Planned = { plan: Plan } | { problems: readonly Problem[] };

export interface Problem {
    field?: string;
    says: Message;
}

/** Several plans as one: all of their steps, undone together. */
export function combined(title: Message, plans: readonly Plan[]): Plan {
    const notes = plans.flatMap(plan => plan.notes ?? []);
    const about = plans.find(plan => plan.about)?.about;
    const confirm = plans.find(plan => plan.confirm)?.confirm;
    const touches = plans.flatMap(plan => plan.touches ?? []);
    return {
        title,
        steps: plans.flatMap(plan => plan.steps),
        ...notes.length > 0 && { notes },
        ...about && { about },
        ...confirm && { confirm },
        ...touches.length > 0 && { touches: touchOf(touches) },
        holds: after => plans.every(plan => plan.holds(after)),
    };
}
