// SPDX-License-Identifier: LGPL-2.1-or-later
// Kernel settings of the host's links that NAT needs and that must be there before a link is up: udev and the boot apply them.
// Forwarding itself is not among them: it follows the table (pkg/host/kvm_tap/forwarding.py).
import type { NatState } from "./nat.ts";
import { isSafeName } from "./names.ts";
import { parseSysctls } from "./sysctl-file.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";

export const LINK_SETTINGS_FILE = "/etc/sysctl.d/60-kvm-tap.conf";

/**
 * Links with a default route that a router advertises. A kernel that forwards IPv6 drops such routes and takes no new ones
 * unless `accept_ra` of the link is 2 (net/ipv6/ndisc.c, ipv6_accept_ra).
 */
export function advertisedLinks({ routes }: Pick<Snapshot, "routes">): string[] {
    const links = (valueOf(routes) ?? []).flatMap(({ destination, protocol, family, device }) =>
        destination === "default" && protocol === "ra" && family === "inet6" && device !== undefined && isSafeName(device) ? [device] : []);
    return [...new Set(links)].sort();
}

export function usesIpv6(state: NatState): boolean {
    return state.mappings.some(mapping => mapping.public.family === 6);
}

/** Links where the kernel takes no advertisements: a network manager does it in its place, or nobody is to. Where it is not known, none. */
function takenOver({ deviceSysctls }: Pick<Snapshot, "deviceSysctls">, link: string): boolean {
    return valueOf(deviceSysctls)?.get(`net/ipv6/conf/${link}/accept_ra`) === "0";
}

/**
 * Links with an advertised default route that systemd-networkd takes, and its file for them ("" where that is not known). Without a word
 * in there about IPv6AcceptRA= it stops taking advertisements when the host forwards (systemd.network(5)).
 */
export function advertisementsAtRisk(snapshot: Pick<Snapshot, "routes" | "files" | "links" | "networkd">): { link: string; file: string }[] {
    const links = valueOf(snapshot.links), managed = valueOf(snapshot.networkd), files = valueOf(snapshot.files);
    return advertisedLinks(snapshot).flatMap(link => {
        const file = managed?.get(links?.find(({ name }) => name === link)?.index ?? 0);
        if (file === undefined || !files)
            return [];
        const dropIns = `/systemd/network/${file.replace(/^.*\//, "")}.d/`;
        const said = file !== "" && [...files.values()].some(({ path, content }) =>
            (path === file || path.includes(dropIns)) && /^\s*IPv6AcceptRA\s*=\s*\S/m.test(content));
        return said ? [] : [{ link, file }];
    });
}

/** Links of which the file says so already; their routes may be away just now. */
function advertisedBefore(content: string): string[] {
    return [...parseSysctls(content)].flatMap(([key, value]) => /^net\/ipv6\/conf\/(.+)\/accept_ra$/.exec(key)?.slice(1).filter(() => value === "2") ?? []);
}

/**
 * The file for this state; null where nothing has to be set. With several uplinks the strict reverse path filter would drop
 * what comes in by one and is answered by default over another: loose, 2 (kernel, ip-sysctl: rp_filter).
 */
export function linkSettingsFile(snapshot: Pick<Snapshot, "routes" | "files" | "deviceSysctls">, state: NatState): string | null {
    const before = valueOf(snapshot.files)?.get(LINK_SETTINGS_FILE)?.content ?? "";
    const advertised = usesIpv6(state)
        ? [...new Set([...advertisedLinks(snapshot), ...advertisedBefore(before)])].filter(link => !takenOver(snapshot, link)).sort() : [];
    const settings = [
        ...advertised.map(link => `net/ipv6/conf/${link}/accept_ra = 2`),
        ...(state.ways ?? []).filter(({ uplink }) => isSafeName(uplink)).map(({ uplink }) => `net/ipv4/conf/${uplink}/rp_filter = 2`),
    ];
    return settings.length === 0 ? null : [
        "# SPDX-License-Identifier: CC0-1.0",
        "# Settings of links for 1:1 NAT, written by the KVM TAP page of Cockpit.",
        ...settings,
    ].join("\n") + "\n";
}
