// SPDX-License-Identifier: LGPL-2.1-or-later
// Steps that the plans for TAP devices are made of.
import { msg, type Message } from "../model/message.ts";
import { named, unsafeNameProblem } from "../model/names.ts";
import type { Command, Plan, Planned, Problem, Step } from "../model/plan.ts";
import { networkdFile, networkdPath } from "../model/networkd-file.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { saidSysctls } from "../model/steering.ts";
import { canonicalKey, editSysctls, guardingSysctls, parseSysctls, sysctlFilePath, type Sysctls } from "../model/sysctl-file.ts";
import { isTap, type TapDevice } from "../model/tap.ts";
import { parseTapFile, tapFilePath, type TapFile } from "../model/tap-file.ts";
import { doneByOthers, settingsOfOthers } from "../model/tap-foreign.ts";
import { driftOf, settingsOf, type TapSettings } from "../model/tap-settings.ts";
import type { Giving } from "../model/validate.ts";
import { isNothing, touchNotes, touchProblems, type Touch } from "../model/touch.ts";

export function unitOf(name: string): string {
    return named(name, `kvm-tap@${name}.service`);
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

/** These settings with all that keeps a guest from steering the host, but for what they, or other files, say otherwise. */
export function guardedSysctls(snapshot: Snapshot, name: string, sysctls: Sysctls, but: ReadonlySet<string> = new Set()): Sysctls {
    const elsewhere = [...saidSysctls(valueOf(snapshot.files) ?? new Map()).values()].filter(({ path }) => path !== sysctlFilePath(name));
    const said = new Set([...but, ...[...sysctls.keys()].map(canonicalKey), ...elsewhere.map(({ key }) => key)]);
    return new Map([...sysctls, ...[...guardingSysctls(name)].filter(([key]) => !said.has(key))]);
}

/**
 * Before a device is made or taken over: its settings, those that its file has already and `more` where there is no file yet. Nothing is
 * said of `but`.
 */
export function guardSteps(snapshot: Snapshot, name: string, more: Sysctls = new Map(), but?: ReadonlySet<string>): Step[] {
    const path = sysctlFilePath(name);
    const content = contentOf(snapshot, path);
    const wanted = guardedSysctls(snapshot, name, content === null ? more : parseSysctls(content), but);
    return fileSteps(snapshot, msg("Write down in $0 that a guest on it cannot steer this host", path), path, editSysctls(content, wanted));
}

/** systemd-networkd kept off these devices, where it runs: before they are made, since it looks at new links at once. */
export function keepOffSteps(snapshot: Snapshot, names: readonly string[]): Step[] {
    const missing = names.filter(name => contentOf(snapshot, networkdPath(name)) === null);
    if (!networkdRuns(snapshot) || missing.length === 0)
        return [];
    return [
        ...missing.flatMap(name =>
            fileSteps(snapshot, msg("Keep systemd-networkd off $0 by $1", name, networkdPath(name)), networkdPath(name), networkdFile(name))),
        reloadNetworkd(),
    ];
}

/** What keeps systemd-networkd off a device is removed, after the device. */
export function letGoSteps(snapshot: Snapshot, name: string): Step[] {
    const steps = fileSteps(snapshot, msg("Remove $0", networkdPath(name)), networkdPath(name), null);
    return steps.length > 0 && networkdRuns(snapshot) ? [...steps, reloadNetworkd()] : steps;
}

/** Also while it is being started or reloaded: that it has become active is announced by nothing that is watched. */
export function networkdRuns(snapshot: Snapshot): boolean {
    return !["inactive", "failed"].includes(valueOf(snapshot.services)?.get("systemd-networkd.service") ?? "inactive");
}

export function reloadNetworkd(): Step {
    return { says: msg("Let systemd-networkd read its files again"), does: command(["networkctl", "reload"]), inert: true };
}

/** The device as it runs now; undefined where there is none of this name, or it is no TAP device. */
export function tapOf(snapshot: Snapshot, name: string): TapDevice | undefined {
    return valueOf(snapshot.links)?.filter(isTap).find(link => link.name === name);
}

/**
 * The device as it runs now, with what it owes to lines of its file that the page does not understand. Undefined, too, while its
 * addresses or routes are not known: none would be a claim.
 */
export function runningSettings(snapshot: Snapshot, name: string): TapSettings | undefined {
    const device = tapOf(snapshot, name), addresses = valueOf(snapshot.addresses), routes = valueOf(snapshot.routes);
    if (!device || !addresses || !routes)
        return undefined;
    const foreign = settingsOfOthers(fileOf(snapshot, name)?.foreign ?? [], name);
    return { ...settingsOf(device, addresses.get(name) ?? [], routes), ...foreign.size > 0 && { foreign } };
}

export function fileOf(snapshot: Snapshot, name: string): TapFile | undefined {
    const content = contentOf(snapshot, tapFilePath(name));
    return content === null ? undefined : parseTapFile(content, name);
}

/** What running the file of a device gives, beside what the page understands of it itself. */
export function othersGive(snapshot: Snapshot, name: string): Giving[] {
    const foreign = fileOf(snapshot, name)?.foreign ?? [];
    const { gives, beside } = doneByOthers(foreign, name);
    return [
        ...gives.map(giving => ({ ...giving, written: true })),
        ...beside.length > 0 ? [{ name, addresses: [], routes: [], written: true, beside }] : [],
    ];
}

/** What the file of a device gives when its unit runs it: what somebody wrote by hand, too. */
export function fileGives(snapshot: Snapshot, name: string): Giving[] {
    const settings = fileOf(snapshot, name)?.settings;
    return settings ? [{ ...settings, written: true }, ...othersGive(snapshot, name)] : [];
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

/** Why nothing can be planned for a device, whatever the plan: the host is not read, or the device's name cannot be written down. */
export function deviceProblems(snapshot: Snapshot, name: string): Problem[] {
    const says = unsafeNameProblem(name);
    return [...unreadProblems(snapshot), ...says ? [{ says }] : []];
}

/** The plan, or the problems if there are any, each told once. */
export function planned(problems: readonly (Problem | undefined)[], plan: () => Plan): Planned {
    const found = new Map(problems.filter(problem => problem !== undefined).map(problem => [JSON.stringify(problem), problem]));
    return found.size > 0 ? { problems: [...found.values()] } : { plan: plan() };
}

/**
 * The same of a plan that takes something from the host, or interrupts what goes over a device: refused where the host itself needs it,
 * now or right before it runs.
 */
export function plannedWith(snapshot: Snapshot, touch: Touch, problems: readonly (Problem | undefined)[], plan: () => Plan): Planned {
    const others = planned(problems, plan);
    if ("problems" in others)
        return others;
    return planned(touchProblems(snapshot, touch).map(says => ({ says })), () => touching(snapshot, others.plan, touch));
}

function touching(snapshot: Snapshot, plan: Plan, touch: Touch): Plan {
    if (isNothing(touch))
        return plan;
    const notes = [...touchNotes(snapshot, touch), ...plan.notes ?? []];
    return { ...plan, touches: touch, ...notes.length > 0 && { notes } };
}

/** A problem of a field, where there is one. */
export function problem(field: string, says: Message | undefined): Problem | undefined {
    return says && { field, says };
}
