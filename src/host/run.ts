// SPDX-License-Identifier: LGPL-2.1-or-later
// What the rest of host/ asks of a machine. `cockpit.ts` answers it in the page, test/lab in a test host, so everything
// below the pages runs against a real kernel, libvirt and nft without a browser.

export interface RunOptions {
    /** Writes say "require"; reads say "try" (the default): with "try" a permission problem would pass as another error. */
    superuser?: "require" | "try";
    /** Standard input, then closed. Of `run` only: a stream is written to. */
    input?: string;
    /** Exit statuses beside 0 that are no failure (grep: 1 for "no such line", 2 for "no such file"). */
    accept?: readonly number[];
    /** Standard error comes in the output, in the order it was written: where an error belongs to the command before it. */
    mixed?: true;
    /** Of `run`: after so many milliseconds it is ended, and fails with the problem "timeout". Absent: see `limitOf`. */
    timeout?: number;
}

/**
 * How long a program that is asked something may say nothing, in milliseconds: longer than a busy host takes, and short enough for
 * somebody who waits. What then does not answer hangs.
 */
export const PATIENCE = 45_000;

/** Reads end; a change may take its time, unless whoever makes it knows better. */
export function limitOf({ timeout, superuser }: RunOptions): number | undefined {
    return timeout ?? (superuser === "require" ? undefined : PATIENCE);
}

/**
 * The environment of every command. C.UTF-8: output that parsers can rely on, names in any script. The other two: `virsh` and
 * `nft -i` keep a history of what they are told, also without a terminal, and would put ours into root's own.
 */
export const ENVIRONMENT = ["LC_ALL=C.UTF-8", "HOME=/dev/null", "XDG_CACHE_HOME=/dev/null"] as const;

/** A command that could not be started or exited with a status other than 0. */
export class CommandError extends Error {
    constructor(
        readonly argv: readonly string[],
        /** Cockpit's problem code: not-found, access-denied, terminated, timeout …; null when the command ran and failed. */
        readonly problem: string | null,
        readonly exitStatus: number | null,
        /** What the command wrote to standard error. */
        readonly words: string,
    ) {
        super(`${argv[0] ?? ""}: ${words || problem || `exit status ${exitStatus}`}`);
        this.name = "CommandError";
    }
}

/** A file was not as expected when it was to be written. */
export class ChangedMeanwhile extends Error {
    constructor(readonly path: string, readonly found: string | null) {
        super(`${path} changed meanwhile`);
        this.name = "ChangedMeanwhile";
    }
}

/** A command that goes on: `virsh`, `virsh event --loop`, `ip monitor`, `nft -j monitor`, `journalctl -f`. */
export interface Stream {
    write(text: string): void;
    close(): void;
}

export interface StreamHandlers {
    /** Output as it comes; a chunk may end anywhere. */
    data(chunk: string): void;
    /** The command ended by itself; `error` unless it exited with status 0. Not called after close(). */
    end(error?: CommandError): void;
}

export interface Machine {
    /** Runs one command to its end and returns its standard output. Rejects with CommandError. */
    run(argv: readonly string[], options?: RunOptions): Promise<string>;
    stream(argv: readonly string[], handlers: StreamHandlers, options?: RunOptions): Stream;
    /** A file's text; null when there is none. */
    read(path: string): Promise<string | null>;
    /**
     * Writes a file atomically, or removes it (`content` null), with administrative access. One that is there keeps its mode and owner.
     * With `expected`, rejects with ChangedMeanwhile unless the file reads so now.
     */
    replace(path: string, content: string | null, expected?: string | null): Promise<void>;
    /**
     * Calls back after anything in this directory changed (made, removed, written), with the path of what changed. A
     * directory that is not there yet, or may not be read, is watched as far as the host allows; nothing is said of it.
     */
    watchDirectory(path: string, changed: (path: string) => void): { close(): void };
    /**
     * Calls back with whether there is administrative access: soon after the call, and after each change. Where access never
     * changes (a test host) it is absent: everything runs as root.
     */
    watchAccess?(changed: (admin: boolean) => void): { close(): void };
}
