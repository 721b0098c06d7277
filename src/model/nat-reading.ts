// SPDX-License-Identifier: LGPL-2.1-or-later
// What the snapshot says about NAT: what runs, what is saved, and how they differ.
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { NatElements, NatState, Placed } from "./nat.ts";
import { EMPTY_STATE, natElements, normalState, readState } from "./nat.ts";
import type { ElementChanges } from "./nat-change.ts";
import { elementChanges } from "./nat-change.ts";
import { NAT_FILE, elementText, hasFrame, readNatFile } from "./nat-file.ts";
import type { Hits } from "./nat-table.ts";
import { readNatTable } from "./nat-table.ts";
import type { Reading, Snapshot } from "./snapshot.ts";

export interface Running {
    elements: NatElements;
    state: NatState;
    oddities: readonly Message[];
    frame: readonly Message[];
    /** The rules are those of the version before. */
    outdated: boolean;
    hits: ReadonlyMap<string, ReadonlyMap<string, Hits>>;
}

export interface Saved {
    text: string;
    elements: NatElements;
    state: NatState;
    oddities: readonly Message[];
    problems: readonly { line: number; says: Message }[];
    /** The rules in the file are those of this version. */
    frame: boolean;
}

export interface NatReading {
    /** The table in the kernel; null when there is none. */
    running: Running | null;
    /** /etc/kvm-tap/nat.nft; null when there is none. */
    saved: Saved | null;
}

function running(json: unknown): Running | null {
    const table = readNatTable(json);
    return table ? { ...table, ...readState(table.elements) } : null;
}

function saved(text: string): Saved {
    const { elements, problems } = readNatFile(text);
    return { text, elements, problems, frame: hasFrame(text), ...readState(elements) };
}

/** What was parsed last: a page asks in many places, each time with the parts of one snapshot, which are immutable. */
let latest: { table: unknown; files: unknown; reading: Reading<NatReading> } | undefined;

/** Parses the NAT parts of a snapshot. Read when both are: a table without its file would look like drift. */
export function natReading({ natTable, files }: Pick<Snapshot, "natTable" | "files">): Reading<NatReading> {
    if (latest?.table !== natTable || latest.files !== files)
        latest = { table: natTable, files, reading: parsed({ natTable, files }) };
    return latest.reading;
}

function parsed(snapshot: Pick<Snapshot, "natTable" | "files">): Reading<NatReading> {
    if (snapshot.natTable.state !== "read")
        return snapshot.natTable;
    if (snapshot.files.state !== "read")
        return snapshot.files;
    const file = snapshot.files.value.get(NAT_FILE);
    return { state: "read", value: { running: running(snapshot.natTable.value), saved: file ? saved(file.content) : null } };
}

export type Agreement = "none" | "agree" | "outdated" | "lost" | "unsaved" | "damaged" | "differ";

/**
 * How kernel and file stand to each other; "none" when there is no NAT at all, "lost" when only the file is left, "damaged" when that has
 * nothing in it to load, "outdated" where they agree but for rules of the version before.
 */
export function agreement({ running, saved }: NatReading): Agreement {
    if (saved && isEmpty(saved.state))
        return "damaged";
    if (!running)
        return saved ? "lost" : "none";
    if (!saved)
        return "unsaved";
    const changes = drift({ running, saved });
    if (changes.add.length + changes.remove.length + running.frame.length > 0)
        return "differ";
    return running.outdated ? "outdated" : "agree";
}

/** What loading the file would change in the kernel, element by element. */
export function drift({ running, saved }: NatReading): ElementChanges {
    const none: NatElements = new Map();
    return elementChanges(running?.elements ?? none, saved?.elements ?? none);
}

/** One element for people: the set and the element as nft writes it. */
export function driftLine(placed: Placed): string {
    return `${placed.set}: ${elementText(placed)}`;
}

/** The state that a change starts from: what runs, or what is saved when the table was lost. */
export function currentState(reading: NatReading): NatState {
    return reading.running?.state ?? reading.saved?.state ?? EMPTY_STATE;
}

/** Whether the kernel, read again, has this state. The file follows with the confirmation. */
export function natHolds(snapshot: Pick<Snapshot, "natTable" | "files">, state: NatState): boolean {
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        return false;
    const { running } = reading.value;
    if (isEmpty(state))
        return running === null;
    if (!running || running.outdated || running.frame.length > 0)
        return false;
    const changes = elementChanges(running.elements, natElements(normalState(state)));
    return changes.add.length + changes.remove.length === 0;
}

/** Nothing that would need a table: then all of it is removed from the host. */
export function isEmpty(state: NatState): boolean {
    return state.mappings.length === 0 && !state.devices.some(device => device.shared);
}

/** For problems of planners: why nothing can be planned on this reading. */
export function readingProblem(reading: Reading<NatReading>): Message | undefined {
    switch (reading.state) {
    case "read": return undefined;
    case "reading": return msg("The host's NAT table has not been read yet.");
    case "failed": return reading.says;
    }
}
