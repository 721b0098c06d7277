// SPDX-License-Identifier: LGPL-2.1-or-later
// Runs a plan: looks again right before each step, stops at the first that fails and undoes what was done in reverse, writes the
// change into the journal, and reads the host again to see whether it is as promised. Of a step whose answer was lost nobody knows
// whether it happened: it is looked up where it can be, taken back, and never said to be undone for sure.
import type { Execute, Executed, StepState } from "../model/executed.ts";
import { parseDefinition } from "../model/guest.ts";
import { inEnglish, msg, type Message } from "../model/message.ts";
import type { Command, Expectation, FileChange, Plan, Step } from "../model/plan.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { takenBack, touchProblems, type Touch } from "../model/touch.ts";
import { unhandled } from "./coalesce.ts";
import { entryIn, journalctl } from "./history.ts";
import { Unreadable, wordsOf } from "./reading.ts";
import { ChangedMeanwhile, CommandError, PATIENCE, type Machine } from "./run.ts";
import { definitionIn, VIRSH } from "./virsh.ts";

/** Something is not as it was when the plan was made. */
class Unexpected extends Error {
    constructor(readonly says: Message, readonly words: string) {
        super(inEnglish(says));
        this.name = "Unexpected";
    }
}

/** What the executor asks of the watch: snapshots that were read after the call. */
export interface Verifier {
    /** Everything that a plan may have changed was read. Rejects where that cannot be had. */
    verify(holds: (after: Snapshot) => boolean): Promise<boolean>;
    /** What the host itself needs was read, and neighbours were asked for what such a plan takes. */
    look(touch: Touch): Promise<Snapshot>;
}

/**
 * @param user the name for the journal
 */
export function executor(machine: Machine, watch: Verifier, user: () => Promise<string>): Execute {
    return async (plan, tell) => {
        const progress: Progress = (step, state) => {
            try {
                tell(step, state);
            } catch (error) {
                unhandled(error);
            }
        };
        const failure = await refused(watch, plan) ?? await runSteps(machine, plan.steps, progress);
        if (failure)
            return failure;
        await makeDurable(machine, plan);
        await writeDown(machine, plan, user);
        const undo = undoing(plan);
        return { state: "done", ...await verified(watch, plan), ...undo && { undo } };
    };
}

/** Why nothing of the plan runs: what the host needs may have changed since it was made, and is announced by nobody. */
async function refused(watch: Verifier, { touches }: Plan): Promise<Executed | undefined> {
    try {
        const [says] = touches ? touchProblems(await watch.look(touches), touches) : [];
        return says && { state: "failed", step: 0, says, words: "", left: [] };
    } catch (error) {
        const says = error instanceof Unreadable ? error.says : msg("What this host is connected with could not be read. Nothing was changed.");
        return { state: "failed", step: 0, says, words: wordsOf(error), left: [] };
    }
}

type Progress = (step: number, state: StepState) => void;

async function verified(watch: Verifier, plan: Plan): Promise<Pick<Extract<Executed, { state: "done" }>, "holds" | "unknown">> {
    try {
        return { holds: await watch.verify(plan.holds) };
    } catch (error) {
        const says = error instanceof Unreadable ? error.says : msg("What was read of the host could not be compared with what was planned.");
        return { holds: false, unknown: { says, words: wordsOf(error) } };
    }
}

async function runSteps(machine: Machine, steps: readonly Step[], progress: Progress): Promise<Executed | undefined> {
    for (const [index, step] of steps.entries()) {
        let begun = false;
        progress(index, "running");
        try {
            const found = await check(machine, step.expects);
            begun = true;
            await apply(machine, step.does, found);
            progress(index, "done");
        } catch (error) {
            progress(index, "failed");
            const lost = begun && isLost(error);
            const partly = lost ? step.partial ?? await mayHaveHappened(machine, step) : begun && step.partial;
            const left = await undoSteps(machine, steps, partly ? index : index - 1, progress);
            const unsure = lost && step.does.type === "command" && !step.inert ? [unsureOf(step.does)] : [];
            return { state: "failed", step: index, ...begun ? reason(error, step.does) : notBegun(error, step.does), left: [...left, ...unsure] };
        }
    }
    return undefined;
}

/** Problems of Cockpit that tell that nothing was begun. Any other one may have come after the command did what it was to do. */
const NOT_BEGUN: readonly string[] = ["not-found", "access-denied", "authentication-failed", "not-supported"];

function isLost(error: unknown): error is CommandError {
    return error instanceof CommandError && error.problem !== null && !NOT_BEGUN.includes(error.problem);
}

/** Whether what a step was to change is not any more as it was before, as far as that can be told: of a command a file tells nothing. */
async function mayHaveHappened(machine: Machine, { does, expects }: Step): Promise<boolean> {
    if (!expects || (does.type === "command" && expects.type === "file"))
        return true;
    return check(machine, expects).then(() => false, () => true);
}

/** What is still on its way to libvirt, for example, may be done after everything here was looked at. */
function unsureOf(does: Command): Message {
    return msg("Whether “$0” was done is not known; it may be done yet. Look at what the page shows.", does.argv.join(" "));
}

/** Undoes the steps up to `last`, the last one first. Goes on where one cannot be undone, and tells which. */
async function undoSteps(machine: Machine, steps: readonly Step[], last: number, progress: Progress): Promise<Message[]> {
    const left: Message[] = [];
    for (let index = last; index >= 0; index--) {
        const step = steps[index];
        if (!step?.undo)
            continue;
        try {
            await takeBack(machine, step.does, step.undo);
            progress(index, "undone");
        } catch (error) {
            progress(index, "undo-failed");
            left.push(leftBy(error, step.undo));
        }
    }
    return left;
}

/** A file only while it is as this plan wrote it; what somebody else made of it meanwhile stays. */
async function takeBack(machine: Machine, does: Command | FileChange, undo: Command | FileChange): Promise<void> {
    if (undo.type !== "file" || does.type !== "file" || does.path !== undo.path)
        return apply(machine, undo);
    try {
        await machine.replace(undo.path, undo.content, does.content);
    } catch (error) {
        if (!(error instanceof ChangedMeanwhile) || !sameContent(error.found, undo.content))
            throw error;
    }
}

function leftBy(error: unknown, undo: Command | FileChange): Message {
    if (error instanceof ChangedMeanwhile)
        return msg("$0 was changed by somebody else meanwhile, and was left as it is.", error.path);
    return undo.type === "file"
        ? msg("$0 could not be put back as it was: $1", undo.path, wordsOf(error))
        : msg("“$0” failed: $1", undo.argv.join(" "), wordsOf(error));
}

interface Reason {
    says: Message;
    words: string;
}

function notBegun(error: unknown, does: Command | FileChange): Reason {
    if (error instanceof Unexpected)
        return { says: error.says, words: error.words };
    return isLost(error)
        ? { says: msg("This step was not begun: what it changes could not be read again."), words: wordsOf(error) } : reason(error, does);
}

function reason(error: unknown, does: Command | FileChange): Reason {
    if (isLost(error) && does.type === "command")
        return { says: msg("The answer of $0 was lost: it is not known whether this step was done.", does.argv[0] ?? ""), words: wordsOf(error) };
    if (error instanceof ChangedMeanwhile)
        return { says: changedFile(error.path), words: error.found ?? "" };
    if (error instanceof CommandError && error.problem === "access-denied")
        return { says: msg("This needs administrative access."), words: wordsOf(error) };
    if (error instanceof CommandError && error.problem === "not-found")
        return { says: msg("$0 is not installed on this host.", error.argv[0] ?? ""), words: wordsOf(error) };
    if (does.type === "file")
        return { says: msg("$0 could not be written.", does.path), words: wordsOf(error) };
    return { says: msg("$0 failed.", does.argv[0] ?? ""), words: wordsOf(error) };
}

function changedFile(path: string): Message {
    return msg("$0 was changed by somebody else meanwhile. Look at the new state and try again.", path);
}

/** virsh waits for libvirt as long as that takes, which is for ever where libvirt hangs; other programs end by themselves. */
const limitOf = ({ argv }: Command) => argv[0] === "virsh" ? { timeout: PATIENCE } : {};

/** @param found the file as `check` has read it */
async function apply(machine: Machine, does: Command | FileChange, found?: string | null): Promise<void> {
    if (does.type === "file")
        return machine.replace(does.path, does.content, found);
    try {
        await machine.run(does.argv, {
            superuser: "require", ...limitOf(does),
            ...does.input !== undefined && { input: does.input },
            ...does.accept && { accept: does.accept },
        });
    } catch (error) {
        throw does.unit !== undefined && error instanceof CommandError ? await explained(machine, error, does.unit) : error;
    }
}

/**
 * With what the unit itself said about its last run: systemctl only refers to it. By time and name, since journald cannot tell
 * the unit of a process that has ended already.
 */
async function explained(machine: Machine, error: CommandError, unit: string): Promise<CommandError> {
    const ask = (...argv: string[]) => machine.run(argv).then(output => output.trim(), () => "");
    const started = await ask("systemctl", "show", "--timestamp=unix", "--property=ExecMainStartTimestamp", "--value", unit);
    if (!started.startsWith("@"))
        return error;
    await ask("journalctl", "--sync");
    const lines = (await ask(...journalctl("--quiet", `--since=${started}`))).split("\n").flatMap(line => entryIn(line)?.text ?? []);
    const name = unit.replace(/^kvm-tap@(.*)\.service$/, "$1");
    const said = lines.filter(line => line.includes(name)).slice(-10).join("\n");
    return new CommandError(error.argv, error.problem, error.exitStatus, said || error.words);
}

/** Answers what is in the file, where one is expected to be so. */
async function check(machine: Machine, expects: Expectation | undefined): Promise<string | null | undefined> {
    switch (expects?.type) {
        case undefined:
            return undefined;
        case "file":
            return checkFile(machine, expects.path, expects.content);
        case "interface":
            return checkInterface(machine, expects);
        case "table":
            return checkTable(machine, expects);
    }
}

/** An empty file and none are the same here: the reader of all files does not see empty ones. */
function sameContent(one: string | null, other: string | null): boolean {
    return (one || null) === (other || null);
}

async function checkFile(machine: Machine, path: string, content: string | null): Promise<string | null> {
    const now = await machine.read(path);
    if (!sameContent(now, content))
        throw new Unexpected(changedFile(path), now ?? "");
    return now;
}

async function checkInterface(machine: Machine, expects: Extract<Expectation, { type: "interface" }>): Promise<undefined> {
    const inactive = expects.which === "configured" ? ["--inactive"] : [];
    const xml = definitionIn(await machine.run([...VIRSH, "dumpxml", ...inactive, expects.uuid]));
    const now = xml === undefined ? undefined : parseDefinition(xml).interfaces[expects.index]?.xml;
    if (now !== expects.xml)
        throw new Unexpected(msg("The interface was changed by somebody else meanwhile. Look at the new state and try again."), now ?? "");
}

async function checkTable(machine: Machine, expects: Extract<Expectation, { type: "table" }>): Promise<undefined> {
    const now = await machine.run(["nft", "--stateless", "list", "table", expects.family, expects.table]);
    if (now.trim() !== expects.listing.trim())
        throw new Unexpected(
            msg("The nftables table $0 was changed by somebody else meanwhile. Look at the new state and try again.", expects.table), now);
}

/** A plan that takes the change back, where every step can be: files only while they are as this plan wrote them. */
export function undoing(plan: Plan): Plan | undefined {
    const steps: Step[] = [];
    for (const { does, undo: within, back, shows, partial, inert } of [...plan.steps].reverse()) {
        if (inert)
            continue;
        // An armed change is taken back by another one: its own undo is for as long as it waits for its confirmation.
        const undo = plan.confirm && within ? back : within;
        if (!undo || !within)
            return undefined;
        steps.push({
            says: undo.type === "file" ? msg("Put $0 back as it was", undo.path) : msg("Take back by “$0”", undo.argv.join(" ")),
            does: undo,
            undo: back ? within : does,
            ...partial && { partial },
            ...does.type === "file" && { expects: { type: "file", path: does.path, content: does.content } },
            ...shows && { shows: { before: shows.after, after: shows.before } },
        });
    }
    const { device, guest } = plan.about ?? {};
    const about = { ...device !== undefined && { device }, ...guest !== undefined && { guest } };
    return {
        title: msg("Take the last change back"), steps, holds: after => !plan.holds(after), ...plan.about && { about }, ...plan.confirm && { confirm: plan.confirm },
        ...plan.touches && { touches: takenBack(plan.touches) },
    };
}

const UNITS = "/etc/systemd/system";

/** Where the names are that a step made or removed: of files, and of enabled units. */
function directoriesOf({ does }: Step): string[] {
    if (does.type === "file")
        return [does.path.replace(/\/[^/]*$/, "") || "/"];
    return does.argv[0] === "systemctl" && /^(en|dis)able$/.test(does.argv[1] ?? "") ? [UNITS, `${UNITS}/multi-user.target.wants`] : [];
}

/**
 * A power cut right after a plan is not to lose it. Cockpit syncs the files that it writes but not the names that it gives them
 * (fsreplace1), and systemctl syncs no links.
 */
async function makeDurable(machine: Machine, plan: Plan): Promise<void> {
    const directories = [...new Set(plan.steps.flatMap(directoriesOf))];
    if (directories.length === 0)
        return;
    // One of them may not be there (the last unit was disabled): then all that is in memory is written.
    await machine.run(["sync", ...directories], { superuser: "require" })
            .catch(() => machine.run(["sync"], { superuser: "require" })).catch(() => undefined);
}

/** A line of the history. A change that was made is not taken back because nobody could write it down. */
async function writeDown(machine: Machine, plan: Plan, user: () => Promise<string>): Promise<void> {
    const line = (value: string) => value.replace(/\s+/g, " ");
    const fields = {
        MESSAGE: inEnglish(plan.title),
        SYSLOG_IDENTIFIER: "kvm-tap",
        PRIORITY: "5",
        KVM_TAP_EVENT: "changed",
        KVM_TAP_DEVICE: plan.about?.device,
        KVM_TAP_GUEST: plan.about?.guest,
        KVM_TAP_USER: await user().catch(() => undefined),
        KVM_TAP_WAS: plan.about?.was,
    };
    const input = Object.entries(fields).filter(([, value]) => value !== undefined).map(([key, value]) => `${key}=${line(value ?? "")}\n`);
    await machine.run(["logger", "--journald"], { input: input.join(""), superuser: "require", timeout: PATIENCE }).catch(() => undefined);
}
