// SPDX-License-Identifier: LGPL-2.1-or-later
// The machine behind the page: Cockpit's bridge, through the channels that every bridge since 287 has (stream, fsread1,
// fsreplace1, fswatch1). Output travels as bytes and is decoded here: a text channel would replace NUL, which separates
// the files that files.ts reads, and the Python bridges end a text channel at the first byte that is not UTF-8.
import { ChangedMeanwhile, CommandError, ENVIRONMENT, limitOf, type Machine, type RunOptions, type Stream, type StreamHandlers } from "./run.ts";

/** What a stream channel says when it closes. */
interface Closing {
    problem?: string;
    message?: string;
    "exit-status"?: number;
    "exit-signal"?: string;
}

/** Bytes in one frame: well below the limit of cockpit-ws (128 KiB). */
const FRAME = 64 * 1024;

function send(channel: CockpitChannel, text: string) {
    const bytes = new TextEncoder().encode(text);
    for (let start = 0; start < bytes.length; start += FRAME)
        channel.send(bytes.subarray(start, start + FRAME));
}

function errorOf(argv: readonly string[], closing: Closing, accept: readonly number[]): CommandError | undefined {
    const status = closing["exit-status"] ?? null;
    const words = (closing.message ?? "").trim();
    if (closing.problem)
        return new CommandError(argv, closing.problem, null, words);
    if (closing["exit-signal"])
        return new CommandError(argv, "terminated", null, words || closing["exit-signal"]);
    return status === null || status === 0 || accept.includes(status) ? undefined : new CommandError(argv, null, status, words);
}

function open(argv: readonly string[], options: RunOptions, data: (chunk: string) => void, end: (error?: CommandError) => void) {
    const channel = cockpit.channel({
        payload: "stream",
        spawn: [...argv],
        environ: [...ENVIRONMENT],
        superuser: options.superuser ?? "try",
        err: options.mixed ? "out" : "message",
        binary: true,
    });
    const decoder = new TextDecoder();
    channel.addEventListener("message", (_event, chunk) => data(decoder.decode(chunk as Uint8Array, { stream: true })));
    channel.addEventListener("close", (_event, closing) => end(errorOf(argv, closing as Closing, options.accept ?? [])));
    return channel;
}

function run(argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
        const output: string[] = [];
        const channel = open(argv, options, chunk => output.push(chunk), error => {
            clearTimeout(timer);
            if (!error)
                return resolve(output.join(""));
            reject(options.mixed ? new CommandError(argv, error.problem, error.exitStatus, output.join("").trim()) : error);
        });
        const limit = limitOf(options);
        const timer = limit === undefined ? undefined : setTimeout(() => {
            reject(new CommandError(argv, "timeout", null, ""));
            channel.close("timeout");
        }, limit);
        send(channel, options.input ?? "");
        channel.control({ command: "done" });
    });
}

function stream(argv: readonly string[], handlers: StreamHandlers, options: RunOptions = {}): Stream {
    let closed = false;
    const channel = open(argv, options,
        chunk => { if (!closed) handlers.data(chunk); },
        error => { if (!closed) handlers.end(error); });
    return {
        write: text => { if (!closed && channel.valid) send(channel, text); },
        close() {
            closed = true;
            channel.close();
        },
    };
}

function fileError(path: string, error: CockpitError) {
    return new CommandError([path], error.problem, null, error.message);
}

/** Content and tag: awaiting `read()` would lose the tag. */
function readTagged(path: string, superuser: "require" | "try"): Promise<{ content: string | null; tag: string }> {
    const file = cockpit.file(path, { superuser });
    return new Promise((resolve, reject) => {
        file.read().then(
            (content, tag) => resolve({ content, tag }),
            (error: CockpitError) => reject(fileError(path, error)));
    }).finally(() => file.close()) as Promise<{ content: string | null; tag: string }>;
}

/**
 * Always with the tag of what is there: the bridge then refuses to write over a change, and keeps the file's mode and owner. (Not that of
 * Cockpit 287, Debian 12: it makes every file anew.)
 */
async function replace(path: string, content: string | null, expected?: string | null): Promise<void> {
    const now = await readTagged(path, "require");
    if (expected !== undefined && now.content !== expected)
        throw new ChangedMeanwhile(path, now.content);
    const file = cockpit.file(path, { superuser: "require" });
    try {
        await file.replace(content, now.tag);
    } catch (error) {
        if ((error as CockpitError).problem === "change-conflict")
            throw new ChangedMeanwhile(path, (await readTagged(path, "require")).content);
        throw fileError(path, error as CockpitError);
    } finally {
        file.close();
    }
}

function watchDirectory(path: string, changed: (path: string) => void) {
    const channel = cockpit.channel({ payload: "fswatch1", path, superuser: "try" });
    channel.addEventListener("message", (_event, text) => {
        const said = JSON.parse(text as string) as { path?: string };
        changed(said.path ?? path);
    });
    return { close: () => channel.close() };
}

/**
 * Administrative access as the bridge itself tells it. `cockpit.permission` would do, but it reloads the page on every change
 * (cockpit.js, class Permission), and a dialog that is being filled in would be lost.
 */
function watchAccess(changed: (admin: boolean) => void) {
    const superuser = cockpit.dbus(null, { bus: "internal" }).proxy("cockpit.Superuser", "/superuser");
    let closed = false;
    const tell = () => {
        if (!closed && superuser.valid)
            changed(superuser["Current"] !== "none" && superuser["Current"] !== "init");
    };
    superuser.addEventListener("changed", tell);
    void superuser.wait(tell);
    return {
        close() {
            closed = true;
            superuser.removeEventListener("changed", tell);
        },
    };
}

/** The host that the page shows. */
export const machine: Machine = {
    run,
    stream,
    read: async path => (await readTagged(path, "try")).content,
    replace,
    watchDirectory,
    watchAccess,
};
