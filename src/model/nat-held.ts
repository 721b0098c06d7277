// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether the host holds the public addresses that it is to hold: by a route for each (pkg/host/kvm_tap/holding.py).
import type { Mapping } from "./nat.ts";
import type { Prefix } from "./nat-address.ts";
import { formatPrefix, parsePrefix } from "./nat-address.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";
import { HOLD_DEVICE, isNatRoute, type Route } from "./tap.ts";

/** By a route to the device that swallows what is not translated; up to version 0.1 by a local route. */
function holds(route: Route): boolean {
    return isNatRoute(route) && (route.device === HOLD_DEVICE || route.type === "local");
}

/** The public sides of claimed mappings that are not held; empty while the routes are not known. */
export function unheld({ routes }: Pick<Snapshot, "routes">, mappings: readonly Mapping[]): string[] {
    const known = valueOf(routes);
    if (!known)
        return [];
    const held = new Set(known.filter(holds).map(({ destination }) => destination));
    return mappings.filter(({ claimed }) => claimed).map(mapping => formatPrefix(mapping.public)).filter(address => !held.has(address));
}

/** A route of somebody else's for exactly this address or prefix, in whose place ours would have to be. */
export function routeInTheWay({ routes }: Pick<Snapshot, "routes">, outside: Prefix): Route | undefined {
    const wanted = formatPrefix(outside);
    return (valueOf(routes) ?? []).find(route => !holds(route) && (route.table === "main" || route.type === "local")
        && route.destination !== "default" && formatPrefix(parsePrefix(route.destination) ?? outside) === wanted);
}
