// SPDX-License-Identifier: LGPL-2.1-or-later
// A TAP device as ip and /proc tell of it, to compare before and after.
import type { TestHost } from "../lab/host.ts";

export interface TapFacts {
    link: object;
    addresses: readonly object[];
    routes: readonly object[];
    sysctls: string;
}

/** All that ip tells of a device, without what a new one cannot have: index, counters and, unless `mac`, a random MAC address. */
export async function factsOf(host: TestHost, name: string, { mac = false } = {}): Promise<TapFacts> {
    const read = async (...words: string[]) => JSON.parse(await host.run(["ip", "-d", "-j", ...words])) as Record<string, unknown>[];
    const [link] = await read("link", "show", "dev", name);
    const [addresses] = await read("address", "show", "dev", name);
    return {
        link: { ...link, ifindex: 0, ...!mac && { address: "" } },
        addresses: (addresses?.["addr_info"] as object[] | undefined) ?? [],
        routes: [...await read("-4", "route", "show", "table", "all", "dev", name), ...await read("-6", "route", "show", "table", "all", "dev", name)],
        sysctls: await host.run(["sh", "-c", `cd /proc/sys/net
            grep . ipv4/conf/${name}/forwarding ipv4/conf/${name}/rp_filter ipv4/conf/${name}/send_redirects ipv6/conf/${name}/accept_ra \\
                ipv6/conf/${name}/forwarding ipv4/conf/${name}/proxy_arp`]),
    };
}
