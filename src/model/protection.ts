// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether an interface can still be protected: its definition says managed='no', and its device is there now and after every boot.
import { madeAtBoot } from "./boot-provider.ts";
import { glance } from "./glance.ts";
import type { Subject } from "./glance.ts";
import type { Snapshot } from "./snapshot.ts";
import { isTap } from "./tap.ts";

/** Protecting it would cure what is shown (needed), or would change something all the same (possible). */
export type Protection = "needed" | "possible" | "no";

export function protectionOf(snapshot: Snapshot, subject: Subject, { severity } = glance(subject)): Protection {
    if (!canBeProtected(snapshot, subject))
        return "no";
    return severity === "danger" || severity === "warning" ? "needed" : "possible";
}

/** Whether planProtect (actions/protect.ts) has something to do for it. What could not be read is not claimed to be missing. */
function canBeProtected(snapshot: Snapshot, { pair: { configured }, configuredDevice: device }: Subject): boolean {
    if (configured?.type !== "ethernet" || configured.target === undefined)
        return false;
    if (configured.managed !== "no")
        return true;
    if (device && !isTap(device))
        return false;
    const provider = madeAtBoot(snapshot, configured.target);
    if (provider === "unknown")
        return device === undefined;
    return provider === "nothing" || (device === undefined && provider.by === "kvm-tap");
}

/** A protected guest's persistent device that goes with the next boot: nothing that is known here makes it again. */
export function isLostAtBoot(snapshot: Snapshot, { pair: { configured }, configuredDevice: device }: Subject): boolean {
    return configured?.type === "ethernet" && configured.managed === "no" && configured.target !== undefined
        && device?.tun?.type === "tap" && device.tun.persistent && madeAtBoot(snapshot, configured.target) === "nothing";
}
