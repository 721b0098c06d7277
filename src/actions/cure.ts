// SPDX-License-Identifier: LGPL-2.1-or-later
// Plans for the cures that checks offer.
import type { Cure } from "../model/checks.ts";
import type { Interface } from "../model/guest.ts";
import { withFields } from "../model/interface-form.ts";
import { msg } from "../model/message.ts";
import { randomMac } from "../model/names.ts";
import { combined } from "../model/plan.ts";
import type { Planned } from "../model/plan.ts";
import { valueOf } from "../model/snapshot.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { textOf, wishOf } from "../model/tap-text.ts";
import { planInterface } from "./edit-interface.ts";
import { currentSettings, currentSysctls, planEditTap, planSettings, planSetUp } from "./edit-tap.ts";
import { planProtect } from "./protect.ts";
import { isEnabled } from "./tap-steps.ts";

/** What a person chose in the dialog of a cure that asks for something. */
export interface Choice {
    device: string;
    guestAddress: string;
}

export function planCure(snapshot: Snapshot, cure: Cure, choice?: Choice): Planned {
    switch (cure.type) {
        case "set-up":
            return planSetUp(snapshot, cure.device, true);
        case "mtu":
            return planSettings(snapshot, cure.device, msg("Give $0 an MTU of $1", cure.device, String(cure.mtu)), () => ({ mtu: cure.mtu }));
        case "own":
            return planOwn(snapshot, cure.device);
        case "protect":
            return planProtect(snapshot, { targets: [cure] });
        case "own-device":
            return planProtect(snapshot, { targets: [{ ...cure, device: choice?.device ?? "", guestAddress: choice?.guestAddress ?? "" }] });
        case "new-mac":
            return planNewMac(snapshot, cure);
        case "interface":
            return planEdit(snapshot, cure);
    }
}

/** The device made anew with an owner: the kernel shows and keeps the one it was made with. */
function planOwn(snapshot: Snapshot, device: string): Planned {
    const settings = currentSettings(snapshot, device);
    if (!settings)
        return { problems: [{ says: msg("$0 is not there.", device) }] };
    return planEditTap(snapshot, wishOf({ ...textOf(settings, currentSysctls(snapshot, device), isEnabled(snapshot, device)), owner: "root" }));
}

function configuredAt(snapshot: Snapshot, { uuid, index }: { uuid: string; index: number }): Interface | undefined {
    return valueOf(snapshot.guests)?.find(guest => guest.uuid === uuid)?.configured?.interfaces[index];
}

const changedMeanwhile = (): Planned => ({ problems: [{ says: msg("The interface was changed by somebody else meanwhile.") }] });

function planEdit(snapshot: Snapshot, cure: Extract<Cure, { type: "interface" }>): Planned {
    const configured = configuredAt(snapshot, cure);
    if (configured?.xml !== cure.before)
        return changedMeanwhile();
    const edited = planInterface(snapshot, { uuid: cure.uuid, opened: { configured }, xml: cure.after, config: true, live: "no" });
    const { device, addresses } = cure.addresses ?? { device: "", addresses: [] };
    if ("problems" in edited || addresses.length === 0)
        return edited;
    const put = planSettings(snapshot, device, msg("Put $0 on $1", addresses.join(", "), device),
        before => ({ addresses: [...new Set([...before.addresses, ...addresses])] }));
    return "problems" in put ? put : { plan: combined(edited.plan.title, [put.plan, edited.plan]) };
}

/** Another MAC address, as libvirt would make one, that no definition has. */
function planNewMac(snapshot: Snapshot, cure: Extract<Cure, { type: "new-mac" }>): Planned {
    const configured = configuredAt(snapshot, cure);
    if (!configured)
        return changedMeanwhile();
    const definitions = (valueOf(snapshot.guests) ?? []).flatMap(({ configured: next, live }) => [next, live]);
    const taken = new Set(definitions.flatMap(definition => definition?.interfaces.map(({ mac: used }) => used) ?? []));
    const mac = freeMac(`${cure.uuid}/${cure.index}`, taken);
    const planned = planInterface(snapshot, {
        uuid: cure.uuid, opened: { configured }, xml: withFields(configured.xml, { mac }), config: true, live: "no",
    });
    if ("problems" in planned)
        return planned;
    const note = msg("The inside of the guest sees a new card: what it has configured for the old MAC address has to be changed there.");
    return { plan: { ...planned.plan, notes: [...planned.plan.notes ?? [], note] } };
}

/** The same answer to the same question, so that the plan does not change while somebody reads it. */
function freeMac(seed: string, taken: ReadonlySet<string | undefined>): string {
    let state = [...seed].reduce((sum, letter) => Math.imul(sum ^ letter.charCodeAt(0), 0x01000193) >>> 0, 0x811c9dc5); // FNV-1a
    const random = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32;
    };
    let mac = randomMac(random);
    while (taken.has(mac))
        mac = randomMac(random);
    return mac;
}
