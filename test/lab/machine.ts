// SPDX-License-Identifier: LGPL-2.1-or-later
// src/host's Machine in a test host: what cockpit.js does in the page, done with nsenter and the host's file tree.
import { spawn } from "node:child_process";
import { watch } from "node:fs";
import { access, chmod, chown, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ChangedMeanwhile, CommandError, ENVIRONMENT, limitOf } from "../../src/host/run.ts";
import type { Machine, RunOptions, Stream, StreamHandlers } from "../../src/host/run.ts";
import { finish } from "./exec.ts";

/**
 * @param leader the process ID of the host's systemd, asked for at every use since it changes with a reboot
 */
export function labMachine(leader: () => number): Machine {
    const inTree = (path: string) => join(`/proc/${leader()}/root`, path);
    return {
        run: (argv, options) => run(leader(), argv, options),
        stream: (argv, handlers, options) => stream(leader(), argv, handlers, options),
        // Of the network, /proc shows that of the process that reads.
        read: path => path.startsWith("/proc/") ? readInside(leader(), path) : readOrNull(inTree(path)),
        async replace(path, content, expected) {
            const file = inTree(path);
            const found = expected === undefined ? undefined : await readOrNull(file);
            if (found !== undefined && found !== expected)
                throw new ChangedMeanwhile(path, found);
            if (content === null)
                return rm(file, { force: true });
            const before = await stat(file).catch(() => undefined);
            await writeFile(`${file}.kvm-tap-lab`, content);
            if (before) {
                await chown(`${file}.kvm-tap-lab`, before.uid, before.gid);
                await chmod(`${file}.kvm-tap-lab`, before.mode & 0o7777);
            }
            await rename(`${file}.kvm-tap-lab`, file);
        },
        watchDirectory: (path, changed) => watchDirectory(inTree(path), file => changed(join(path, file))),
    };
}

/** A command in the host: its own processes, mounts and network, root's rights; it dies when this process lets go of it. */
export function inHost(leader: number, argv: readonly string[]): string[] {
    return ["nsenter", "-t", String(leader), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "--",
        "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", ...ENVIRONMENT,
        "setpriv", "--pdeathsig", "TERM", "--", ...argv];
}

function start(leader: number, argv: readonly string[], options: RunOptions) {
    const [program = "", ...args] = inHost(leader, options.mixed ? ["sh", "-c", 'exec "$@" 2>&1', "sh", ...argv] : argv);
    // Node's standard input is a socket, which /dev/stdin cannot open; Cockpit's is a pipe.
    return options.input === undefined
        ? spawn(program, args, { stdio: "pipe" })
        : spawn("sh", ["-c", 'cat | "$@"', "sh", program, ...args], { stdio: "pipe" });
}

/** How a command ended: undefined if well. */
function failure(argv: readonly string[], status: number | null, words: string, options: RunOptions): CommandError | undefined {
    if (status === 0 || (status !== null && options.accept?.includes(status)))
        return undefined;
    if (status === 127 && (options.mixed || words.startsWith("setpriv: failed to execute")))
        return new CommandError(argv, "not-found", null, "");
    return new CommandError(argv, status === null ? "terminated" : null, status, words.trim());
}

function run(leader: number, argv: readonly string[], options: RunOptions = {}): Promise<string> {
    return new Promise((resolve, reject) => {
        const output: string[] = [];
        const child = follow(leader, argv, {
            data: chunk => output.push(chunk),
            end: error => {
                clearTimeout(timer);
                if (error)
                    reject(error);
                else
                    resolve(output.join(""));
            },
        }, options);
        const limit = limitOf(options);
        const timer = limit === undefined ? undefined : setTimeout(() => {
            reject(new CommandError(argv, "timeout", null, ""));
            child.kill();
        }, limit);
        child.stdin.end(options.input ?? "");
    });
}

function stream(leader: number, argv: readonly string[], handlers: StreamHandlers, options: RunOptions = {}): Stream {
    let closed = false;
    const child = follow(leader, argv, {
        data: chunk => { if (!closed) handlers.data(chunk); },
        end: error => { if (!closed) handlers.end(error); },
    }, options);
    return {
        write: text => { child.stdin.write(text); },
        close: () => {
            closed = true;
            child.kill();
        },
    };
}

function follow(leader: number, argv: readonly string[], handlers: StreamHandlers, options: RunOptions) {
    const child = start(leader, argv, options);
    let words = "";
    child.stdout.setEncoding("utf8").on("data", handlers.data);
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => { words += chunk; });
    child.stdin.on("error", () => { /* the command did not read its input to the end */ });
    child.on("error", error => handlers.end(new CommandError(argv, "internal-error", null, error.message)));
    child.on("close", status => handlers.end(failure(argv, status, words, options)));
    return child;
}

async function readInside(leader: number, path: string): Promise<string | null> {
    const { status, stdout, stderr } = await finish(inHost(leader, ["cat", path]));
    if (status !== 0 && !stderr.includes("No such file"))
        throw new Error(stderr);
    return status === 0 ? stdout : null;
}

async function readOrNull(file: string): Promise<string | null> {
    try {
        return await readFile(file, "utf8");
    } catch (error) {
        // Not "instanceof Error": in jest, node's own errors are of another realm.
        if (typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT")
            return null;
        throw error;
    }
}

/** A directory that does not exist yet is waited for in the nearest one that does. `changed` gets the name of what changed in it. */
function watchDirectory(directory: string, changed: (file: string) => void): { close(): void } {
    let closed = false;
    let watching: { close(): void } = { close: () => { /* nothing yet */ } };
    const begin = async (appeared: boolean) => {
        const there = await nearest(directory);
        if (closed)
            return;
        watching.close();
        watching = watch(there, (_, file) => { if (there === directory) changed(file ?? ""); else void begin(true); });
        if (there === directory && appeared)
            changed("");
        else if (there !== await nearest(directory)) // made between the look and the watch
            await begin(true);
    };
    void begin(false);
    return { close: () => { closed = true; watching.close(); } };
}

async function nearest(directory: string): Promise<string> {
    return await access(directory).then(() => true, () => false) ? directory : nearest(dirname(directory));
}
