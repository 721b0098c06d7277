// SPDX-License-Identifier: LGPL-2.1-or-later
// Every change of NAT as a plan: from the state that runs to the wished one.
import type { Message } from "../model/message.ts";
import { msg } from "../model/message.ts";
import type { NatElements, NatState } from "../model/nat.ts";
import { natElements, normalState } from "../model/nat.ts";
import { changeText, cuts, elementChanges, transaction } from "../model/nat-change.ts";
import { NAT_FILE, natFile } from "../model/nat-file.ts";
import type { NatReading } from "../model/nat-reading.ts";
import { agreement, currentState, isEmpty, natHolds, natReading, readingProblem } from "../model/nat-reading.ts";
import type { Command, FileChange, Plan, Planned, Step } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";

export const NAT_HELPER = "/usr/lib/kvm-tap/kvm-tap-nat";
export const NAT_UNIT = "kvm-tap-nat.service";
export const ANNOUNCE_UNIT = "kvm-tap-nat-announce.service";
export const FORWARDING_FILE = "/etc/sysctl.d/60-kvm-tap.conf";

/** How long an armed change waits for its confirmation, in seconds. */
export const CONFIRM_SECONDS = 15;

/** A change with all that its steps are made of. */
interface Change {
    snapshot: Snapshot;
    reading: NatReading;
    before: NatState;
    after: NatState;
}

function command(argv: readonly string[], input?: string): Command {
    return { type: "command", argv, ...(input === undefined ? {} : { input }) };
}

function file(path: string, content: string | null): FileChange {
    return { type: "file", path, content };
}

function contentOf(snapshot: Snapshot, path: string): string | null {
    return valueOf(snapshot.files)?.get(path)?.content ?? null;
}

/** A file written or removed, unless somebody else changed it meanwhile. */
export function fileStep(snapshot: Snapshot, says: Message, path: string, content: string | null): Step {
    const before = contentOf(snapshot, path);
    return {
        says,
        does: file(path, content),
        expects: { type: "file", path, content: before },
        undo: file(path, before),
        shows: { before: before ?? "", after: content ?? "" },
    };
}

/**
 * What the kernel must forward for these mappings (kernel, ip-sysctl). IPv6 only where it is used: it ends autoconfiguration. With several
 * uplinks the strict reverse path filter would drop what comes in by one and is answered by default over another: loose, 2.
 */
export function forwardingFile(state: NatState): string {
    const ipv6 = state.mappings.some(mapping => mapping.public.family === 6);
    return [
        "# SPDX-License-Identifier: CC0-1.0",
        "# Forwarding for 1:1 NAT, written by the KVM TAP page of Cockpit.",
        "net/ipv4/ip_forward = 1",
        ...(ipv6 ? ["net/ipv6/conf/all/forwarding = 1"] : []),
        ...(state.ways ?? []).map(({ uplink }) => `net/ipv4/conf/${uplink}/rp_filter = 2`),
    ].join("\n") + "\n";
}

function forwardingSteps(snapshot: Snapshot, after: NatState): Step[] {
    const content = forwardingFile(after);
    if (contentOf(snapshot, FORWARDING_FILE) === content)
        return [];
    return [
        fileStep(snapshot, msg("Forward packets after every boot"), FORWARDING_FILE, content),
        // Never switched off again: by then others may rely on it.
        { says: msg("Forward packets now"), does: command([NAT_HELPER, "forward", ...after.uplinks]), inert: true },
    ];
}

/** What several uplinks need beside the table, set again whatever became of it. */
export function waysSteps(snapshot: Snapshot, state: NatState): Step[] {
    const written = forwardingSteps(snapshot, state);
    return [
        ...(written.length > 0 ? written
            : [{ says: msg("Set forwarding and the reverse path filter"), does: command([NAT_HELPER, "forward", ...state.uplinks]), inert: true as const }]),
        { says: msg("Set the rules and routes of the uplinks"), does: command([NAT_HELPER, "routes"]), inert: true },
    ];
}

function saveStep({ snapshot, after }: Change): Step {
    return fileStep(snapshot, msg("Save the mappings in $0", NAT_FILE), NAT_FILE, natFile(after));
}

function checkStep(text: string): Step {
    return { says: msg("Have nftables check the change"), does: command(["nft", "-c", "-f", "-"], text), inert: true };
}

/** The comment lines of a change alone: connections and announcements. */
function staleText(before: NatState, after: NatState): string {
    return changeText(before, after).split("\n").filter(line => line.startsWith("#")).map(line => `${line}\n`).join("");
}

/** Without a table the service loads the file: the code path of every boot. */
function firstSteps(change: Change): Step[] {
    const stale = staleText(change.before, change.after);
    return [
        checkStep(natFile(change.after)),
        ...forwardingSteps(change.snapshot, change.after),
        saveStep(change),
        {
            says: msg("Load the mappings at every boot"),
            does: command(["systemctl", "enable", NAT_UNIT, ANNOUNCE_UNIT]),
            undo: command(["systemctl", "disable", "--now", NAT_UNIT, ANNOUNCE_UNIT]),
        },
        // "start" would do nothing for a unit that is active while its table was flushed away. Taken back by the step
        // above. Reloading an active unit leaves no moment without a table.
        { says: msg("Load the mappings now"), does: command(["systemctl", "reload-or-restart", NAT_UNIT]), inert: true },
        ...(stale === "" ? [] : [{
            says: msg("Tell the neighbours, and end connections that began without the mapping"),
            does: command([NAT_HELPER, "apply"], stale),
            inert: true as const,
        }]),
    ];
}

/** From the elements that are there, oddities included, to those that are wished. */
function kernelText({ reading, before, after }: Change): string {
    const there: NatElements = reading.running?.elements ?? new Map();
    return transaction(elementChanges(there, natElements(after))) + staleText(before, after);
}

function kernelStep(change: Change): Step {
    const { before, after } = change;
    return {
        says: cuts(before, after).length > 0
            ? msg("Change the running table and the local routes, and end the connections of changed mappings")
            : msg("Change the running table and the local routes"),
        does: command([NAT_HELPER, "apply"], kernelText(change)),
        undo: command([NAT_HELPER, "apply"], changeText(after, before)),
        shows: { before: "", after: transaction(elementChanges(natElements(before), natElements(after))) },
    };
}

function changeSteps(change: Change): Step[] {
    return [checkStep(kernelText(change)), ...forwardingSteps(change.snapshot, change.after), kernelStep(change), saveStep(change)];
}

/** The last mapping goes: nothing of ours stays but the kernel's forwarding switch, which others may rely on by now. */
function removeSteps(change: Change): Step[] {
    const { snapshot, reading, before } = change;
    if (!reading.running && !reading.saved)
        return [];
    const present = [NAT_FILE, FORWARDING_FILE].filter(path => contentOf(snapshot, path) !== null);
    return [
        ...(reading.running ? [kernelStep({ ...change, after: { ...before, mappings: [] } })] : []),
        {
            says: msg("Remove the table, now and at boot"),
            does: command(["systemctl", "disable", "--now", NAT_UNIT, ANNOUNCE_UNIT]),
            undo: command(["systemctl", "enable", "--now", NAT_UNIT, ANNOUNCE_UNIT]),
        },
        // A table that was loaded by hand has no active unit that would unload it.
        { says: msg("Remove what is left of the table and its routes"), does: command([NAT_HELPER, "unload"]), inert: true },
        ...present.map(path => fileStep(snapshot, msg("Remove $0", path), path, null)),
    ];
}

/** The host puts it back by itself: for changes that may cut the administrator off. The file is written by the confirmation. */
function armedSteps(change: Change): Step[] {
    const { reading, before, after } = change;
    const text = reading.running ? kernelText(change) : natFile(after) + staleText(before, after);
    return [
        checkStep(text),
        ...forwardingSteps(change.snapshot, change.after),
        {
            says: msg("Change the running table; the host puts it back after $0 seconds unless confirmed", String(CONFIRM_SECONDS)),
            does: command([NAT_HELPER, "arm", String(CONFIRM_SECONDS)], `${text}# file\n${natFile(after)}`),
            undo: command([NAT_HELPER, "revert"]),
            shows: { before: "", after: transaction(elementChanges(natElements(before), natElements(after))) },
        },
    ];
}

function stepsOf(change: Change, armed: boolean): Step[] {
    if (isEmpty(change.after))
        return removeSteps(change);
    if (armed)
        return armedSteps(change);
    return change.reading.running ? changeSteps(change) : firstSteps(change);
}

export interface NatChangeOptions {
    title: Message;
    notes?: readonly Message[];
    /** Reverted by the host unless confirmed. */
    armed?: boolean;
}

/** A plan from what was read to this state. */
export function planState(snapshot: Snapshot, reading: NatReading, wished: NatState, options: NatChangeOptions): Plan {
    const change = { snapshot, reading, before: currentState(reading), after: normalState(wished) };
    const armed = options.armed === true;
    return {
        title: options.title,
        steps: stepsOf(change, armed),
        ...(options.notes && options.notes.length > 0 ? { notes: options.notes } : {}),
        ...(armed ? { confirm: { seconds: CONFIRM_SECONDS } } : {}),
        holds: after => natHolds(after, change.after, armed),
    };
}

/**
 * The reading that a plan can start from, or why there is none. Refused while kernel and file differ: writing the file then
 * would lose what somebody wrote into it.
 */
export function startingPoint(snapshot: Snapshot): { reading: NatReading } | { problem: Message } {
    const reading = natReading(snapshot);
    const problem = readingProblem(reading);
    if (problem || reading.state !== "read")
        return { problem: problem ?? msg("The host's NAT table has not been read yet.") };
    if (agreement(reading.value) === "differ")
        return { problem: msg("The running table and $0 differ. Settle the difference first.", NAT_FILE) };
    return { reading: reading.value };
}

/** A plan from the current state to the one that `change` makes of it, without further checks. */
export function planNatChange(snapshot: Snapshot, change: (before: NatState) => NatState, options: NatChangeOptions): Planned {
    const start = startingPoint(snapshot);
    if ("problem" in start)
        return { problems: [{ says: start.problem }] };
    return { plan: planState(snapshot, start.reading, change(currentState(start.reading)), options) };
}
