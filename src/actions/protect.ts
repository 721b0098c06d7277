// SPDX-License-Identifier: LGPL-2.1-or-later
// Protect: the device is persistent and made again at boot, and the definition says managed='no', so that libvirt leaves it alone.
// A running guest keeps its old definition until it is shut down – update-device --live cannot change `managed`
// (qemuDomainChangeNet) – and what it takes along then, the hook makes again.
import { bootProvider } from "../model/boot-provider.ts";
import { fate } from "../model/fate.ts";
import { glance, hostFacts, subjects } from "../model/glance.ts";
import type { Subject } from "../model/glance.ts";
import type { Guest, Interface } from "../model/guest.ts";
import { editXml, withAttribute } from "../model/interface-xml.ts";
import { behaviours } from "../model/libvirt-version.ts";
import { msg } from "../model/message.ts";
import type { Message } from "../model/message.ts";
import type { Command, Planned, Problem, Step } from "../model/plan.ts";
import { valueOf } from "../model/snapshot.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { isTap } from "../model/tap.ts";
import type { Link } from "../model/tap.ts";
import { tapFilePath, writeTapFile } from "../model/tap-file.ts";
import { settingsOf, withoutDefaults } from "../model/tap-settings.ts";
import type { TapSettings } from "../model/tap-settings.ts";
import { isAmbiguous, update } from "./edit-interface.ts";

/** An interface of a guest's configured definition. */
export interface ProtectTarget {
    uuid: string;
    /** Its place in the configured definition. */
    index: number;
}

export interface ProtectWish {
    targets: readonly ProtectTarget[];
    /** How devices that are missing shall be made, by name. By default: up, without addresses. */
    settings?: ReadonlyMap<string, Pick<TapSettings, "addresses" | "routes">>;
}

/** What to do about one interface: its steps in order, and what to tell. */
interface Part {
    device: readonly Step[];
    definition: readonly Step[];
    notes: readonly Message[];
    problems: readonly Message[];
}

/** Interfaces for "Protect all": those whose persistent device the next start, stop or failed start deletes. */
export function unprotectedTargets(snapshot: Snapshot): ProtectTarget[] {
    const facts = hostFacts(snapshot);
    return (facts ? subjects(facts) : [])
        .filter(subject => subject.pair.configured?.type === "ethernet" && glance(subject).atRisk && !isOnlyPending(subject))
        .map(({ guest, pair }) => ({ uuid: guest.uuid, index: pair.configured?.index ?? 0 }));
}

/** The definition is right already; what is lost at the stop, only the hook can bring back. */
function isOnlyPending({ pair, next }: Subject): boolean {
    return pair.configured?.managed === "no" && next?.unitEnabled === true;
}

/** One plan for all of them. Problems where one of them cannot be protected; each says which. */
export function planProtect(snapshot: Snapshot, wish: ProtectWish): Planned {
    const facts = hostFacts(snapshot);
    if (!facts)
        return problem(msg("Guests and devices of this host have not been read."));
    const refused = libvirtProblem(snapshot);
    if (refused)
        return problem(refused);
    const all = subjects(facts);
    const chosen = wish.targets.map(({ uuid, index }) =>
        all.find(({ guest, pair }) => guest.uuid === uuid && pair.configured?.index === index));
    if (chosen.length === 0 || chosen.some(subject => !subject))
        return problem(msg("The guest or its interface does not exist any more."));
    const parts = chosen.flatMap(subject => subject ? [partOf(snapshot, wish, subject)] : []);
    const problems = parts.flatMap(part => part.problems);
    if (problems.length > 0)
        return { problems: problems.map(says => ({ says })) };
    const steps = [...unique(parts.flatMap(part => part.device)), ...parts.flatMap(part => part.definition)];
    if (steps.length === 0)
        return problem(msg("This is protected already: there is nothing to do."));
    const only = chosen.length === 1 ? chosen[0] : undefined;
    return {
        plan: {
            title: only ? msg("Protect $0 of $1", targetOf(only), only.guest.name) : msg("Protect $0 interfaces", String(chosen.length)),
            steps,
            notes: uniqueMessages(parts.flatMap(part => part.notes)),
            ...only && { about: { device: targetOf(only), guest: only.guest.name } },
            holds: after => wish.targets.every((target, index) => isProtected(after, target, chosen[index])),
        },
    };
}

function problem(says: Message): { problems: readonly Problem[] } {
    return { problems: [{ says }] };
}

function targetOf(subject: Subject): string {
    return subject.pair.configured?.target ?? "";
}

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

function partOf(snapshot: Snapshot, wish: ProtectWish, subject: Subject): Part {
    const { guest, pair: { configured } } = subject;
    const problems = configured ? interfaceProblem(guest, configured, subject.configuredDevice) : msg("$0 is a transient guest.", guest.name);
    if (problems || !configured)
        return { device: [], definition: [], notes: [], problems: problems ? [problems] : [] };
    const device = deviceSteps(snapshot, wish, subject, configured);
    return "says" in device
        ? { device: [], definition: [], notes: [], problems: [device.says] }
        : {
            device: device.steps, definition: definitionSteps(guest, configured, subject.configuredDevice), problems: [],
            notes: [...device.notes, ...queueNotes(guest, configured, subject.configuredDevice), ...pendingNotes(subject)],
        };
}

function interfaceProblem(guest: Guest, iface: Interface, link: Link | undefined): Message | undefined {
    const { target, type } = iface;
    if (type !== "ethernet")
        return msg("An interface of $0 is of type $1: only ethernet interfaces can say managed='no'.", guest.name, type);
    if (target === undefined)
        return msg("An interface of $0 names no device. Choose one in its definition first.", guest.name);
    if (!/^[A-Za-z0-9_.][A-Za-z0-9_.-]*$/.test(target) || target.length > 15 || /^(\.{1,2}|all|default)$/.test(target))
        return msg("$0 names the device “$1”: choose a name of at most 15 letters, digits and _ . - first.", guest.name, target);
    if (link && !isTap(link) && link.kind !== "macvtap")
        return msg("$0 is no TAP device, so $1 cannot use it. Choose another device first.", target, guest.name);
    if (isAmbiguous(guest, iface)) {
        return msg("Two interfaces of $0 have the same MAC address and no PCI address that tells them apart: give one of them another MAC address first.",
            guest.name);
    }
    return undefined;
}

/** What makes the device persistent, now and at boot. */
function deviceSteps(snapshot: Snapshot, wish: ProtectWish, subject: Subject, iface: Interface):
{ steps: Step[]; notes: Message[] } | { says: Message } {
    const name = iface.target ?? "";
    const link = subject.configuredDevice;
    if (link && !isTap(link))
        return { steps: [], notes: [msg("$0 is a macvtap device: whoever makes it has to make it again at boot.", name)] };
    const provider = bootProvider(snapshot, name, link);
    switch (provider.by) {
        case "unknown":
            return { says: msg("What makes $0 at boot could not be read.", name) };
        case "kvm-tap":
            return { steps: link ? [] : [bringBack(name)], notes: [] };
        case "networkd":
        case "NetworkManager":
        case "ifupdown": {
            const missing = link ? [] : [msg("$0 is missing now: $1 cannot start before $2 has made it.", name, subject.guest.name, provider.by)];
            return { steps: [], notes: [msg("$0 is made at boot by $1 ($2): that is left as it is.", name, provider.by, provider.path), ...missing] };
        }
        case "libvirt":
        case "nothing":
            return { steps: ownSteps(snapshot, wish, name, link, iface), notes: [] };
    }
}

function systemctl(...args: string[]): Command {
    return { type: "command", argv: ["systemctl", ...args] };
}

function bringBack(name: string): Step {
    return {
        says: msg("Make the missing device $0 again from its file", name), does: systemctl("restart", `kvm-tap@${name}.service`),
        undo: systemctl("stop", `kvm-tap@${name}.service`), partial: true,
    };
}

/** Our file, unless somebody wrote one already, and our unit. */
function ownSteps(snapshot: Snapshot, wish: ProtectWish, name: string, link: Link | undefined, iface: Interface): Step[] {
    const path = tapFilePath(name);
    const found = valueOf(snapshot.files)?.get(path)?.content ?? null;
    const content = writeTapFile(tapSettings(snapshot, wish, name, link, iface));
    const write: Step = {
        says: link ? msg("Write down the device $0 as it runs now", name) : msg("Describe the device $0", name),
        does: { type: "file", path, content }, expects: { type: "file", path, content: null }, undo: { type: "file", path, content: null },
        shows: { before: "", after: content },
    };
    const unit = `kvm-tap@${name}.service`;
    return [
        ...found === null ? [write] : [],
        {
            says: link ? msg("Make $0 at every boot from now on", name) : msg("Make the device $0, now and at every boot", name),
            does: systemctl("enable", "--now", unit), partial: true,
            // Stopping the unit deletes the device: only what this plan made may go.
            undo: link ? systemctl("disable", unit) : systemctl("disable", "--now", unit),
        },
        // A unit whose device was deleted by hand is active still, and is not started a second time.
        ...!link && valueOf(snapshot.units)?.get(name)?.active === "active" ? [bringBack(name)] : [],
    ];
}

/** A device that runs: as it is. One that is missing: as wished, with queues as the definition asks for. */
function tapSettings(snapshot: Snapshot, wish: ProtectWish, name: string, link: Link | undefined, iface: Interface): TapSettings {
    if (link && isTap(link)) {
        const running = settingsOf(link, valueOf(snapshot.addresses)?.get(name) ?? [], valueOf(snapshot.routes) ?? []);
        const settings = withoutDefaults({ ...running, up: true });
        if (link.tun.persistent)
            return settings;
        const own = { ...settings };
        delete own.mac; // libvirt's: fe:…, made of the guest's MAC address at each start
        return own;
    }
    return { name, owner: "root", multiQueue: (iface.queues ?? 1) > 1, addrGenMode: "none", up: true, addresses: [], routes: [], ...wish.settings?.get(name) };
}

function definitionSteps(guest: Guest, iface: Interface, link: Link | undefined): Step[] {
    const queues = fittingQueues(iface, link);
    const wished = editXml(iface.xml, element => {
        const managed = withAttribute(element, ["target"], "managed", "no");
        return queues === "as they are" ? managed : withAttribute(managed, ["driver"], "queues", queues);
    });
    if (wished === iface.xml)
        return [];
    return [{ ...update(guest, iface, wished, "config"), says: msg("Write managed='no' for $0 into the definition of $1", iface.target ?? "", guest.name) }];
}

/** The kernel opens a multi-queue device with several queues only, another one with one only: the definition follows the device. */
function fittingQueues(iface: Interface, link: Link | undefined): "as they are" | "2" | undefined {
    if (!link || !isTap(link) || link.tun.multiQueue === (iface.queues ?? 1) > 1)
        return "as they are";
    return link.tun.multiQueue ? "2" : undefined;
}

function queueNotes(guest: Guest, iface: Interface, link: Link | undefined): Message[] {
    const queues = fittingQueues(iface, link);
    if (queues === "as they are")
        return [];
    return [queues === undefined
        ? msg("$0 is not multi-queue: the definition of $1 gets one queue, or it could not start.", iface.target ?? "", guest.name)
        : msg("$0 is multi-queue: the definition of $1 gets two queues, or it could not start.", iface.target ?? "", guest.name)];
}

/** What the running guest, or its saved state, still takes along. */
function pendingNotes({ guest, pair: { live, configured }, now, liveDevice }: Subject): Message[] {
    const name = configured?.target ?? "";
    const saved = guest.managedSave
        ? [msg("$0 has a saved state, which carries its old definition. Edit that, too, with “virsh managedsave-edit $0”, or the next start fails and deletes $1.",
            guest.name, name)] : [];
    if (!live || !now || !configured || live.managed === "no" || live.target !== name)
        return saved;
    const stop = fate("destroy", live, liveDevice, { ...now, unitEnabled: true, configured: { ...configured, managed: "no" } });
    switch (stop.outcome) {
        case "restored":
            return [...saved, msg("$0 runs on its old definition until it is shut down. libvirt takes $1 away then, and the hook makes it again at once.",
                guest.name, name)];
        case "deleted":
        case "gone":
            return [...saved, msg("$0 runs on its old definition until it is shut down. $1 is lost then, and the hook that makes it again is not in effect: restart libvirt to put it in effect, or make the device again before the next start.",
                guest.name, name)];
        default:
            return [...saved, msg("$0 runs on its old definition until it is shut down.", guest.name)];
    }
}

/** Two guests may name one device: made once. */
function unique(steps: readonly Step[]): Step[] {
    const seen = new Map(steps.map(step => [JSON.stringify(step.does), step]));
    return [...seen.values()];
}

function uniqueMessages(messages: readonly Message[]): Message[] {
    return [...new Map(messages.map(message => [JSON.stringify(message), message])).values()];
}

function isProtected(after: Snapshot, target: ProtectTarget, before: Subject | undefined): boolean {
    const iface = valueOf(after.guests)?.find(guest => guest.uuid === target.uuid)?.configured?.interfaces[target.index];
    const name = before ? targetOf(before) : "";
    const link = valueOf(after.links)?.find(candidate => candidate.name === name);
    const provider = bootProvider(after, name, link && isTap(link) ? link : undefined).by;
    const elsewhere = provider === "networkd" || provider === "NetworkManager" || provider === "ifupdown";
    return iface?.managed === "no" && iface.target === name
        && (elsewhere || link?.kind === "macvtap" || (provider === "kvm-tap" && link !== undefined));
}

export interface UnprotectWish extends ProtectTarget {
    /** Also forget the device: its unit is disabled and its file removed. The device itself stays until the next boot. */
    forget: boolean;
}

/** The inverse. Says what libvirt does to the device from then on. */
export function planUnprotect(snapshot: Snapshot, wish: UnprotectWish): Planned {
    const facts = hostFacts(snapshot);
    const subject = facts && subjects(facts).find(({ guest, pair }) => guest.uuid === wish.uuid && pair.configured?.index === wish.index);
    const configured = subject?.pair.configured;
    if (!subject || !configured)
        return problem(msg("The guest or its interface does not exist any more."));
    if (configured.managed !== "no")
        return problem(msg("The definition does not say managed='no': there is nothing to take back."));
    if (isAmbiguous(subject.guest, configured))
        return problem(interfaceProblem(subject.guest, configured, undefined) ?? msg("The interface cannot be told from another one."));
    const { guest } = subject;
    const name = targetOf(subject);
    const bare = editXml(configured.xml, element => withAttribute(element, ["target"], "managed", undefined));
    const says = msg("Take managed='no' for $0 out of the definition of $1", name, guest.name);
    return {
        plan: {
            title: msg("Take the protection off $0 of $1", name, guest.name),
            steps: [{ ...update(guest, configured, bare, "config"), says }, ...wish.forget ? forgetSteps(snapshot, name) : []],
            notes: unprotectedNotes(subject, configured),
            about: { device: name, guest: guest.name },
            holds: after => valueOf(after.guests)?.find(({ uuid }) => uuid === wish.uuid)?.configured?.interfaces[wish.index]?.managed !== "no"
                && (!wish.forget || bootProvider(after, name).by !== "kvm-tap"),
        },
    };
}

function unprotectedNotes({ configuredDevice, next }: Subject, configured: Interface): Message[] {
    if (!next)
        return [];
    const bare = { ...configured };
    delete bare.managed;
    const device = configuredDevice && { ...configuredDevice, carrier: false };
    const fates = (["start", "failed-start"] as const).map(event => fate(event, bare, device, { ...next, configured: bare }));
    return uniqueMessages(fates.map(({ because }) => because));
}

function forgetSteps(snapshot: Snapshot, name: string): Step[] {
    const path = tapFilePath(name);
    const unit = `kvm-tap@${name}.service`;
    const content = valueOf(snapshot.files)?.get(path)?.content;
    return [
        ...valueOf(snapshot.enabled)?.has(unit)
            ? [{ says: msg("Do not make $0 at boot any more", name), does: systemctl("disable", unit), undo: systemctl("enable", unit) }] : [],
        ...content === undefined ? [] : [{
            says: msg("Remove the file that describes $0", name), does: { type: "file" as const, path, content: null },
            expects: { type: "file" as const, path, content }, undo: { type: "file" as const, path, content }, shows: { before: content, after: "" },
        }],
    ];
}
