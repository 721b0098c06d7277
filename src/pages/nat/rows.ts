// SPDX-License-Identifier: LGPL-2.1-or-later
// One row per mapping, plain values only (ui/stable.ts), and what the dialogs offer.
import type { Guest, GuestState } from "../../model/guest.ts";
import type { Mapping, NatState } from "../../model/nat.ts";
import { compareMappings, mappingKey, setsOf } from "../../model/nat.ts";
import type { Prefix } from "../../model/nat-address.ts";
import { formatPrefix, fromNumber, overlaps, parsePrefix, span, width } from "../../model/nat-address.ts";
import { gateways, hostAddresses, reservedIn, routeTo } from "../../model/nat-host.ts";
import { currentState, natReading, type NatReading } from "../../model/nat-reading.ts";
import type { Watched } from "../../model/nat-seen.ts";
import { findings, wayIn, type Around } from "../../model/nat-works.ts";
import { valueOf, type Reading, type Snapshot } from "../../model/snapshot.ts";
import { translate } from "../../ui/translate.ts";

export interface NatRow {
    /** The public address or prefix. */
    key: string;
    guestAddress: string;
    enabled: boolean;
    /** Name of the guest on the device; empty where none is known. */
    guest: string;
    guestState: GuestState | "";
    device: string;
    severity: "danger" | "warning" | "info" | "success" | "disabled";
    /** The first thing that speaks against it; empty if nothing does. */
    because: string;
    /** Connections translated since the element was loaded; -1 where nothing counts. */
    hitsIn: number;
    hitsOut: number;
    /** Of the device: what the guest sent and received; -1 where there is no device. */
    sent: number;
    received: number;
    /** The link by which it is reached; several where any may be. */
    uplinks: string;
    /** Open connections; -1 where they are not known, then `unknown` says why. */
    open: number;
    unknown: string;
    /** When something went through it last, and since when that is looked at; in milliseconds since 1970, 0: never, or not known. */
    last: number;
    since: number;
    /** It was used at the very last look. */
    busy: boolean;
    description: string;
    limited: boolean;
    log: boolean;
}

/** Guests by the device of their interfaces. */
function guestsByDevice(snapshot: Snapshot): ReadonlyMap<string, Guest> {
    return new Map((valueOf(snapshot.guests) ?? []).flatMap(guest =>
        [...guest.configured?.interfaces ?? [], ...guest.live?.interfaces ?? []].flatMap(({ target }) =>
            target === undefined ? [] : [[target, guest] as const])));
}

/** The uplink of the mapping, or whose network the public address lies in, else all: the provider sends it by any of them. */
function uplinksOf(snapshot: Snapshot, mapping: Mapping, { uplinks, ways = [] }: NatState): string {
    const own = ways.find(({ number }) => number === mapping.way)?.uplink;
    if (own !== undefined)
        return own;
    const route = routeTo(snapshot, mapping.public);
    return route?.gateway === undefined && uplinks.includes(route?.device ?? "") ? route?.device ?? "" : uplinks.join(", ");
}

function lookedAt(key: string, use: Reading<Watched>): Pick<NatRow, "open" | "unknown" | "last" | "since" | "busy"> {
    if (use.state !== "read")
        return { open: -1, unknown: use.state === "failed" ? translate(use.says) : "", last: 0, since: 0, busy: false };
    const { since, at, uses } = use.value;
    const { open = -1, last = 0 } = uses.get(key) ?? {};
    return { open, unknown: "", last, since, busy: last === at };
}

interface Facts {
    guests: ReadonlyMap<string, Guest>;
    /** By guest address, where the device is not one guest's alone. */
    owners: ReadonlyMap<string, Guest>;
    around: Around | undefined;
    use: Reading<Watched>;
}

function rowOf(snapshot: Snapshot, reading: NatReading, mapping: Mapping, { guests, owners, around, use }: Facts): NatRow {
    const key = mappingKey(mapping);
    const sets = setsOf(mapping.public);
    const hits = (set: string, element: string) => reading.running?.hits.get(set)?.get(element)?.packets ?? -1;
    const { uplinks } = currentState(reading);
    const { device = "", link } = wayIn(snapshot, mapping.guest, uplinks);
    const guest = guests.get(device) ?? owners.get(formatPrefix(mapping.guest));
    const [worst] = findings(snapshot, reading, mapping, around);
    return {
        key, guestAddress: formatPrefix(mapping.guest), enabled: mapping.enabled, guest: guest?.name ?? "", guestState: guest?.state ?? "",
        device, severity: mapping.enabled ? worst?.severity ?? "success" : "disabled", because: worst ? translate(worst.says) : "",
        hitsIn: hits(sets.public, key), hitsOut: hits(sets.guest, formatPrefix(mapping.guest)),
        sent: link?.traffic?.rxBytes ?? -1, received: link?.traffic?.txBytes ?? -1,
        uplinks: uplinksOf(snapshot, mapping, currentState(reading)), ...lookedAt(key, use),
        description: mapping.description, limited: mapping.limits !== undefined, log: mapping.log,
    };
}

const NOT_READ: Reading<Watched> = { state: "reading" };
const NOBODY: ReadonlyMap<string, Guest> = new Map();

/** Whether a mapping leads to a device that many guests may hang on, a bridge: then the route does not tell whose address it is. */
export function hasShared(snapshot: Snapshot): boolean {
    const reading = natReading(snapshot);
    const state = reading.state === "read" ? currentState(reading.value) : undefined;
    const guests = guestsByDevice(snapshot);
    return state?.mappings.some(({ guest }) => {
        const { device } = wayIn(snapshot, guest, state.uplinks);
        return device !== undefined && !guests.has(device);
    }) ?? false;
}

export function natRows(snapshot: Snapshot, around?: Around, use = NOT_READ, owners = NOBODY): Reading<readonly NatRow[]> {
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        return reading;
    const facts: Facts = { guests: guestsByDevice(snapshot), owners, around, use };
    const mappings = [...currentState(reading.value).mappings].sort(compareMappings);
    return { state: "read", value: mappings.map(mapping => rowOf(snapshot, reading.value, mapping, facts)) };
}

/** How many free addresses are offered. */
const OFFERED = 5;

/** IPv4 addresses of the uplinks' networks that neither the host, a router nor a mapping has. Others on the link may have them. */
export function freeAddresses(snapshot: Snapshot, state: NatState, uplinks: readonly string[]): string[] {
    const taken: Prefix[] = [...hostAddresses(snapshot).map(({ address }) => address), ...gateways(snapshot)]
            .flatMap(address => parsePrefix(address) ?? []);
    const networks = hostAddresses(snapshot).filter(({ device, network }) =>
        uplinks.includes(device) && network.family === 4 && network.length < width(4));
    return networks.flatMap(({ network }) => {
        const { first, last } = span(network);
        const reserved = reservedIn(network);
        const found: string[] = [];
        for (let number = first; number <= last && found.length < OFFERED; number++) {
            const candidate: Prefix = { family: 4, address: fromNumber(4, number), length: 32 };
            const free = !reserved.includes(number) && !taken.some(other => overlaps(other, candidate))
                && !state.mappings.some(mapping => overlaps(mapping.public, candidate));
            if (free)
                found.push(candidate.address);
        }
        return found;
    });
}
