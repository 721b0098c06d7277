// SPDX-License-Identifier: LGPL-2.1-or-later
// The firewalls of others: only tables that have a say about forwarded packets or translate destinations, each listed alone, since one
// that this nft cannot read must not hide the others.
import { baseChains, nftRuleset } from "../model/firewall-nft.ts";
import { IPTABLES_TABLES, iptablesRulesets } from "../model/firewall-iptables.ts";
import type { BaseChain, Ruleset } from "../model/firewall.ts";
import type { Message } from "../model/message.ts";
import { msg } from "../model/message.ts";
import { isOurs } from "./nft.ts";
import type { Machine } from "./run.ts";

export interface Firewalls {
    firewalls: readonly Ruleset[];
    /** What could not be read, in words. */
    unread: readonly Message[];
}

type Name = Pick<Ruleset, "family" | "table">;

function decides({ hook, type }: BaseChain): boolean {
    return (hook === "forward" && type === "filter") || (hook === "prerouting" && type === "nat");
}

/** Tables of IP packets that decide, ours left out. */
function relevant(chains: ReadonlyMap<string, readonly BaseChain[]>): (Name & { iptables: boolean })[] {
    return [...chains].flatMap(([key, bases]) => {
        const [family = "", table = ""] = key.split(" ");
        if (!["ip", "ip6", "inet"].includes(family) || isOurs(family, table) || !bases.some(decides))
            return [];
        const iptables = family !== "inet" && IPTABLES_TABLES.includes(table) && bases.every(({ chain }) => /^[A-Z]+$/.test(chain));
        return [{ family: family as Name["family"], table, iptables }];
    });
}

async function nftTable(machine: Machine, { family, table }: Name): Promise<Ruleset> {
    return nftRuleset({ family, table }, JSON.parse(await machine.run(["nft", "-j", "list", "table", family, table])));
}

/** What iptables made in nftables, in its own words; by nft where iptables is not installed or does not know the table. */
async function iptablesTables(machine: Machine, family: "ip" | "ip6", wanted: readonly Name[]): Promise<Ruleset[]> {
    const mine = wanted.filter(name => name.family === family);
    if (mine.length === 0)
        return [];
    const saved = await machine.run([family === "ip" ? "iptables-nft-save" : "ip6tables-nft-save"]).catch(() => "");
    const known = iptablesRulesets(family, "nftables", saved);
    return Promise.all(mine.map(name => known.find(({ table }) => table === name.table) ?? nftTable(machine, name)));
}

/** The older interface: its tables appear in this file when they are used, and the command would make them. */
async function legacyTables(machine: Machine, family: "ip" | "ip6"): Promise<Ruleset[]> {
    const names = await machine.read(`/proc/net/${family}_tables_names`).catch(() => null);
    if (names === null || names.trim() === "")
        return [];
    const saved = await machine.run([family === "ip" ? "iptables-legacy-save" : "ip6tables-legacy-save"]);
    return iptablesRulesets(family, "iptables-legacy", saved);
}

export async function readFirewalls(machine: Machine): Promise<Firewalls> {
    const unread: Message[] = [];
    const or = async (what: string, read: Promise<Ruleset[]>): Promise<Ruleset[]> => read.catch(() => {
        unread.push(msg("The rules of $0 could not be read.", what));
        return [];
    });
    try {
        const names = relevant(baseChains(JSON.parse(await machine.run(["nft", "-j", "list", "chains"]))));
        const nft = names.filter(name => !name.iptables);
        const iptables = names.filter(name => name.iptables);
        const found = await Promise.all([
            ...nft.map(name => or(`${name.family} ${name.table}`, nftTable(machine, name).then(rules => [rules]))),
            or("iptables", iptablesTables(machine, "ip", iptables)), or("ip6tables", iptablesTables(machine, "ip6", iptables)),
            or("iptables-legacy", legacyTables(machine, "ip")), or("ip6tables-legacy", legacyTables(machine, "ip6")),
        ]);
        return { firewalls: found.flat(), unread };
    } catch {
        return { firewalls: [], unread: [msg("The firewall of this host could not be read.")] };
    }
}
