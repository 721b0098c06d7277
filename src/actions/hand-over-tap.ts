// SPDX-License-Identifier: LGPL-2.1-or-later
// What names a TAP device – definitions of guests, mappings over it, NAT's list of devices – and what becomes of it: taken along
// when the device goes, or given to another guest.
import { pairInterfaces, type Guest, type InterfacePair } from "../model/guest.ts";
import { newInterface, withFields } from "../model/interface-form.ts";
import { msg } from "../model/message.ts";
import { currentState, natReading } from "../model/nat-reading.ts";
import { mappingKey } from "../model/nat.ts";
import { parsePrefix } from "../model/nat-address.ts";
import { combined, type Plan, type Planned } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { textOf, wishOf } from "../model/tap-text.ts";
import { guestsNaming } from "../model/validate.ts";
import { leftoverPlan, planDeleteTap } from "./delete-tap.ts";
import { planInterface, planRemoveInterface } from "./edit-interface.ts";
import { currentSettings, currentSysctls } from "./edit-tap.ts";
import { planMakeTap } from "./make-tap.ts";
import { planNatChange } from "./nat-plan.ts";
import { fileOf, runningSettings } from "./tap-steps.ts";

/** What goes on naming a device that is deleted alone. */
export interface Naming {
    /** Interfaces of configured definitions. */
    interfaces: readonly { guest: Guest; pair: InterfacePair }[];
    /** Public addresses mapped to an address that is routed over the device. */
    mappings: readonly string[];
    /** NAT has it among the devices that guests hang on. */
    inNat: boolean;
}

export function namedBy(snapshot: Snapshot, name: string): Naming {
    const reading = natReading(snapshot);
    const nat = reading.state === "read" ? currentState(reading.value) : undefined;
    const settings = runningSettings(snapshot, name) ?? fileOf(snapshot, name)?.settings;
    const guests = new Set((settings?.routes ?? []).map(route => parsePrefix(route.destination)?.address));
    return {
        interfaces: guestsNaming(snapshot, name).flatMap(guest => pairInterfaces(guest)
            .filter(pair => pair.configured?.target === name).map(pair => ({ guest, pair }))),
        mappings: (nat?.mappings ?? []).filter(mapping => guests.has(mapping.guest.address)).map(mappingKey),
        inNat: nat?.devices.some(device => device.name === name) === true,
    };
}

/** What is to go with a device. */
export interface Along {
    interfaces?: boolean;
    /** The mappings over it, and the device from NAT's list. */
    mappings?: boolean;
}

/** Devices deleted with what names them, in one plan: definitions first; NAT's part, which waits to be confirmed, last. */
export function planDeleteWith(snapshot: Snapshot, names: readonly string[], along: Along): Planned {
    const naming = names.map(name => namedBy(snapshot, name));
    const definitions = along.interfaces
        ? naming.flatMap(({ interfaces }) => interfaces).map(({ guest: { uuid }, pair }) =>
            planRemoveInterface(snapshot, { uuid, opened: pair, config: true, live: false }))
        : [];
    const mapped = new Set(naming.flatMap(({ mappings }) => mappings));
    const known = naming.some(({ inNat }) => inNat) || mapped.size > 0;
    const nat = along.mappings && known ? [forget(snapshot, names, mapped)] : [];
    const devices = names.map(name => leftoverPlan(snapshot, name) ?? planDeleteTap(snapshot, name, along.interfaces));
    const [only = ""] = names;
    return together([...definitions, ...devices, ...nat],
        names.length === 1 ? msg("Delete the TAP device $0", only) : msg("Delete what was left of $0 TAP devices", String(names.length)), only);
}

/** Mappings and devices out of NAT. */
function forget(snapshot: Snapshot, names: readonly string[], mapped: ReadonlySet<string>): Planned {
    return planNatChange(snapshot, before => ({
        ...before, mappings: before.mappings.filter(mapping => !mapped.has(mappingKey(mapping))),
        devices: before.devices.filter(device => !names.includes(device.name)),
    }), {
        title: msg("Remove mappings and devices from 1:1 NAT"),
        notes: mapped.size > 0 ? [msg("Open connections over a removed mapping end at once. That cannot be undone.")] : [],
    });
}

/** One plan of several; what is wrong with any of them stands for all. */
export function together(plans: readonly Planned[], title: Plan["title"], device?: string): Planned {
    const problems = plans.flatMap(planned => "problems" in planned ? planned.problems.map(({ says }) => ({ says })) : []);
    if (problems.length > 0)
        return { problems };
    const plan = combined(title, plans.flatMap(planned => "plan" in planned ? [planned.plan] : []));
    return { plan: { ...plan, ...device !== undefined && { about: { device } } } };
}

/** Where a device can be given to: an interface of a guest's definition, or a new one (`opened` absent) with this MAC address. */
export interface Recipient {
    uuid: string;
    opened?: InterfacePair;
    mac?: string;
}

/**
 * A guest's definition made to name this device, which keeps its addresses, routes and mappings: the guest takes them over at its
 * next start.
 */
export function planGive(snapshot: Snapshot, name: string, { uuid, opened, mac = "" }: Recipient): Planned {
    const xml = opened?.configured ? withFields(opened.configured.xml, { target: name, managed: "no" }) : newInterface(mac, name);
    const planned = planInterface(snapshot, { uuid, ...opened && { opened }, xml, config: true, live: "no" });
    if ("problems" in planned)
        return { problems: planned.problems.map(({ says }) => ({ field: "interface", says })) };
    const guest = valueOf(snapshot.guests)?.find(candidate => candidate.uuid === uuid)?.name ?? "";
    return { plan: { ...planned.plan, title: msg("Give $0 to $1", name, guest), about: { device: name, guest } } };
}

export interface OwnWish {
    uuid: string;
    opened: InterfacePair;
    /** The new device. */
    name: string;
    /** Its guest addresses, with spaces between them. */
    guestAddresses: string;
}

/** One of several guests that name a device gets one of its own, like it in all but name, addresses and MAC. */
export function planOwnDevice(snapshot: Snapshot, shared: string, { uuid, opened, name, guestAddresses }: OwnWish): Planned {
    const settings = currentSettings(snapshot, shared);
    if (!settings || !opened.configured)
        return { problems: [{ says: msg("$0 is neither there nor written down.", shared) }] };
    const like = textOf(settings, currentSysctls(snapshot, shared), true);
    const wish = wishOf({ ...like, name, guestAddresses, routes: "", mac: "", sysctls: undefined });
    const made = planMakeTap(snapshot, wish);
    if ("problems" in made)
        return { problems: made.problems.map(({ field, says }) => ({ ...field !== undefined && { field: field.replace(/\.\d+$/, "") }, says })) };
    const xml = withFields(opened.configured.xml, { target: name, managed: "no" });
    const edited = planInterface(snapshot, { uuid, opened, xml, config: true, live: "no" });
    if ("problems" in edited)
        return { problems: edited.problems.map(({ says }) => ({ says })) };
    // "There is no device of this name yet": the first part makes it.
    const notes = edited.plan.notes?.filter(note => !note.id.startsWith("There is no device $0 yet")) ?? [];
    const plan = combined(msg("Make $0 instead of $1", name, shared), [made.plan, { ...edited.plan, notes }]);
    return { plan: { ...plan, about: { device: name } } };
}
