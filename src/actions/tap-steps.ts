// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps that the plans for TAP devices are made of.
import { msg, type Message } from "../model/message.ts";
import type { Command, Plan, Planned, Problem, Step } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { isTap, type TapDevice } from "../model/tap.ts";
import { parseTapFile, tapFilePath, type TapFile } from "../model/tap-file.ts";
import { driftOf, settingsOf, type TapSettings } from "../model/tap-settings.ts";

export function unitOf(name: string): string {
    return `kvm-tap@${name}.service`;
}

export function command(argv: readonly string[], more: Omit<Command, "type" | "argv"> = {}): Command {
    return { type: "command", argv, ...more };
}

export function systemctl(...words: string[]): Command {
    const unit = words[words.length - 1];
    return command(["systemctl", ...words], unit === undefined ? {} : { unit });
}

/** The commands for a running device, as one `ip -batch -`. */
export function ipBatch(lines: readonly string[]): Command {
    return command(["ip", "-batch", "-"], { input: lines.map(line => `${line}\n`).join("") });
}

export function contentOf(snapshot: Snapshot, path: string): string | null {
    return valueOf(snapshot.files)?.get(path)?.content ?? null;
}

/** A file written (null: removed), unless somebody else changed it meanwhile. Nothing where it says so already. */
export function fileSteps(snapshot: Snapshot, says: Message, path: string, content: string | null): Step[] {
    const before = contentOf(snapshot, path);
    if (before === content)
        return [];
    return [{
        says,
        does: { type: "file", path, content },
        expects: { type: "file", path, content: before },
        undo: { type: "file", path, content: before },
        shows: { before: before ?? "", after: content ?? "" },
    }];
}

/** The device as it runs now; undefined where there is none of this name, or it is no TAP device. */
export function tapOf(snapshot: Snapshot, name: string): TapDevice | undefined {
    return valueOf(snapshot.links)?.filter(isTap).find(link => link.name === name);
}

export function runningSettings(snapshot: Snapshot, name: string): TapSettings | undefined {
    const device = tapOf(snapshot, name);
    return device && settingsOf(device, valueOf(snapshot.addresses)?.get(name) ?? [], valueOf(snapshot.routes) ?? []);
}

export function fileOf(snapshot: Snapshot, name: string): TapFile | undefined {
    const content = contentOf(snapshot, tapFilePath(name));
    return content === null ? undefined : parseTapFile(content, name);
}

/** Whether the device runs as these settings say. */
export function runsAs(after: Snapshot, settings: TapSettings): boolean {
    const running = runningSettings(after, settings.name);
    return running !== undefined && driftOf(settings, running).length === 0;
}

export function isEnabled(snapshot: Snapshot, name: string): boolean {
    return valueOf(snapshot.enabled)?.has(unitOf(name)) === true;
}

/** A plan needs to know what is there: without it nothing is planned. */
export function unreadProblems(snapshot: Snapshot): Problem[] {
    const parts = [snapshot.files, snapshot.links, snapshot.addresses, snapshot.routes, snapshot.enabled, snapshot.guests];
    const failed = parts.find(part => part.state === "failed");
    if (failed?.state === "failed")
        return [{ says: failed.says }];
    return parts.every(part => part.state === "read") ? [] : [{ says: msg("The host has not been read yet. Wait a moment.") }];
}

/** The plan, or the problems if there are any. */
export function planned(problems: readonly (Problem | undefined)[], plan: () => Plan): Planned {
    const found = problems.filter(problem => problem !== undefined);
    return found.length > 0 ? { problems: found } : { plan: plan() };
}

/** A problem of a field, where there is one. */
export function problem(field: string, says: Message | undefined): Problem | undefined {
    return says && { field, says };
}
