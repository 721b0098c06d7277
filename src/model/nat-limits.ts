// SPDX-License-Identifier: LGPL-2.1-or-later
// What may come in through a mapping, as people write it: "icmp, tcp/22, tcp/8000-8010, gre".
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { Limits, Ports, WholeProtocol } from "./nat.ts";
import { PORT_PROTOCOLS, WHOLE_PROTOCOLS, normalPorts } from "./nat.ts";

/** `tcp/22`, `tcp/8000-8010` or a protocol alone; undefined for anything else. */
function parseItem(item: string): { ports: Ports } | { protocol: WholeProtocol } | undefined {
    const [name = "", range, ...rest] = item.toLowerCase().split("/").map(part => part.trim());
    if (range === undefined) {
        const protocol = WHOLE_PROTOCOLS.find(known => known === (name === "icmpv6" ? "ipv6-icmp" : name));
        return protocol && { protocol };
    }
    const protocol = PORT_PROTOCOLS.find(known => known === name);
    const [, first, last = first] = /^(\d{1,5})(?:\s*-\s*(\d{1,5}))?$/.exec(range) ?? [];
    const [from, to] = [Number(first), Number(last)];
    if (!protocol || rest.length > 0 || !(from >= 1 && from <= to && to <= 65535))
        return undefined;
    return { ports: { protocol, from, to } };
}

/** Reads a list separated by commas. Empty text means no limit. */
export function parseLimits(text: string): { limits?: Limits } | { problem: Message } {
    const items = text.split(",").map(item => item.trim()).filter(item => item !== "");
    const protocols: WholeProtocol[] = [];
    const ports: Ports[] = [];
    for (const item of items) {
        const parsed = parseItem(item);
        if (!parsed)
            return { problem: msg("\"$0\" is not a protocol or port. Write icmp, tcp/22 or udp/5000-5010, separated by commas.", item) };
        if ("ports" in parsed)
            ports.push(parsed.ports);
        else
            protocols.push(parsed.protocol);
    }
    return items.length === 0 ? {} : { limits: { protocols, ports: normalPorts(ports) } };
}

/** The reverse of `parseLimits`. */
export function formatLimits(limits: Limits | undefined): string {
    if (!limits)
        return "";
    return [
        ...limits.protocols,
        ...limits.ports.map(({ protocol, from, to }) => `${protocol}/${from === to ? from : `${from}-${to}`}`),
    ].join(", ");
}
