// SPDX-License-Identifier: LGPL-2.1-or-later
// Which TAP devices are there for guests. A VPN or an emulator of the host's own uses such devices as well.
import { valueOf, type Snapshot } from "./snapshot.ts";
import { isTap } from "./tap.ts";
import { tapFilePath } from "./tap-file.ts";

/** Names of the TAP devices that a guest's definition names, or that are written down in /etc/kvm-tap. */
export function guestTaps({ links, guests, files }: Pick<Snapshot, "links" | "guests" | "files">): ReadonlySet<string> {
    const definitions = (valueOf(guests) ?? []).flatMap(({ live, configured }) => [live, configured]);
    const targets = new Set(definitions.flatMap(definition => definition?.interfaces.map(({ target }) => target) ?? []));
    const described = valueOf(files);
    return new Set((valueOf(links) ?? []).filter(isTap).map(({ name }) => name)
        .filter(name => targets.has(name) || described?.has(tapFilePath(name)) === true));
}
