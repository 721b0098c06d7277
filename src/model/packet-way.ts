// SPDX-License-Identifier: LGPL-2.1-or-later
// The way of a packet from outside to a guest, hop by hop, each with what was read of it.
import type { Subject } from "./glance.ts";
import { msg, type Message } from "./message.ts";
import { currentState, natReading } from "./nat-reading.ts";
import { formatPrefix } from "./nat-address.ts";
import { likelyUplinks } from "./nat-host.ts";
import type { Mapping } from "./nat.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Link } from "./tap.ts";

export type HopState = "ok" | "bad" | "none" | "unknown";

export interface Hop {
    kind: "internet" | "uplink" | "public" | "guest-address" | "device" | "guest";
    /** What stands in the drawing: a link, an address, a name; empty where there is none. */
    name: string;
    state: HopState;
    says: Message;
}

/** A mapping's guest side covers the address. Prefix mappings are found by their text only where they are single. */
function maps(mapping: Mapping, address: string): boolean {
    return formatPrefix(mapping.guest).replace(/\/(32|128)$/, "") === address;
}

function uplinkHop(snapshot: Snapshot): Hop {
    const { routes, links } = snapshot;
    if (routes.state !== "read" || links.state !== "read")
        return { kind: "uplink", name: "", state: "unknown", says: msg("The routes of this host have not been read.") };
    const [name] = likelyUplinks(snapshot);
    if (name === undefined)
        return { kind: "uplink", name: "", state: "bad", says: msg("This host has no default route: nothing reaches the outside.") };
    const up = links.value.find(link => link.name === name)?.up;
    return up
        ? { kind: "uplink", name, state: "ok", says: msg("$0 is up and carries the default route.", name) }
        : { kind: "uplink", name, state: "bad", says: msg("$0 carries the default route and is down.", name) };
}

function publicHop(mapping: Mapping | undefined, address: string | undefined, known: boolean): Hop {
    if (!known)
        return { kind: "public", name: "", state: "unknown", says: msg("The mappings of this host have not been read.") };
    if (mapping === undefined) {
        const says = address === undefined
            ? msg("No guest address is known, so no public address can lead to it.")
            : msg("No public address is mapped to $0.", address);
        return { kind: "public", name: "", state: "none", says };
    }
    const name = formatPrefix(mapping.public).replace(/\/(32|128)$/, "");
    return mapping.enabled
        ? { kind: "public", name, state: "ok", says: msg("$0 is mapped to the guest address, in both directions.", name) }
        : { kind: "public", name, state: "bad", says: msg("The mapping of $0 is disabled.", name) };
}

function addressHop(address: string | undefined, device: string): Hop {
    return address === undefined
        ? { kind: "guest-address", name: "", state: "bad", says: msg("No address is routed to $0: packets for the guest do not find it.", device || "–") }
        : { kind: "guest-address", name: address, state: "ok", says: msg("$0 is routed to $1.", address, device) };
}

function deviceHop(name: string, link: Link | undefined, running: boolean): Hop {
    const hop = (state: HopState, says: Message): Hop => ({ kind: "device", name, state, says });
    if (name === "")
        return hop("unknown", msg("The definition names no device."));
    if (link === undefined)
        return hop("bad", msg("$0 does not exist.", name));
    if (!link.up)
        return hop("bad", msg("$0 is down.", name));
    if (link.carrier)
        return hop("ok", msg("$0 is up and attached.", name));
    return running
        ? hop("bad", msg("$0 is up, but nothing is attached to it although the guest runs.", name))
        : hop("ok", msg("$0 is up and waits for its guest.", name));
}

function guestHop({ guest }: Subject): Hop {
    const { name, state } = guest;
    return state === "running"
        ? { kind: "guest", name, state: "ok", says: msg("$0 runs.", name) }
        : { kind: "guest", name, state: state === "other" ? "unknown" : "bad", says: msg("$0 does not run.", name) };
}

/** `address`: the guest address whose way is asked for; the first one of the interface. */
export function wayOf(subject: Subject, snapshot: Snapshot, address: string | undefined): readonly Hop[] {
    const iface = subject.pair.live ?? subject.pair.configured;
    const link = subject.pair.live ? subject.liveDevice : subject.configuredDevice;
    const reading = natReading(snapshot);
    const mappings = reading.state === "read" && address !== undefined
        ? currentState(reading.value).mappings.filter(mapping => maps(mapping, address)) : [];
    const mapping = mappings.find(({ enabled }) => enabled) ?? mappings[0];
    return [
        { kind: "internet", name: "", state: "ok", says: msg("Where packets come from.") },
        uplinkHop(snapshot),
        publicHop(mapping, address, reading.state === "read"),
        addressHop(address, iface?.target ?? ""),
        deviceHop(iface?.target ?? "", link, subject.guest.state === "running"),
        guestHop(subject),
    ];
}
