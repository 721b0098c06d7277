// SPDX-License-Identifier: LGPL-2.1-or-later
// Many questions to one running process: virsh, ip and nft all read commands from standard input and answer in order. A
// thousand definitions, a fresh look at the links or the traffic every second then cost no further process.
import { CommandError, PATIENCE, type Machine, type Stream } from "./run.ts";

/** How a program's answers are told apart. */
export interface Grammar {
    /** The line to write for a command; `count` numbers the commands of this process from 1. */
    line(command: string, count: number): string;
    /**
     * Where the answer to command `count` ends in `text`, at or after `from`: the position after it; -1 while it is not
     * complete. `from` is where the last search ended (a little before, for what a chunk cut in two).
     */
    end(text: string, count: number, from: number): number;
    /** What every answer ends with, if that is one character: chunks without it are only kept. */
    last?: string;
}

interface Question {
    count: number;
    answered(text: string): void;
    failed(error: unknown): void;
}

export class Conversation {
    #stream: Stream;
    #text = "";
    /** Chunks that cannot complete an answer. Megabytes come in pieces of a few kB: to search all of it at each would be quadratic. */
    #kept: string[] = [];
    #searched = 0;
    #count = 0;
    #questions: Question[] = [];
    #ended: CommandError | undefined;
    #silence: ReturnType<typeof setTimeout> | undefined;

    /**
     * @param ended is told when the process ended by itself, after the open questions failed. One that says nothing for too long while
     * it is asked something hangs, and counts as ended; with every word of an answer its time begins anew.
     */
    constructor(
        machine: Machine, readonly argv: readonly string[], readonly grammar: Grammar, readonly ended: (error: CommandError) => void,
    ) {
        this.#stream = machine.stream(argv, {
            data: chunk => this.#receive(chunk),
            // What it said last explains its end: with `mixed` its errors are in the text.
            end: error => this.#end(error?.problem ?? null, error?.exitStatus ?? 0, this.#unread() || (error?.words ?? "")),
        }, { mixed: true });
    }

    /**
     * Asks several things in one go; `answer` is called for each in order, as it comes. An answer that it cannot take is the end of
     * these questions, not of the conversation.
     */
    ask(commands: readonly string[], answer: (text: string, index: number) => void): Promise<void> {
        if (this.#ended)
            return Promise.reject(this.#ended);
        return new Promise((resolve, reject) => {
            let open = commands.length;
            const lines = commands.map((command, index) => {
                const count = ++this.#count;
                this.#questions.push({
                    count,
                    answered: text => {
                        answer(text, index);
                        if (--open === 0)
                            resolve();
                    },
                    failed: reject,
                });
                return this.grammar.line(command, count);
            });
            if (open === 0)
                return resolve();
            this.#stream.write(lines.join(""));
            this.#listen();
        });
    }

    /** Asks one thing. */
    async one(command: string): Promise<string> {
        let all = "";
        await this.ask([command], text => { all = text; });
        return all;
    }

    close() {
        this.#stream.close();
        this.#fail(new CommandError(this.argv, "cancelled", null, ""));
    }

    #receive(chunk: string) {
        this.#kept.push(chunk);
        if (this.grammar.last === undefined || chunk.includes(this.grammar.last))
            this.#answer();
        this.#listen();
    }

    #answer() {
        this.#text += this.#kept.join("");
        this.#kept = [];
        let start = 0;
        for (let question = this.#questions[0]; question; question = this.#questions[0]) {
            const end = this.grammar.end(this.#text, question.count, Math.max(start, this.#searched));
            if (end < 0)
                break;
            this.#questions.shift();
            const answer = this.#text.slice(start, end);
            start = this.#searched = end;
            try {
                question.answered(answer);
            } catch (error) {
                question.failed(error);
            }
        }
        this.#text = this.#text.slice(start);
        this.#searched = Math.max(0, this.#text.length - 64);
    }

    #listen() {
        clearTimeout(this.#silence);
        if (this.#questions.length > 0)
            this.#silence = setTimeout(() => this.#hang(), PATIENCE);
    }

    #hang() {
        this.#stream.close();
        this.#end("timeout", null, "");
    }

    #end(problem: string | null, exitStatus: number | null, words: string) {
        const error = new CommandError(this.argv, problem, exitStatus, words);
        this.#fail(error);
        this.ended(error);
    }

    #unread(): string {
        return (this.#text + this.#kept.join("")).trim();
    }

    #fail(error: CommandError) {
        clearTimeout(this.#silence);
        this.#ended ??= error;
        for (const question of this.#questions.splice(0))
            question.failed(error);
    }
}
