// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether a guest can steer the host: the settings of its device by which the kernel believes router advertisements, redirects and
// source addresses. Each rule is the kernel's own (ip-sysctl); the settings of "all" count beside those of the device.
import { guestTaps } from "./guest-taps.ts";
import { valueOf, type HostFile, type Snapshot } from "./snapshot.ts";
import { canonicalKey, parseSysctls, type Sysctls } from "./sysctl-file.ts";

/** Names of the settings that are read of all links: those that are judged, and those that they depend on. */
export const JUDGED = ["accept_ra", "accept_redirects", "rp_filter", "send_redirects", "forwarding", "disable_ipv6"] as const;

export interface Setting {
    key: string;
    value: string;
}

/** What a device takes from its guest. */
export interface Steering {
    device: string;
    /** By settings of the device's own, which nobody wrote down. */
    own: readonly Setting[];
    /** By settings that a file says, so that they are meant. */
    meant: readonly (Setting & { path: string })[];
    /** By settings of "all", which overrule those of the device. */
    all: readonly Setting[];
}

/** One setting as the kernel sees it: `ip` is `ipv4` or `ipv6`, `name` a device or `all`. */
type Look = (ip: "ipv4" | "ipv6", setting: (typeof JUDGED)[number], name?: string) => string | undefined;

interface Rule {
    ip: "ipv4" | "ipv6";
    setting: (typeof JUDGED)[number];
    /** Whether the device's own value lets its guest in. */
    own(look: Look): boolean;
    /** Whether "all" does, with nothing wrong with the device's own. */
    all?(look: Look): boolean;
}

const hasIpv6 = (look: Look) => look("ipv6", "disable_ipv6") !== "1";

const RULES: readonly Rule[] = [
    {
        // ipv6_accept_ra (addrconf.h): 1 means "unless it forwards", 2 means "always".
        ip: "ipv6", setting: "accept_ra",
        own: look => hasIpv6(look) && (look("ipv6", "accept_ra") === "2"
            || (look("ipv6", "accept_ra") === "1" && look("ipv6", "forwarding") === "0")),
    },
    {
        // IN_DEV_RX_REDIRECTS (inetdevice.h): both must say so where the device forwards, one where it does not.
        ip: "ipv4", setting: "accept_redirects",
        own: look => look("ipv4", "accept_redirects") === "1"
            && (look("ipv4", "forwarding") === "0" || look("ipv4", "accept_redirects", "all") === "1"),
        all: look => look("ipv4", "accept_redirects") === "0" && look("ipv4", "forwarding") === "0"
            && look("ipv4", "accept_redirects", "all") === "1",
    },
    {
        // rt6_do_redirect (net/ipv6/route.c): never where the device forwards.
        ip: "ipv6", setting: "accept_redirects",
        own: look => hasIpv6(look) && look("ipv6", "accept_redirects") === "1" && look("ipv6", "forwarding") === "0",
    },
    {
        // IN_DEV_RPFILTER (inetdevice.h): the greater of the two. 1 is strict, 2 takes any source that is routed anywhere.
        ip: "ipv4", setting: "rp_filter",
        own: look => look("ipv4", "rp_filter") === "2" || (look("ipv4", "rp_filter") === "0" && look("ipv4", "rp_filter", "all") !== "1"),
        all: look => look("ipv4", "rp_filter") === "1" && look("ipv4", "rp_filter", "all") === "2",
    },
];

type Said = Setting & { path: string };

/** What was found last in the files of a snapshot, of which there may be one for each of a thousand devices. */
const saidIn = new WeakMap<ReadonlyMap<string, HostFile>, ReadonlyMap<string, Said>>();

/** What the files in /etc/sysctl.d say, by canonical key; of several the last one by name, which is the one that counts (sysctl.d(5)). */
export function saidSysctls(files: ReadonlyMap<string, HostFile>): ReadonlyMap<string, Said> {
    const known = saidIn.get(files);
    if (known)
        return known;
    const sorted = [...files.values()].filter(({ path }) => path.startsWith("/etc/sysctl.d/")).sort((a, b) => a.path < b.path ? -1 : 1);
    const found = new Map(sorted.flatMap(({ path, content }) => [...parseSysctls(content)].map(([key, value]): [string, Said] =>
        [canonicalKey(key), { key: canonicalKey(key), value, path }])));
    saidIn.set(files, found);
    return found;
}

/** TAP devices through which guests reach the IP of the host: a port of a bridge is not one. */
function guestDevices(snapshot: Snapshot): string[] {
    const taps = guestTaps(snapshot);
    return (valueOf(snapshot.links) ?? []).filter(({ name, master }) => taps.has(name) && master === undefined).map(({ name }) => name);
}

function steeringBy(device: string, values: Sysctls, said: ReadonlyMap<string, Said>): Steering {
    const keyOf = ({ ip, setting }: Pick<Rule, "ip" | "setting">, name = device) => `net/${ip}/conf/${name}/${setting}`;
    const look: Look = (ip, setting, name) => values.get(keyOf({ ip, setting }, name));
    const found = (key: string): Setting => ({ key, value: values.get(key) ?? "" });
    const believed = RULES.filter(rule => rule.own(look)).map(rule => found(keyOf(rule)));
    const isMeant = ({ key, value }: Setting) => said.get(key)?.value === value;
    return {
        device,
        own: believed.filter(setting => !isMeant(setting)),
        meant: believed.filter(isMeant).map(setting => ({ ...setting, path: said.get(setting.key)?.path ?? "" })),
        all: RULES.filter(rule => rule.all?.(look) === true).map(rule => found(keyOf(rule, "all"))),
    };
}

/** All devices that take something from their guests. Nothing of what has not been read. */
export function steeringOf(snapshot: Snapshot): Steering[] {
    const values = valueOf(snapshot.deviceSysctls), files = valueOf(snapshot.files);
    if (!values || !files)
        return [];
    return guestDevices(snapshot).map(device => steeringBy(device, values, saidSysctls(files)))
        .filter(({ own, meant, all }) => own.length + meant.length + all.length > 0);
}
