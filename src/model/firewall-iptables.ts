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
    const bits = mask.includes(".") ? mask.split(".").map(byte => Number(byte).toString(2).padStart(8, "0")).join("") : undefined;
    // A mask with gaps is no prefix.
    const length = bits === undefined ? mask : /^1*0*$/.test(bits) ? String(bits.replaceAll("0", "").length) : "none";
    const prefix = parsePrefix(mask === "" ? base : `${base}/${length}`);
    return prefix ? address(side, prefix) : unknown;
}

/** Options of these matches are read above; every other match may or may not. */
const KNOWN_MATCHES: readonly string[] = ["conntrack", "state", "comment", "addrtype", "physdev"];

/** Options whose one value is free text, which may look like an option. */
const TEXTS: readonly string[] = ["--comment", "--string", "--hex-string", "--name", "--hashlimit-name", "--helper", "--u32", "--bytecode"];

/** Of its own text only what is special is in quotes, and in them after a backslash (xtables_save_string). */
function words(line: string): string[] {
    return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|\S+/g)].map(([whole, quoted]) => quoted?.replace(/\\(.)/g, "$1") ?? whole);
}

function verdictOf(kind: string, target: string, rest: readonly string[], chains: ReadonlySet<string>): Verdict {
    if (chains.has(target))
        return { does: kind === "-g" ? "goto" : "jump", chain: target };
    switch (target) {
    case "ACCEPT": return { does: "accept" };
    case "RETURN": return { does: "return" };
    case "DROP": case "REJECT": return { does: "drop", how: target === "DROP" ? "drop" : "reject" };
    case "DNAT": case "REDIRECT": case "NETMAP": return { does: "translate", to: rest[rest.findIndex(word => word.startsWith("--to")) + 1] ?? "" };
    case "SNAT": case "MASQUERADE": return { does: "accept" };
    default: return { does: GOING_ON.includes(target) ? "continue" : "unknown" };
    }
}

/** Targets after which the next rule is asked (iptables-extensions(8)). Any other one may be the end: QUEUE, TPROXY, TARPIT … */
const GOING_ON: readonly string[] = [
    "AUDIT", "CHECKSUM", "CLASSIFY", "CONNMARK", "CONNSECMARK", "CT", "DSCP", "ECN", "HL", "HMARK", "IDLETIMER", "LED", "LOG", "MARK", "NFLOG",
    "NOTRACK", "RATEEST", "SECMARK", "SET", "TCPMSS", "TCPOPTSTRIP", "TEE", "TOS", "TRACE", "TTL", "ULOG",
];

/** One match: an option with its values, negated by a "!" before it (or, in old versions, before its value). */
interface Option {
    name: string;
    values: readonly string[];
    negated: boolean;
}

/**
 * The options of a rule up to its target, and the words from there on. How many values an option has is known of those above; of
 * another one they go on until something looks like the next.
 */
function optionsOf(all: readonly string[]): { options: readonly Option[]; target: readonly string[] } {
    const options: Option[] = [];
    let negated = false;
    for (let at = 0; at < all.length;) {
        const name = all[at++] ?? "";
        if (name === "!") {
            negated = true;
            continue;
        }
        if (TARGETS.includes(name))
            return { options, target: all.slice(at - 1) };
        const old = name in TESTS && all[at] === "!" ? at++ : undefined;
        const end = isText(name) ? at + 1 : endOf(all, at);
        options.push({ name, values: all.slice(at, end), negated: negated || old !== undefined });
        at = end;
        negated = false;
    }
    return { options, target: [] };
}

const TARGETS: readonly string[] = ["-j", "-g"];

function isText(name: string): boolean {
    return TEXTS.includes(name) || name === "-m" || (name in TESTS && name !== "--physdev-is-bridged");
}

function endOf(all: readonly string[], start: number): number {
    const end = all.findIndex((word, index) => index >= start && (word === "!" || word.startsWith("-")));
    return end < 0 ? all.length : end;
}

function ruleOf(line: string, chains: ReadonlySet<string>): Rule {
    const [, , ...rest] = words(line);
    const text = line.replace(/^-A \S+ /, "");
    const { options, target: [kind = "", target = "", ...more] } = optionsOf(rest);
    const tests = options.flatMap(testOf);
    if (kind === "")
        return { tests, verdict: { does: "continue" }, text };
    // No name of a target begins so: something before it was not what it seemed, and what the rule does is not known.
    if (!/^[^-!]/.test(target))
        return { tests: [unknown], verdict: { does: "unknown" }, text };
    return { tests, verdict: verdictOf(kind, target, more, chains), text };
}

function testOf({ name, values: [value = "", ...more], negated }: Option): Matches[] {
    if (name === "--comment" || (name === "-m" && KNOWN_MATCHES.includes(value)))
        return [];
    const test = more.length > 0 ? unknown : TESTS[name]?.(value) ?? unknown;
    return [negated ? not(test) : test];
}

/** Every table of an iptables-save. */
export function iptablesRulesets(family: "ip" | "ip6", by: Ruleset["by"], saved: string): Ruleset[] {
    return saved.split(/^\*/m).slice(1).map(part => {
        // With -c each rule begins with its counters.
        const [table = "", ...lines] = part.replace(/^\[\d+:\d+\] (?=-A )/gm, "").split("\n");
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
