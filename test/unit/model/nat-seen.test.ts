// SPDX-License-Identifier: LGPL-2.1-or-later
import { byMapping, ofMapping, readConnections } from "../../../src/model/nat-connections.ts";
import { look, type Watched } from "../../../src/model/nat-seen.ts";
import type { Mapping } from "../../../src/model/nat.ts";
import { parsePrefix, type Prefix } from "../../../src/model/nat-address.ts";

const prefix = (text: string): Prefix => parsePrefix(text) ?? { family: 4, address: "", length: 0 };
const mapping = (outside: string, inside: string): Mapping => ({
    public: prefix(outside), guest: prefix(inside), description: "", enabled: true, claimed: true, log: false,
});
const charon = mapping("203.0.113.10", "10.0.0.2");
const net = mapping("198.51.100.16/28", "10.1.0.0/28");
const six = mapping("2001:db8::10", "fd00::2");

const incoming = (left = 431_999, state = "ESTABLISHED", port = 50000) =>
    `tcp      6 ${left} ${state} src=192.0.2.80 dst=203.0.113.10 sport=${port} dport=22 src=10.0.0.2 dst=192.0.2.80 sport=22 dport=${port} [ASSURED] mark=0 use=1`;
const outgoing = "udp      17 29 src=10.0.0.2 dst=192.0.2.53 sport=4000 dport=53 [UNREPLIED] src=192.0.2.53 dst=203.0.113.10 sport=53 dport=4000 mark=0 use=1";
const inNet = "icmp     1 29 src=192.0.2.80 dst=198.51.100.17 type=8 code=0 id=7 src=10.1.0.1 dst=192.0.2.80 type=0 code=0 id=7 mark=0 use=1";
const hairpin = "tcp      6 9 ESTABLISHED src=10.0.0.2 dst=203.0.113.10 sport=1 dport=2 src=10.0.0.2 dst=203.0.113.10 sport=2 dport=1 [ASSURED] mark=0 use=1";
const others = [
    "tcp      6 431999 ESTABLISHED src=203.0.113.200 dst=203.0.113.1 sport=50002 dport=9090 src=203.0.113.1 dst=203.0.113.200 sport=9090 dport=50002 [ASSURED] mark=0 use=1",
    "udp      17 29 src=10.0.0.2 dst=169.254.0.1 sport=4000 dport=53 src=169.254.0.1 dst=10.0.0.2 sport=53 dport=4000 mark=0 use=1",
];
const inSix = "tcp      6 100 SYN_SENT src=2001:db8:0:ff::80 dst=2001:db8::10 sport=1 dport=2 [UNREPLIED] src=fd00::2 dst=2001:db8:0:ff::80 sport=2 dport=1 mark=0 use=1";

test("every connection goes to its mapping, once; those of others to none", () => {
    const all = readConnections([incoming(), outgoing, inNet, hairpin, inSix, ...others, "conntrack v1.4.8 (conntrack-tools): 7 flow entries have been shown.", ""].join("\n"));
    expect(all).toHaveLength(7);
    const found = byMapping([charon, net, six], all);
    expect([...found].map(([key, list]) => [key, list.map(({ protocol, state }) => `${protocol} ${state ?? ""}`)])).toEqual([
        ["203.0.113.10", ["tcp ESTABLISHED", "udp ", "tcp ESTABLISHED"]], ["198.51.100.16/28", ["icmp "]], ["2001:db8::10", ["tcp SYN_SENT"]],
    ]);
    for (const one of [charon, net, six])
        expect(ofMapping(one, all)).toEqual([...found.values()].flat().filter(connection => ofMapping(one, [connection]).length > 0));
});

test("what is over counts as open no longer, though the kernel still remembers it", () => {
    expect(ofMapping(charon, readConnections([incoming(100, "TIME_WAIT"), incoming(9, "CLOSE")].join("\n")))).toEqual([]);
});

/** Looks at these listings, so many seconds after the first; what is known in the end. */
function after(...looks: [seconds: number, listing: string, counted?: number, continues?: boolean][]) {
    let watched: Watched | undefined;
    for (const [seconds, listing, counted = 0, continues = true] of looks) {
        watched = look(watched, {
            mappings: [charon], connections: readConnections(listing), counted: new Map([["203.0.113.10", counted]]), now: seconds * 1000, continues,
        });
    }
    return { since: watched?.since, ...watched?.uses.get("203.0.113.10") };
}

test.each([
    ["at the first look nothing is known of the past", after([1, incoming()]), { since: 1000, open: 1 }],
    ["a connection on which nothing happens", after([1, incoming(100)], [6, incoming(95)], [11, incoming(90)]), { since: 1000, open: 1 }],
    ["one that conntrack rounds", after([1, incoming(100)], [6, incoming(96)]), { since: 1000, open: 1 }],
    ["a packet starts its time anew", after([1, incoming(100)], [6, incoming(99)], [11, incoming(94)]), { since: 1000, open: 1, last: 6000 }],
    ["a new connection", after([1, ""], [6, incoming()]), { since: 1000, open: 1, last: 6000 }],
    ["another port is another connection", after([1, incoming(10)], [6, incoming(5, "ESTABLISHED", 50001)]), { since: 1000, open: 1, last: 6000 }],
    ["one that came and went between two looks was counted", after([1, "", 5], [6, "", 6], [11, "", 6]), { since: 1000, open: 0, last: 6000 }],
    ["counters that begin anew are no use", after([1, "", 5], [6, "", 0]), { since: 1000, open: 0 }],
    ["what happened while nobody looked has no time, and what was known stays", after([1, "", 5], [6, "", 6], [600, incoming(), 9, false]),
        { since: 600_000, open: 1, last: 6000 }],
])("%s", (_what, is, expected) => expect(is).toEqual(expected));
