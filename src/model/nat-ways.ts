// SPDX-License-Identifier: LGPL-2.1-or-later
// With several uplinks: whether the rules, the routing tables and the reverse path filter that answers need are as the table wants them.
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { Mapping, NatState, Way } from "./nat.ts";
import { wayMark } from "./nat.ts";
import type { Family } from "./nat-address.ts";
import { WAY_TABLE } from "./nat-frame.ts";
import { linkNamed, routeTo } from "./nat-host.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";

/** `net.ipv4.conf.UPLINK.rp_filter` as it takes effect, the greater of "all" and the link's own: 0 off, 1 strict, 2 loose. */
export type ReversePath = ReadonlyMap<string, number>;

export interface WayProblem {
    uplink: string;
    says: Message;
    /** Its rule and routes can be set anew, and its filter; not where nobody knows a gateway. */
    curable: boolean;
}

type Read = Pick<Snapshot, "links" | "routes" | "rules">;

function hasRule(snapshot: Read, way: Way): boolean | undefined {
    return valueOf(snapshot.rules)?.some(({ mark, table }) => mark === wayMark(way.number) && table === String(WAY_TABLE + way.number));
}

/** The gateways of default routes in the uplink's own table; "" for one without. */
function defaults(snapshot: Read, way: Way, family: Family): string[] {
    return (valueOf(snapshot.routes) ?? [])
            .filter(route => route.table === String(WAY_TABLE + way.number) && route.destination === "default"
                && route.family === (family === 4 ? "inet" : "inet6"))
            .map(route => route.gateway ?? "");
}

/** The gateway that the main table's default route over an uplink uses; undefined where there is none. */
export function defaultGateway(snapshot: Read, uplink: string, family: Family): string | undefined {
    return valueOf(snapshot.routes)?.find(route => route.table === "main" && route.destination === "default" && route.device === uplink
        && route.family === (family === 4 ? "inet" : "inet6"))?.gateway;
}

function routeProblem(snapshot: Read, way: Way, family: Family): WayProblem[] {
    const found = defaults(snapshot, way, family);
    const wished = (family === 4 ? way.gateway4 : way.gateway6) ?? defaultGateway(snapshot, way.uplink, family);
    if (wished === undefined && found.length === 0) {
        return [{ uplink: way.uplink, curable: false, says: msg("No IPv$0 gateway of $1 is known: answers to what came in there leave by the default route. "
            + "Name its gateway among the uplinks.", String(family), way.uplink) }];
    }
    if (found.length === 0) {
        return [{ uplink: way.uplink, curable: true, says: msg("The IPv$0 default route of $1 is missing in its table $2: answers to what came in there "
            + "leave by the host's default route.", String(family), way.uplink, String(WAY_TABLE + way.number)) }];
    }
    return wished === undefined || found.includes(wished) ? [] : [{ uplink: way.uplink, curable: true,
        says: msg("The gateway of $0 is $1 now, its table $2 still says $3.", way.uplink, wished, String(WAY_TABLE + way.number), found.join(", ")) }];
}

function filterProblem(snapshot: Read, way: Way, reversePath: ReversePath | undefined): WayProblem[] {
    const world = routeTo(snapshot, { family: 4, address: "0.0.0.0", length: 0 })?.device;
    return reversePath?.get(way.uplink) === 1 && world !== way.uplink ? [{ uplink: way.uplink, curable: true,
        says: msg("rp_filter of $0 is 1 (strict): the kernel drops what comes in there from addresses that the default route leads elsewhere.",
            way.uplink) }] : [];
}

/**
 * What keeps answers from leaving by these uplinks, for mappings of these families. Uplinks that are missing or down are no matter of
 * this.
 */
export function waysProblems(snapshot: Read, state: NatState, families: readonly Family[], reversePath?: ReversePath): WayProblem[] {
    if (state.uplinks.length > 1 && !state.ways) {
        return [{ uplink: state.uplinks.join(", "), curable: true,
            says: msg("Answers leave by the default route, whichever of the uplinks $0 the connection came in by.", state.uplinks.join(", ")) }];
    }
    return (state.ways ?? []).filter(({ uplink }) => linkNamed(snapshot, uplink)?.up === true).flatMap(way => [
        ...(hasRule(snapshot, way) === false ? [{ uplink: way.uplink, curable: true,
            says: msg("The rule that leads answers back to $0 is missing: they leave by the default route.", way.uplink) }] : []),
        ...(valueOf(snapshot.routes) ? families.flatMap(family => routeProblem(snapshot, way, family)) : []),
        ...(families.includes(4) ? filterProblem(snapshot, way, reversePath) : []),
    ]);
}

/** The families that a state's mappings use. */
export function familiesOf(state: NatState): Family[] {
    return ([4, 6] as const).filter(family => state.mappings.some(mapping => mapping.public.family === family));
}

/** Those that concern one mapping: of its own uplink, or of all where it has none of its own. */
export function mappingWaysProblems(snapshot: Read, state: NatState, mapping: Mapping, reversePath?: ReversePath): WayProblem[] {
    const own = state.ways?.find(way => way.number === mapping.way)?.uplink;
    return waysProblems(snapshot, state, [mapping.public.family], reversePath).filter(({ uplink }) => own === undefined || uplink === own);
}
