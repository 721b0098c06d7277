// SPDX-License-Identifier: LGPL-2.1-or-later
// Tables in `nft -j list table` (libnftables-json(5)). What is not understood here may match and may not.
import type { BaseChain, Matches, Rule, Ruleset, Verdict } from "./firewall.ts";
import { address, anyOf, device, family, not, state, status, toThisHost, unknown } from "./firewall.ts";
import { parsePrefix } from "./nat-address.ts";

type Json = Record<string, unknown>;

function object(value: unknown): Json | undefined {
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : undefined;
}

function list(value: unknown): readonly unknown[] {
    return Array.isArray(value) ? value as unknown[] : value === undefined ? [] : [value];
}

function objects(values: readonly unknown[]): Json[] {
    return values.flatMap(value => { const found = object(value); return found ? [found] : []; });
}

/** Objects of one kind ("chain", "rule", "set") in a listing. */
function ofKind(json: unknown, kind: string): Json[] {
    return objects(list(object(json)?.["nftables"]).map(item => object(item)?.[kind]));
}

/** Elements of the table's named sets, by name. Of maps the keys are of no use here. */
type Sets = ReadonlyMap<string, readonly unknown[]>;

/** One value of a comparison, by what is compared. */
function value(left: Json, right: unknown): Matches {
    const elem = object(object(right)?.["elem"]);
    if (elem)
        return value(left, elem["val"]);
    // A range, or several flags as one value: how they compare depends on the operator.
    if (object(right) && !object(object(right)?.["prefix"]))
        return unknown;
    const [meta, ct, payload, fib] = ["meta", "ct", "payload", "fib"].map(kind => object(left[kind]));
    const text = typeof right === "string" ? right : "";
    switch (meta?.["key"] ?? ct?.["key"]) {
    case "iifname": case "iif": return device("in", text, "*");
    case "oifname": case "oif": return device("out", text, "*");
    case "nfproto": return text === "ipv4" ? family(4) : text === "ipv6" ? family(6) : unknown;
    case "protocol": return text === "ip" ? family(4) : text === "ip6" ? family(6) : unknown;
    case "state": return state(text);
    case "status": return status(text);
    }
    if (fib?.["result"] === "type" && text === "local" && list(fib["flags"]).join() === "daddr")
        return toThisHost;
    const side = payload?.["field"] === "saddr" ? "source" : payload?.["field"] === "daddr" ? "destination" : undefined;
    return side && (payload?.["protocol"] === "ip" || payload?.["protocol"] === "ip6") ? addressValue(side, right) : unknown;
}

function addressValue(side: "source" | "destination", right: unknown): Matches {
    const inner = object(object(right)?.["prefix"]);
    const prefix = parsePrefix(inner ? `${String(inner["addr"])}/${String(inner["len"])}` : typeof right === "string" ? right : "");
    return prefix ? address(side, prefix) : unknown;
}

/** All values that the right side of a comparison stands for; undefined where that cannot be told. */
function values(right: unknown, sets: Sets): readonly unknown[] | undefined {
    if (typeof right === "string" && right.startsWith("@"))
        return sets.get(right.slice(1));
    const set = object(right)?.["set"];
    return set === undefined ? list(right) : list(set);
}

/** A payload of one family is in no packet of the other. */
function ofFamily(left: Json): readonly Matches[] {
    const protocol = object(left["payload"])?.["protocol"];
    return protocol === "ip" ? [family(4)] : protocol === "ip6" ? [family(6)] : [];
}

function comparison(json: Json, sets: Sets): readonly Matches[] {
    const left = object(json["left"]) ?? {};
    const right = values(json["right"], sets);
    const one = right === undefined ? unknown : anyOf(right.map(each => value(left, each)));
    const op = json["op"];
    return [...ofFamily(left), op === "!=" ? not(one) : op === "==" || op === "in" ? one : unknown];
}

/** What each statement of a rule that ends it does; undefined for those that go on. */
function verdictOf(statement: Json): Verdict | undefined {
    const [kind = ""] = Object.keys(statement);
    const inner = object(statement[kind]);
    switch (kind) {
    case "accept": case "return": return { does: kind };
    case "drop": case "reject": return { does: "drop", how: kind };
    case "jump": case "goto": return { does: kind, chain: String(inner?.["target"]) };
    case "dnat": case "redirect": return { does: "translate", to: translated(inner) };
    case "queue": case "synproxy": case "tproxy": return { does: "unknown" };
    case "xt": return inner?.["type"] === "target" ? { does: "unknown" } : undefined;
    default: return undefined;
    }
}

function translated(inner: Json | undefined): string {
    const part = (json: unknown) => typeof json === "string" || typeof json === "number" ? String(json) : "";
    return [part(inner?.["addr"]), part(inner?.["port"])].filter(text => text !== "").join(":");
}

/**
 * Statements after which the rule always goes on. Others may end it: a limit, a count, an element that finds no room in its set
 * (nft_dynset.c), and whatever comes with a later nft.
 */
const GOING_ON: readonly string[] = [
    "counter", "log", "mangle", "notrack", "last", "ct helper", "ct timeout", "ct expectation", "flow", "dup", "secmark", "snat", "masquerade",
    "comment",
];

/** Whether a statement may end the rule; so may any that looks something up in a map, where nothing is found (nft_lookup.c). */
function mayEnd(statement: Json): boolean {
    const [kind = ""] = Object.keys(statement);
    return !GOING_ON.includes(kind) || looksUp(statement[kind]);
}

function looksUp(json: unknown): boolean {
    return typeof json === "object" && json !== null && ("map" in json || Object.values(json).some(looksUp));
}

/** `key vmap { value : verdict }` is a rule for each of its elements. */
function mapRules(json: Json, tests: readonly Matches[], text: string, sets: Sets): Rule[] {
    const key = object(json["key"]) ?? {};
    const elements = values(json["data"], sets);
    if (elements === undefined)
        return [{ tests: [...tests, unknown], verdict: { does: "unknown" }, text }];
    return elements.map(element => {
        const [left, right] = list(element);
        const verdict = verdictOf(object(right) ?? {}) ?? { does: "continue" };
        return { tests: [...tests, ...ofFamily(key), value(key, left)], verdict, text };
    });
}

function rules(json: Json, sets: Sets): Rule[] {
    const tests: Matches[] = [];
    const text = typeof json["comment"] === "string" ? json["comment"] : "";
    let ends = false;
    for (const statement of objects(list(json["expr"]))) {
        const verdict = verdictOf(statement);
        if (verdict)
            return [{ tests: looksUp(statement) ? [...tests, unknown] : tests, verdict, text }];
        const match = object(statement["match"]);
        const map = object(statement["vmap"]);
        if (map)
            return mapRules(map, tests, text, sets);
        if (match)
            tests.push(...comparison(match, sets));
        else if (mayEnd(statement))
            tests.push(unknown);
        // nft 1.0.6 does not say whether this is a match or a target of iptables.
        ends ||= statement["xt"] === null;
    }
    return ends ? [{ tests, verdict: { does: "unknown" }, text }] : [];
}

/** Base chains in `nft -j list chains`, by table: "inet firewalld". */
export function baseChains(json: unknown): ReadonlyMap<string, readonly BaseChain[]> {
    const found = new Map<string, BaseChain[]>();
    for (const chain of ofKind(json, "chain").filter(each => typeof each["hook"] === "string")) {
        const key = `${String(chain["family"])} ${String(chain["table"])}`;
        const { name, hook, type, policy } = chain;
        found.set(key, [...found.get(key) ?? [],
            { chain: String(name), hook: String(hook), type: String(type), policy: policy === "drop" ? "drop" : "accept" }]);
    }
    return found;
}

/** One table, of the answer to `nft -j list table`. */
export function nftRuleset(name: Pick<Ruleset, "family" | "table">, json: unknown): Ruleset {
    const sets: Sets = new Map([...ofKind(json, "set"), ...ofKind(json, "map")].map(set => [String(set["name"]), list(set["elem"])]));
    const chains = new Map<string, Rule[]>(ofKind(json, "chain").map(chain => [String(chain["name"]), []]));
    for (const rule of ofKind(json, "rule"))
        chains.get(String(rule["chain"]))?.push(...rules(rule, sets));
    return { ...name, by: "nftables", bases: [...baseChains(json).values()].flat(), chains };
}
