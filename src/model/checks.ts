// SPDX-License-Identifier: LGPL-2.1-or-later
// Traps on the interfaces of guests: what is the matter, what to do, and the cure where there is one. Each is a pure function
// of one interface and its host; actions/cure.ts plans the cures.
import { isDroppedName } from "./fate.ts";
import { hostFacts, subjects } from "./glance.ts";
import type { HostFacts, Subject } from "./glance.ts";
import type { Guest, Interface } from "./guest.ts";
import { editXml, withAttribute, withoutChild } from "./interface-xml.ts";
import { behaviours, newestVerified, versionNumber } from "./libvirt-version.ts";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Link } from "./tap.ts";
import { child } from "./xml.ts";
import type { XmlElement } from "./xml.ts";

export type CheckId =
    | "name-dropped" | "name-too-long" | "same-device" | "shared-queues" | "same-mac" | "host-addresses" | "needless-script" | "device-down"
    | "managed-refused" | "open-device" | "mtu-differs" | "disarmed" | "old-saved-state" | "hook-not-in-effect" | "newer-libvirt";

/** What a planner has to be asked for. */
export type Cure =
    | { type: "interface"; uuid: string; index: number; before: string; after: string }
    | { type: "set-up"; device: string }
    | { type: "restart-libvirt" };

export interface Check {
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
        facts, idle: idleDevice(facts),
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

/** Traps of libvirt itself. */
export function libvirtChecks(snapshot: Snapshot): Check[] {
    const facts = hostFacts(snapshot);
    if (!facts)
        return [];
    const waiting = subjects(facts).filter(({ pair: { live, configured } }) => configured?.managed === "no" && live && live.managed !== "no");
    return [
        ...facts.hook.installed && facts.hook.inEffect === false ? [hookNotInEffect(waiting.map(({ guest }) => guest.name))] : [],
        ...versionNumber(facts.libvirt.version) > versionNumber(newestVerified) ? [newerLibvirt(facts.libvirt.version)] : [],
    ];
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

/** A cure that changes the configured interface. None for a transient guest. */
function edit({ guest, pair: { configured } }: Subject, change: (element: XmlElement) => XmlElement): { cure?: Cure } {
    return configured
        ? { cure: { type: "interface", uuid: guest.uuid, index: configured.index, before: configured.xml, after: editXml(configured.xml, change) } }
        : {};
}

/** virDomainNetDefParseXML forgets such names, so what is configured has none; that a device bears one shows what was meant. */
const nameDropped: Rule = (iface, { guest }, { idle: meant }) => {
    if (iface.type !== "ethernet" || iface.target !== undefined)
        return undefined;
    return {
        id: "name-dropped", severity: meant ? "warning" : "info",
        says: meant
            ? msg("$0 names no device, and nobody uses $1: libvirt drops names that begin with vnet, macvtap or macvlan.", guest.name, meant.name)
            : msg("$0 names no device, so libvirt makes one with a name of its own each time.", guest.name),
        advice: msg("Choose a device in the interface's definition, with managed='no'."),
    };
};

const nameTooLong: Rule = ({ target = "" }) => new TextEncoder().encode(target).length <= 15 ? undefined : {
    id: "name-too-long", severity: "danger",
    says: msg("“$0” is longer than the 15 bytes that the kernel allows: the guest cannot start.", target),
    advice: msg("Choose a shorter name for the device."),
};

/** Kernel: a single queue is taken by one (EBUSY), a multi-queue device takes both guests in, and each gets half of the packets. */
const sameDevice: Rule = (iface, { guest, configuredDevice }, { byDevice }) => {
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
        };
    }
    return {
        id: "same-device", severity: "warning",
        says: guest === other.guest
            ? msg("Two interfaces of $0 name $1: the guest cannot start.", guest.name, iface.target)
            : msg("$0 and $1 both name $2: only one of them can run.", guest.name, other.guest.name, iface.target),
        advice: msg("Give each guest a device of its own."),
    };
};

const sameMac: Rule = (iface, { guest }, { byMac }) => {
    const [other] = others(byMac, iface.mac, iface);
    return other && {
        id: "same-mac", severity: "warning",
        says: other.guest === guest
            ? msg("Two interfaces of $0 have the MAC address $1.", guest.name, iface.mac ?? "")
            : msg("$0 and $1 have the same MAC address, $2.", guest.name, other.guest.name, iface.mac ?? ""),
        advice: msg("Give one of them another MAC address."),
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
        ...edit(subject, withoutSourceIps),
    };
};

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
const openDevice: Rule = (iface, { configuredDevice: device }) => {
    if (iface.type !== "ethernet" || !device?.tun?.persistent || device.tun.owner !== undefined || device.tun.group !== undefined)
        return undefined;
    return {
        id: "open-device", severity: "info",
        says: msg("$0 has no owner: while no guest runs on it, every user of this host may open it, send through it, and delete it.", device.name),
        advice: msg("Make the device with an owner, for example root: guests of the system's libvirt do not mind."),
    };
};

/** From 7.1.0 on libvirt tells the guest the MTU, but does not set it on the device of managed='no' (3bb87556b8). */
const mtuDiffers: Rule = (iface, { configuredDevice: device, guest }) => iface.managed === "no" && iface.mtu !== undefined && device
    && device.mtu !== iface.mtu ? {
        id: "mtu-differs", severity: "warning",
        says: msg("$0 is told an MTU of $1, but $2 has $3: libvirt does not change it with managed='no'.",
            guest.name, String(iface.mtu), device.name, String(device.mtu)),
        advice: msg("Give the device the same MTU."),
    } : undefined;

/** qemuDomainChangeNet replaces the whole definition for some changes (bandwidth, filter), `managed` included. */
const disarmed: Rule = (_iface, { pair: { live }, liveDevice, guest, now }, { facts }) => {
    const unprotected = live?.type === "ethernet" && live.managed !== "no";
    const refuses = behaviours(facts.libvirt).every(({ existing }) => existing === "refused");
    if (!unprotected || !refuses || !now || liveDevice?.tun?.persistent !== true || !liveDevice.carrier)
        return undefined;
    return {
        id: "disarmed", severity: "danger",
        says: msg("$0 runs on the persistent device $1 without managed='no': a change of the running guest took it away, or an older libvirt started it.",
            guest.name, liveDevice.name),
        advice: msg("libvirt deletes the device when the guest stops. Protect it, and it is made again at once."),
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
    disarmed, oldSavedState,
];

/** virHookInitialize runs once, when the daemon starts. */
function hookNotInEffect(waiting: readonly string[]): Check {
    return {
        id: "hook-not-in-effect", severity: waiting.length > 0 ? "danger" : "warning",
        says: waiting.length > 0
            ? msg("libvirt has not noticed the hook that makes lost devices again, and $0 still run on their old definition.", waiting.join(", "))
            : msg("libvirt has not noticed the hook that makes lost devices again: it looks for hooks only when it starts."),
        advice: msg("Restart libvirt. Running guests go on running."),
        cure: { type: "restart-libvirt" },
    };
}

function newerLibvirt(version: string): Check {
    return {
        id: "newer-libvirt", severity: "info",
        says: msg("libvirt $0 is newer than the newest release whose behaviour was measured, $1.", version, newestVerified),
        advice: msg("What is said about it here is what $0 does.", newestVerified),
    };
}
