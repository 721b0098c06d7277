// SPDX-License-Identifier: LGPL-2.1-or-later
// Protect: the device is persistent and made again at boot, and the definition says managed='no', so that libvirt leaves it alone.
// A running guest keeps its old definition until it is shut down – update-device --live cannot change `managed`
// (qemuDomainChangeNet) – and what it takes along then, the hook makes again.
import { bootProvider } from "../model/boot-provider.ts";
import { fate } from "../model/fate.ts";
import { hostFacts, subjects } from "../model/glance.ts";
import type { Subject } from "../model/glance.ts";
import type { Interface } from "../model/guest.ts";
import { editXml, withAttribute } from "../model/interface-xml.ts";
import { behaviours } from "../model/libvirt-version.ts";
import { isSafeName } from "../model/names.ts";
import { reachUnread } from "../model/host-reach.ts";
import { msg, uniqueMessages } from "../model/message.ts";
import type { Message } from "../model/message.ts";
import type { Planned, Problem, Step } from "../model/plan.ts";
import { valueOf } from "../model/snapshot.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { isTap } from "../model/tap.ts";
import type { Link } from "../model/tap.ts";
import { defaultSysctls } from "../model/sysctl-file.ts";
import { tapFilePath, writeTapFile } from "../model/tap-file.ts";
import { settingsOf, withLength, withoutDefaults } from "../model/tap-settings.ts";
import type { TapSettings } from "../model/tap-settings.ts";
import { touchNotes, touchOf, touchProblems, type Touch } from "../model/touch.ts";
import { guestAddressProblem, guestsNaming, newDeviceProblem, type Giving } from "../model/validate.ts";
import { isAmbiguous, update } from "./edit-interface.ts";
import { contentOf, fileGives, fileOf, fileSteps, guardSteps, keepOffSteps, systemctl, unitOf, unreadProblems } from "./tap-steps.ts";

/** An interface of a guest's configured definition. */
export interface ProtectTarget {
    uuid: string;
    /** Its place in the configured definition. */
    index: number;
    /** A device of its own instead of the one that the definition names: one that is there, or a new one. */
    device?: string;
    /** Routed over a device that has to be made. Empty or absent: a device without addresses. */
    guestAddress?: string;
}

export interface ProtectWish {
    targets: readonly ProtectTarget[];
    /** Leave out those that cannot be protected, and say so, as long as one is left. */
    leavesOut?: boolean;
}

/** An interface, and the device that it shall have. */
interface Aim {
    target: ProtectTarget;
    subject: Subject;
    /** As it is configured now. */
    iface: Interface;
    name: string;
    link: Link | undefined;
}

/** What to do about one interface: its steps in order, and what to tell. */
interface Part {
    aim: Aim;
    device: readonly Step[];
    definition: readonly Step[];
    touches: Touch;
    notes: readonly Message[];
}

/** One plan for all of them. Problems where one of them cannot be protected; each says which. Fields: `device`, `address`. */
export function planProtect(snapshot: Snapshot, wish: ProtectWish): Planned {
    const facts = hostFacts(snapshot);
    if (!facts)
        return problem(msg("Guests and devices of this host have not been read."));
    const [unread] = unreadProblems(snapshot);
    if (unread)
        return { problems: [unread] };
    const refused = reachUnread(snapshot) ?? libvirtProblem(snapshot);
    if (refused)
        return problem(refused);
    const all = subjects(facts);
    const answers = wish.targets.map(target => partOf(snapshot, facts.links, all, target));
    const parts = answers.filter(answer => "aim" in answer);
    const problems = answers.filter(answer => "says" in answer);
    if (parts.length === 0 || (problems.length > 0 && wish.leavesOut !== true))
        return { problems: problems.length > 0 ? problems : [{ says: gone() }] };
    const steps = [...unique(parts.flatMap(part => part.device)), ...parts.flatMap(part => part.definition)];
    if (steps.length === 0)
        return problem(msg("This is protected already: there is nothing to do."));
    const [first] = parts;
    const only = parts.length === 1 && first ? { device: first.aim.name, guest: first.aim.subject.guest.name } : undefined;
    return {
        plan: {
            title: only ? msg("Protect $0 of $1", only.device, only.guest) : msg("Protect $0 interfaces", String(parts.length)),
            steps,
            touches: touchOf(parts.map(part => part.touches)),
            notes: uniqueMessages([...problems.map(({ says }) => says), ...parts.flatMap(part => part.notes)]),
            ...only && { about: only },
            holds: after => parts.every(({ aim }) => isProtected(after, aim)),
        },
    };
}

function problem(says: Message): { problems: readonly Problem[] } {
    return { problems: [{ says }] };
}

const gone = () => msg("The guest or its interface does not exist any more.");

/** libvirt has to know managed='no' for it to protect anything. */
function libvirtProblem(snapshot: Snapshot): Message | undefined {
    const libvirt = valueOf(snapshot.libvirt);
    const possible = libvirt ? behaviours(libvirt) : [];
    if (!libvirt || possible.length === 0)
        return msg("What this version of libvirt does is not known, so it cannot be said how to protect a device from it.");
    if (possible.every(behaviour => !behaviour.knowsManaged))
        return msg("libvirt $0 ignores managed='no': devices can be protected from libvirt 5.8.0 on.", libvirt.version);
    if (possible.every(behaviour => behaviour.unmanagedIsBroken)) {
        return msg("With libvirt 9.0.0 as released upstream, no guest starts with managed='no' on an existing device. Update libvirt first: 9.1.0 can.");
    }
    return undefined;
}

function partOf(snapshot: Snapshot, links: ReadonlyMap<string, Link>, all: readonly Subject[], target: ProtectTarget): Part | Problem {
    const subject = all.find(({ guest, pair }) => guest.uuid === target.uuid && pair.configured?.index === target.index);
    const iface = subject?.pair.configured;
    if (!subject || !iface)
        return { says: gone() };
    const name = target.device ?? iface.target ?? "";
    const aim: Aim = { target, subject, iface, name, link: links.get(name) };
    const problem = ownDeviceProblem(snapshot, aim) ?? addressProblem(snapshot, aim) ?? interfaceProblem(aim);
    if (problem)
        return problem;
    const device = deviceSteps(snapshot, aim);
    if ("says" in device)
        return device;
    const { gives } = device, touches = gives ? { gives } : {};
    const [says] = touchProblems(snapshot, touches);
    if (says)
        return { says };
    return {
        aim, touches, device: device.steps, definition: definitionSteps(aim),
        notes: [...touchNotes(snapshot, touches), ...device.notes, ...queueNotes(aim), ...pendingNotes(aim)],
    };
}

/** A device that the definition does not name yet: a new one, or one that is there and that nobody else names. */
function ownDeviceProblem(snapshot: Snapshot, { target: { device }, link }: Aim): Problem | undefined {
    if (device === undefined)
        return undefined;
    const [other] = guestsNaming(snapshot, device);
    const says = other
        ? msg("The definition of $0 names $1 already. Enter another name.", other.name, device)
        : link ? undefined : newDeviceProblem(device, snapshot);
    return says && { field: "device", says };
}

function addressProblem(snapshot: Snapshot, { target: { guestAddress = "" }, name, link }: Aim): Problem | undefined {
    const says = link || guestAddress === "" ? undefined : guestAddressProblem(guestAddress, snapshot, name);
    return says && { field: "address", says };
}

/** What the device is given: by this page, or by a file that somebody wrote. */
function given(snapshot: Snapshot, { name }: Aim, settings: TapSettings): readonly Giving[] {
    return fileOf(snapshot, name) ? fileGives(snapshot, name) : [settings];
}

function interfaceProblem({ subject: { guest }, iface, name, link }: Aim): Problem | undefined {
    if (iface.type !== "ethernet")
        return { says: msg("An interface of $0 is of type $1: only ethernet interfaces can say managed='no'.", guest.name, iface.type) };
    if (name === "")
        return { says: msg("An interface of $0 names no device. Choose one in its definition first.", guest.name) };
    if (!isSafeName(name))
        return { says: msg("$0 names the device “$1”: choose a name of at most 15 letters, digits and _ . - first.", guest.name, name) };
    if (link && !isTap(link) && link.kind !== "macvtap")
        return { says: msg("$0 is no TAP device, so $1 cannot use it. Choose another device first.", name, guest.name) };
    if (isAmbiguous(guest, iface)) {
        return { says: msg("Two interfaces of $0 have the same MAC address and no PCI address that tells them apart: give one of them another MAC address first.",
            guest.name) };
    }
    return undefined;
}

/** What makes the device persistent, now and at boot. */
function deviceSteps(snapshot: Snapshot, aim: Aim): { steps: Step[]; notes: Message[]; gives?: readonly Giving[] } | Problem {
    const { name, link, subject: { guest } } = aim;
    if (link && !isTap(link))
        return { steps: [], notes: [msg("$0 is a macvtap device: whoever makes it has to make it again at boot.", name)] };
    const provider = bootProvider(snapshot, name, link);
    switch (provider.by) {
        case "unknown":
            return { says: msg("What makes $0 at boot could not be read.", name) };
        case "kvm-tap":
            return link ? { steps: [], notes: [] } : {
                steps: [...guardSteps(snapshot, name), bringBack(name)], notes: [], gives: given(snapshot, aim, tapSettings(snapshot, aim)),
            };
        case "networkd":
        case "NetworkManager":
        case "ifupdown": {
            const missing = link ? [] : [msg("$0 is missing now: $1 cannot start before $2 has made it.", name, guest.name, provider.by)];
            return { steps: [], notes: [msg("$0 is made at boot by $1 ($2): that is left as it is.", name, provider.by, provider.path), ...missing] };
        }
        case "libvirt":
        case "nothing":
            return { steps: ownSteps(snapshot, aim), notes: [], gives: given(snapshot, aim, tapSettings(snapshot, aim)) };
    }
}

function bringBack(name: string): Step {
    return {
        says: msg("Make the missing device $0 again from its file", name), does: systemctl("restart", unitOf(name)),
        undo: systemctl("stop", unitOf(name)), partial: true,
    };
}

/** Our file, unless somebody wrote one already, and our unit. */
function ownSteps(snapshot: Snapshot, aim: Aim): Step[] {
    const { name, link, target: { guestAddress = "" } } = aim;
    const path = tapFilePath(name);
    const says = link ? msg("Write down the device $0 as it runs now", name) : msg("Describe the device $0", name);
    return [
        ...keepOffSteps(snapshot, [name]),
        ...contentOf(snapshot, path) === null ? fileSteps(snapshot, says, path, writeTapFile(tapSettings(snapshot, aim))) : [],
        ...guardSteps(snapshot, name, link || guestAddress === "" ? new Map() : defaultSysctls(name, guestAddress.includes(":"))),
        {
            says: link ? msg("Make $0 at every boot from now on", name) : msg("Make the device $0, now and at every boot", name),
            does: systemctl("enable", "--now", unitOf(name)), partial: true,
            // Stopping the unit deletes the device: only what this plan made may go.
            undo: link ? systemctl("disable", unitOf(name)) : systemctl("disable", "--now", unitOf(name)),
        },
        // A unit whose device was deleted by hand is active still, and is not started a second time.
        ...!link && valueOf(snapshot.units)?.get(name)?.active === "active" ? [bringBack(name)] : [],
    ];
}

/** A device that runs: as it is. One that is missing: as wished, with queues as the definition asks for. */
function tapSettings(snapshot: Snapshot, { name, link, iface, target: { guestAddress } }: Aim): TapSettings {
    if (link && isTap(link)) {
        const running = settingsOf(link, valueOf(snapshot.addresses)?.get(name) ?? [], valueOf(snapshot.routes) ?? []);
        const settings = withoutDefaults({ ...running, up: true });
        if (link.tun.persistent)
            return settings;
        const own = { owner: "root", ...settings };
        delete own.mac; // libvirt's: fe:…, made of the guest's MAC address at each start
        return own;
    }
    return { name, owner: "root", multiQueue: (iface.queues ?? 1) > 1, addrGenMode: "none", up: true, ...routedTo(guestAddress ?? "") };
}

/** The device of a routed guest: the gateway on it, the guest's address over it. */
function routedTo(address: string): Pick<TapSettings, "addresses" | "routes"> {
    if (address === "")
        return { addresses: [], routes: [] };
    return { addresses: [address.includes(":") ? "fe80::1/64" : "169.254.0.1/32"], routes: [{ destination: withLength(address) }] };
}

function definitionSteps({ subject: { guest }, iface, name, link }: Aim): Step[] {
    const queues = fittingQueues(iface, link);
    const wished = editXml(iface.xml, element => {
        const named = withAttribute(element, ["target"], "dev", name);
        const managed = withAttribute(named, ["target"], "managed", "no");
        return queues === "as they are" ? managed : withAttribute(managed, ["driver"], "queues", queues);
    });
    if (wished === iface.xml)
        return [];
    return [{ ...update(guest, iface, wished, "config"), says: msg("Write managed='no' for $0 into the definition of $1", name, guest.name) }];
}

/** The kernel opens a multi-queue device with several queues only, another one with one only: the definition follows the device. */
function fittingQueues(iface: Interface, link: Link | undefined): "as they are" | "2" | undefined {
    if (!link || !isTap(link) || link.tun.multiQueue === (iface.queues ?? 1) > 1)
        return "as they are";
    return link.tun.multiQueue ? "2" : undefined;
}

function queueNotes({ subject: { guest }, iface, name, link }: Aim): Message[] {
    const queues = fittingQueues(iface, link);
    if (queues === "as they are")
        return [];
    return [queues === undefined
        ? msg("$0 is not multi-queue: the definition of $1 gets one queue, or it could not start.", name, guest.name)
        : msg("$0 is multi-queue: the definition of $1 gets two queues, or it could not start.", name, guest.name)];
}

/** What the running guest, or its saved state, still takes along. */
function pendingNotes(aim: Aim): Message[] {
    const { subject: { guest, pair: { live } }, name } = aim;
    return [
        ...guest.managedSave
            ? [msg("$0 has a saved state, which carries its old definition. Edit that, too, with “virsh managedsave-edit $0”, or the next start fails and deletes $1.",
                guest.name, name)] : [],
        ...live && live.target !== name
            ? [msg("$0 runs on without $1 until it is shut down and started again.", guest.name, name)]
            : live && live.managed !== "no" ? [atTheStop(aim, live)] : [],
    ];
}

function atTheStop({ subject: { guest, now, liveDevice }, iface, name }: Aim, live: Interface): Message {
    const stop = now && fate("destroy", live, liveDevice, { ...now, unitEnabled: true, configured: { ...iface, managed: "no" } });
    switch (stop?.outcome) {
        case "restored":
            return msg("$0 runs on its old definition until it is shut down. libvirt takes $1 away then, and the hook makes it again at once.",
                guest.name, name);
        case "deleted":
        case "gone":
            return msg("$0 runs on its old definition until it is shut down. $1 is lost then, and the hook that makes it again is not in effect: restart libvirt to put it in effect, or make the device again before the next start.",
                guest.name, name);
        default:
            return msg("$0 runs on its old definition until it is shut down.", guest.name);
    }
}

/** Two guests may name one device: made once. */
function unique(steps: readonly Step[]): Step[] {
    const seen = new Map(steps.map(step => [JSON.stringify(step.does), step]));
    return [...seen.values()];
}

function isProtected(after: Snapshot, { target, name }: Aim): boolean {
    const iface = valueOf(after.guests)?.find(guest => guest.uuid === target.uuid)?.configured?.interfaces[target.index];
    const link = valueOf(after.links)?.find(candidate => candidate.name === name);
    const provider = bootProvider(after, name, link && isTap(link) ? link : undefined).by;
    const elsewhere = provider === "networkd" || provider === "NetworkManager" || provider === "ifupdown";
    return iface?.managed === "no" && iface.target === name
        && (elsewhere || link?.kind === "macvtap" || (provider === "kvm-tap" && link !== undefined));
}
