// SPDX-License-Identifier: LGPL-2.1-or-later
// Tables in `iptables-save` and `ip6tables-save` (iptables(8), iptables-extensions(8)), of both interfaces of the kernel. What nft says of
// iptables' rules in JSON leaves out what its extensions match, connection states for one.
import type { BaseChain, Matches, Rule, Ruleset, Verdict } from "./firewall.ts";
import { address, anyOf, device, not, state, status, toThisHost, unknown } from "./firewall.ts";
import { parsePrefix } from "./nat-address.ts";

const HOOKS: Readonly<Record<string, string>> = {
    PREROUTING: "prerouting", INPUT: "input", FORWARD: "forward", OUTPUT: "output", POSTROUTING: "postrouting",
};

/** Tables that iptables knows; others are nft's. */
export const IPTABLES_TABLES: readonly string[] = ["filter", "nat", "mangle", "raw", "security"];

/** Options that say something of the packet, with the test that their value is. */
const TESTS: Readonly<Record<string, (value: string) => Matches>> = {
    "-i": value => device("in", value, "+"),
    "-o": value => device("out", value, "+"),
    "-s": value => addressOf("source", value),
    "-d": value => addressOf("destination", value),
    "-p": value => value === "all" ? () => true : unknown,
    "--ctstate": value => anyOf(value.split(",").map(oneState)),
    "--state": value => anyOf(value.split(",").map(state)),
    "--ctstatus": value => anyOf(value.split(",").map(status)),
    "--dst-type": value => value === "LOCAL" ? toThisHost : unknown,
    // Of packets that a bridge hands over, never of routed ones.
    "--physdev-is-bridged": () => () => false,
};

/** conntrack's states DNAT and SNAT are translations (iptables-extensions(8), conntrack). */
function oneState(name: string): Matches {
    return ["DNAT", "SNAT"].includes(name) ? status(name) : state(name);
}

function addressOf(side: "source" | "destination", value: string): Matches {
    const [base = "", mask = ""] = value.split("/");
    const dotted = mask.includes(".") ? mask.split(".").reduce((sum, byte) => sum + Number(byte).toString(2).replaceAll("0", "").length, 0) : mask;
    const prefix = parsePrefix(mask === "" ? base : `${base}/${dotted}`);
    return prefix ? address(side, prefix) : unknown;
}

/** Options of these matches are read above; every other match may or may not. */
const KNOWN_MATCHES: readonly string[] = ["conntrack", "state", "comment", "addrtype", "physdev"];

function words(line: string): string[] {
    return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([whole, quoted]) => quoted ?? whole);
}

/** Options that take no value. */
const BARE: readonly string[] = ["--physdev-is-bridged", "--physdev-is-in", "--physdev-is-out", "-f"];

function verdictOf(kind: string, target: string, rest: readonly string[], chains: ReadonlySet<string>): Verdict {
    if (chains.has(target))
        return { does: kind === "-g" ? "goto" : "jump", chain: target };
    switch (target) {
    case "ACCEPT": return { does: "accept" };
    case "RETURN": return { does: "return" };
    case "DROP": case "REJECT": return { does: "drop", how: target === "DROP" ? "drop" : "reject" };
    case "DNAT": case "REDIRECT": return { does: "translate", to: rest[rest.findIndex(word => word.startsWith("--to")) + 1] ?? "" };
    case "QUEUE": case "NFQUEUE": case "TPROXY": case "SYNPROXY": return { does: "unknown" };
    // LOG, MARK, CT, TCPMSS …: the next rule goes on.
    default: return { does: "continue" };
    }
}

function ruleOf(line: string, chains: ReadonlySet<string>): Rule {
    const [, , ...options] = words(line);
    const text = line.replace(/^-A \S+ /, "");
    const tests: Matches[] = [];
    let negated = false;
    for (let at = 0; at < options.length; at++) {
        const option = options[at] ?? "";
        if (option === "!") {
            negated = true;
            continue;
        }
        if (option === "-j" || option === "-g")
            return { tests, verdict: verdictOf(option, options[at + 1] ?? "", options.slice(at + 2), chains), text };
        const argument = BARE.includes(option) ? "" : options[++at] ?? "";
        tests.push(...testOf(option, argument, negated));
        negated = false;
    }
    return { tests, verdict: { does: "continue" }, text };
}

function testOf(option: string, argument: string, negated: boolean): Matches[] {
    if (option === "--comment" || (option === "-m" && KNOWN_MATCHES.includes(argument)))
        return [];
    const test = TESTS[option]?.(argument) ?? unknown;
    return [negated ? not(test) : test];
}

/** Every table of an iptables-save. */
export function iptablesRulesets(family: "ip" | "ip6", by: Ruleset["by"], saved: string): Ruleset[] {
    return saved.split(/^\*/m).slice(1).map(part => {
        const [table = "", ...lines] = part.split("\n");
        const declared = [...part.matchAll(/^:(\S+) (\S+)/gm)].map(([, name = "", policy = ""]) => [name, policy] as const);
        const names = new Set(declared.map(([name]) => name));
        const chains = new Map<string, Rule[]>(declared.map(([name]) => [name, []]));
        for (const line of lines.filter(each => each.startsWith("-A ")))
            chains.get(words(line)[1] ?? "")?.push(ruleOf(line, names));
        return { family, table: table.trim(), by, bases: declared.flatMap(([name, policy]) => baseOf(table.trim(), name, policy)), chains };
    });
}

function baseOf(table: string, chain: string, policy: string): BaseChain[] {
    const hook = HOOKS[chain];
    return hook === undefined || policy === "-" ? []
        : [{ chain, hook, type: table === "nat" ? "nat" : "filter", policy: policy === "DROP" ? "drop" : "accept" }];
}
