// SPDX-License-Identifier: LGPL-2.1-or-later
// The inverse of Protect: libvirt may have the device again. Says what libvirt does to it from then on.
import { bootProvider } from "../model/boot-provider.ts";
import { fate } from "../model/fate.ts";
import { hostFacts, subjects } from "../model/glance.ts";
import type { Subject } from "../model/glance.ts";
import type { Interface } from "../model/guest.ts";
import { editXml, withAttribute } from "../model/interface-xml.ts";
import { msg } from "../model/message.ts";
import type { Message } from "../model/message.ts";
import type { Planned, Step } from "../model/plan.ts";
import { valueOf } from "../model/snapshot.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { sysctlFilePath } from "../model/sysctl-file.ts";
import { tapFilePath } from "../model/tap-file.ts";
import type { Touch } from "../model/touch.ts";
import { planDeleteTap } from "./delete-tap.ts";
import { isAmbiguous, update } from "./edit-interface.ts";
import { fileSteps, isEnabled, systemctl, tapOf, unitOf, unreadProblems } from "./tap-steps.ts";

/** What becomes of the device: it is made at boot as before, it stays until the next boot, or it goes at once. */
export type DeviceAfter = "stays" | "until-boot" | "deleted";

export interface UnprotectWish {
    uuid: string;
    /** The interface's place in the configured definition. */
    index: number;
    device: DeviceAfter;
}

/** Problems with the field `device` are cured by another choice of what becomes of it. */
export function planUnprotect(snapshot: Snapshot, wish: UnprotectWish): Planned {
    const unread = unreadProblems(snapshot);
    if (unread.length > 0)
        return { problems: unread };
    const facts = hostFacts(snapshot);
    const subject = facts && subjects(facts).find(({ guest, pair }) => guest.uuid === wish.uuid && pair.configured?.index === wish.index);
    const configured = subject?.pair.configured;
    if (!subject || !configured)
        return { problems: [{ says: msg("The guest or its interface does not exist any more.") }] };
    if (configured.managed !== "no")
        return { problems: [{ says: msg("The definition does not say managed='no': there is nothing to take back.") }] };
    const { guest } = subject;
    if (isAmbiguous(guest, configured)) {
        return { problems: [{ says: msg("Two interfaces of $0 have the same MAC address and no PCI address that tells them apart: give one of them another MAC address first.",
            guest.name) }] };
    }
    const name = configured.target ?? "";
    const device = devicePart(snapshot, wish, name);
    if ("problems" in device)
        return device;
    const bare = editXml(configured.xml, element => withAttribute(element, ["target"], "managed", undefined));
    const says = msg("Take managed='no' for $0 out of the definition of $1", name, guest.name);
    return {
        plan: {
            title: msg("Take the protection off $0 of $1", name, guest.name),
            steps: [{ ...update(guest, configured, bare, "config"), says }, ...device.steps],
            notes: [...notes(subject, configured, wish.device), ...device.notes],
            about: { device: name, guest: guest.name },
            ...device.touches && { touches: device.touches },
            holds: after => valueOf(after.guests)?.find(({ uuid }) => uuid === wish.uuid)?.configured?.interfaces[wish.index]?.managed !== "no"
                && device.holds(after),
        },
    };
}

interface DevicePart {
    steps: readonly Step[];
    notes: readonly Message[];
    touches?: Touch;
    holds(after: Snapshot): boolean;
}

function devicePart(snapshot: Snapshot, { device }: UnprotectWish, name: string): DevicePart | Extract<Planned, { problems: unknown }> {
    switch (device) {
        case "stays":
            return { steps: [], notes: [], holds: () => true };
        case "until-boot":
            return { steps: forgetSteps(snapshot, name), notes: [], holds: after => bootProvider(after, name).by !== "kvm-tap" };
        case "deleted": {
            const deleted = planDeleteTap(snapshot, name);
            return "problems" in deleted
                ? { problems: deleted.problems.map(({ says }) => ({ field: "device", says })) }
                : {
                    steps: deleted.plan.steps, notes: [], ...deleted.plan.touches && { touches: deleted.plan.touches },
                    holds: after => tapOf(after, name) === undefined && deleted.plan.holds(after),
                };
        }
    }
}

/** What libvirt does to the device that is left to it. */
function notes({ configuredDevice, next }: Subject, configured: Interface, after: DeviceAfter): Message[] {
    if (!next)
        return [];
    const bare = { ...configured };
    delete bare.managed;
    const device = configuredDevice && after !== "deleted" ? { ...configuredDevice, carrier: false } : undefined;
    const events = device ? ["start", "failed-start"] as const : ["start"] as const;
    const fates = events.map(event => fate(event, bare, device, { ...next, configured: bare }));
    return [...new Map(fates.map(({ because }) => [JSON.stringify(because), because])).values()];
}

/** The device itself stays until the next boot. */
function forgetSteps(snapshot: Snapshot, name: string): Step[] {
    const unit = unitOf(name);
    return [
        ...isEnabled(snapshot, name)
            ? [{ says: msg("Do not make $0 at boot any more", name), does: systemctl("disable", unit), undo: systemctl("enable", unit) }] : [],
        ...fileSteps(snapshot, msg("Remove the file that describes $0", name), tapFilePath(name), null),
        ...fileSteps(snapshot, msg("Remove $0", sysctlFilePath(name)), sysctlFilePath(name), null),
    ];
}
