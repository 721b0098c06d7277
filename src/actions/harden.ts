// SPDX-License-Identifier: LGPL-2.1-or-later
// Guests kept from steering the host through devices that are there: their settings written down, and set now.
import { msg, type Message } from "../model/message.ts";
import { isSafeName } from "../model/names.ts";
import type { Planned, Step } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { saidSysctls, steeringOf } from "../model/steering.ts";
import { guardingSysctls } from "../model/sysctl-file.ts";
import { command, guardSteps, planned, unreadProblems } from "./tap-steps.ts";

/** Devices of which the check finds something that nobody wrote down on purpose. */
function soft(snapshot: Snapshot): string[] {
    return steeringOf(snapshot).filter(({ own }) => own.length > 0).map(({ device }) => device);
}

/** What the running devices lack, where this kernel has the setting and no file says otherwise. */
function missing(snapshot: Snapshot, devices: readonly string[]): { key: string; now: string; wanted: string }[] {
    const values = valueOf(snapshot.deviceSysctls), said = saidSysctls(valueOf(snapshot.files) ?? new Map());
    return devices.flatMap(device => [...guardingSysctls(device)].flatMap(([key, wanted]) => {
        const now = values?.get(key);
        return now === undefined || now === wanted || said.get(key)?.value === now ? [] : [{ key, now, wanted }];
    }));
}

function settingStep(snapshot: Snapshot, devices: readonly string[]): Step {
    const changes = missing(snapshot, devices);
    return {
        says: msg("Set the same in the kernel now"),
        does: command(["sysctl", "-w", ...changes.map(({ key, wanted }) => `${key}=${wanted}`)]),
        undo: command(["sysctl", "-w", ...changes.map(({ key, now }) => `${key}=${now}`)]),
        partial: true,
    };
}

function notes(snapshot: Snapshot, devices: readonly string[]): Message[] {
    const filtered = devices.filter(device => missing(snapshot, [device]).some(({ key }) => key.endsWith("/rp_filter")));
    return filtered.length === 0 ? [] : [
        msg("From now on the kernel drops what comes out of $0 with a source address that is not routed there.", filtered.join(", ")),
    ];
}

/** All devices through which guests can steer the host (model/steering.ts). */
export function planHarden(snapshot: Snapshot): Planned {
    const devices = soft(snapshot).filter(isSafeName);
    const unread = snapshot.deviceSysctls.state === "failed" ? snapshot.deviceSysctls.says : msg("The host has not been read yet. Wait a moment.");
    return planned([
        ...unreadProblems(snapshot),
        snapshot.deviceSysctls.state === "read" ? undefined : { says: unread },
        devices.length > 0 ? undefined : { says: msg("No guest can steer this host by what a file of its device could change.") },
    ], () => ({
        title: msg("Keep guests from steering this host"),
        steps: [...devices.flatMap(device => guardSteps(snapshot, device)), settingStep(snapshot, devices)],
        notes: notes(snapshot, devices),
        holds: after => !soft(after).some(device => devices.includes(device)),
    }));
}
