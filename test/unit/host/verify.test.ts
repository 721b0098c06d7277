// SPDX-License-Identifier: LGPL-2.1-or-later
// After a plan the host is read again: that ends, whatever does not answer.
import { jest } from "@jest/globals";
import { executor } from "../../../src/host/execute.ts";
import type { Machine } from "../../../src/host/run.ts";
import { watchHost, type HostWatch } from "../../../src/host/watch.ts";
import type { Executed } from "../../../src/model/executed.ts";
import { inEnglish, msg } from "../../../src/model/message.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";


/** A host without guests and links; `silent` are programs that never answer, `broken` those that say nothing of use. */
function host(silent: readonly string[], broken: readonly string[] = []): Machine {
    const never = new Promise<never>(() => undefined);
    const answer = (program: string, line: string) => {
        switch (program) {
        case "ip": return broken.includes(program) ? "No.\nCommand failed -:1\n" : "[]\n";
        case "nft": return /^end_/.test(line) ? `\n${line}\n^^\n` : "Error: No such file or directory\n";
        default: {
            const mark = /^echo '(.*)''(.*)'$/.exec(line);
            return mark ? `${mark[1]}${mark[2]}\n` : line === "version --daemon" ? "Using API: QEMU 11.3.0\nRunning against daemon: 11.3.0\n" : "";
        }
        }
    };
    return {
        run: ([program = ""]) => silent.includes(program) ? never : Promise.resolve(""),
        stream(argv, handlers) {
            const [program = ""] = argv;
            const asked = !argv.includes("monitor") && !argv.includes("event") && program !== "journalctl";
            return {
                write(text) {
                    if (asked && !silent.includes(program))
                        queueMicrotask(() => text.split("\n").slice(0, -1).forEach(line => handlers.data(answer(program, line))));
                },
                close: () => undefined,
            };
        },
        read: () => Promise.resolve(null),
        replace: () => Promise.resolve(),
        watchDirectory: () => ({ close: () => undefined }),
    };
}

let watch: HostWatch | undefined;
let snapshot: Snapshot = NOTHING_READ;
beforeEach(() => { jest.useFakeTimers(); });
afterEach(() => {
    watch?.close();
    jest.useRealTimers();
});

function opened(machine: Machine): HostWatch {
    watch?.close();
    snapshot = NOTHING_READ;
    watch = watchHost(machine, now => { snapshot = now; });
    return watch;
}

/** In short steps: between two of them all that follows from one another is done, however long the chain. */
async function pass(milliseconds: number) {
    for (let rest = milliseconds; rest > 0; rest -= 50)
        await jest.advanceTimersByTimeAsync(50);
}

/** What becomes of a plan, and after how many milliseconds at most. */
async function ran(machine: Machine, holds: () => boolean, seconds: number): Promise<Executed | undefined> {
    const execute = executor(machine, opened(machine), () => Promise.resolve("ann"));
    let result: Executed | undefined;
    void execute({ title: msg("Do it"), steps: [], holds }, () => undefined).then(now => { result = now; });
    await pass(seconds * 1000);
    return result;
}

test.each(["virsh", "ip", "nft", "sh", "systemctl", "find"])("%s hangs: the plan ends with a sentence within 20 seconds", async program => {
    const result = await ran(host([program]), () => true, 20.5);
    expect(result).toMatchObject({ state: "done", holds: false, unknown: { says: msg("The host could not be read again within $0 seconds.", "20") } });
});

test("where all answers, a promise that does not come true is said to be broken after three seconds", async () => {
    expect(await ran(host([]), () => false, 4)).toEqual({ state: "done", holds: false, undo: expect.anything() });
    expect(await ran(host([]), () => true, 4)).toEqual({ state: "done", holds: true, undo: expect.anything() });
});

test("where a part cannot be read, its sentence is told instead", async () => {
    expect(await ran(host([], ["ip"]), () => false, 5)).toMatchObject({ holds: false, unknown: { says: msg("The links of this host cannot be read.") } });
    expect(await ran(host([], ["ip"]), () => true, 5)).toEqual({ state: "done", holds: true, undo: expect.anything() });
});

test("a promise that throws ends in a sentence, at once", async () => {
    const result = await ran(host([]), () => { throw new Error("odd"); }, 1);
    expect(result).toMatchObject({ state: "done", holds: false, unknown: { words: "odd" } });
});

test("a libvirt that hangs is said to hang, hides nothing else, and can be tried again", async () => {
    const silent = ["virsh"];
    const machine = host(silent);
    const on = opened(machine);
    await pass(44_000);
    expect([snapshot.guests.state, snapshot.links.state, snapshot.natTable.state, snapshot.files.state]).toEqual(["reading", "read", "read", "read"]);
    await pass(2000);
    const says = [snapshot.guests, snapshot.libvirt].map(part => part.state === "failed" ? inEnglish(part.says) : part.state);
    expect(says).toEqual(Array(2).fill(expect.stringMatching(/^libvirt does not answer\. It hangs/)));
    silent.pop();
    on.retry();
    await pass(2000);
    expect([snapshot.guests.state, snapshot.libvirt.state]).toEqual(["read", "read"]);
});

test("what libvirt does not tell of itself hides no guest", async () => {
    const machine = host([]);
    const { stream } = machine;
    const without: Machine = {
        ...machine,
        stream(argv, handlers, options) {
            return stream(argv, { ...handlers, data: chunk => handlers.data(chunk.startsWith("Using API") ? "error: no version\n" : chunk) }, options);
        },
    };
    opened(without);
    await pass(3000);
    expect([snapshot.guests.state, snapshot.libvirt.state]).toEqual(["read", "failed"]);
});

test.each(["ip", "ss"])("%s hangs while the host is looked at: nothing runs, and a sentence comes within 20 seconds", async program => {
    const execute = executor(host([program]), opened(host([program])), () => Promise.resolve("ann"));
    const touches = { gives: [{ name: "t0", addresses: [], routes: [{ destination: "10.0.0.0/24" }] }] };
    const states: string[] = [];
    let result: Executed | undefined;
    const steps = [{ says: msg("Do it"), does: { type: "command" as const, argv: ["make"] } }];
    void execute({ title: msg("Do it"), steps, touches, holds: () => true }, (_step, state) => states.push(state)).then(now => { result = now; });
    await pass(20_500);
    expect(result).toMatchObject({ state: "failed", step: 0, left: [], says: { id: expect.stringMatching(/^What this host is connected with could not be read/) } });
    expect(states).toEqual([]);
    expect(snapshot.needs.state).toBe("failed");
});
