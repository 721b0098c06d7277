// SPDX-License-Identifier: LGPL-2.1-or-later
// The fate of an interface at a glance: the worst that the next start, stop or failed start does, in a few words. The
// running guest is judged on its live definition for the stop, and on the configured one for the start that follows.
import { fate, lifecycleEvents } from "./fate.ts";
import type { Cause, Circumstances, Fate, LifecycleEvent } from "./fate.ts";
import { pairInterfaces } from "./guest.ts";
import type { Guest, Interface, InterfacePair } from "./guest.ts";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";
import type { DeviceUnit, HookState, Libvirt, Snapshot } from "./snapshot.ts";
import type { Holder, Link } from "./tap.ts";

export type Severity = "danger" | "warning" | "info" | "success" | "unknown";

export interface Glance {
    label: Message;
    severity: Severity;
    because: Message;
    source: string;
    /** The event that it strikes on. */
    when?: LifecycleEvent;
    /** Whether the next start, stop or failed start deletes a persistent device, and which: what runs and what starts may differ. */
    atRisk: boolean;
    losing: readonly string[];
}

/** One interface of one guest, with all that its fate depends on. */
export interface Subject {
    guest: Guest;
    pair: InterfacePair;
    /** The link that the live interface names, and the one that the configured one names: usually the same. */
    liveDevice?: Link;
    configuredDevice?: Link;
    /** For events of the running guest, and for its next start. */
    now?: Circumstances;
    next?: Circumstances;
}

/** What the fates of all guests depend on beside themselves. */
export interface HostFacts {
    libvirt: Libvirt;
    links: ReadonlyMap<string, Link>;
    units: ReadonlyMap<string, DeviceUnit>;
    hook: HookState;
    guests: readonly Guest[];
    /** Processes that hold a device and are no guest of this libvirt, by device name. */
    otherUsers?: ReadonlyMap<string, readonly string[]>;
}

/** The facts out of a snapshot; undefined while a part that matters has not been read. */
export function hostFacts(snapshot: Snapshot): HostFacts | undefined {
    const { libvirt, guests, links, units, hook, holders } = snapshot;
    if (libvirt.state !== "read" || guests.state !== "read" || links.state !== "read" || units.state === "reading" || hook.state === "reading")
        return undefined;
    return {
        libvirt: libvirt.value, guests: guests.value,
        links: new Map(links.value.map(link => [link.name, link])),
        units: units.state === "read" ? units.value : new Map(),
        hook: hook.state === "read" ? hook.value : { installed: false, inEffect: "unknown" },
        ...holders.state === "read" && { otherUsers: otherUsers(holders.value) },
    };
}

/** Programs that hold a device, without QEMU: its guests are known by name. */
function otherUsers(holders: ReadonlyMap<string, readonly Holder[]>): Map<string, string[]> {
    return new Map([...holders].map(([device, list]) =>
        [device, list.map(({ program }) => program).filter(program => program !== "" && !program.startsWith("qemu"))]));
}

/** Every interface of every guest. Linear in their number. */
export function subjects(facts: HostFacts): Subject[] {
    const holders = new Map<string, { guest: Guest; iface: Interface }[]>();
    for (const guest of facts.guests) {
        for (const iface of guest.live?.interfaces ?? []) {
            if (iface.target !== undefined)
                holders.set(iface.target, [...holders.get(iface.target) ?? [], { guest, iface }]);
        }
    }
    return facts.guests.flatMap(guest => pairInterfaces(guest).map(pair => subjectOf(facts, guest, pair, holders)));
}

type Holders = ReadonlyMap<string, readonly { guest: Guest; iface: Interface }[]>;

function subjectOf(facts: HostFacts, guest: Guest, pair: InterfacePair, holders: Holders): Subject {
    const { live, configured } = pair;
    const liveDevice = link(facts, live);
    const configuredDevice = link(facts, configured);
    const others = (iface: Interface) => [
        ...(holders.get(iface.target ?? "") ?? []).filter(holder => holder.iface !== live).map(holder => holder.guest.name),
        ...facts.otherUsers?.get(iface.target ?? "") ?? [],
    ];
    const circumstances = (iface: Interface, running: boolean): Circumstances => {
        const definition = running ? guest.live : guest.configured;
        return {
            libvirt: facts.libvirt, guestType: guest.type, running,
            savedState: guest.managedSave,
            on: definition?.on ?? { poweroff: "destroy", reboot: "restart", crash: "destroy" },
            ...definition?.launchSecurity !== undefined && { launchSecurity: definition.launchSecurity },
            users: others(iface),
            unitEnabled: facts.units.get(iface.target ?? "")?.enabled ?? false,
            hookInEffect: facts.hook.inEffect,
            ...configured && { configured },
        };
    };
    return {
        guest, pair,
        ...liveDevice && { liveDevice },
        ...configuredDevice && { configuredDevice },
        ...live && { now: circumstances(live, true) },
        ...configured && { next: circumstances(configured, false) },
    };
}

function link(facts: HostFacts, iface: Interface | undefined): Link | undefined {
    return iface?.target === undefined ? undefined : facts.links.get(iface.target);
}

/** Events that happen to a guest that is off; the others need a running one (`snapshot-revert`: both). */
const ofTheNextStart: readonly LifecycleEvent[] = ["start", "failed-start", "migrate-in"];

/**
 * The whole life cycle: what each event does as things stand. Of a guest that is off, the events of a running one are
 * judged as if it were started now.
 */
export function lifecycle(subject: Subject): Map<LifecycleEvent, Fate> {
    const fates = new Map<LifecycleEvent, Fate>();
    for (const event of lifecycleEvents) {
        const judged = ofTheNextStart.includes(event) ? nextStart(subject, event) : whileRunning(subject, event);
        if (judged)
            fates.set(event, judged);
    }
    return fates;
}

/** Of the configured definition, with the device as the stop of the running guest leaves it. */
function nextStart(subject: Subject, event: LifecycleEvent): Fate | undefined {
    const { pair: { configured }, next, configuredDevice } = subject;
    if (!configured || !next)
        return undefined;
    return fate(event, configured, afterStop(subject, configuredDevice), next);
}

/** The device, once a running guest has stopped. */
function afterStop({ pair: { live, configured }, liveDevice, now }: Subject, device: Link | undefined): Link | undefined {
    if (!live || !now || !device || live.target !== configured?.target)
        return device;
    const stopped = fate("destroy", live, liveDevice, now).outcome;
    if (stopped === "restored")
        return { ...device, carrier: false, ...device.tun && { tun: { ...device.tun, persistent: true } } };
    return stopped === "kept" || stopped === "unknown" ? { ...device, carrier: false } : undefined;
}

function whileRunning(subject: Subject, event: LifecycleEvent): Fate | undefined {
    const { pair: { live, configured }, now, next, liveDevice, configuredDevice } = subject;
    if (live && now)
        return event === "hot-plug" ? fate(event, configured ?? live, afterUnplug(subject), now) : fate(event, live, liveDevice, now);
    if (!configured || !next)
        return undefined;
    if (event === "hot-plug" || event === "snapshot-revert")
        return fate(event, configured, configuredDevice, next);
    return fate(event, configured, afterStart(configured, configuredDevice, next), { ...next, running: true });
}

/** The device, once a running guest has let go of it: what is plugged in again is what is configured. */
function afterUnplug({ pair: { live, configured }, liveDevice, configuredDevice }: Subject): Link | undefined {
    if (live && configured && live.target !== configured.target)
        return configuredDevice;
    return liveDevice?.tun?.persistent === false ? undefined : liveDevice && { ...liveDevice, carrier: false };
}

/** The device, once the guest has started. */
function afterStart(iface: Interface, device: Link | undefined, next: Circumstances): Link | undefined {
    const started = fate("start", iface, device, next).outcome;
    const tap = { type: "tap" as const, multiQueue: (iface.queues ?? 1) > 1, vnetHdr: true };
    if (started === "made")
        return { index: 0, name: iface.target ?? "", mtu: 1500, up: true, carrier: true, kind: "tun", tun: { ...tap, persistent: false } };
    if (started === "restored")
        return { index: 0, name: iface.target ?? "", mtu: 1500, up: true, carrier: true, kind: "tun", tun: { ...tap, persistent: true } };
    return device;
}

/** The one line for the table. */
export function glance(subject: Subject): Glance {
    const { guest, pair: { live, configured } } = subject;
    if (guest.problem && !live && !configured)
        return { label: msg("Not known"), severity: "unknown", because: guest.problem, source: "", atRisk: false, losing: [] };
    const stop = live && whileRunning(subject, "destroy");
    const start = nextStart(subject, "start");
    const failedStart = nextStart(subject, "failed-start");
    const verdict = (live && stop ? ofRunning(subject, stop, start, failedStart) : ofNextStart(subject, start, failedStart)) ?? nothing;
    const { liveDevice, configuredDevice } = subject;
    const losing = [...lostBy([stop], liveDevice), ...lostBy([start, failedStart], configuredDevice)];
    return { ...verdict, atRisk: losing.length > 0, losing: [...new Set(losing)] };
}

type Verdict = Omit<Glance, "atRisk" | "losing">;

const nothing: Verdict = { label: msg("Not known"), severity: "unknown", because: msg("This interface has not been read."), source: "" };

/** "Devices that will be deleted": a persistent one that one of its fates deletes. */
function lostBy(fates: readonly (Fate | undefined)[], device: Link | undefined): string[] {
    const deleted = fates.some(judged => judged?.outcome === "deleted" || judged?.outcome === "fails-and-deleted");
    return device?.tun?.persistent && deleted ? [device.name] : [];
}

/** Distinct devices at risk, by name. */
export function devicesAtRisk(all: readonly Subject[]): string[] {
    return [...new Set(all.flatMap(subject => glance(subject).losing))].sort();
}

function verdictOf(label: Message, severity: Severity, { because, source }: Fate, when?: LifecycleEvent): Verdict {
    return { label, severity, because, source, ...when && { when } };
}

function ofRunning(subject: Subject, stop: Fate, start: Fate | undefined, failedStart: Fate | undefined): Verdict {
    const { live, configured } = subject.pair;
    if (stop.outcome === "deleted")
        return verdictOf(msg("Deleted when the guest stops"), "danger", stop, "shutdown");
    const pending = configured?.managed === "no" && live?.managed !== "no" && live?.type === "ethernet";
    if (pending && stop.outcome === "restored")
        return verdictOf(msg("Pending: protected from the next start"), "warning", stop, "shutdown");
    if (pending && stop.outcome === "gone" && start?.cause === "missing")
        return willBeMissing(configured?.target ?? "", stop);
    if (start?.outcome === "fails-and-deleted")
        return verdictOf(msg("Next start fails, device is deleted"), "danger", start, "start");
    if (stop.outcome === "unknown")
        return verdictOf(msg("Not known"), "unknown", stop, "shutdown");
    if (stop.outcome === "gone" && stop.cause === "missing")
        return verdictOf(msg("Device missing"), "danger", stop);
    if (start?.outcome === "fails")
        return failing(start, subject);
    if (failedStart?.outcome === "deleted")
        return verdictOf(msg("Deleted at the next stop or failed start"), "danger", failedStart, "failed-start");
    if (stop.outcome === "gone")
        return verdictOf(msg("Made by libvirt, gone when the guest stops"), "info", stop, "shutdown");
    if (pending)
        return verdictOf(msg("Pending: protected from the next start"), "warning", stop, "shutdown");
    return keeping(stop);
}

function willBeMissing(name: string, stop: Fate): Verdict {
    const because = msg("The guest runs on its old definition: $0 goes when it stops, and the next start needs it.", name);
    return { ...verdictOf(msg("Start fails: device missing"), "danger", stop, "start"), because };
}

function ofNextStart(subject: Subject, start: Fate | undefined, failedStart: Fate | undefined): Verdict | undefined {
    if (!start)
        return undefined;
    switch (start.outcome) {
        case "fails-and-deleted":
            return verdictOf(msg("Start fails, device is deleted"), "danger", start, "start");
        case "fails":
            return failing(start, subject);
        case "not-used":
            return keeping(start);
        case "unknown":
            return verdictOf(msg("Not known"), "unknown", start, "start");
        case "made":
            return verdictOf(msg("Made by libvirt, gone when the guest stops"), "info", start, "shutdown");
        case "restored":
            return verdictOf(msg("Missing, made again at the next start"), "warning", start, "start");
        default:
            return failedStart?.outcome === "deleted"
                ? verdictOf(msg("Deleted at the next stop or failed start"), "danger", failedStart, "shutdown")
                : keeping(start.cause === "reused" && failedStart ? failedStart : start);
    }
}

function failing(start: Fate, { next }: Subject): Verdict {
    const users = next?.users.join(", ");
    const labels: Partial<Record<Cause, Message>> = {
        "missing": msg("Start fails: device missing"),
        "queues": msg("Start fails: queues do not match"),
        "busy": users ? msg("Start fails: used by $0", users) : msg("Start fails: device in use"),
        "exists": msg("Start fails: device exists"),
        "not-a-tap": msg("Start fails: not a TAP device"),
        "no-name": msg("Start fails: no device named"),
        "name-too-long": msg("Start fails: name too long"),
        "bad-name": msg("Start fails: no name for a device"),
    };
    return verdictOf(labels[start.cause] ?? msg("Start fails"), "danger", start, "start");
}

function keeping(judged: Fate): Verdict {
    if (judged.cause === "name-dropped")
        return verdictOf(msg("Name is dropped"), "warning", judged, "start");
    if (judged.outcome === "not-used")
        return verdictOf(msg("No TAP device"), "info", judged);
    if (judged.cause === "multi-queue")
        return verdictOf(msg("Kept, by chance"), "warning", judged, "shutdown");
    return verdictOf(msg("Kept"), "success", judged);
}
