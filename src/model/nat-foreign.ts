// SPDX-License-Identifier: LGPL-2.1-or-later
// Firewalls of others. "accept" in one table is final nowhere else: every base chain on the forward hook has its own say.
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import { TABLE_FAMILY, TABLE_NAME } from "./nat-frame.ts";

export interface ChainName {
    family: string;
    table: string;
    chain: string;
    /** "drop" or "accept": what happens to packets that no rule decides about. */
    policy: string;
    /** All chains of the same table, by which its program is known. */
    siblings: readonly string[];
}

export interface ForeignChain extends ChainName {
    /** It drops or rejects some packets by a rule. */
    drops: boolean;
    /** Who made it, where that can be told. */
    program: string;
}

function objects(json: unknown, kind: string): Record<string, unknown>[] {
    const items = typeof json === "object" && json !== null && "nftables" in json && Array.isArray(json.nftables) ? json.nftables : [];
    return items.flatMap((item: unknown) => {
        const inner = typeof item === "object" && item !== null ? (item as Record<string, unknown>)[kind] : undefined;
        return typeof inner === "object" && inner !== null ? [inner as Record<string, unknown>] : [];
    });
}

/** Base chains on the forward hook in `nft -j list chains`, ours left out. */
export function forwardChains(json: unknown): ChainName[] {
    const chains = objects(json, "chain").map(chain => ({
        family: String(chain["family"]), table: String(chain["table"]), chain: String(chain["name"]),
        hook: chain["hook"], policy: String(chain["policy"] ?? "accept"),
    }));
    return chains
            .filter(({ family, table, hook }) =>
                hook === "forward" && ["ip", "ip6", "inet"].includes(family) && !(family === TABLE_FAMILY && table === TABLE_NAME))
            .map(({ family, table, chain, policy }) => ({
                family, table, chain, policy,
                siblings: chains.filter(other => other.family === family && other.table === table).map(other => other.chain),
            }));
}

function programOf({ table, siblings }: ChainName): string {
    if (table === "firewalld")
        return "firewalld";
    if (table.startsWith("libvirt") || siblings.some(name => name.startsWith("LIBVIRT_")))
        return "libvirt";
    if (table.startsWith("docker") || siblings.some(name => name.startsWith("DOCKER")))
        return "Docker";
    if (siblings.some(name => name.startsWith("ufw")))
        return "ufw";
    return ["filter", "mangle", "raw", "security"].includes(table) && siblings.includes("FORWARD") ? "iptables" : "";
}

/** A chain with what its rules in `nft -j list chain` do. */
export function foreignChain(name: ChainName, json: unknown): ForeignChain {
    const drops = objects(json, "rule").some(rule => Array.isArray(rule["expr"]) && rule["expr"].some((statement: unknown) =>
        typeof statement === "object" && statement !== null && ("drop" in statement || "reject" in statement)));
    return { ...name, drops, program: programOf(name) };
}

/** What to do about a firewall that drops forwarded packets, by program. */
export function foreignAdvice({ program, family, table, chain, policy }: ForeignChain): Message {
    const where = `${family} ${table} ${chain}`;
    switch (program) {
    case "Docker":
        return msg("Docker drops forwarded packets ($0). Allow the guest's in its chain DOCKER-USER.", where);
    case "firewalld":
        return msg("firewalld rejects what comes out of devices without a zone that forwards ($0). Put the device into the zone \"trusted\".", where);
    case "ufw":
        return msg("ufw drops forwarded packets ($0). Allow them with \"ufw route allow in on DEVICE\" and \"ufw route allow out on DEVICE\".", where);
    case "libvirt":
        return msg("libvirt rejects packets between its networks and the outside ($0).", where);
    default:
        return policy === "drop"
            ? msg("Chain $0 drops forwarded packets that no rule of it accepts.", where)
            : msg("Chain $0 drops or rejects some forwarded packets.", where);
    }
}
