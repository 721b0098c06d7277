// SPDX-License-Identifier: LGPL-2.1-or-later
// Several uplinks: which connections leave by which. Each uplink gets a number (its mark, rule and routing table), each mapping
// the uplink whose network its public address is in, or the one that was chosen for it.
import { msg } from "../model/message.ts";
import { unsafeNameProblem } from "../model/names.ts";
import type { Mapping, NatState, Way } from "../model/nat.ts";
import { parseAddress, type Family, type Prefix } from "../model/nat-address.ts";
import { MOST_WAYS } from "../model/nat-frame.ts";
import { hostAddresses, routeTo } from "../model/nat-host.ts";
import { familiesOf, waysProblems } from "../model/nat-ways.ts";
import type { Planned, Problem } from "../model/plan.ts";
import { natReading } from "../model/nat-reading.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { planNatChange, restoreSteps } from "./nat-plan.ts";

/** Gateways as they were typed, by uplink. Empty text: that of the default route over the uplink, whatever it is. */
export type Gateways = Readonly<Record<string, { gateway4?: string; gateway6?: string }>>;

/** The field of a problem with a gateway. */
export function gatewayField(uplink: string, family: Family): string {
    return `gateway${family} ${uplink}`;
}

function firstFree(taken: ReadonlySet<number>): number {
    let number = 1;
    while (taken.has(number))
        number++;
    return number;
}

/** Numbers stay as they are: connections that are open carry them as marks. */
function numbered(before: readonly Way[], uplinks: readonly string[]): Way[] {
    const kept = before.filter(way => uplinks.includes(way.uplink));
    const taken = new Set(kept.map(way => way.number));
    return uplinks.map(uplink => {
        const old = kept.find(way => way.uplink === uplink);
        if (old)
            return old;
        const number = firstFree(taken);
        taken.add(number);
        return { uplink, number };
    });
}

function gatewayProblem(snapshot: Snapshot, uplink: string, family: Family, text: string): Problem | undefined {
    const field = gatewayField(uplink, family);
    const parsed = parseAddress(text);
    if (parsed?.family !== family) {
        return { field, says: family === 4 ? msg("\"$0\" is not an IPv4 address like 198.51.100.254.", text.slice(0, 60))
            : msg("\"$0\" is not an IPv6 address like fe80::1.", text.slice(0, 60)) };
    }
    return hostAddresses(snapshot).some(({ address }) => address === parsed.address)
        ? { field, says: msg("$0 is this host's own address, not that of a router.", parsed.address) } : undefined;
}

function withGateways(snapshot: Snapshot, way: Way, typed: Gateways[string] | undefined, problems: Problem[]): Way {
    if (!typed)
        return way;
    const read = (family: Family, text: string) => {
        const problem = text === "" ? undefined : gatewayProblem(snapshot, way.uplink, family, text);
        if (problem)
            problems.push(problem);
        return text === "" ? undefined : parseAddress(text)?.address;
    };
    const gateway4 = read(4, typed.gateway4?.trim() ?? ""), gateway6 = read(6, typed.gateway6?.trim() ?? "");
    return {
        uplink: way.uplink, number: way.number,
        ...(gateway4 === undefined ? {} : { gateway4 }), ...(gateway6 === undefined ? {} : { gateway6 }),
    };
}

/** The uplink in whose network a public address is; undefined where it is routed to the host. */
export function uplinkOf(snapshot: Snapshot, outside: Prefix, uplinks: readonly string[]): string | undefined {
    const route = routeTo(snapshot, outside);
    const linked = route?.destination !== "default" && route?.gateway === undefined ? route?.device : undefined;
    return linked !== undefined && uplinks.includes(linked) ? linked : undefined;
}

/** A mapping with its uplink: that of its address's network, else the one wished, else the one it had. */
export function withWay(snapshot: Snapshot, ways: readonly Way[], mapping: Mapping, wished?: string, before?: number): Mapping {
    const rest = { ...mapping };
    delete rest.way;
    const linked = uplinkOf(snapshot, mapping.public, ways.map(({ uplink }) => uplink));
    const number = linked !== undefined || wished !== undefined ? ways.find(({ uplink }) => uplink === (linked ?? wished))?.number
        : ways.find(way => way.number === before)?.number;
    return number === undefined ? rest : { ...rest, way: number };
}

/** The state with these uplinks: with one there is nothing to choose, with several each mapping gets its own. */
export function withUplinks(snapshot: Snapshot, before: NatState, uplinks: readonly string[], gateways: Gateways = {}):
NatState | { problems: readonly Problem[] } {
    const odd = uplinks.flatMap(uplink => unsafeNameProblem(uplink) ?? []);
    if (odd.length > 0)
        return { problems: odd.map(says => ({ field: "uplinks", says })) };
    if (uplinks.length > MOST_WAYS)
        return { problems: [{ field: "uplinks", says: msg("At most $0 uplinks can be told apart.", String(MOST_WAYS)) }] };
    const problems: Problem[] = [];
    const ways = uplinks.length < 2 ? []
        : numbered(before.ways ?? [], uplinks).map(way => withGateways(snapshot, way, gateways[way.uplink], problems));
    if (problems.length > 0)
        return { problems };
    return {
        uplinks, devices: before.devices, ...(ways.length > 0 ? { ways } : {}),
        mappings: before.mappings.map(mapping => withWay(snapshot, ways, mapping, undefined, mapping.way)),
    };
}

/**
 * Rules, routing tables and the reverse path filter set as the table wants them. A table that two uplinks were written into by hand
 * gets its ways first.
 */
export function planRestoreWays(snapshot: Snapshot): Planned {
    const reading = natReading(snapshot);
    const state = reading.state === "read" ? reading.value.running?.state : undefined;
    if (!state)
        return { problems: [{ says: msg("The table is not loaded: nothing is translated.") }] };
    const title = msg("Lead answers back by the uplink that the question came in by");
    if (!state.ways) {
        const after = withUplinks(snapshot, state, state.uplinks);
        return "problems" in after ? after : planNatChange(snapshot, () => after, { title });
    }
    const holds = (after: Snapshot) => !waysProblems(after, state, familiesOf(state)).some(problem => problem.curable);
    return { plan: { title, steps: restoreSteps(snapshot, state, msg("Set the rules and routes of the uplinks")), holds } };
}
