// SPDX-License-Identifier: LGPL-2.1-or-later
// One row per mapping, plain values only (ui/stable.ts), and what the dialogs offer.
import type { Guest, GuestState } from "../../model/guest.ts";
import type { Mapping, NatState } from "../../model/nat.ts";
import { compareMappings, mappingKey, setsOf } from "../../model/nat.ts";
import type { Prefix } from "../../model/nat-address.ts";
import { formatPrefix, fromNumber, overlaps, parsePrefix, span, width } from "../../model/nat-address.ts";
import { gateways, hostAddresses, reservedIn } from "../../model/nat-host.ts";
import { currentState, natReading, type NatReading } from "../../model/nat-reading.ts";
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
    severity: "danger" | "warning" | "info" | "success";
    /** The first thing that speaks against it; empty if nothing does. */
    because: string;
    /** Connections translated since the element was loaded; -1 where nothing counts. */
    hitsIn: number;
    hitsOut: number;
    /** Of the device: what the guest sent and received; -1 where there is no device. */
    sent: number;
    received: number;
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

function rowOf(snapshot: Snapshot, reading: NatReading, mapping: Mapping, guests: ReadonlyMap<string, Guest>, around?: Around): NatRow {
    const key = mappingKey(mapping);
    const sets = setsOf(mapping.public);
    const hits = (set: string, element: string) => reading.running?.hits.get(set)?.get(element)?.packets ?? -1;
    const { device = "", link } = wayIn(snapshot, mapping.guest, currentState(reading).uplinks);
    const guest = guests.get(device);
    const [worst] = findings(snapshot, reading, mapping, around);
    return {
        key, guestAddress: formatPrefix(mapping.guest), enabled: mapping.enabled, guest: guest?.name ?? "", guestState: guest?.state ?? "",
        device, severity: worst?.severity ?? "success", because: worst ? translate(worst.says) : "",
        hitsIn: hits(sets.public, key), hitsOut: hits(sets.guest, formatPrefix(mapping.guest)),
        sent: link?.traffic?.rxBytes ?? -1, received: link?.traffic?.txBytes ?? -1,
        description: mapping.description, limited: mapping.limits !== undefined, log: mapping.log,
    };
}

export function natRows(snapshot: Snapshot, around?: Around): Reading<readonly NatRow[]> {
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        return reading;
    const guests = guestsByDevice(snapshot);
    const mappings = [...currentState(reading.value).mappings].sort(compareMappings);
    return { state: "read", value: mappings.map(mapping => rowOf(snapshot, reading.value, mapping, guests, around)) };
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
