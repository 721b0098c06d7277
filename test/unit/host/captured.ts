// SPDX-License-Identifier: LGPL-2.1-or-later
// What the tools of three Debian releases really print, captured in test hosts; and a program that says it, for conversations.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Grammar } from "../../../src/host/conversation.ts";
import type { Machine, StreamHandlers } from "../../../src/host/run.ts";

export const releases = ["bookworm", "trixie", "forky"] as const;

export function captured(release: string, file: string): string {
    return readFileSync(join("test/unit/host/captured", release, file), "utf8");
}

/** The answers in a text, as a conversation takes them out of it. */
export function answersIn(text: string, grammar: Grammar, count: number): string[] {
    const answers: string[] = [];
    for (let number = 1, from = 0; number <= count; number++) {
        const end = grammar.end(text, number, from);
        answers.push(end < 0 ? "(none)" : text.slice(from, end));
        from = end;
    }
    return answers;
}

/** A machine on which only streams can be opened; each is handed to the test. */
export interface FakeStream {
    argv: readonly string[];
    handlers: StreamHandlers;
    written: string;
    closed: boolean;
}

const refuse = () => { throw new Error("not in this test"); };

export function streamingMachine(): { machine: Machine; streams: FakeStream[] } {
    const streams: FakeStream[] = [];
    const machine: Machine = {
        run: refuse, read: refuse, replace: refuse, watchDirectory: refuse,
        stream(argv, handlers) {
            const stream: FakeStream = { argv, handlers, written: "", closed: false };
            streams.push(stream);
            return { write: text => { stream.written += text; }, close: () => { stream.closed = true; } };
        },
    };
    return { machine, streams };
}
