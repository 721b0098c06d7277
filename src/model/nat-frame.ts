// SPDX-License-Identifier: LGPL-2.1-or-later
// The rule set of table `inet kvm_tap` without its elements. It never changes with the mappings: two maps instead of rules
// for each, so a packet costs the same with one mapping and with 100,000. Loads on nft 1.0.6 to 1.1.7: numeric
// priorities, no `destroy`, no map used as a set, no name that is a keyword ("devices").
import type { Family } from "./nat-address.ts";

export const TABLE_FAMILY = "inet";
export const TABLE_NAME = "kvm_tap";
export const TABLE = `${TABLE_FAMILY} ${TABLE_NAME}`;

/**
 * Of the connections of uplink number N the mark is WAY_MARK + N; the rule of ip-rule(8) that this mark obeys and the routing
 * table it leads to are both WAY_TABLE + N. N is 1 to 255. pkg/host/kvm-tap-nat has the same numbers.
 */
export const WAY_MARK = 0x6b740000;
export const WAY_TABLE = 10700;
export const MOST_WAYS = 255;

/** Removes the table whether it is there or not; `destroy table` is newer than Debian 12's nft. */
export const REMOVE_TABLE = `table ${TABLE}\ndelete table ${TABLE}\n`;

interface FrameSet {
    kind: "set" | "map";
    name: string;
    definition: string;
    why?: string;
}

interface FrameChain {
    name: string;
    /** Absent: a chain that others jump to. */
    hook?: string;
    rules: readonly string[];
    why?: string;
}

function setsOfFamily(family: Family): FrameSet[] {
    const type = `type ipv${family}_addr`;
    const address = `ipv${family}_addr`;
    const network = `${type} : interval ${address}; flags interval;`;
    return [
        { kind: "map", name: `public${family}`, definition: `${type} : ${address}; counter;`, why: "public to guest" },
        { kind: "map", name: `guest${family}`, definition: `${type} : ${address}; counter;`, why: "guest to public" },
        { kind: "map", name: `disabled${family}`, definition: `${type} : ${address};`, why: "no rule uses it" },
        { kind: "set", name: `owned${family}`, definition: `${type};`, why: "the host answers for these" },
        { kind: "map", name: `publicnet${family}`, definition: `${network} counter;`, why: "the same for prefixes" },
        { kind: "map", name: `guestnet${family}`, definition: `${network} counter;` },
        { kind: "map", name: `disablednet${family}`, definition: network },
        { kind: "set", name: `ownednet${family}`, definition: `${type}; flags interval;` },
        { kind: "set", name: `limited${family}`, definition: `${type};`, why: "only these ports and protocols may come in" },
        { kind: "set", name: `inside${family}`, definition: `${type};`, why: "guests of these: nobody outside gets past them" },
        { kind: "set", name: `ports${family}`, definition: `${type} . inet_proto . inet_service; flags interval;` },
        { kind: "set", name: `protocols${family}`, definition: `${type} . inet_proto;` },
        { kind: "set", name: `logged${family}`, definition: `${type};`, why: "new incoming connections are logged" },
        { kind: "map", name: `ways${family}`, definition: `${type} : mark;`, why: "what the guest begins leaves by this uplink" },
        { kind: "map", name: `waysnet${family}`, definition: `${type} : mark; flags interval;` },
        { kind: "map", name: `gateways${family}`, definition: `type ifname : ipv${family}_addr;`, why: "of uplinks; no rule uses it" },
    ];
}

const FRAME_SETS: readonly FrameSet[] = [
    ...setsOfFamily(4),
    ...setsOfFamily(6),
    { kind: "set", name: "uplinks", definition: "type ifname;", why: "links to the outside" },
    { kind: "map", name: "ways", definition: "type ifname : mark;", why: "of several uplinks: the mark that leads back there" },
    { kind: "set", name: "outward", definition: "typeof fib daddr oifname;", why: "the same names: nft 1.0.6 compares fib only so" },
    { kind: "set", name: "taps", definition: "type ifname;", why: "devices of mapped guests" },
    { kind: "set", name: "guarded", definition: "type ifname;", why: "of these, with anti-spoofing" },
    { kind: "set", name: "bound", definition: "type ifname;", why: "of these, only the MAC addresses of the next set" },
    { kind: "set", name: "macs", definition: "type ifname . ether_addr;" },
    { kind: "set", name: "shared", definition: "type ifname;", why: "of these, unmapped guests use the host's address" },
];

const FAMILIES = [["ip", 4], ["ip6", 6]] as const;

const TRANSLATE_DESTINATION = FAMILIES.flatMap(([ip, family]) => [
    `dnat ${ip} to ${ip} daddr map @public${family}`,
    `dnat ${ip} prefix to ${ip} daddr map @publicnet${family}`,
]);

/** An address that the host was given itself meanwhile (DHCP) is the host's. */
const DROP_OWNED = FAMILIES.flatMap(([ip, family]) =>
    ["owned", "ownednet"].map(set => `${ip} daddr @${set}${family} fib daddr type != local counter drop`));

/** Addresses that mean nothing outside of the host's own networks (RFC 1918, 6598, 3927, 4193). */
const PRIVATE = {
    ip: "{ 10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16 }",
    ip6: "fc00::/7",
} as const;

/** A connection that a guest begins, and that the default route would send out by an uplink. */
const BEGUN = `ct state new ct mark 0 iifname != @uplinks fib daddr oifname @outward`;

const FRAME_CHAINS: readonly FrameChain[] = [
    {
        name: "spoofed",
        why: "A guest may send only from addresses that are routed to its device, and from its own MAC address.",
        hook: "type filter hook prerouting priority -290",
        rules: [
            "iifname @bound iifname . ether saddr != @macs counter drop",
            "iifname @guarded ip saddr != 0.0.0.0 fib saddr . iif oif missing counter drop",
            "iifname @guarded ip6 saddr != { ::, fe80::/10 } fib saddr . iif oif missing counter drop",
        ],
    },
    {
        name: "incoming",
        hook: "type filter hook prerouting priority -110",
        rules: FAMILIES.flatMap(([ip, family]) => [
            `ct state new ${ip} daddr @logged${family} limit rate 10/second burst 20 packets log prefix "kvm-tap: "`,
            `ct state new ${ip} daddr @limited${family} jump limits`,
        ]),
    },
    {
        name: "limits",
        rules: [
            ...FAMILIES.flatMap(([ip, family]) => [
                `${ip} daddr . meta l4proto @protocols${family} return`,
                `${ip} daddr . meta l4proto . th dport @ports${family} return`,
            ]),
            "counter drop",
        ],
    },
    {
        name: "prerouting",
        why: "Before Docker and libvirt (-100 and 100) and firewalld (-90 and 110): the first translation wins.",
        hook: "type nat hook prerouting priority -105",
        // What none of these translates must not be translated by others either, such as rules for a port of any address.
        rules: [...TRANSLATE_DESTINATION, ...DROP_OWNED],
    },
    {
        name: "ways",
        why: "With several uplinks: answers leave by the uplink that the connection came in by, and what a guest begins by that of its mapping.",
        // All translation of destinations takes place at -100 (nf_nat_proto.c), whatever the priorities of the chains that ask for it.
        hook: "type filter hook prerouting priority -95",
        rules: [
            "ct state new ct mark 0 ct status dnat ct mark set iifname map @ways",
            ...FAMILIES.flatMap(([ip, family]) => ["ways", "waysnet"].map(map => `${BEGUN} ct mark set ${ip} saddr map @${map}${family}`)),
            `ct mark & 0xffffff00 == 0x${WAY_MARK.toString(16)} iifname != @uplinks meta mark set ct mark`,
        ],
    },
    { name: "output", hook: "type nat hook output priority -105", rules: TRANSLATE_DESTINATION },
    {
        name: "reached",
        why: "Guests are reached from outside by their public addresses alone: a neighbour on an uplink could send to the others by this host.",
        hook: "type filter hook forward priority -5",
        rules: [
            "iifname @uplinks ct state untracked jump private",
            "iifname @uplinks ct state new ct status & dnat == 0 jump private",
        ],
    },
    {
        name: "private",
        rules: FAMILIES.flatMap(([ip, family]) => [
            // Private networks of others may be reached by this host, too: of those only guests' devices count.
            `oifname @taps ${ip} daddr ${PRIVATE[ip]} counter drop`,
            `${ip} daddr @inside${family} counter drop`,
        ]),
    },
    {
        name: "postrouting",
        why: "Towards the uplinks, and between guests that call each other by public address (hairpin).",
        hook: "type nat hook postrouting priority 95",
        rules: [
            "oifname @uplinks jump translate",
            "ct status dnat jump translate",
            "iifname @shared oifname @uplinks masquerade",
        ],
    },
    {
        name: "translate",
        rules: FAMILIES.flatMap(([ip, family]) => [
            `snat ${ip} to ${ip} saddr map @guest${family}`,
            `snat ${ip} prefix to ${ip} saddr map @guestnet${family}`,
        ]),
    },
    {
        name: "leaving",
        why: "After everybody's translation: no private source address of a guest leaves by an uplink.",
        hook: "type filter hook postrouting priority 300",
        rules: FAMILIES.map(([ip]) => `iifname @taps oifname @uplinks ${ip} saddr ${PRIVATE[ip]} jump untranslated`),
    },
    {
        name: "untranslated",
        rules: [
            "ct state { invalid, untracked } counter drop",
            "ct direction original ct status & snat == 0 counter drop",
            "ct direction reply ct status & dnat == 0 counter drop",
        ],
    },
];

function setText(set: FrameSet): string {
    const line = `    ${set.kind} ${set.name} { ${set.definition} }`;
    return set.why ? `${line.padEnd(96)} # ${set.why}` : line;
}

function chainText(chain: FrameChain): string {
    return [
        ...(chain.why ? [`    # ${chain.why}`] : []),
        `    chain ${chain.name} {`,
        ...(chain.hook ? [`        ${chain.hook}; policy accept;`] : []),
        ...chain.rules.map(rule => `        ${rule}`),
        "    }",
    ].join("\n");
}

/** Sets and chains of the table, as nft commands. */
export const FRAME = `table ${TABLE} {\n${FRAME_SETS.map(setText).join("\n")}\n\n${FRAME_CHAINS.map(chainText).join("\n\n")}\n}\n`;

/** The sets of the frame, by name: whether each is a map. */
export const SETS: ReadonlyMap<string, "set" | "map"> = new Map(FRAME_SETS.map(set => [set.name, set.kind]));

/** Sets whose keys are, or begin with, names of links. */
export const NAME_SETS: ReadonlySet<string> = new Set(
    FRAME_SETS.filter(({ definition }) => /^type(?: ifname|of fib)/.test(definition)).map(set => set.name));

/** Maps whose values are marks. */
export const MARK_MAPS: ReadonlySet<string> = new Set(FRAME_SETS.filter(({ definition }) => definition.includes(": mark")).map(set => set.name));

/** The chains of the frame and how many rules each has. */
export const CHAIN_RULES: ReadonlyMap<string, number> = new Map(FRAME_CHAINS.map(chain => [chain.name, chain.rules.length]));

/** The frame of version 0.1: which sets of today's it lacked, and its chains. A table that has it was loaded by that version. */
export const FRAME_BEFORE: { lacks: ReadonlySet<string>; rules: ReadonlyMap<string, number> } = {
    lacks: new Set(["inside4", "inside6"]),
    rules: new Map(Object.entries({
        spoofed: 3, incoming: 4, limits: 5, prerouting: 8, ways: 6, output: 4, guard: 6, postrouting: 3, translate: 4, leaving: 2,
        untranslated: 3,
    })),
};
