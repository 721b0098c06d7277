// SPDX-License-Identifier: LGPL-2.1-or-later
// What speaks against a mapping: problems forbid it, warnings are shown with the plan.
import { ownAddressIn } from "../model/host-needs.ts";
import { reachOf, type Translated } from "../model/host-reach.ts";
import type { Message } from "../model/message.ts";
import { msg } from "../model/message.ts";
import type { Mapping } from "../model/nat.ts";
import { descriptionProblem, mappingKey } from "../model/nat.ts";
import type { Prefix } from "../model/nat-address.ts";
import { formatPrefix, isSingle, networkOf, overlaps, parsePrefix, span, WIDEST, width } from "../model/nat-address.ts";
import { hostAddresses, linkNamed, routeTo } from "../model/nat-host.ts";
import { routeInTheWay } from "../model/nat-held.ts";
import type { Problem } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { isTap } from "../model/tap.ts";

/** Networks that no mapping can use (IANA special-purpose registries). */
const UNUSABLE: readonly [string, (address: string) => Message][] = [
    ["0.0.0.0/8", address => msg("$0 means \"this host\" and cannot be mapped.", address)],
    ["127.0.0.0/8", address => msg("$0 is a loopback address: it never leaves a machine.", address)],
    ["169.254.0.0/16", address => msg("$0 is a link-local address: it is not unique on this host.", address)],
    ["224.0.0.0/4", address => msg("$0 is a multicast address: it stands for groups, not for one machine.", address)],
    ["240.0.0.0/4", address => msg("$0 is a reserved or broadcast address.", address)],
    ["::/8", address => msg("$0 is a reserved address.", address)],
    ["fe80::/10", address => msg("$0 is a link-local address: it is not unique on this host.", address)],
    ["ff00::/8", address => msg("$0 is a multicast address: it stands for groups, not for one machine.", address)],
];

/** Reads one side of a mapping as it was typed. */
export function readSide(field: "public" | "guest", text: string): { prefix: Prefix } | { problem: Problem } {
    const problem = (says: Message) => ({ problem: { field, says } });
    if (text.trim() === "")
        return problem(msg("Type an address, or a prefix such as 203.0.113.16/28."));
    const prefix = parsePrefix(text);
    if (!prefix)
        return problem(msg("\"$0\" is not an address. Write it in full, like 203.0.113.10 or 2001:db8::10.", text.trim().slice(0, 60)));
    const network = networkOf(prefix);
    if (network.address !== prefix.address)
        return problem(msg("$0 is inside of a prefix, not its beginning: that would be $1.", text.trim(), formatPrefix(network)));
    if (prefix.length < WIDEST[prefix.family])
        return problem(msg("$0 is too wide: the widest prefix that can be mapped is a /$1.", text.trim(), String(WIDEST[prefix.family])));
    for (const [range, says] of UNUSABLE) {
        const unusable = parsePrefix(range);
        if (unusable && overlaps(unusable, prefix))
            return problem(says(text.trim()));
    }
    return { prefix };
}

/** Both sides of one family and size. */
function shapeProblems({ public: outside, guest: inside }: Mapping): Problem[] {
    if (outside.family !== inside.family) {
        return [{ field: "guest", says: msg("$0 is an IPv$1 address, $2 an IPv$3 one. Both must be of the same kind.",
            formatPrefix(inside), String(inside.family), formatPrefix(outside), String(outside.family)) }];
    }
    if (outside.length !== inside.length) {
        return [{ field: "guest", says: msg("$0 and $1 are not of the same size. 1:1 means one guest address for each public one.",
            formatPrefix(outside), formatPrefix(inside)) }];
    }
    return overlaps(outside, inside)
        ? [{ field: "guest", says: msg("The guest address must differ from the public address.") }] : [];
}

function otherMappingProblems(mapping: Mapping, others: readonly Mapping[]): Problem[] {
    return others.flatMap<Problem>(other => {
        const [key, inside] = [mappingKey(other), formatPrefix(other.guest)];
        if (overlaps(mapping.public, other.public))
            return [{ field: "public", says: msg("$0 is mapped already, to $1.", key, inside) }];
        if (overlaps(mapping.guest, other.guest))
            return [{ field: "guest", says: msg("$0 has a public address already: $1.", inside, key) }];
        if (overlaps(mapping.public, other.guest))
            return [{ field: "public", says: msg("$0 is the guest address of the mapping of $1.", inside, key) }];
        if (overlaps(mapping.guest, other.public))
            return [{ field: "guest", says: msg("$0 is a public address, mapped to $1.", key, inside) }];
        return [];
    });
}

/** What the host itself needs: the public side would take it away, the guest's would not be a guest's. */
export function hostProblems(snapshot: Snapshot, mapping: Mapping, translated: Translated): Problem[] {
    const { refused, kind } = reachOf(snapshot, mapping.public, { translated });
    const mine = kind === "address" ? ownAddressIn(snapshot, mapping.public) : undefined, inside = ownAddressIn(snapshot, mapping.guest);
    const says = mine ? msg("$0 is this host's own address on $1. Everything sent to the host there would go to the guest instead.",
        mine.address, mine.device) : refused;
    return [
        ...says ? [{ field: "public", says }] : [],
        ...inside ? [{ field: "guest", says: msg("$0 is this host's own address on $1, not a guest's.", inside.address, inside.device) }] : [],
    ];
}

/** What is routed elsewhere by a route of its own cannot be held here. */
function routeProblems(snapshot: Snapshot, { public: outside, claimed }: Mapping): Problem[] {
    const route = claimed ? routeInTheWay(snapshot, outside) : undefined;
    return route ? [{ field: "public", says: route.type === "local"
        ? msg("$0 has a local route already, which somebody set by hand: the host's own services answer there. Remove it first: ip route del local $0 dev $1.",
            formatPrefix(outside), route.device ?? "lo")
        : msg("$0 has a route of its own already, by $1: what is sent there goes that way. Remove it first.", formatPrefix(outside), route.device ?? route.type),
    }] : [];
}

/** Addresses of one prefix that are answered for one by one (pkg/host/kvm_tap/holding.py, MOST_ANSWERED). */
const MOST_ANSWERED = 4096n;

/** IPv6 neighbours are answered for one address at a time; a whole prefix has to be routed here. */
function onLinkProblems(snapshot: Snapshot, { public: outside }: Mapping): Problem[] {
    if (isSingle(outside))
        return [];
    const on = hostAddresses(snapshot).find(({ network }) => network.length < width(network.family) && overlaps(network, outside));
    if (outside.family === 4) {
        const { first, last } = span(outside);
        return on && last - first >= MOST_ANSWERED ? [{ field: "public", says: msg("$0 lies in the network on $1. Of a prefix that is not routed to "
            + "this host at most $2 addresses can be answered for: map smaller ones.", formatPrefix(outside), on.device, String(MOST_ANSWERED)) }] : [];
    }
    return on ? [{ field: "public", says: msg("$0 lies in the network on $1. An IPv6 prefix can be mapped only if the router sends "
        + "all of it to this host; map single addresses instead.", formatPrefix(outside), on.device) }] : [];
}

function detailProblems(mapping: Mapping): Problem[] {
    const description = descriptionProblem(mapping.description);
    return [
        ...(description ? [{ field: "description", says: description }] : []),
        ...(!isSingle(mapping.public) && (mapping.limits || mapping.log)
            ? [{ field: "limits", says: msg("Limits and logging are for single addresses, not for prefixes.") }] : []),
    ];
}

/** Everything that forbids this mapping beside the others. Fields: public, guest, description, limits. */
export function mappingProblems(snapshot: Snapshot, mapping: Mapping, others: readonly Mapping[], translated: Translated): Problem[] {
    return [
        ...shapeProblems(mapping),
        ...otherMappingProblems(mapping, others),
        ...hostProblems(snapshot, mapping, translated),
        ...onLinkProblems(snapshot, mapping),
        ...routeProblems(snapshot, mapping),
        ...detailProblems(mapping),
    ];
}

/** Whether the public side is an address that the host itself has: then no local route is ours. */
export function isOwnAddress(snapshot: Snapshot, outside: Prefix): boolean {
    return isSingle(outside) && hostAddresses(snapshot).some(({ address }) => address === outside.address);
}

/** The device behind which the guest address lives, by the host's routes; undefined where only an uplink leads there. */
export function deviceOf(snapshot: Snapshot, inside: Prefix, uplinks: readonly string[]): string | undefined {
    const route = routeTo(snapshot, inside);
    return route?.device === undefined || uplinks.includes(route.device) ? undefined : route.device;
}

/** What does not forbid the mapping but would keep it from working, or from working after a reboot. */
export function mappingWarnings(snapshot: Snapshot, mapping: Mapping, uplinks: readonly string[]): Message[] {
    const inside = formatPrefix(mapping.guest);
    const device = deviceOf(snapshot, mapping.guest, uplinks);
    if (device === undefined)
        return [msg("No device has a route to $0: nothing will arrive until one has.", inside)];
    const link = linkNamed(snapshot, device);
    const unit = valueOf(snapshot.units)?.get(device);
    return [
        ...(link && isTap(link) && !unit?.enabled
            ? [msg("$0, the device of $1, is not protected: when it is deleted, the mapping leads nowhere. Protect it first.",
                device, inside)] : []),
        ...(link && !link.up ? [msg("$0, the device of $1, is down.", device, inside)] : []),
    ];
}
