// SPDX-License-Identifier: LGPL-2.1-or-later
// Deleting TAP devices, ours and others', and what guests that are gone left behind.
import { msg, type Message } from "../model/message.ts";
import type { Planned, Problem, Step } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { sysctlFilePath } from "../model/sysctl-file.ts";
import { isTap } from "../model/tap.ts";
import { deviceOfNetworkdPath, networkdPath } from "../model/networkd-file.ts";
import { deviceOfPath, tapFilePath, writeTapFile } from "../model/tap-file.ts";
import { guestsNaming, guestsRunningOn } from "../model/validate.ts";
import {
    command, contentOf, deviceProblems, fileSteps, isEnabled, letGoSteps, plannedWith, runningSettings, systemctl, tapOf, unitOf,
    unreadProblems,
} from "./tap-steps.ts";

/**
 * A device deleted with all that we wrote down of it. Refused while a guest or another program uses it.
 * Definitions that name it stay as they are, which a note says, unless they go `along`: hand-over-tap.ts combines the plans.
 */
export function planDeleteTap(snapshot: Snapshot, name: string, along = false): Planned {
    const written = contentOf(snapshot, tapFilePath(name)) !== null || isEnabled(snapshot, name);
    const running = runningSettings(snapshot, name);
    return plannedWith(snapshot, running ? { had: [running], interrupts: [{ device: name }] } : {}, [
        ...deviceProblems(snapshot, name), usedBy(snapshot, name),
        written || tapOf(snapshot, name) ? undefined : { says: msg("There is no TAP device $0.", name) },
    ], () => ({
        title: msg("Delete the TAP device $0", name),
        steps: [...written ? ourSteps(snapshot, name) : [foreignStep(snapshot, name)], ...letGoSteps(snapshot, name)],
        notes: along ? [] : deletionNotes(snapshot, name),
        about: { device: name },
        holds: after => isGone(after, name),
    }));
}

function usedBy(snapshot: Snapshot, name: string): Problem | undefined {
    const [guest] = guestsRunningOn(snapshot, name);
    if (guest)
        return { says: msg("$0 runs on $1. Shut the guest down, or unplug the interface first.", guest.name, name) };
    if (!tapOf(snapshot, name)?.carrier)
        return undefined;
    const [holder] = valueOf(snapshot.holders)?.get(name) ?? [];
    return holder
        ? { says: msg("$0 (process $1) is using $2. End it first.", holder.program, String(holder.pid), name) }
        : { says: msg("A program is using $0. End it first.", name) };
}

function isGone(after: Snapshot, name: string): boolean {
    const files = [tapFilePath(name), sysctlFilePath(name), networkdPath(name)];
    return !tapOf(after, name) && !isEnabled(after, name) && files.every(path => contentOf(after, path) === null);
}

/** The unit deletes the device when it is stopped; where it is not active, the device is deleted as one of others. */
function ourSteps(snapshot: Snapshot, name: string): Step[] {
    const unit = unitOf(name);
    const active = valueOf(snapshot.units)?.get(name)?.active === "active";
    const running = tapOf(snapshot, name) !== undefined && !active ? [foreignStep(snapshot, name)] : [];
    return [
        ...running,
        {
            says: msg("Delete it, and make it no longer at boot"),
            does: systemctl("disable", "--now", unit),
            undo: isEnabled(snapshot, name) ? systemctl("enable", "--now", unit) : systemctl("start", unit),
            partial: true,
        },
        ...fileSteps(snapshot, msg("Remove $0", sysctlFilePath(name)), sysctlFilePath(name), null),
        ...fileSteps(snapshot, msg("Remove $0", tapFilePath(name)), tapFilePath(name), null),
    ];
}

/** `ip tuntap del` refuses a device in use, which `ip link delete` would take from under its guest. */
function foreignStep(snapshot: Snapshot, name: string): Step {
    const running = runningSettings(snapshot, name);
    const mode = ["mode", "tap", ...running?.multiQueue ? ["multi_queue"] : []];
    return {
        says: msg("Delete the device"),
        does: command(["ip", "tuntap", "del", "dev", name, ...mode]),
        ...running && { undo: command(["ip", "-batch", "-"], { input: writeTapFile(running) }) },
    };
}

function deletionNotes(snapshot: Snapshot, name: string): Message[] {
    return guestsNaming(snapshot, name).map(guest =>
        msg("The definition of $0 goes on naming $1: the guest will not start, or libvirt will make a device of its own.", guest.name, name));
}

/** Something that a renamed, undefined or cloned guest left behind. */
export type Orphan =
    /** A persistent device, or one that is written down, that no definition names. */
    | { kind: "unused"; device: string }
    /** A unit is enabled whose file is gone: it fails at every boot. */
    | { kind: "unit"; device: string }
    /** Kernel settings of a device that is neither there nor written down. */
    | { kind: "sysctl"; device: string }
    /** A file keeps systemd-networkd off a device that is neither there nor written down. */
    | { kind: "networkd"; device: string }
    /** Several definitions name one device: only one of these guests can run. */
    | { kind: "shared"; device: string; guests: readonly string[] };

/** All that was left behind, by device. Nothing while guests or files are not read: unknown is not unused. */
export function findOrphans(snapshot: Snapshot): Orphan[] {
    const links = valueOf(snapshot.links), files = valueOf(snapshot.files), guests = valueOf(snapshot.guests);
    const enabled = valueOf(snapshot.enabled);
    if (!links || !files || !guests || !enabled)
        return [];
    const written = new Set([...files.keys()].map(deviceOfPath).filter(name => name !== undefined));
    const there = new Set(links.filter(isTap).map(link => link.name));
    const persistent = links.filter(isTap).filter(link => link.tun.persistent && !link.carrier).map(link => link.name);
    const naming = guestsByDevice(snapshot);
    const unused = [...new Set([...persistent, ...written])].filter(name => !naming.has(name));
    const units = namesIn(enabled, /^kvm-tap@(.+)\.service$/);
    const settings = namesIn(files.keys(), /^\/etc\/sysctl\.d\/60-kvm-tap-(.+)\.conf$/);
    const gone = (device: string) => !written.has(device) && !there.has(device);
    const keptOff = [...files.keys()].map(deviceOfNetworkdPath).filter(name => name !== undefined);
    return [
        ...unused.map((device): Orphan => ({ kind: "unused", device })),
        ...units.filter(device => !written.has(device)).map((device): Orphan => ({ kind: "unit", device })),
        ...settings.filter(gone).map((device): Orphan => ({ kind: "sysctl", device })),
        ...keptOff.filter(gone).map((device): Orphan => ({ kind: "networkd", device })),
        ...[...naming].filter(([, names]) => names.length > 1).map(([device, names]): Orphan => ({ kind: "shared", device, guests: names })),
    ];
}

function namesIn(texts: Iterable<string>, pattern: RegExp): string[] {
    return [...texts].map(text => pattern.exec(text)?.[1]).filter(name => name !== undefined);
}

/** Names of the guests of which a definition names a device. */
function guestsByDevice(snapshot: Snapshot): Map<string, string[]> {
    const naming = new Map<string, string[]>();
    for (const guest of valueOf(snapshot.guests) ?? []) {
        const interfaces = [...guest.live?.interfaces ?? [], ...guest.configured?.interfaces ?? []];
        for (const device of new Set(interfaces.map(item => item.target).filter(name => name !== undefined)))
            naming.set(device, [...naming.get(device) ?? [], guest.name]);
    }
    return naming;
}

/** Kernel settings alone, or what keeps systemd-networkd off. */
export function leftoverPlan(snapshot: Snapshot, device: string): Planned | undefined {
    const unread = unreadProblems(snapshot).length > 0;
    if (unread || tapOf(snapshot, device) || contentOf(snapshot, tapFilePath(device)) !== null || isEnabled(snapshot, device))
        return undefined;
    const path = sysctlFilePath(device);
    const steps = [...fileSteps(snapshot, msg("Remove $0", path), path, null), ...letGoSteps(snapshot, device)];
    return steps.length === 0 ? undefined : {
        plan: {
            title: msg("Remove the settings of $0", device),
            steps,
            about: { device },
            holds: after => contentOf(after, path) === null && contentOf(after, networkdPath(device)) === null,
        },
    };
}
