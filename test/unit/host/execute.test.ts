// SPDX-License-Identifier: LGPL-2.1-or-later
// What becomes of a plan when things go wrong.
import { executor, undoing } from "../../../src/host/execute.ts";
import { CommandError, type Machine, type RunOptions } from "../../../src/host/run.ts";
import { msg } from "../../../src/model/message.ts";
import type { Plan, Step } from "../../../src/model/plan.ts";

const says = msg("Do it");
const command = (...argv: string[]) => ({ type: "command" as const, argv });
const file = (path: string, content: string | null) => ({ type: "file" as const, path, content });

/** A machine with files, on which the commands named in `fails` fail. */
function fake({ fails = [], files = {} }: { fails?: string[]; files?: Record<string, string> } = {}) {
    const log: string[] = [];
    const content = new Map(Object.entries(files));
    const options: RunOptions[] = [];
    const machine: Machine = {
        run(argv, given = {}) {
            log.push(argv.join(" "));
            options.push(given);
            return fails.includes(argv.join(" "))
                ? Promise.reject(new CommandError(argv, null, 2, `${argv[0]}: no`))
                : Promise.resolve("");
        },
        stream: () => { throw new Error("not here"); },
        watchDirectory: () => { throw new Error("not here"); },
        read: path => Promise.resolve(content.get(path) ?? null),
        replace(path, text) {
            log.push(`${text === null ? "remove" : "write"} ${path}`);
            if (text === null)
                content.delete(path);
            else
                content.set(path, text);
            return Promise.resolve();
        },
    };
    const execute = executor(machine, { verify: holds => Promise.resolve(holds({} as never)) }, () => Promise.resolve("ann\nbob"));
    const states: string[] = [];
    const run = (steps: Step[], holds = true) => execute({ title: msg("Make $0", "it"), steps, holds: () => holds },
        (step, state) => states.push(`${step} ${state}`));
    return { run, log, states, content, options };
}

test("all steps run, the change is written down with its user, and verified", async () => {
    const { run, log, states, options } = fake();
    expect(await run([{ says, does: command("one") }, { says, does: file("/f", "x") }], false)).toMatchObject({ state: "done", holds: false });
    expect(log).toEqual(["one", "write /f", "logger --journald"]);
    expect(options[1]?.input).toBe("MESSAGE=Make it\nSYSLOG_IDENTIFIER=kvm-tap\nPRIORITY=5\nKVM_TAP_EVENT=changed\nKVM_TAP_USER=ann bob\n");
    expect(states).toEqual(["0 running", "0 done", "1 running", "1 done"]);
    expect(options[0]?.superuser).toBe("require");
});

test("a step that fails stops the plan; what ran is undone in reverse; nothing is written down", async () => {
    const { run, log, states, content } = fake({ fails: ["three"], files: { "/f": "old" } });
    const result = await run([
        { says, does: command("one"), undo: command("undo-one") },
        { says, does: file("/f", "new"), undo: file("/f", "old") },
        { says, does: command("three"), undo: command("undo-three") },
        { says, does: command("four") },
    ]);
    expect(result).toEqual({ state: "failed", step: 2, says: msg("$0 failed.", "three"), words: "three: no", left: [] });
    expect(log).toEqual(["one", "write /f", "three", "write /f", "undo-one"]);
    expect(content.get("/f")).toBe("old");
    expect(states.slice(-3)).toEqual(["2 failed", "1 undone", "0 undone"]);
});

test("a step that may be half done is undone itself", async () => {
    const { run, log } = fake({ fails: ["enable"] });
    await run([{ says, does: command("enable"), undo: command("disable"), partial: true }]);
    expect(log).toEqual(["enable", "disable"]);
});

test("what cannot be undone is told, and the rest is undone all the same", async () => {
    const { run, log, states } = fake({ fails: ["two", "undo-one"] });
    const result = await run([
        { says, does: file("/f", "x"), undo: file("/f", null) },
        { says, does: command("one"), undo: command("undo-one") }, { says, does: command("two") },
    ]);
    expect(result).toMatchObject({ state: "failed", left: [msg("“$0” failed: $1", "undo-one", "undo-one: no")] });
    expect(log).toEqual(["write /f", "one", "two", "undo-one", "remove /f"]);
    expect(states).toContain("1 undo-failed");
});

test.each([
    ["another content", { "/f": "theirs" }, "mine", false], ["none, now there", { "/f": "theirs" }, null, false],
    ["the same", { "/f": "mine" }, "mine", true], ["gone", {}, "mine", false], ["empty, which is like none", { "/f": "" }, null, true],
])("a file is written only where it is as it was: %s", async (_what, files, expected, runs) => {
    const { run, log } = fake({ files });
    const result = await run([{ says, does: file("/f", "new"), expects: { type: "file", path: "/f", content: expected } }]);
    expect(result.state).toBe(runs ? "done" : "failed");
    expect(log.includes("write /f")).toBe(runs);
});

test("an undo takes every step back, in reverse, and files only while they are as written; checks are left out", () => {
    const plan: Plan = {
        title: says, holds: () => true,
        steps: [
            { says, does: command("check"), inert: true },
            { says, does: file("/f", "new"), undo: file("/f", "old") }, { says, does: command("up"), undo: command("down") },
        ],
    };
    expect(undoing(plan)?.steps).toMatchObject([
        { does: command("down"), undo: command("up") },
        { does: file("/f", "old"), undo: file("/f", "new"), expects: { path: "/f", content: "new" } },
    ]);
    expect(undoing({ ...plan, steps: [{ says, does: command("for ever") }] })).toBeUndefined();
});
