// SPDX-License-Identifier: LGPL-2.1-or-later
// `/etc/systemd/network/00-kvm-tap-NAME.network`: keeps systemd-networkd off a device of ours. A `.network` file for all links (`Name=*`)
// would make it configure ours, too: at its next start it removes what it did not set itself (systemd.network(5), Unmanaged=;
// networkd.conf(5), ManageForeignRoutes=).
import { named } from "./names.ts";

/** Sorted before what others write: the first file that matches a link is the one that counts. */
export function networkdPath(name: string): string {
    return named(name, `/etc/systemd/network/00-kvm-tap-${name}.network`);
}

/** Of a name without characters that a pattern takes for something else: there is no path for another one (names.ts). */
export function networkdFile(name: string): string {
    return `# kvm-tap@${name}.service configures it.\n[Match]\nName=${name}\n\n[Link]\nUnmanaged=yes\n`;
}

/** The device that such a path is about; undefined for other files. */
export function deviceOfNetworkdPath(path: string): string | undefined {
    return /^\/etc\/systemd\/network\/00-kvm-tap-([^/]+)\.network$/.exec(path)?.[1];
}
