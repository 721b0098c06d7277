// SPDX-License-Identifier: LGPL-2.1-or-later
// What becomes of a plan when things go wrong.
import { jest } from "@jest/globals";
import { executor, undoing, type Verifier } from "../../../src/host/execute.ts";
import { Unreadable } from "../../../src/host/reading.ts";
import { ChangedMeanwhile, CommandError, type Machine, type RunOptions } from "../../../src/host/run.ts";
import { msg } from "../../../src/model/message.ts";
import type { Plan, Step } from "../../../src/model/plan.ts";
import { NOTHING_READ, type Snapshot } from "../../../src/model/snapshot.ts";
import type { Touch } from "../../../src/model/touch.ts";

const says = msg("Do it");
const command = (...argv: string[]) => ({ type: "command" as const, argv });
const file = (path: string, content: string | null) => ({ type: "file" as const, path, content });

interface Fake {
    fails?: string[];
    files?: Record<string, string>;
    /** Commands, and files by path, whose answer is lost, with what happens all the same. */
    lost?: Record<string, { problem: string; happens?: boolean }>;
    verify?: Verifier["verify"];
    now?: Snapshot;
    /** What is done right before a file is written. */
    meanwhile?: (files: Map<string, string>) => void;
}

/** A machine with files, on which the commands named in `fails` fail. */
function fake(
    { fails = [], files = {}, lost = {}, now = NOTHING_READ, verify = holds => Promise.resolve(holds({} as never)), meanwhile }: Fake = {},
) {
    const log: string[] = [];
    const content = new Map(Object.entries(files));
    const silent = new Map(Object.entries(lost));
    const options: RunOptions[] = [];
    const machine: Machine = {
        run(argv, given = {}) {
            log.push(argv.join(" "));
            options.push(given);
            const gone = silent.get(argv.join(" "));
            if (gone)
                return Promise.reject(new CommandError(argv, gone.problem, null, ""));
            return fails.includes(argv.join(" "))
                ? Promise.reject(new CommandError(argv, null, 2, `${argv[0]}: no`))
                : Promise.resolve("");
        },
        stream: () => { throw new Error("not here"); },
        watchDirectory: () => { throw new Error("not here"); },
        read: path => Promise.resolve(content.get(path) ?? null),
        replace(path, text, expected) {
            meanwhile?.(content);
            const found = content.get(path) ?? null;
            log.push(`${text === null ? "remove" : "write"} ${path}`);
            if (expected !== undefined && expected !== found)
                return Promise.reject(new ChangedMeanwhile(path, found));
            const gone = silent.get(path);
            silent.delete(path);
            if (gone && !gone.happens)
                return Promise.reject(new CommandError([path], gone.problem, null, ""));
            if (text === null)
                content.delete(path);
            else
                content.set(path, text);
            return gone ? Promise.reject(new CommandError([path], gone.problem, null, "")) : Promise.resolve();
        },
    };
    const look = () => Promise.resolve(now);
    const execute = executor(machine, { verify, look }, () => Promise.resolve("ann\nbob"));
    const states: string[] = [];
    const run = (steps: Step[], holds = true, touches: Touch = {}) => execute({ title: msg("Make $0", "it"), steps, touches, holds: () => holds },
        (step, state) => states.push(`${step} ${state}`));
    return { run, log, states, content, options, machine, look };
}

test("what has been done outlasts a power cut: files with their folders, and links of units", async () => {
    const steps = [
        { says, does: file("/etc/kvm-tap/a.tap", "x") }, { says, does: file("/etc/kvm-tap/b.tap", null) },
        { says, does: command("systemctl", "enable", "--now", "kvm-tap@a.service") },
    ];
    const wanted = "sync /etc/kvm-tap /etc/systemd/system /etc/systemd/system/multi-user.target.wants";
    const { run, log } = fake();
    await run(steps);
    expect(log.slice(3, 4)).toEqual([wanted]);
    const missing = fake({ fails: [wanted] });
    await missing.run(steps);
    expect(missing.log.slice(3, 5)).toEqual([wanted, "sync"]);
    const none = fake();
    await none.run([{ says, does: command("virsh", "define") }]);
    expect(none.log).not.toContain("sync");
});

test("all steps run, the change is written down with its user, and verified", async () => {
    const { run, log, states, options } = fake();
    expect(await run([{ says, does: command("one") }, { says, does: file("/f", "x") }], false)).toMatchObject({ state: "done", holds: false });
    expect(log).toEqual(["one", "write /f", "sync /", "logger --journald"]);
    expect(options[2]?.input).toBe("MESSAGE=Make it\nSYSLOG_IDENTIFIER=kvm-tap\nPRIORITY=5\nKVM_TAP_EVENT=changed\nKVM_TAP_USER=ann bob\n");
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

const expects = { type: "file", path: "/f", content: "old" } as const;

test("a file is written only over what was read of it right before, and put back only over what was written", async () => {
    const theirs = fake({ files: { "/f": "old" }, meanwhile: files => files.set("/f", "theirs") });
    const result = await theirs.run([{ says, does: file("/f", "new"), expects, undo: file("/f", "old") }]);
    expect(result).toMatchObject({ state: "failed", says: { id: expect.stringMatching(/changed by somebody else/) }, left: [] });
    expect(theirs.content.get("/f")).toBe("theirs");
    let writes = 0;
    const later = fake({ fails: ["two"], files: { "/f": "old" }, meanwhile: files => { if (++writes === 2) files.set("/f", "theirs"); } });
    expect(await later.run([{ says, does: file("/f", "new"), expects, undo: file("/f", "old") }, { says, does: command("two") }])).toMatchObject({
        state: "failed", left: [msg("$0 was changed by somebody else meanwhile, and was left as it is.", "/f")],
    });
    expect(later.content.get("/f")).toBe("theirs");
    const empty = fake({ files: { "/f": "" } });
    expect((await empty.run([{ says, does: file("/f", "new"), expects: { ...expects, content: null } }])).state).toBe("done");
});

test.each([[true], [false]])("a file whose answer was lost is as it was before, whether it was written or not: %s", async happens => {
    const { run, content, states } = fake({ files: { "/f": "old" }, lost: { "/f": { problem: "disconnected", happens } } });
    const result = await run([{ says, does: file("/f", "new"), expects, undo: file("/f", "old") }]);
    expect(result).toMatchObject({ state: "failed", says: msg("$0 could not be written.", "/f"), left: [] });
    expect(content.get("/f")).toBe("old");
    expect(states).toEqual(happens ? ["0 running", "0 failed", "0 undone"] : ["0 running", "0 failed"]);
});

test.each(["terminated", "timeout", "disconnected", "cancelled", "internal-error", "no-such-problem"])(
    "a command that ended with \"%s\" may have happened: it is taken back, and nobody says that nothing did", async problem => {
        const { run, log } = fake({ lost: { attach: { problem } } });
        const result = await run([{ says, does: command("one"), undo: command("undo-one") }, { says, does: command("attach"), undo: command("detach") }]);
        expect(log).toEqual(["one", "attach", "detach", "undo-one"]);
        expect(result).toMatchObject({
            state: "failed", step: 1, says: msg("The answer of $0 was lost: it is not known whether this step was done.", "attach"),
            left: [msg("Whether “$0” was done is not known; it may be done yet. Look at what the page shows.", "attach")],
        });
    });

test.each(["not-found", "access-denied"])("one that ended with \"%s\" was not begun", async problem => {
    const { run, log } = fake({ lost: { attach: { problem } } });
    expect(await run([{ says, does: command("attach"), undo: command("detach") }])).toMatchObject({ state: "failed", left: [] });
    expect(log).toEqual(["attach"]);
});

test("what cannot be taken back is told, too; a check is not", async () => {
    const { run } = fake({ lost: { attach: { problem: "terminated" }, check: { problem: "terminated" } } });
    expect(await run([{ says, does: command("attach") }])).toMatchObject({ left: [{ id: expect.stringMatching(/may be done yet/) }] });
    expect(await run([{ says, does: command("check"), inert: true }])).toMatchObject({ left: [] });
});

const table = { type: "table", family: "inet", table: "t", listing: "" } as const;

test("a lost command whose effect can be looked up is taken back only where there is one", async () => {
    const asBefore = fake({ lost: { attach: { problem: "timeout" } } });
    await asBefore.run([{ says, does: command("attach"), expects: table, undo: command("detach") }]);
    const list = "nft --stateless list table inet t";
    expect(asBefore.log).toEqual([list, "attach", list]);
});

test("a step is not begun where what it changes cannot be read again, and nothing of it is taken back", async () => {
    const { run, log } = fake({ lost: { "nft --stateless list table inet t": { problem: "timeout" } } });
    expect(await run([{ says, does: command("attach"), expects: table, undo: command("detach"), partial: true }])).toMatchObject({
        state: "failed", says: msg("This step was not begun: what it changes could not be read again."), left: [],
    });
    expect(log).toHaveLength(1);
});

test("virsh is waited for only so long, other programs as long as they take", async () => {
    const { run, options } = fake();
    await run([{ says, does: command("virsh", "define") }, { says, does: command("systemctl", "start", "x") }]);
    expect(options.map(({ timeout }) => timeout)).toEqual([45_000, undefined, 45_000]);
});

test.each<[string, Verifier["verify"], string, string]>([
    ["cannot be read again", () => Promise.reject(new Unreadable(msg("It hangs."), "no answer")), "It hangs.", "no answer"],
    ["cannot be judged", holds => Promise.resolve(holds({} as never)), "What was read of the host could not be compared with what was planned.", "odd"],
])("a host that %s after all steps ends in a sentence", async (_what, verify, sentence, words) => {
    const { machine, look } = fake();
    const execute = executor(machine, { verify, look }, () => Promise.reject(new Error("nobody")));
    const result = await execute({ title: says, steps: [{ says, does: command("one") }], holds: () => { throw new Error("odd"); } }, () => undefined);
    expect(result).toEqual({ state: "done", holds: false, unknown: { says: msg(sentence), words } });
});

test("a listener that throws does not stop a plan", async () => {
    const silent = jest.spyOn(console, "error").mockImplementation(() => undefined);
    const { machine, look, log } = fake({ fails: ["two"] });
    const execute = executor(machine, { verify: () => Promise.resolve(true), look }, () => Promise.resolve("ann"));
    const result = await execute({
        title: says, holds: () => true, steps: [{ says, does: command("one"), undo: command("undo-one") }, { says, does: command("two") }],
    }, () => { throw new Error("gone"); });
    expect(result).toMatchObject({ state: "failed", step: 1, left: [] });
    expect(log).toEqual(["one", "two", "undo-one"]);
    silent.mockRestore();
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

test("what the host has come to need since the plan was made stops it before its first command", async () => {
    const read = <T,>(value: T) => ({ state: "read" as const, value });
    const needs = { nameServers: [], neighbours: [], unknown: [], ways: new Map(), tables: { 4: undefined, 6: undefined }, peers: [{ address: "10.0.0.2" }] };
    const now: Snapshot = {
        ...NOTHING_READ, links: read([]), addresses: read(new Map()), routes: read([]), rules: read([]), guests: read([]),
        files: read(new Map()),
        needs: read(needs),
    };
    const to = (destination: string): Touch => ({ gives: [{ name: "t0", addresses: [], routes: [{ destination }] }] });
    const { run, log } = fake({ now });
    expect(await run([{ says, does: command("make") }], true, to("10.0.0.0/24"))).toMatchObject({ state: "failed", says: { args: ["10.0.0.0/24", "10.0.0.2"] } });
    expect(log).toEqual([]);
    expect(await run([{ says, does: command("make") }], true, to("10.0.1.0/24"))).toMatchObject({ state: "done" });
});

test("a host that cannot be looked at: nothing runs, and the plan ends with a sentence", async () => {
    const { machine, log } = fake();
    const look = () => Promise.reject(new Error("ip ended"));
    const execute = executor(machine, { verify: () => Promise.resolve(true), look }, () => Promise.resolve("ann"));
    const touches: Touch = { gives: [{ name: "t0", addresses: [], routes: [{ destination: "10.0.0.0/24" }] }] };
    expect(await execute({ title: says, steps: [{ says, does: command("make") }], touches, holds: () => true }, () => undefined)).toMatchObject({
        state: "failed", step: 0, words: "ip ended", left: [], says: msg("What this host is connected with could not be read. Nothing was changed."),
    });
    expect(log).toEqual([]);
});
