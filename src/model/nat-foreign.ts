// SPDX-License-Identifier: LGPL-2.1-or-later
// Firewalls of others and mappings. "accept" in one table is final nowhere else: every base chain on the forward hook has its own say.
import type { BaseChain, Packet, Passage, Place, Ruleset } from "./firewall.ts";
import { passage, translations } from "./firewall.ts";
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { Mapping } from "./nat.ts";
import type { Prefix } from "./nat-address.ts";
import { formatPrefix, parsePrefix } from "./nat-address.ts";

/** The chain in whose rules it was decided, then the base chain's: of "filter FORWARD" many programs have a part. */
const BY_CHAIN: readonly (readonly [RegExp, string])[] = [
    [/^LIBVIRT_|^guest_/, "libvirt"], [/^DOCKER/, "Docker"], [/^ufw6?-/, "ufw"],
];

/** Who made the chain, where that can be told; else empty. */
export function programOf({ table, chains }: Pick<Ruleset, "table" | "chains">, chain: string): string {
    if (table === "firewalld")
        return "firewalld";
    if (table.startsWith("libvirt"))
        return "libvirt";
    if (table.startsWith("docker"))
        return "Docker";
    const named = BY_CHAIN.find(([pattern]) => pattern.test(chain));
    if (named)
        return named[1];
    // libvirt adds rules to FORWARD, but never a policy.
    const names = [...chains.keys()];
    return ["ufw", "Docker"].find(program => names.some(name => BY_CHAIN.some(([pattern, made]) => made === program && pattern.test(name)))) ?? "";
}

/** "inet firewalld filter_FORWARD: reject", and what of it is iptables-legacy's, which nft does not show. */
export function placeName(rules: Ruleset, { chain, rule }: Place): string {
    const where = rules.by === "iptables-legacy"
        ? `${rules.family === "ip6" ? "ip6tables-legacy" : "iptables-legacy"} -t ${rules.table} ${chain}` : `${rules.family} ${rules.table} ${chain}`;
    if (!rule)
        return `${where}: policy drop`;
    return `${where}: ${rule.text !== "" ? rule.text : rule.verdict.does === "drop" ? rule.verdict.how : rule.verdict.does}`;
}

/** One mapping's packets: to the guest from outside with the answers, from the guest with theirs. */
function packets({ public: outside, guest }: Mapping, uplink: string, device: string | undefined) {
    const way = (to: boolean, state: Packet["state"], status: Packet["status"]): Packet => ({
        family: outside.family, state, status, local: false,
        ...(to ? { in: uplink, destination: guest } : { out: uplink, source: guest }),
        ...(device === undefined ? {} : to ? { out: device } : { in: device }),
    });
    return {
        in: [way(true, "new", "dnat"), way(false, "established", "dnat")],
        out: [way(false, "new", "snat"), way(true, "established", "snat")],
    };
}

const ORDER = ["none", "some", "most", "all"] as const;

function worst(passages: readonly Passage[]): Passage {
    return passages.reduce((one, other) => ORDER.indexOf(other.lets) < ORDER.indexOf(one.lets) ? other : one, { lets: "all" });
}

/** What one base chain does to a mapping, seen from the guest: connections to it and from it. */
export interface Obstacle {
    rules: Ruleset;
    /** The worse of the two. */
    lets: "none" | "some" | "most";
    direction: "in" | "out" | "both";
    by: Place;
    program: string;
}

function applies(rules: Ruleset, mapping: Mapping): boolean {
    return rules.family === "inet" || (rules.family === "ip" ? 4 : 6) === mapping.public.family;
}

function obstacle(rules: Ruleset, base: BaseChain, mapping: Mapping, uplink: string, device: string | undefined): Obstacle[] {
    const flows = packets(mapping, uplink, device);
    const [inward, outward] = [flows.in, flows.out].map(flow => worst(flow.map(packet => passage(rules, base, packet))));
    const both = inward && outward ? worst([inward, outward]) : undefined;
    if (!both || !inward || !outward || both.lets === "all")
        return [];
    const direction = inward.lets === outward.lets ? "both" : both.lets === inward.lets ? "in" : "out";
    return [{ rules, lets: both.lets, direction, by: both.by, program: programOf(rules, both.by.chain) }];
}

/** What others' forward chains do to a mapping; nothing where they let all of it pass. */
export function obstacles(firewalls: readonly Ruleset[], mapping: Mapping, uplink: string, device: string | undefined): Obstacle[] {
    return firewalls.filter(rules => applies(rules, mapping)).flatMap(rules => rules.bases
            .filter(base => base.hook === "forward" && base.type === "filter")
            .flatMap(base => obstacle(rules, base, mapping, uplink, device)));
}

/** What an obstacle means, in a sentence. */
export function obstacleSays(obstacle: Obstacle): Message {
    const where = placeName(obstacle.rules, obstacle.by);
    const program = obstacle.program;
    if (obstacle.lets === "most")
        return program === "" ? msg("A rule may drop some packets of this mapping ($0).", where) : msg("A rule of $0 may drop some packets of this mapping ($1).", program, where);
    if (obstacle.lets === "some") {
        return program === "" ? msg("Only what a rule accepts passes the firewall; the rest is dropped ($0).", where)
            : msg("Only what a rule accepts passes $0; the rest is dropped ($1).", program, where);
    }
    switch (obstacle.direction) {
    case "in":
        return program === "" ? msg("The firewall drops connections from outside to the guest ($0).", where)
            : msg("$0 drops connections from outside to the guest ($1).", program, where);
    case "out":
        return program === "" ? msg("The firewall drops connections of the guest to the outside ($0).", where)
            : msg("$0 drops connections of the guest to the outside ($1).", program, where);
    case "both":
        return program === "" ? msg("The firewall drops all packets to and from the guest ($0).", where)
            : msg("$0 drops all packets to and from the guest ($1).", program, where);
    }
}

/** What to do about a firewall that drops, by program; `chain` for those that are nobody's. */
export function cureOf(program: string, chain: string, uplink: string, device: string | undefined): Message {
    const name = device ?? "DEVICE";
    switch (program) {
    case "Docker":
        return msg("Allow the guest's packets in Docker's chain for that, at every boot: \"iptables -I DOCKER-USER -i $0 -j ACCEPT\" and "
            + "\"iptables -I DOCKER-USER -o $0 -j ACCEPT\".", name);
    case "firewalld":
        return msg("Put uplink and device into a zone that forwards between its devices: \"firewall-cmd --permanent --zone=public --add-interface=$0 "
            + "--add-interface=$1\", \"firewall-cmd --permanent --zone=public --add-forward\", then \"firewall-cmd --reload\".", uplink, name);
    case "ufw":
        return msg("Allow it with \"ufw route allow in on $0 out on $1\" and \"ufw route allow in on $1 out on $0\".", uplink, name);
    case "libvirt":
        return msg("A guest in a network of libvirt with forward mode \"nat\" cannot be reached from outside. Give it a TAP device of its own, or a network with "
            + "forward mode \"open\".");
    default:
        return msg("Add rules to $0 that accept what goes from $1 to $2 and back.", chain, uplink, name);
    }
}

export function obstacleCure({ program, rules, by }: Obstacle, uplink: string, device: string | undefined): Message {
    return cureOf(program, `${rules.table} ${by.chain}`, uplink, device);
}

// Addresses that others translate -------------------------------------------------------------------------------------------

/** A rule of others that sends packets for an address elsewhere. */
export interface Foreign {
    program: string;
    where: string;
    to: string;
}

/** Some address of the host that no rule names: rules for every address of the host are no claim on this one. */
const NOBODYS: Readonly<Record<4 | 6, string>> = { 4: "192.0.0.8", 6: "100::1" };

function translated(rules: Ruleset, base: BaseChain, uplink: string, destination: Prefix | undefined) {
    return destination ? translations(rules, base, {
        family: destination.family, in: uplink, destination, state: "new", status: "snat", local: true,
    }) : [];
}

/**
 * Rules of others that translate this very address. `own`: it is an address of the host, so that rules for all of the host's
 * (published ports of containers) mean it, too. Ours come first (priority -105): what is mapped never gets there.
 */
export function foreignUses(firewalls: readonly Ruleset[], address: Prefix, own: boolean, uplink: string): Foreign[] {
    const family = address.family === 4 ? "ip" : "ip6";
    return firewalls.filter(rules => rules.family === family || rules.family === "inet").flatMap(rules => rules.bases
            .filter(base => base.hook === "prerouting" && base.type === "nat").flatMap(base => {
                const everybodys = own ? [] : translated(rules, base, uplink, parsePrefix(NOBODYS[address.family]));
                return translated(rules, base, uplink, address).filter(rule => !everybodys.includes(rule)).map(rule => {
                    const chain = [...rules.chains].find(([, list]) => list.includes(rule))?.[0] ?? base.chain;
                    return { program: programOf(rules, chain), where: placeName(rules, { chain, rule }), to: rule.verdict.does === "translate" ? rule.verdict.to : "" };
                });
            }));
}

export function foreignSays(address: Prefix, { program, where, to }: Foreign): Message {
    const public_ = formatPrefix(address);
    return program === ""
        ? msg("A rule of others sends packets for $0 to $1 ($2). The mapping comes first: that rule would see none of them any more.", public_, to, where)
        : msg("A rule of $3 sends packets for $0 to $1 ($2). The mapping comes first: that rule would see none of them any more.", public_, to, where, program);
}
