// SPDX-License-Identifier: LGPL-2.1-or-later
// Traps on the interfaces of guests: what is the matter, what to do, and the cure where there is one. Each is a pure function
// of one interface and its host; actions/cure.ts plans the cures.
import { fate, isDroppedName } from "./fate.ts";
import { hostFacts, subjects } from "./glance.ts";
import type { HostFacts, Subject } from "./glance.ts";
import type { Guest, Interface } from "./guest.ts";
import { editXml, withAttribute, withoutChild } from "./interface-xml.ts";
import { behaviours } from "./libvirt-version.ts";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";
import { isLostAtBoot, protectionOf } from "./protection.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Link } from "./tap.ts";
import { withLength } from "./tap-settings.ts";
import { child, children, parseElement } from "./xml.ts";
import type { XmlElement } from "./xml.ts";

export type CheckId =
    | "name-dropped" | "name-too-long" | "same-device" | "shared-queues" | "same-mac" | "host-addresses" | "needless-script" | "device-down"
    | "managed-refused" | "open-device" | "mtu-differs" | "lost-at-boot" | "disarmed" | "old-saved-state";

/** An interface of a configured definition. */
interface Place { uuid: string; index: number }

/** What a planner has to be asked for: see actions/cure.ts. */
export type Cure =
    /** The interface's text is changed; `addresses` go to the device instead. */
    | Place & { type: "interface"; before: string; after: string; addresses?: { device: string; addresses: readonly string[] } }
    /** On the device that it names, or on another one that is there. */
    | Place & { type: "protect"; device?: string }
    /** A new device for this interface alone; a person chooses its name. */
    | Place & { type: "own-device" }
    | Place & { type: "new-mac" }
    | { type: "set-up" | "own"; device: string }
    | { type: "mtu"; device: string; mtu: number };

interface Check {
    id: CheckId;
    severity: "danger" | "warning" | "info";
    says: Message;
    /** What to do about it. */
    advice: Message;
    cure?: Cure;
}

/** A check on an interface says whose it is. */
export interface InterfaceCheck extends Check {
    guest: Guest;
    /** The interface as it is configured, or, of a transient guest, as it runs. */
    iface: Interface;
}

/** What checks look at beside the interface itself. */
interface Surroundings {
    snapshot: Snapshot;
    facts: HostFacts;
    /** All configured (of transient guests: live) interfaces, by target device and by MAC address. */
    byDevice: ReadonlyMap<string, readonly Owned[]>;
    byMac: ReadonlyMap<string, readonly Owned[]>;
    /** A persistent device that nobody uses, with a name that libvirt drops: somebody meant it to be used. */
    idle: Link | undefined;
}

interface Owned { guest: Guest; iface: Interface }

type Rule = (iface: Interface, subject: Subject, around: Surroundings) => Check | undefined;

/** All traps of all interfaces. Linear in their number. */
export function interfaceChecks(snapshot: Snapshot): InterfaceCheck[] {
    const facts = hostFacts(snapshot);
    if (!facts)
        return [];
    const owned = facts.guests.flatMap(guest => (guest.configured ?? guest.live)?.interfaces.map(iface => ({ guest, iface })) ?? []);
    const around: Surroundings = {
        snapshot, facts, idle: idleDevice(facts),
        byDevice: groupBy(owned, ({ iface }) => iface.type === "ethernet" ? iface.target : undefined),
        byMac: groupBy(owned, ({ iface }) => iface.mac),
    };
    return subjects(facts).flatMap(subject => {
        const iface = subject.pair.configured ?? subject.pair.live;
        return iface ? rules.flatMap(rule => {
            const check = rule(iface, subject, around);
            return check ? [{ ...check, guest: subject.guest, iface }] : [];
        }) : [];
    });
}

function idleDevice({ guests, links }: HostFacts): Link | undefined {
    const taken = new Set(guests.flatMap(guest => guest.live?.interfaces.map(({ target }) => target ?? "") ?? []));
    return [...links.values()].find(({ name, tun }) => tun?.persistent === true && isDroppedName(name) && !taken.has(name));
}

function groupBy(all: readonly Owned[], key: (owned: Owned) => string | undefined): Map<string, Owned[]> {
    const groups = new Map<string, Owned[]>();
    for (const owned of all) {
        const name = key(owned);
        if (name !== undefined)
            groups.set(name, [...groups.get(name) ?? [], owned]);
    }
    return groups;
}

function others(groups: ReadonlyMap<string, readonly Owned[]>, key: string | undefined, iface: Interface): readonly Owned[] {
    return (key === undefined ? [] : groups.get(key) ?? []).filter(owned => owned.iface !== iface);
}

/** A cure of the configured interface. None for a transient guest. */
function cureOf({ guest, pair: { configured } }: Subject, cure: (place: Place, configured: Interface) => Cure): { cure?: Cure } {
    return configured ? { cure: cure({ uuid: guest.uuid, index: configured.index }, configured) } : {};
}

function edit(subject: Subject, change: (element: XmlElement) => XmlElement): { cure?: Cure } {
    return cureOf(subject, (place, { xml }) => ({ type: "interface", ...place, before: xml, after: editXml(xml, change) }));
}

const ownDevice = (subject: Subject) => cureOf(subject, place => ({ type: "own-device", ...place }));

/** virDomainNetDefParseXML forgets such names, so what is configured has none; that a device bears one shows what was meant. */
const nameDropped: Rule = (iface, subject, { idle: meant }) => {
    if (iface.type !== "ethernet" || iface.target !== undefined)
        return undefined;
    return {
        id: "name-dropped", severity: meant ? "warning" : "info",
        says: meant
            ? msg("$0 names no device, and nobody uses $1: libvirt drops names that begin with vnet, macvtap or macvlan.", subject.guest.name, meant.name)
            : msg("$0 names no device, so libvirt makes one with a name of its own each time.", subject.guest.name),
        advice: meant
            ? msg("With managed='no' libvirt keeps the name: protect the interface on $0.", meant.name)
            : msg("Choose a device in the interface's definition, with managed='no'."),
        ...meant ? cureOf(subject, place => ({ type: "protect", ...place, device: meant.name })) : ownDevice(subject),
    };
};

const nameTooLong: Rule = ({ target = "" }, subject) => new TextEncoder().encode(target).length <= 15 ? undefined : {
    id: "name-too-long", severity: "danger",
    says: msg("“$0” is longer than the 15 bytes that the kernel allows: the guest cannot start.", target),
    advice: msg("Choose a shorter name for the device."),
    ...ownDevice(subject),
};

/** Kernel: a single queue is taken by one (EBUSY), a multi-queue device takes both guests in, and each gets half of the packets. */
const sameDevice: Rule = (iface, subject, { byDevice }) => {
    const { guest, configuredDevice } = subject;
    const [other] = iface.type === "ethernet" ? others(byDevice, iface.target, iface) : [];
    if (!other || iface.target === undefined)
        return undefined;
    const shared = configuredDevice?.tun?.multiQueue === true && (iface.queues ?? 1) > 1 && (other.iface.queues ?? 1) > 1;
    if (shared) {
        return {
            id: "shared-queues", severity: "danger",
            says: msg("$0 and $1 both name $2, which is multi-queue: libvirt lets both run, and each gets only a part of the packets.",
                guest.name, other.guest.name, iface.target),
            advice: msg("Give each guest a device of its own."),
            ...ownDevice(subject),
        };
    }
    return {
        id: "same-device", severity: "warning",
        says: guest === other.guest
            ? msg("Two interfaces of $0 name $1: the guest cannot start.", guest.name, iface.target)
            : msg("$0 and $1 both name $2: only one of them can run.", guest.name, other.guest.name, iface.target),
        advice: msg("Give each guest a device of its own."),
        ...ownDevice(subject),
    };
};

const sameMac: Rule = (iface, subject, { byMac }) => {
    const { guest } = subject;
    const [other] = others(byMac, iface.mac, iface);
    return other && {
        id: "same-mac", severity: "warning",
        says: other.guest === guest
            ? msg("Two interfaces of $0 have the MAC address $1.", guest.name, iface.mac ?? "")
            : msg("$0 and $1 have the same MAC address, $2.", guest.name, other.guest.name, iface.mac ?? ""),
        advice: msg("Give one of them another MAC address."),
        ...cureOf(subject, place => ({ type: "new-mac", ...place })),
    };
};

/** virDomainInterfaceStartDevice adds them at every CPU start, and fails where they are there already. */
const hostAddresses: Rule = (iface, subject) => {
    if (iface.type !== "ethernet" || iface.sourceIps.length === 0)
        return undefined;
    const persistent = subject.configuredDevice?.tun?.persistent === true || iface.managed === "no";
    return {
        id: "host-addresses", severity: persistent ? "danger" : "warning",
        says: persistent
            ? msg("The definition puts $0 on the device at every start. They stay there, so the second start fails, and so does resuming.",
                iface.sourceIps.join(", "))
            : msg("The definition puts $0 on the device at every start: resuming the guest after a pause fails.", iface.sourceIps.join(", ")),
        advice: msg("Put the addresses on the device itself, and take them out of the definition."),
        ...cureOf(subject, (place, { xml, target }) => ({
            type: "interface", ...place, before: xml, after: editXml(xml, withoutSourceIps),
            ...persistent && target !== undefined && { addresses: { device: target, addresses: sourceAddresses(xml) } },
        })),
    };
};

/** Those that say how long their prefix is. */
function sourceAddresses(xml: string): string[] {
    const source = child(parseElement(xml), "source");
    return (source ? children(source, "ip") : []).flatMap(({ attributes }) => {
        const [address, prefix] = [attributes.get("address"), attributes.get("prefix")];
        return address !== undefined && prefix !== undefined ? [withLength(`${address}/${prefix}`)] : [];
    });
}

function withoutSourceIps(element: XmlElement): XmlElement {
    const source = child(element, "source");
    if (!source)
        return element;
    const bare = withoutChild(withoutChild(source, "ip"), "route");
    const empty = bare.attributes.size === 0 && bare.children.every(node => node.type === "text" && node.content.trim() === "");
    return empty ? withoutChild(element, "source") : { ...element, children: element.children.map(node => node === source ? bare : node) };
}

/** What kept QEMU from running its own script before 1.3.3. Since then it only marks the guest as tainted (custom-script). */
const needlessScript: Rule = (iface, subject) => /^(\/usr)?\/bin\/true$/.test(iface.script ?? "") ? {
    id: "needless-script", severity: "info",
    says: msg("The script $0 does nothing, but marks the guest as tainted.", iface.script ?? ""),
    advice: msg("Take it out of the definition: libvirt has not needed it since 1.3.3."),
    ...edit(subject, element => withAttribute(element, ["script"], "path", undefined)),
} : undefined;

/** With managed='no' libvirt does not set IFF_UP (virDomainInterfaceEthernetConnect). */
const deviceDown: Rule = (iface, { configuredDevice, guest }) => iface.managed === "no" && configuredDevice?.up === false ? {
    id: "device-down", severity: "warning",
    says: msg("$0 is down, and with managed='no' libvirt does not set it up: $1 has no network.", configuredDevice.name, guest.name),
    advice: msg("Set the device up."),
    cure: { type: "set-up", device: configuredDevice.name },
} : undefined;

/** virDomainNetDefValidate; a definition may be older than the check, or libvirt may drop the guest when it starts. */
const managedRefused: Rule = (iface, subject) => iface.managed === "no" && iface.type !== "ethernet" ? {
    id: "managed-refused", severity: "danger",
    says: msg("managed='no' on an interface of type $0: libvirt refuses such a definition.", iface.type),
    advice: msg("Take managed='no' out, or make it an ethernet interface."),
    ...edit(subject, element => withAttribute(element, ["target"], "managed", undefined)),
} : undefined;

/** tun_not_capable() (tun.c): without owner and group any user may attach, and TUNSETPERSIST asks for no capability. */
const openDevice: Rule = (iface, { configuredDevice: device }, { facts }) => {
    if (iface.type !== "ethernet" || !device?.tun?.persistent || device.tun.owner !== undefined || device.tun.group !== undefined)
        return undefined;
    return {
        id: "open-device", severity: "info",
        says: msg("$0 has no owner: while no guest runs on it, every user of this host may open it, send through it, and delete it.", device.name),
        advice: msg("Make the device with an owner, for example root: guests of the system's libvirt do not mind."),
        // Only a unit that made it can make it anew.
        ...facts.units.get(device.name)?.active === "active" && { cure: { type: "own", device: device.name } },
    };
};

/** From 7.1.0 on libvirt tells the guest the MTU, but does not set it on the device of managed='no' (3bb87556b8). */
const mtuDiffers: Rule = (iface, { configuredDevice: device, guest }) => iface.managed === "no" && iface.mtu !== undefined && device
    && device.mtu !== iface.mtu ? {
        id: "mtu-differs", severity: "warning",
        says: msg("$0 is told an MTU of $1, but $2 has $3: libvirt does not change it with managed='no'.",
            guest.name, String(iface.mtu), device.name, String(device.mtu)),
        advice: msg("Give the device the same MTU."),
        cure: { type: "mtu", device: device.name, mtu: iface.mtu },
    } : undefined;

/** A device made by hand, or by a script that nothing here knows. */
const lostAtBoot: Rule = (_iface, subject, { snapshot }) => {
    const { guest, configuredDevice } = subject;
    return isLostAtBoot(snapshot, subject) ? {
        id: "lost-at-boot", severity: "warning",
        says: msg("Nothing that is known here makes $0 at boot: without it $1 cannot start after the next one.", configuredDevice?.name ?? "", guest.name),
        advice: msg("Write the device down, so that it is made before libvirt starts."),
        ...cureOf(subject, place => ({ type: "protect", ...place })),
    } : undefined;
};

/** qemuDomainChangeNet replaces the whole definition for some changes (bandwidth, filter), `managed` included. */
const disarmed: Rule = (_iface, subject, { facts, snapshot }) => {
    const { pair: { live }, liveDevice, guest, now } = subject;
    const unprotected = live?.type === "ethernet" && live.managed !== "no";
    const refuses = behaviours(facts.libvirt).every(({ existing }) => existing === "refused");
    if (!unprotected || !refuses || !now || liveDevice?.tun?.persistent !== true || !liveDevice.carrier)
        return undefined;
    if (fate("destroy", live, liveDevice, now).outcome !== "deleted")
        return undefined;
    return {
        id: "disarmed", severity: "danger",
        says: msg("$0 runs on the persistent device $1 without managed='no': a change of the running guest took it away, or an older libvirt started it.",
            guest.name, liveDevice.name),
        advice: msg("libvirt deletes the device when the guest stops. Protect it, and it is made again at once."),
        ...protectionOf(snapshot, subject) !== "no" && cureOf(subject, place => ({ type: "protect", ...place })),
    };
};

/** A start restores the definition inside the image (qemuDomainObjRestore). */
const oldSavedState: Rule = (iface, { guest }) => guest.managedSave && !guest.live && iface.type === "ethernet" ? {
    id: "old-saved-state", severity: "warning",
    says: msg("$0 has a saved state. It carries the definition that was in effect then, and that is what starts next.", guest.name),
    advice: msg("Change it with “virsh managedsave-edit $0”: what is written into the guest's definition takes effect after its next shutdown.", guest.name),
} : undefined;

const rules: readonly Rule[] = [
    nameDropped, nameTooLong, sameDevice, sameMac, hostAddresses, needlessScript, deviceDown, managedRefused, openDevice, mtuDiffers,
    lostAtBoot, disarmed, oldSavedState,
];
