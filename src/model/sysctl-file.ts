// SPDX-License-Identifier: LGPL-2.1-or-later
// `/etc/sysctl.d/60-kvm-tap-NAME.conf`: kernel settings of one device, applied by its unit. Keys with slashes (sysctl.d(5)), so
// that a dot in the device's name is no separator.
import { named } from "./names.ts";

/** Key, for example `net/ipv4/conf/charon0/rp_filter`, and value. */
export type Sysctls = ReadonlyMap<string, string>;

export function sysctlFilePath(name: string): string {
    return named(name, `/etc/sysctl.d/60-kvm-tap-${name}.conf`);
}

/** What keeps a guest from steering the host through its device: no foreign source addresses, redirects or router advertisements. */
export function guardingSysctls(name: string): Sysctls {
    return new Map([
        [`net/ipv4/conf/${name}/rp_filter`, "1"],
        [`net/ipv4/conf/${name}/accept_redirects`, "0"],
        [`net/ipv4/conf/${name}/send_redirects`, "0"],
        [`net/ipv6/conf/${name}/accept_ra`, "0"],
        [`net/ipv6/conf/${name}/accept_redirects`, "0"],
    ]);
}

/** What a routed TAP device needs: it forwards, and its guest cannot steer the host. */
export function defaultSysctls(name: string, ipv6: boolean): Sysctls {
    return new Map([
        [`net/ipv4/conf/${name}/forwarding`, "1"],
        ...guardingSysctls(name),
        ...ipv6 ? [[`net/ipv6/conf/${name}/forwarding`, "1"] as const] : [],
    ]);
}

/** A key with slashes: where its first separator is a dot, the two change places (sysctl.d(5)). */
export function canonicalKey(key: string): string {
    return /^[^/]*\./.test(key) ? key.replace(/[./]/g, mark => mark === "." ? "/" : ".") : key;
}

const LINE = /^\s*-?([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/;

export function parseSysctls(content: string): Map<string, string> {
    const sysctls = new Map<string, string>();
    for (const line of content.split("\n")) {
        const [, key, value] = LINE.exec(line) ?? [];
        if (key !== undefined && value !== undefined)
            sysctls.set(key, value);
    }
    return sysctls;
}

/** The file changed so that it says `after`, and only in the lines that say otherwise; null where nothing is left to say. */
export function editSysctls(content: string | null, after: Sysctls): string | null {
    const lines = (content ?? "").split("\n").filter((line, index, all) => line !== "" || index < all.length - 1);
    const said = new Set<string>();
    const kept = lines.flatMap(line => {
        const [, key, value] = LINE.exec(line) ?? [];
        if (key === undefined)
            return [line];
        said.add(key);
        const wanted = after.get(key);
        return wanted === undefined ? [] : wanted === value ? [line] : [`${key} = ${wanted}`];
    });
    const added = [...after].filter(([key]) => !said.has(key)).map(([key, value]) => `${key} = ${value}`);
    const all = [...kept, ...added];
    return all.length === 0 ? null : `${all.join("\n")}\n`;
}
