// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether the host answers for the public addresses that it is to hold: by a local route for each (pkg/host/kvm-tap-nat, sync_routes).
// systemd-networkd takes them away at its restart where a `.network` file of somebody's matches `lo` (Name=*).
import type { Mapping } from "./nat.ts";
import { formatPrefix } from "./nat-address.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";

/** The public sides of claimed mappings without their local route; empty while the routes are not known. */
export function unheld({ routes }: Pick<Snapshot, "routes">, mappings: readonly Mapping[]): string[] {
    const known = valueOf(routes);
    if (!known)
        return [];
    const local = new Set(known.filter(({ type }) => type === "local").map(({ destination }) => destination));
    return mappings.filter(({ claimed }) => claimed).map(mapping => formatPrefix(mapping.public)).filter(address => !local.has(address));
}
