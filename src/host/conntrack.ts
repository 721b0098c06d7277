// SPDX-License-Identifier: LGPL-2.1-or-later
// The kernel's table of connections, as far as they are translated.
import { msg } from "../model/message.ts";
import { readConnections, type Connection } from "../model/nat-connections.ts";
import type { Reading } from "../model/snapshot.ts";
import { failed, read } from "./reading.ts";
import type { Machine } from "./run.ts";

const SENTENCES = {
    missing: msg("conntrack is not installed. Install the package conntrack (Debian) or conntrack-tools (Fedora)."),
    failed: msg("The connections could not be read."),
};

/** All translated connections of these families: one process each, whatever the number of mappings. Needs administrative access. */
export async function translatedConnections(machine: Machine, families: readonly (4 | 6)[]): Promise<Reading<readonly Connection[]>> {
    try {
        const listings = await Promise.all(families.map(family => machine.run(["conntrack", "-L", "-f", `ipv${family}`, "--any-nat"], { superuser: "require" })));
        return read(listings.flatMap(readConnections));
    } catch (error) {
        return failed(error, SENTENCES);
    }
}
