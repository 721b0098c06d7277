// SPDX-License-Identifier: LGPL-2.1-or-later
// What may come in through a mapping, as people write it: "icmp, tcp/22, tcp/8000-8010, gre", or "nothing".
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

/** The limit that lets in nothing but answers to the guest's own connections. No text at all means the opposite. */
export const NOTHING = "nothing";

/** Reads a list separated by commas, or the word for nothing. Empty text means no limit. */
export function parseLimits(text: string): { limits?: Limits } | { problem: Message } {
    if (text.trim() === "")
        return {};
    if ([NOTHING, "none"].includes(text.trim().toLowerCase()))
        return { limits: { protocols: [], ports: [] } };
    const items = text.split(",").map(item => item.trim()).filter(item => item !== "");
    const protocols: WholeProtocol[] = [];
    const ports: Ports[] = [];
    for (const item of items.length > 0 ? items : [text.trim()]) {
        const parsed = parseItem(item);
        if (!parsed)
            return { problem: msg("\"$0\" is not a protocol or port. Write icmp, tcp/22 or udp/5000-5010, separated by commas.", item) };
        if ("ports" in parsed)
            ports.push(parsed.ports);
        else
            protocols.push(parsed.protocol);
    }
    return { limits: { protocols, ports: normalPorts(ports) } };
}

/** The reverse of `parseLimits`. What others let in stands there in nft's words, which `parseLimits` refuses. */
export function formatLimits(limits: Limits | undefined): string {
    if (!limits)
        return "";
    const items = [
        ...limits.protocols,
        ...limits.ports.map(({ protocol, from, to }) => `${protocol}/${from === to ? from : `${from}-${to}`}`),
        ...limits.others ?? [],
    ];
    return items.length === 0 ? NOTHING : items.join(", ");
}
