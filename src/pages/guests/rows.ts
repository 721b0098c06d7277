// SPDX-License-Identifier: LGPL-2.1-or-later
// One row per interface of a guest. Rows hold plain values only, so that a row that reads the same is the same (ui/stable.ts);
// dialogs and details look their Subject up again in the newest snapshot.
import { interfaceChecks, type InterfaceCheck } from "../../model/checks.ts";
import { glance, hostFacts, subjects, type Severity, type Subject } from "../../model/glance.ts";
import type { GuestState, Interface } from "../../model/guest.ts";
import type { Message } from "../../model/message.ts";
import { currentState, natReading } from "../../model/nat-reading.ts";
import { formatPrefix } from "../../model/nat-address.ts";
import type { Mapping } from "../../model/nat.ts";
import { protectionOf, type Protection } from "../../model/protection.ts";
import type { Reading, Snapshot } from "../../model/snapshot.ts";
import { isSet, isTap, type Link, type Route } from "../../model/tap.ts";
import { translate } from "../../ui/translate.ts";

export interface GuestRow {
    /** `charon`, or `charon/1` for the second of several interfaces: also the address `#/guests/charon/1`. */
    key: string;
    guest: string;
    uuid: string;
    state: GuestState;
    driver: string;
    /** Absent: a guest without interfaces, or one whose definition could not be read. */
    hasInterface: boolean;
    type: string;
    mac: string;
    model: string;
    queues: number;
    target: string;
    /** managed='no' in the configured definition. */
    managed: boolean;
    protect: Protection;
    device: "missing" | "persistent" | "temporary" | "no-tap" | "unnamed";
    up: boolean;
    carrier: boolean;
    fate: string;
    severity: Severity;
    because: string;
    source: string;
    /** Devices that libvirt will delete. */
    losing: readonly string[];
    /** Traps on the interface (model/checks.ts), beside its fate. */
    traps: number;
    addresses: readonly string[];
    /** "203.0.113.10", of enabled mappings; and of disabled ones. */
    publicAddresses: readonly string[];
    disabledAddresses: readonly string[];
    problem: string;
}

/** The Subject of a row, by the same key. */
export function keyOfSubject({ guest, pair }: Pick<Subject, "guest" | "pair">, several: boolean): string {
    const { configured, live } = pair;
    return several ? `${guest.name}/${(configured ?? live)?.index ?? 0}${configured ? "" : "+"}` : guest.name;
}

/** Addresses routed to each device: `10.0.0.2` of a host route, with its prefix otherwise; the host's own and link-local ones left out. */
export function guestAddresses(routes: readonly Route[]): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>();
    for (const route of routes) {
        const { device, destination, type, family } = route;
        const own = type !== "unicast" || destination === "default" || !isSet(route) || /^(fe80|ff00|169\.254)/.test(destination);
        if (device === undefined || own)
            continue;
        const address = destination.replace(family === "inet" ? /\/32$/ : /\/128$/, "");
        found.set(device, [...found.get(device) ?? [], address]);
    }
    return found;
}

function deviceState(target: string, link: Link | undefined): GuestRow["device"] {
    if (target === "")
        return "unnamed";
    if (link === undefined)
        return "missing";
    return isTap(link) ? (link.tun.persistent ? "persistent" : "temporary") : "no-tap";
}

interface Around {
    snapshot: Snapshot;
    checks: ReadonlyMap<Interface, readonly InterfaceCheck[]>;
    addresses: ReadonlyMap<string, readonly string[]>;
    mappings: ReadonlyMap<string, readonly Mapping[]>;
}

function mappingsByGuestAddress(snapshot: Snapshot): ReadonlyMap<string, readonly Mapping[]> {
    const reading = natReading(snapshot);
    const found = new Map<string, Mapping[]>();
    if (reading.state === "read") {
        for (const mapping of currentState(reading.value).mappings) {
            const address = formatPrefix(mapping.guest).replace(/\/(32|128)$/, "");
            found.set(address, [...found.get(address) ?? [], mapping]);
        }
    }
    return found;
}

function publicOf(mappings: readonly Mapping[], enabled: boolean): string[] {
    return mappings.filter(mapping => mapping.enabled === enabled).map(mapping => formatPrefix(mapping.public).replace(/\/(32|128)$/, ""));
}

/** The traps of all interfaces, by the interface as it is configured (of transient guests: as it runs). */
export function checksByInterface(snapshot: Snapshot): ReadonlyMap<Interface, readonly InterfaceCheck[]> {
    const found = new Map<Interface, InterfaceCheck[]>();
    for (const check of interfaceChecks(snapshot))
        found.set(check.iface, [...found.get(check.iface) ?? [], check]);
    return found;
}

function trapsOf(iface: Interface | undefined, { checks }: Around): number {
    return iface ? checks.get(iface)?.length ?? 0 : 0;
}

function rowOf(subject: Subject, several: boolean, around: Around): GuestRow {
    const { guest, pair: { live, configured } } = subject;
    const iface = live ?? configured;
    const link = subject.liveDevice ?? subject.configuredDevice;
    const target = iface?.target ?? "";
    const addresses = around.addresses.get(target) ?? [];
    const mappings = addresses.flatMap(address => around.mappings.get(address) ?? []);
    const verdict = glance(subject);
    const { label, severity, because, source, losing } = verdict;
    return {
        key: keyOfSubject(subject, several), guest: guest.name, uuid: guest.uuid, state: guest.state, driver: guest.type,
        hasInterface: true, type: iface?.type ?? "", mac: iface?.mac ?? "", model: iface?.model ?? "", queues: iface?.queues ?? 1,
        target, managed: configured?.managed === "no", protect: protectionOf(around.snapshot, subject, verdict),
        device: deviceState(target, link), up: link?.up ?? false, carrier: link?.carrier ?? false,
        fate: translate(label), severity, because: translate(because), source, losing,
        traps: trapsOf(configured ?? iface, around), addresses,
        publicAddresses: publicOf(mappings, true), disabledAddresses: publicOf(mappings, false), problem: text(guest.problem),
    };
}

function text(problem: Message | undefined): string {
    return problem ? translate(problem) : "";
}

/** A guest without any interface still has its row. */
function bareRow(guest: Subject["guest"]): GuestRow {
    return {
        key: guest.name, guest: guest.name, uuid: guest.uuid, state: guest.state, driver: guest.type, hasInterface: false, type: "", mac: "",
        model: "", queues: 1, target: "", managed: false, protect: "no", device: "unnamed", up: false, carrier: false, fate: "", severity: "unknown",
        because: "", source: "", losing: [], traps: 0, addresses: [], publicAddresses: [], disabledAddresses: [], problem: text(guest.problem),
    };
}

/** The subjects of a snapshot by the keys of their rows. */
export function subjectsByKey(snapshot: Snapshot): ReadonlyMap<string, Subject> {
    const facts = hostFacts(snapshot);
    if (!facts)
        return new Map();
    const all = subjects(facts);
    const count = new Map<string, number>();
    for (const { guest } of all)
        count.set(guest.uuid, (count.get(guest.uuid) ?? 0) + 1);
    return new Map(all.map(subject => [keyOfSubject(subject, (count.get(subject.guest.uuid) ?? 0) > 1), subject]));
}

/** All rows; not read until guests, links, libvirt's version, units and hook are, since the fate depends on all of them. */
export function guestRows(snapshot: Snapshot): Reading<readonly GuestRow[]> {
    for (const part of [snapshot.guests, snapshot.libvirt, snapshot.links]) {
        if (part.state !== "read")
            return part;
    }
    for (const part of [snapshot.units, snapshot.hook]) {
        if (part.state === "reading")
            return part;
    }
    const byKey = subjectsByKey(snapshot);
    const around = {
        snapshot, addresses: guestAddresses(snapshot.routes.state === "read" ? snapshot.routes.value : []),
        mappings: mappingsByGuestAddress(snapshot), checks: checksByInterface(snapshot),
    };
    const rows = [...byKey].map(([key, subject]) => rowOf(subject, key !== subject.guest.name, around));
    const seen = new Set(rows.map(row => row.uuid));
    const guests = snapshot.guests.state === "read" ? snapshot.guests.value : [];
    return { state: "read", value: [...rows, ...guests.filter(guest => !seen.has(guest.uuid)).map(bareRow)] };
}
