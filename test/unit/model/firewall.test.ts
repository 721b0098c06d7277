// SPDX-License-Identifier: LGPL-2.1-or-later
// Rules of others read and followed. That the answers are those of the kernel is shown with packets in test/host/nat-firewalls.test.ts.
import { iptablesRulesets } from "../../../src/model/firewall-iptables.ts";
import { nftRuleset } from "../../../src/model/firewall-nft.ts";
import type { Packet, Ruleset } from "../../../src/model/firewall.ts";
import { passage, translations } from "../../../src/model/firewall.ts";
import { foreignUses, programOf } from "../../../src/model/nat-foreign.ts";
import { parsePrefix, type Prefix } from "../../../src/model/nat-address.ts";

function prefix(text: string): Prefix {
    const parsed = parsePrefix(text);
    if (!parsed)
        throw new Error(text);
    return parsed;
}

const incoming: Packet = { family: 4, in: "eth0", out: "charon0", destination: prefix("10.0.0.2"), state: "new", status: "dnat", local: false };
const outgoing: Packet = { family: 4, in: "charon0", out: "eth0", source: prefix("10.0.0.2"), state: "new", status: "snat", local: false };

/** "lets" of the forward chain, with the chain and rule where it ends. */
function through(rules: Ruleset | undefined, packet: Packet): string {
    const base = rules?.bases.find(({ hook }) => hook === "forward");
    if (!rules || !base)
        return "no chain";
    const found = passage(rules, base, packet);
    return found.lets === "all" ? "all" : `${found.lets} ${found.by.chain}${found.by.rule ? "" : " policy"}`;
}

function saved(policy: string, ...rules: string[]): Ruleset | undefined {
    const chains = [...new Set(rules.flatMap(rule => /^-A (?!FORWARD)(\S+)/.exec(rule)?.[1] ?? []))];
    const text = ["*filter", `:FORWARD ${policy} [0:0]`, ...chains.map(name => `:${name} - [0:0]`), ...rules, "COMMIT", ""].join("\n");
    return iptablesRulesets("ip", "nftables", text)[0];
}

describe("iptables-save", () => {
    test.each<[string, string, readonly string[], string, string]>([
        ["policy", "DROP", [], "none FORWARD policy", "none FORWARD policy"],
        ["device", "DROP", ["-A FORWARD -i charon+ -j ACCEPT"], "none FORWARD policy", "all"],
        ["not that device", "ACCEPT", ["-A FORWARD ! -o eth0 -j DROP"], "none FORWARD", "all"],
        ["address with mask", "ACCEPT", ["-A FORWARD -d 10.0.0.0/255.255.255.0 -j REJECT --reject-with tcp-reset"], "none FORWARD", "most FORWARD"],
        ["some port", "DROP", ["-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT"], "some FORWARD policy", "some FORWARD policy"],
        ["state", "DROP", ["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"], "none FORWARD policy", "none FORWARD policy"],
        ["translated", "DROP", ["-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT"], "all", "none FORWARD policy"],
        ["a comment with spaces", "DROP", ["-A FORWARD -m comment --comment \"to the -j DROP \\\" guest\" -o charon0 -j ACCEPT"], "all", "none FORWARD policy"],
        ["a chain that returns", "ACCEPT", ["-A FORWARD -j own", "-A own -o charon0 -j RETURN", "-A own -j DROP"], "all", "none own"],
        ["goto leaves the chain", "ACCEPT", ["-A FORWARD -g own", "-A FORWARD -j DROP", "-A own -i lo -j DROP"], "all", "all"],
        ["a limit may not match", "ACCEPT", ["-A FORWARD -m limit --limit 3/min -j RETURN", "-A FORWARD -j DROP"], "some FORWARD", "some FORWARD"],
        ["what an unknown match leads to may happen", "DROP", ["-A FORWARD -m set --match-set x src -j own", "-A own -j RETURN"],
            "none FORWARD policy", "none FORWARD policy"],
        ["a target that goes on", "ACCEPT", ["-A FORWARD -j LOG --log-prefix \"no -j DROP\"", "-A FORWARD -i charon0 -j DROP"], "all", "none FORWARD"],
        ["bridged packets are others", "ACCEPT", ["-A FORWARD -m physdev --physdev-is-bridged -j DROP"], "all", "all"],
        ["an option with two values", "ACCEPT", ["-A FORWARD -m set --match-set blocked src -j DROP"], "most FORWARD", "most FORWARD"],
        ["flags of TCP", "ACCEPT", ["-A FORWARD -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j DROP"], "most FORWARD", "most FORWARD"],
        ["flags of TCP, negated", "DROP", ["-A FORWARD -o charon0 -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j ACCEPT"],
            "some FORWARD policy", "none FORWARD policy"],
        ["options without a value", "ACCEPT", ["-A FORWARD -m rpfilter --loose --invert -j DROP"], "most FORWARD", "most FORWARD"],
        ["one before a known one", "DROP", ["-A FORWARD -m socket --transparent -o charon0 -j ACCEPT"], "some FORWARD policy", "none FORWARD policy"],
        ["an allow-list", "DROP", ["-A FORWARD -m set ! --match-set blocked src,dst --return-nomatch -j ACCEPT"], "some FORWARD policy", "some FORWARD policy"],
        ["a chain behind it", "DROP", ["-A FORWARD -m set --match-set friends src -g own", "-A own -j ACCEPT"], "some FORWARD policy", "some FORWARD policy"],
        ["fragments", "ACCEPT", ["-A FORWARD -f -j DROP", "-A FORWARD ! -f -i eth0 -j REJECT"], "most FORWARD", "most FORWARD"],
        ["a comment that is an option", "DROP", ["-A FORWARD -m comment --comment -j -o charon0 -j ACCEPT"], "all", "none FORWARD policy"],
        ["a text that is one", "DROP", ["-A FORWARD -m string --string -j --algo bm -j ACCEPT"], "some FORWARD policy", "some FORWARD policy"],
        ["a prefix that is one", "ACCEPT", ["-A FORWARD -j LOG --log-prefix -j", "-A FORWARD -i charon0 -j DROP"], "all", "none FORWARD"],
        ["no name of a target", "ACCEPT", ["-A FORWARD -m x --text -j --more -j DROP"], "most FORWARD", "most FORWARD"],
        ["a comment that is a negation", "ACCEPT", ["-A FORWARD -m comment --comment \"!\" -j DROP"], "none FORWARD", "none FORWARD"],
        ["a text that is a negation", "ACCEPT", ["-A FORWARD -m string --string \"!\" --algo bm -j DROP"], "most FORWARD", "most FORWARD"],
        ["negated as it once was", "ACCEPT", ["-A FORWARD -o ! eth0 -j DROP"], "none FORWARD", "all"],
        ["quotes in quotes", "DROP", ["-A FORWARD -m comment --comment \"a \\\"b\\\" -j DROP\" -o charon0 -j ACCEPT"], "all", "none FORWARD policy"],
        ["a mask with gaps", "ACCEPT", ["-A FORWARD -d 10.0.0.9/0.0.0.255 -j DROP"], "most FORWARD", "most FORWARD"],
        ["a target that nobody knows", "ACCEPT", ["-A FORWARD -j TARPIT"], "most FORWARD", "most FORWARD"],
        ["with counters", "ACCEPT", ["[3:180] -A FORWARD -i eth0 -j DROP"], "none FORWARD", "all"],
        ["chains in a circle end", "ACCEPT", ["-A FORWARD -j own", "-A own -j own"], "all", "all"],
    ])("%s", (_name, policy, rules, inward, outward) => {
        expect([through(saved(policy, ...rules), incoming), through(saved(policy, ...rules), outgoing)]).toEqual([inward, outward]);
    });
});

function listed(policy: string, ...exprs: unknown[][]): Ruleset {
    return nftRuleset({ family: "inet", table: "house" }, { nftables: [
        { set: { family: "inet", table: "house", name: "lan", type: "ifname", elem: ["charon0", "styx0"] } },
        { set: { family: "inet", table: "house", name: "big", type: "ipv4_addr", flags: ["interval"], elem: [{ prefix: { addr: "10.0.0.0", len: 8 } }] } },
        { chain: { family: "inet", table: "house", name: "way", hook: "forward", type: "filter", prio: 0, policy } },
        ...exprs.map(expr => ({ rule: { family: "inet", table: "house", chain: "way", expr } })),
    ] });
}

const match = (left: unknown, right: unknown, op = "==") => ({ match: { op, left, right } });
const meta = (key: string) => ({ meta: { key } });
const ct = (key: string) => ({ ct: { key } });
const daddr = (protocol: string) => ({ payload: { protocol, field: "daddr" } });

describe("nft -j list table", () => {
    test.each<[string, string, readonly unknown[][], string, string]>([
        ["policy", "drop", [], "none way policy", "none way policy"],
        ["a named set of devices", "drop", [[match(meta("iifname"), "@lan"), { accept: null }]], "none way policy", "all"],
        ["a set of another table is not known", "accept", [[match(meta("iifname"), "@nowhere"), { drop: null }]], "most way", "most way"],
        ["a named set of addresses", "accept", [[match(daddr("ip"), "@big"), { drop: null }]], "none way", "most way"],
        ["the other family", "accept", [[match(daddr("ip6"), { set: [{ prefix: { addr: "::", len: 0 } }] }), { drop: null }]], "all", "all"],
        ["states in a list", "drop", [[match(ct("state"), ["established", "new"], "in"), { counter: {} }, { accept: null }]], "all", "all"],
        ["status", "drop", [[match(ct("status"), "dnat", "in"), { accept: null }]], "all", "none way policy"],
        ["verdict map", "drop", [[{ vmap: { key: ct("state"), data: { set: [["new", { accept: null }], ["invalid", { drop: null }]] } } }]], "all", "all"],
        ["verdict map of devices", "drop", [[{ vmap: { key: meta("oifname"), data: { set: [["charon*", { accept: null }]] } } }]],
            "all", "none way policy"],
        ["a queue", "accept", [[{ queue: { num: 0 } }]], "most way", "most way"],
        ["a target of iptables that nft does not show", "accept", [[{ xt: null }]], "most way", "most way"],
        ["a match of iptables that it does not show", "accept", [[{ xt: null }, { drop: null }]], "most way", "most way"],
        ["not equal", "accept", [[match(meta("oifname"), "eth0", "!="), { reject: null }]], "none way", "all"],
        ["a limit for each element of a set", "drop", [[{ set: { op: "add", set: "@big", elem: daddr("ip"), stmt: [{ limit: { rate: 3, per: "second" } }] } }, { accept: null }]],
            "some way policy", "some way policy"],
        ["a set that may be full", "accept", [[{ set: { op: "update", set: "@big", elem: daddr("ip") } }, { drop: null }]], "most way", "most way"],
        ["a count", "accept", [[{ "ct count": { val: 3, inv: true } }, { drop: null }]], "most way", "most way"],
        ["a statement that comes with a later nft", "accept", [[{ later: {} }, { drop: null }]], "most way", "most way"],
        ["several flags as one value", "accept", [[match(ct("state"), { "|": ["established", "related"] }, "!="), { drop: null }]], "most way", "most way"],
        ["a mark that is looked up", "drop", [[{ mangle: { key: meta("mark"), value: { map: { key: daddr("ip"), data: "@marks" } } } }, { accept: null }]],
            "some way policy", "some way policy"],
        ["a mark that is set", "drop", [[{ mangle: { key: meta("mark"), value: 1 } }, { counter: {} }, { log: null }, { accept: null }]], "all", "all"],
    ])("%s", (_name, policy, rules, inward, outward) => {
        expect([through(listed(policy, ...rules), incoming), through(listed(policy, ...rules), outgoing)]).toEqual([inward, outward]);
    });
});

const dockerNat = ["*nat", ":PREROUTING ACCEPT [0:0]", ":DOCKER - [0:0]", "-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
    "-A DOCKER -i docker0 -j RETURN", "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
    "-A DOCKER -d 203.0.113.20/32 ! -i docker0 -p tcp -m tcp --dport 81 -j DNAT --to-destination 172.17.0.3:80", "COMMIT", ""].join("\n");

describe("addresses that others translate", () => {
    const rules = iptablesRulesets("ip", "nftables", dockerNat);

    test.each<[string, boolean, readonly string[]]>([
        ["203.0.113.10", false, []],
        ["203.0.113.20", false, ["172.17.0.3:80"]],
        // The host's own: what is published for every address of the host means it, too.
        ["203.0.113.1", true, ["172.17.0.2:80"]],
    ])("%s, the host's own: %s", (address, own, targets) => {
        const uses = foreignUses(rules, prefix(address), own, "eth0");
        expect(uses.map(({ to }) => to)).toEqual(targets);
        expect(uses.every(({ program }) => program === "Docker")).toBe(true);
    });

    test("a whole network", () => {
        const saved = ["*nat", ":PREROUTING ACCEPT [0:0]", "-A PREROUTING -d 203.0.113.0/24 -i eth0 -j NETMAP --to 10.7.0.0/24", "COMMIT", ""].join("\n");
        expect(foreignUses(iptablesRulesets("ip", "nftables", saved), prefix("203.0.113.10"), false, "eth0").map(({ to }) => to)).toEqual(["10.7.0.0/24"]);
    });

    test("a redirect of nft", () => {
        const table = nftRuleset({ family: "ip", table: "nat" }, { nftables: [
            { chain: { family: "ip", table: "nat", name: "pre", hook: "prerouting", type: "nat", prio: -100, policy: "accept" } },
            { rule: { family: "ip", table: "nat", chain: "pre",
                expr: [match(daddr("ip"), "203.0.113.7"), { dnat: { addr: "192.168.1.5", port: 8443 } }] } },
        ] });
        expect(foreignUses([table], prefix("203.0.113.7"), false, "eth0").map(({ to }) => to)).toEqual(["192.168.1.5:8443"]);
        expect(table.bases.flatMap(base => translations(table, base, { ...incoming, destination: prefix("203.0.113.8") }))).toEqual([]);
    });
});

test.each<[string, string, readonly string[], string]>([
    ["filter", "FORWARD", ["FORWARD", "DOCKER-USER", "LIBVIRT_FWI"], "Docker"],
    ["filter", "LIBVIRT_FWI", ["FORWARD", "DOCKER-USER", "LIBVIRT_FWI"], "libvirt"],
    ["filter", "FORWARD", ["FORWARD", "ufw-before-forward", "DOCKER"], "ufw"],
    ["filter", "FORWARD", ["FORWARD", "LIBVIRT_FWI"], ""],
    ["filter", "ufw6-user-forward", ["FORWARD"], "ufw"],
    ["libvirt_network", "guest_input", ["forward"], "libvirt"],
    ["firewalld", "filter_FORWARD", ["filter_FORWARD"], "firewalld"],
    ["house", "way", ["way"], ""],
])("who made chain %s %s beside %j: %s", (table, chain, siblings, program) => {
    expect(programOf({ table, chains: new Map(siblings.map(name => [name, []])) }, chain)).toBe(program);
});
