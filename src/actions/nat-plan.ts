// SPDX-License-Identifier: LGPL-2.1-or-later
// Every change of NAT as a plan: from the state that runs to the wished one. Each is armed: the host puts it back by itself unless it is
// confirmed, and its files are written with the confirmation.
import type { Message } from "../model/message.ts";
import { msg } from "../model/message.ts";
import type { Mapping, NatElements, NatState } from "../model/nat.ts";
import { mappingKey, natElements, normalState } from "../model/nat.ts";
import { announcements, elementChanges, endings, transaction } from "../model/nat-change.ts";
import { NAT_FILE, natFile } from "../model/nat-file.ts";
import { REMOVE_TABLE } from "../model/nat-frame.ts";
import { LINK_SETTINGS_FILE, linkSettingsFile } from "../model/nat-link-settings.ts";
import type { NatReading } from "../model/nat-reading.ts";
import { agreement, currentState, isEmpty, natHolds, natReading, readingProblem } from "../model/nat-reading.ts";
import type { Command, Planned, Step } from "../model/plan.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Translation } from "../model/touch.ts";
import { contentOf, fileSteps, plannedWith } from "./tap-steps.ts";

export const NAT_HELPER = "/usr/lib/kvm-tap/kvm-tap-nat";

/** How long an armed change waits for its confirmation, in seconds. */
export const CONFIRM_SECONDS = 15;

/** Where a change leads from and to. `text` is the new nat.nft, null for none, where it is not what `after` gives. */
interface Change {
    snapshot: Snapshot;
    reading: NatReading;
    before: NatState;
    after: NatState;
    text?: string;
}

function command(argv: readonly string[], input?: string): Command {
    return { type: "command", argv, ...input !== undefined && { input } };
}

/** A text as kvm-tap-nat takes it; null for none. */
function lines(text: string | null): string[] | null {
    return text === null ? null : text.replace(/\n$/, "").split("\n");
}

/** The new nat.nft; null when nothing is left. */
function fileOf({ after, text }: Change): string | null {
    return isEmpty(after) ? null : text ?? natFile(after);
}

/**
 * What nft is told. Where the rules themselves change with it (there are none yet, they are of an older version, or a file says its own)
 * the whole file, else the elements that differ, oddities included.
 */
function kernelText(change: Change): string {
    const { reading: { running }, after, text } = change;
    if (isEmpty(after))
        return REMOVE_TABLE;
    const there: NatElements = running?.elements ?? new Map();
    return !running || running.outdated || text !== undefined ? fileOf(change) ?? ""
        : transaction(elementChanges(there, natElements(after)));
}

/** What a change leaves in files; null: no such file. */
interface Files {
    mappings: string | null;
    sysctl: string | null;
}

/** A change as `kvm-tap-nat arm` and `apply` read it (pkg/host/kvm_tap/change.py), one line of a text a line for those who look at it. */
function changeText(nft: string, { mappings, sysctl }: Files, before: NatState, after: NatState): string {
    return JSON.stringify({
        version: 1, nft: lines(nft), save: { mappings: lines(mappings), sysctl: lines(sysctl) },
        end: endings(before, after), announce: announcements(before, after),
    }, null, 1) + "\n";
}

function arm(text: string): Command {
    return command([NAT_HELPER, "arm", String(CONFIRM_SECONDS)], text);
}

/** The files as they are. */
function filesNow({ snapshot, reading }: Change): Files {
    return { mappings: reading.saved?.text ?? null, sysctl: contentOf(snapshot, LINK_SETTINGS_FILE) };
}

/** The way back once it has been confirmed: another armed change. None where what ran had never been saved. */
function back(change: Change): Command | undefined {
    const { reading, before, after, text } = change;
    if (!reading.saved && !isEmpty(before))
        return undefined;
    const whole = isEmpty(after) || text !== undefined || reading.running?.outdated === true;
    const nft = isEmpty(before) ? REMOVE_TABLE : whole ? natFile(before)
        : transaction(elementChanges(natElements(after), natElements(before)));
    return arm(changeText(nft, filesNow(change), after, before));
}

function armStep(change: Change, nft: string, files: Files): Step {
    const { before, after } = change;
    const inverse = back(change);
    return {
        says: endings(before, after).length > 0
            ? msg("Change the running table and end the connections of changed mappings; the host puts it back after $0 seconds unless confirmed",
                String(CONFIRM_SECONDS))
            : msg("Change the running table; the host puts it back after $0 seconds unless confirmed", String(CONFIRM_SECONDS)),
        does: arm(changeText(nft, files, before, after)),
        expects: { type: "file", path: NAT_FILE, content: filesNow(change).mappings },
        undo: command([NAT_HELPER, "revert"]),
        ...inverse && { back: inverse },
        shows: { before: "", after: transaction(elementChanges(natElements(before), natElements(after))) },
    };
}

function steps(change: Change): Step[] {
    const nft = kernelText(change);
    const files = { mappings: fileOf(change), sysctl: linkSettingsFile(change.snapshot, change.after) };
    const now = filesNow(change);
    const nothing = isEmpty(change.after) ? !change.reading.running : nft === "";
    if (nothing && files.mappings === now.mappings && files.sysctl === now.sysctl)
        return [];
    const check: Step = { says: msg("Have nftables check the change"), does: command(["nft", "-c", "-f", "-"], nft), inert: true };
    return [...isEmpty(change.after) ? [] : [check], armStep(change, nft, files)];
}

export interface NatChangeOptions {
    title: Message;
    notes?: readonly Message[];
    /** The new nat.nft where somebody wrote it by hand. */
    text?: string;
}

/** A plan from what was read to this state; problems where it would take from the host what it needs itself. */
export function planState(
    snapshot: Snapshot, reading: NatReading, wished: NatState, { title, notes = [], text }: NatChangeOptions,
): Planned {
    const change: Change = {
        snapshot, reading, before: currentState(reading), after: normalState(wished), ...(text === undefined ? {} : { text }),
    };
    return plannedWith(snapshot, { translates: newlyTranslated(change) }, [], () => ({
        title,
        steps: steps(change),
        ...(notes.length > 0 ? { notes } : {}),
        confirm: { seconds: CONFIRM_SECONDS },
        holds: after => natHolds(after, change.after),
    }));
}

/**
 * Public addresses and prefixes that the host begins to hold, which it does for disabled mappings, too, or that begin to lead to guests.
 * What runs is held already, and no machine's; of a table that is not there the kernel may have forgotten it.
 */
function newlyTranslated({ reading, after }: Change): Translation[] {
    const running = reading.running?.state.mappings ?? [], held = running.map(mapping => mapping.public);
    const there = new Map(running.map(mapping => [mappingKey(mapping), mapping]));
    const begins = (mapping: Mapping) => {
        const before = there.get(mappingKey(mapping));
        return !before || (mapping.enabled && !before.enabled) || (mapping.claimed && !before.claimed);
    };
    return after.mappings.filter(begins)
        .map(({ public: outside, claimed }) => ({ public: outside, held, accepted: !claimed }));
}

/** Why nothing can be planned while the host's network is not known: whose an address is decides whom a mapping cuts off. */
export function unreadNetwork({ links, addresses, routes }: Pick<Snapshot, "links" | "addresses" | "routes">): Message | undefined {
    const parts = [links, addresses, routes];
    const failed = parts.find(part => part.state === "failed");
    if (failed?.state === "failed")
        return failed.says;
    return parts.every(part => part.state === "read") ? undefined : msg("The host's links, addresses and routes have not been read yet.");
}

/**
 * The reading that a plan can start from, or why there is none. Refused while kernel and file differ: writing the file then
 * would lose what somebody wrote into it.
 */
export function startingPoint(snapshot: Snapshot): { reading: NatReading } | { problem: Message } {
    const reading = natReading(snapshot);
    const problem = readingProblem(reading) ?? unreadNetwork(snapshot);
    if (problem || reading.state !== "read")
        return { problem: problem ?? msg("The host's NAT table has not been read yet.") };
    const now = agreement(reading.value);
    if (now === "differ" || (now === "damaged" && reading.value.running))
        return { problem: msg("The running table and $0 differ. Settle the difference first.", NAT_FILE) };
    return { reading: reading.value };
}

/** A plan from the current state to the one that `change` makes of it, without further checks. */
export function planNatChange(snapshot: Snapshot, change: (before: NatState) => NatState, options: NatChangeOptions): Planned {
    const start = startingPoint(snapshot);
    if ("problem" in start)
        return { problems: [{ says: start.problem }] };
    return planState(snapshot, start.reading, change(currentState(start.reading)), options);
}

/** What runs is saved, and loaded at every boot from now on. Nothing changes in the kernel. */
export function saveSteps(snapshot: Snapshot, reading: NatReading, state: NatState): Step[] {
    const now = { mappings: reading.saved?.text ?? null, sysctl: contentOf(snapshot, LINK_SETTINGS_FILE) };
    const apply = (files: Files) => command([NAT_HELPER, "apply"], changeText("", files, state, state));
    return [{
        says: msg("Save the mappings in $0", NAT_FILE),
        does: apply({ mappings: natFile(state), sysctl: linkSettingsFile(snapshot, state) }),
        expects: { type: "file", path: NAT_FILE, content: now.mappings },
        ...reading.saved && { undo: apply(now) },
        shows: { before: now.mappings ?? "", after: natFile(state) },
    }];
}

/** Routes, rules and proxies set again as the table wants them, and the settings of links that belong to it. */
export function restoreSteps(snapshot: Snapshot, state: NatState, says: Message): Step[] {
    return [
        ...fileSteps(snapshot, msg("Change $0", LINK_SETTINGS_FILE), LINK_SETTINGS_FILE, linkSettingsFile(snapshot, state)),
        { says, does: command([NAT_HELPER, "routes"]), inert: true },
    ];
}
