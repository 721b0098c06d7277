// SPDX-License-Identifier: LGPL-2.1-or-later
// What tools print of whom the host is connected with, and of where rules of routing lead.
import { datagramPeersIn, datagramsOf, tablesIn } from "../../../src/host/reach.ts";

test("tables that the rules of a family lead to; unread, with a VRF or a name, nobody knows", () => {
    const ours = '[{"priority":0,"src":"all","table":"255"},{"priority":10,"src":"10.0.0.2","table":"100"},{"priority":32766,"src":"all","table":"254"}]';
    expect([...tablesIn(ours) ?? []].sort()).toEqual(["100", "254", "255"]);
    expect([...tablesIn("[]") ?? ["?"]]).toEqual([]);
    expect(tablesIn(undefined)).toBeUndefined();
    expect(tablesIn('[{"priority":1000,"src":"all","l3mdev":null}]')).toBeUndefined();
    expect(tablesIn('[{"priority":10,"src":"all","table":"vpn"}]')).toBeUndefined();
});

describe("whom the host exchanges datagrams with", () => {
    const own = ["203.0.113.1", "169.254.0.1", "2001:db8:1::2", "fe80::1", "127.0.0.1"];
    const line = (from: string, to: string, back = to, answered = from) =>
        `udp      17 118 src=${from} dst=${to} sport=40000 dport=1194 src=${back} dst=${answered} sport=1194 dport=40000 [ASSURED] mark=0 use=1\n`;

    test("only a few processes ask, and the host itself leaves out what is its guests'", () => {
        const commands = datagramsOf(own);
        expect(commands).toHaveLength(2);
        const [four = [], six = []] = commands, pattern = new RegExp(four.at(-1) ?? "", "m");
        expect([four, six].map(argv => argv.join(" "))).toEqual([expect.stringMatching(/ipv4/), expect.stringMatching(/ipv6/)]);
        expect(four.join()).not.toContain("127.0.0.1");
        expect(six.join()).not.toContain("fe80");
        for (const mine of [line("198.51.100.9", "203.0.113.1"), line("203.0.113.1", "198.51.100.9")])
            expect(mine).toMatch(pattern);
        for (const other of [line("10.0.0.2", "198.51.100.9", "198.51.100.9", "203.0.113.1"), line("198.51.100.9", "203.0.113.10"), line("1203.0.113.1", "10.0.0.1")])
            expect(other).not.toMatch(pattern);
    });

    test("both directions; not those that are translated to a guest", () => {
        const found = datagramPeersIn([
            line("198.51.100.9", "203.0.113.1") + line("203.0.113.1", "198.51.100.10") + line("198.51.100.11", "203.0.113.1", "10.0.0.2"),
            line("2001:db8:99::7", "2001:db8:1::2"),
        ], own);
        expect(found).toEqual([
            { address: "198.51.100.9", local: "203.0.113.1" }, { address: "198.51.100.10", local: "203.0.113.1" }, { address: "2001:db8:99::7", local: "2001:db8:1::2" },
        ]);
        expect(datagramPeersIn(["", "failed\n"], own)).toBeUndefined();
        expect(datagramPeersIn(["", ""], own)).toEqual([]);
    });
});
