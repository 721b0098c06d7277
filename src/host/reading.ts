// SPDX-License-Identifier: LGPL-2.1-or-later
// What a part of the snapshot says when it cannot be read: our sentence, and the tool's own words under it.
import { inEnglish, msg, type Message } from "../model/message.ts";
import type { Reading, Snapshot } from "../model/snapshot.ts";
import { CommandError } from "./run.ts";

/** Some of a snapshot; of the streams, some too. */
export type Part = Omit<Partial<Snapshot>, "streams"> & { streams?: Partial<Snapshot["streams"]> };

/** Takes what was read into the snapshot. */
export type Update = (part: Part) => void;

export function read<T>(value: T): Reading<T> {
    return { state: "read", value };
}

/** What virsh says in the end because it has no directory for its history (ENVIRONMENT). */
const NO_HISTORY = /^error: Failed to create '\/dev\/null.*$/gm;

/** The words of a tool in an error of any kind. */
export function wordsOf(error: unknown): string {
    if (error instanceof CommandError)
        return error.words.replace(NO_HISTORY, "").trim() || (error.problem ?? `exit status ${error.exitStatus}`);
    if (error instanceof Error)
        return "words" in error && typeof error.words === "string" ? error.words : error.message;
    return String(error);
}

const DENIED = new RegExp([
    "permission denied", "not permitted", "insufficient permissions", "not seeing messages", "must be root", "access denied",
    "authentication (unavailable|failed)", "polkit",
].join("|"), "i");

export interface Sentences {
    /** The program is not there: what to install. */
    missing: Message;
    /** It says nothing (`PATIENCE`); where the program itself is not what hangs. */
    silent?: Message;
    /** Anything else that went wrong. */
    failed: Message;
}

/** What was to be read again could not be. */
export class Unreadable extends Error {
    constructor(readonly says: Message, readonly words: string) {
        super(inEnglish(says));
        this.name = "Unreadable";
    }
}

/** A part that could not be read, told by its cause. */
export function failed(error: unknown, sentences: Sentences): { state: "failed"; says: Message; words: string } {
    const words = wordsOf(error);
    if (error instanceof CommandError && error.problem === "not-found")
        return { state: "failed", says: sentences.missing, words };
    if (error instanceof CommandError && error.problem === "access-denied" || DENIED.test(words))
        return { state: "failed", says: msg("This cannot be read without administrative access."), words };
    if (error instanceof CommandError && error.problem === "timeout")
        return { state: "failed", says: sentences.silent ?? msg("$0 does not answer. It hangs, or the host is very busy.", error.argv[0] ?? ""), words };
    return { state: "failed", says: sentences.failed, words };
}
