// SPDX-License-Identifier: LGPL-2.1-or-later
// Guests kept from steering the host through devices that are there: their settings written down, and set now.
import { isWayOut, reachUnread } from "../model/host-reach.ts";
import { msg, type Message } from "../model/message.ts";
import { isSafeName } from "../model/names.ts";
import type { Planned, Step } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { saidSysctls, steeringOf } from "../model/steering.ts";
import { guardingSysctls } from "../model/sysctl-file.ts";
import { command, guardSteps, planned, unreadProblems } from "./tap-steps.ts";

/** Devices of which the check finds something that nobody wrote down on purpose, beside what is left as it is. */
function soft(snapshot: Snapshot, kept: ReadonlySet<string> = new Set()): string[] {
    return steeringOf(snapshot).filter(({ own }) => own.some(({ key }) => !kept.has(key))).map(({ device }) => device);
}

const sourceFilter = (device: string) => `net/ipv4/conf/${device}/rp_filter`;

/**
 * Devices over which the host itself goes out by a guest that is a router: what that forwards may come back with sources that are routed
 * elsewhere. A guest that only talks to the host does so from its own address.
 */
function carrying(snapshot: Snapshot, devices: readonly string[]): string[] {
    return devices.filter(device => missing(snapshot, [device]).some(({ key }) => key === sourceFilter(device))
        && isWayOut(snapshot, device));
}

/** What the running devices lack, where this kernel has the setting and no file says otherwise. */
function missing(snapshot: Snapshot, devices: readonly string[]): { key: string; now: string; wanted: string }[] {
    const values = valueOf(snapshot.deviceSysctls), said = saidSysctls(valueOf(snapshot.files) ?? new Map());
    return devices.flatMap(device => [...guardingSysctls(device)].flatMap(([key, wanted]) => {
        const now = values?.get(key);
        return now === undefined || now === wanted || said.get(key)?.value === now ? [] : [{ key, now, wanted }];
    }));
}

function settingStep(changes: ReturnType<typeof missing>): Step {
    return {
        says: msg("Set the same in the kernel now"),
        does: command(["sysctl", "-w", ...changes.map(({ key, wanted }) => `${key}=${wanted}`)]),
        undo: command(["sysctl", "-w", ...changes.map(({ key, now }) => `${key}=${now}`)]),
        partial: true,
    };
}

function notes(filtered: readonly string[], left: readonly string[]): Message[] {
    return [
        ...filtered.length === 0 ? [] : [
            msg("From now on the kernel drops what comes out of $0 with a source address that is not routed there.", filtered.join(", ")),
        ],
        ...left.map(device => msg("$0 is left as it is: the host itself goes out over $1, where answers may come with sources that are routed elsewhere.",
            sourceFilter(device), device)),
    ];
}

/** All devices through which guests can steer the host (model/steering.ts). */
export function planHarden(snapshot: Snapshot): Planned {
    const unknown = reachUnread(snapshot);
    const left = unknown ? [] : carrying(snapshot, soft(snapshot)), kept = new Set(left.map(sourceFilter));
    const devices = soft(snapshot, kept).filter(isSafeName);
    const changes = missing(snapshot, devices).filter(({ key }) => !kept.has(key));
    const filtered = devices.filter(device => changes.some(({ key }) => key === sourceFilter(device)));
    const unread = snapshot.deviceSysctls.state === "failed" ? snapshot.deviceSysctls.says : msg("The host has not been read yet. Wait a moment.");
    const none = left.length > 0 ? notes([], left) : [msg("No guest can steer this host by what a file of its device could change.")];
    return planned([
        ...unreadProblems(snapshot), unknown && { says: unknown },
        snapshot.deviceSysctls.state === "read" ? undefined : { says: unread },
        ...devices.length > 0 ? [] : none.map(says => ({ says })),
    ], () => ({
        title: msg("Keep guests from steering this host"),
        steps: [
            ...devices.flatMap(device => guardSteps(snapshot, device, new Map(), kept)),
            ...changes.length > 0 ? [settingStep(changes)] : [],
        ],
        notes: notes(filtered, left),
        holds: after => !soft(after, kept).some(device => devices.includes(device)),
    }));
}
