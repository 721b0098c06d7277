// SPDX-License-Identifier: LGPL-2.1-or-later
// What a firewall that others wrote does to a packet. Not all that a rule asks can be answered beforehand (ports, marks, sets of
// addresses, the time of day), so a rule matches, does not, or may: and of a chain it is known that it lets a packet through, that
// it does not, or that it depends. Read from nft's JSON (firewall-nft.ts) and from iptables-save (firewall-iptables.ts).
import type { Family, Prefix } from "./nat-address.ts";
import { contains, overlaps } from "./nat-address.ts";

/** A packet as far as it is known. Absent: anything. */
export interface Packet {
    family: Family;
    /** Names of the devices that it comes in by and leaves by. */
    in?: string;
    out?: string;
    source?: Prefix;
    destination?: Prefix;
    state: "new" | "established";
    /** Its connection is translated (ct status). */
    status: "dnat" | "snat";
    /** The destination is an address of this host. */
    local?: boolean;
}

/** undefined: it depends on what is not known. */
export type Matches = (packet: Packet) => boolean | undefined;

export type Verdict =
    | { does: "accept" | "return" | "continue" }
    | { does: "drop"; how: "drop" | "reject" }
    | { does: "jump" | "goto"; chain: string }
    /** Destination translated: to where, in the tool's words. */
    | { does: "translate"; to: string }
    /** Decided elsewhere: a program behind a queue, a target that is not known here. */
    | { does: "unknown" };

export interface Rule {
    tests: readonly Matches[];
    verdict: Verdict;
    /** As its tool writes it; empty where it does not. */
    text: string;
}

export interface BaseChain {
    chain: string;
    hook: string;
    type: string;
    policy: "accept" | "drop";
}

/** A table of others. */
export interface Ruleset {
    family: "ip" | "ip6" | "inet";
    table: string;
    /** By which interface of the kernel: a packet trace of nftables shows nothing of iptables-legacy. */
    by: "nftables" | "iptables-legacy";
    bases: readonly BaseChain[];
    chains: ReadonlyMap<string, readonly Rule[]>;
}

/** The chain and rule that decide; without a rule it is the chain's policy. */
export interface Place {
    chain: string;
    rule?: Rule;
}

/**
 * `all`: passes whatever else it is. `most`: rules may drop some at `by`. `some`: only what rules accept passes, the rest ends at
 * `by`. `none`: everything ends at `by`.
 */
export type Passage = { lets: "all" } | { lets: "most" | "some" | "none"; by: Place };

/** Deeper than any real one; nft refuses loops and more than 16 levels (NFT_JUMP_STACK_SIZE). */
const DEEPEST = 32;

interface Seen {
    mayAccept: boolean;
    mayDrop?: Place;
    translations: Rule[];
}

type End = "accept" | Place;

function every(tests: readonly Matches[], packet: Packet): boolean | undefined {
    let sure = true;
    for (const test of tests) {
        const answer = test(packet);
        if (answer === false)
            return false;
        sure &&= answer === true;
    }
    return sure ? true : undefined;
}

class Walk {
    readonly seen: Seen = { mayAccept: false, translations: [] };

    constructor(readonly rules: Ruleset, readonly packet: Packet) {}

    /** How the packet ends in this chain when all that is not known does not match; undefined when it returns from it. */
    run(chain: string, sure: boolean, depth = 0): End | undefined {
        for (const rule of depth > DEEPEST ? [] : this.rules.chains.get(chain) ?? []) {
            const matches = every(rule.tests, this.packet);
            if (matches === false)
                continue;
            const end = this.#step(chain, rule, sure, matches === true, depth);
            if (end === "return")
                return undefined;
            if (end !== undefined)
                return end;
        }
        return undefined;
    }

    /** `sure`: the packet comes by this chain; `matches`: and by this rule. */
    #step(chain: string, rule: Rule, sure: boolean, matches: boolean, depth: number): End | "return" | undefined {
        const { verdict } = rule;
        switch (verdict.does) {
        case "continue": return undefined;
        case "accept": return this.#end("accept", sure, matches);
        case "drop": return this.#end({ chain, rule }, sure, matches);
        case "unknown":
            this.#end("accept", false, false);
            return this.#end({ chain, rule }, false, matches);
        case "translate":
            this.seen.translations.push(rule);
            return this.#end("accept", sure, matches);
        case "return":
            // What follows may be left out.
            this.seen.mayAccept ||= !matches;
            return matches ? "return" : undefined;
        case "jump":
        case "goto": {
            const end = this.run(verdict.chain, sure && matches, depth + 1);
            return end ?? (matches && verdict.does === "goto" ? "return" : undefined);
        }
        }
    }

    #end(end: End, sure: boolean, matches: boolean): End | "return" | undefined {
        if (sure && matches)
            return end;
        if (end === "accept")
            this.seen.mayAccept = true;
        else
            this.seen.mayDrop ??= end;
        return matches ? "return" : undefined;
    }
}

/** Whether a base chain lets this packet through. */
export function passage(rules: Ruleset, base: BaseChain, packet: Packet): Passage {
    const walk = new Walk(rules, packet);
    const end = walk.run(base.chain, true) ?? (base.policy === "accept" ? "accept" : { chain: base.chain });
    const { mayAccept, mayDrop } = walk.seen;
    if (end === "accept")
        return mayDrop ? { lets: "most", by: mayDrop } : { lets: "all" };
    return { lets: mayAccept ? "some" : "none", by: end };
}

/** The rules of a base chain that may translate this packet's destination. */
export function translations(rules: Ruleset, base: BaseChain, packet: Packet): readonly Rule[] {
    const walk = new Walk(rules, packet);
    walk.run(base.chain, true);
    return walk.seen.translations;
}

// Tests that parsers put together -------------------------------------------------------------------------------------------

/** The opposite; what is not known stays so. */
export function not(test: Matches): Matches {
    return packet => {
        const answer = test(packet);
        return answer === undefined ? undefined : !answer;
    };
}

export const unknown: Matches = () => undefined;

/** One of these values; `any` is what cannot be told of one of them. */
export function anyOf(tests: readonly Matches[]): Matches {
    return packet => {
        const answers = tests.map(test => test(packet));
        return answers.includes(true) ? true : answers.includes(undefined) ? undefined : false;
    };
}

/** A device by name; `wildcard` (nft "*", iptables "+") ends a beginning of names. */
export function device(side: "in" | "out", name: string, wildcard: string): Matches {
    return packet => {
        const is = packet[side];
        if (is === undefined)
            return undefined;
        return name.endsWith(wildcard) ? is.startsWith(name.slice(0, -wildcard.length)) : is === name;
    };
}

/** An address inside of this prefix. */
export function address(side: "source" | "destination", prefix: Prefix): Matches {
    return packet => {
        if (prefix.family !== packet.family)
            return false;
        const is = packet[side];
        if (is === undefined || (!contains(prefix, is) && overlaps(prefix, is)))
            return prefix.length === 0 ? true : undefined;
        return contains(prefix, is);
    };
}

export function state(name: string): Matches {
    return packet => name.toLowerCase() === packet.state;
}

export function status(name: string): Matches {
    return packet => ["dnat", "snat"].includes(name.toLowerCase()) ? packet.status === name.toLowerCase() : undefined;
}

export function family(wanted: Family): Matches {
    return packet => packet.family === wanted;
}

export const toThisHost: Matches = packet => packet.local;
