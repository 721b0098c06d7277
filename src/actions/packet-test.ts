// SPDX-License-Identifier: LGPL-2.1-or-later
// What a packet test may be: nothing is planned here, since it changes nothing that stays.
import { formatPrefix, fromNumber, parseAddress, span, width, type Family } from "../model/nat-address.ts";
import { hostAddresses } from "../model/nat-host.ts";
import { msg } from "../model/message.ts";
import { unsafeNameProblem } from "../model/names.ts";
import type { Mapping } from "../model/nat.ts";
import type { Problem } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";

/** A neighbour on the uplink: its router, else the last address of its network. Nothing is ever sent to it. */
export function likelySender(snapshot: Snapshot, uplink: string, family: Family): string {
    const gateway = (valueOf(snapshot.routes) ?? []).flatMap(route =>
        route.device === uplink && route.destination === "default" ? parseAddress(route.gateway ?? "") ?? [] : [])
            .find(each => each.family === family && !/^fe80:/.test(each.address));
    if (gateway)
        return gateway.address;
    const on = hostAddresses(snapshot).find(({ device, network }) =>
        device === uplink && network.family === family && network.length < width(family) && !/^fe80:/.test(network.address));
    return on ? fromNumber(family, span(on.network).last - 1n) : "";
}

/** What is wrong with what was typed, or with the uplink. Fields: from, port. */
export function packetTestProblems(
    snapshot: Snapshot, mapping: Mapping, { kind, from, port, uplink }: { kind: "ping" | "tcp" | "wait"; from: string; port: string; uplink: string },
): Problem[] {
    const sender = parseAddress(from);
    const odd = unsafeNameProblem(uplink);
    const problems: Problem[] = odd ? [{ field: "from", says: odd }] : [];
    if (kind === "wait" && from.trim() === "")
        return problems;
    if (sender?.family !== mapping.public.family)
        problems.push({ field: "from", says: msg("Type an IPv$0 address, that of whoever tries to reach the guest.", String(mapping.public.family)) });
    else if (hostAddresses(snapshot).some(({ address }) => address === sender.address))
        problems.push({ field: "from", says: msg("$0 is this host's own: the kernel takes no packet from outside with that sender.", sender.address) });
    else if (sender.address === formatPrefix(mapping.public) || sender.address === formatPrefix(mapping.guest))
        problems.push({ field: "from", says: msg("The sender is somebody outside, neither of the mapping's own addresses.") });
    if (kind === "tcp" && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65535))
        problems.push({ field: "port", says: msg("A port is a number from 1 to 65535.") });
    return problems;
}
