// SPDX-License-Identifier: LGPL-2.1-or-later
// A stream that should go on for ever, and what to do when it does not.
import { unhandled } from "./coalesce.ts";
import { CommandError, type Machine, type RunOptions, type Stream } from "./run.ts";

/** After an end, tried again after these milliseconds if not told otherwise; then only when somebody says that something changed. */
const DELAYS = [100, 400, 1500, 5000] as const;
/**
 * A stream that lived this long has worked: the delays begin again. Also how long after the first reading `settled` comes; not
 * after the start, or a slow host would be read twice at the same time.
 */
const SETTLED = 1000;

export interface Supervised {
    line(line: string): void;
    /** It was started (again). Tells when what it is about has been read, if it reads it now. */
    opened(): Promise<void> | undefined;
    /** A second after that: what happened before the command was listening is to be read now. */
    settled(): void;
    /** It ended. Without `again` nothing more is tried until `retry`. */
    ended(error: CommandError, again: boolean): void;
}

export class Supervise {
    #stream: Stream | undefined;
    #timer: ReturnType<typeof setTimeout> | undefined;
    #settling: ReturnType<typeof setTimeout> | undefined;
    #attempts = 0;
    #closed = false;

    constructor(
        readonly machine: Machine, readonly argv: readonly string[], readonly handlers: Supervised, readonly options: RunOptions = {},
        readonly delays: readonly number[] = DELAYS,
    ) {
        this.#open();
    }

    /** Something changed that may let the command work: it is tried again now, unless it runs. */
    retry() {
        if (this.#stream || this.#closed)
            return;
        this.#attempts = 0;
        clearTimeout(this.#timer);
        this.#open();
    }

    /** Ends the command, if it runs, and starts it again: with other rights, for example. */
    restart() {
        this.#stop();
        this.retry();
    }

    close() {
        this.#closed = true;
        this.#stop();
    }

    #stop() {
        clearTimeout(this.#timer);
        clearTimeout(this.#settling);
        this.#stream?.close();
        this.#stream = undefined;
    }

    #open() {
        let rest = "";
        const stream = this.machine.stream(this.argv, {
            data: chunk => {
                const lines = (rest + chunk).split("\n");
                rest = lines.pop() ?? "";
                for (const line of lines)
                    this.#line(line);
            },
            end: error => this.#ended(error ?? new CommandError(this.argv, null, 0, "")),
        }, this.options);
        this.#stream = stream;
        const reading = attempt(() => this.handlers.opened());
        if (reading)
            void reading.then(() => { if (this.#stream === stream) this.#settle(); });
        else
            this.#settle();
    }

    /** Something happened, whatever the line says: where it cannot be handled, all of it is read as after a start. */
    #line(line: string) {
        try {
            this.handlers.line(line);
        } catch (error) {
            unhandled(error);
            attempt(() => this.handlers.settled());
        }
    }

    #settle() {
        this.#settling = setTimeout(() => {
            this.#attempts = 0;
            attempt(() => this.handlers.settled());
        }, SETTLED);
    }

    #ended(error: CommandError) {
        clearTimeout(this.#settling);
        this.#stream = undefined;
        const delay = error.problem === "not-found" ? undefined : this.delays[this.#attempts++];
        if (delay !== undefined)
            this.#timer = setTimeout(() => this.#open(), delay);
        attempt(() => this.handlers.ended(error, delay !== undefined));
    }
}

function attempt<T>(work: () => T): T | undefined {
    try {
        return work();
    } catch (error) {
        unhandled(error);
        return undefined;
    }
}
