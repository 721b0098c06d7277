// SPDX-License-Identifier: LGPL-2.1-or-later
import fc from "fast-check";
import { inEnglish } from "../../../src/model/message.ts";
import type { Mapping, NatState } from "../../../src/model/nat.ts";
import { descriptionProblem, natElements, normalPorts, normalState, readState } from "../../../src/model/nat.ts";
import { parsePrefix } from "../../../src/model/nat-address.ts";
import { announcements, elementChanges, endings, transaction } from "../../../src/model/nat-change.ts";
import { hasFrame, natFile, readNatFile } from "../../../src/model/nat-file.ts";
import { CHAIN_RULES, FRAME, SETS } from "../../../src/model/nat-frame.ts";
import { formatLimits, parseLimits } from "../../../src/model/nat-limits.ts";
import { readNatTable } from "../../../src/model/nat-table.ts";
import { states } from "./arbitrary-nat.ts";

function prefix(text: string) {
    const parsed = parsePrefix(text);
    if (!parsed)
        throw new Error(`not a prefix: ${text}`);
    return parsed;
}

const charon: Mapping = {
    public: prefix("203.0.113.10"), guest: prefix("10.0.0.2"), description: "charon", enabled: true, claimed: true, log: false,
};

const one: NatState = normalState({
    uplinks: ["eth0"], mappings: [charon], devices: [{ name: "charon_pvnet1", guarded: true, shared: false }],
});

describe("round trips", () => {
    test("state → elements → state", () => {
        fc.assert(fc.property(states, state => {
            expect(readState(natElements(state))).toEqual({ state, oddities: [] });
        }));
    });

    test("state → file → state, without a problem in any line", () => {
        fc.assert(fc.property(states, state => {
            const read = readNatFile(natFile(state));
            expect(read.problems).toEqual([]);
            expect(readState(read.elements)).toEqual({ state, oddities: [] });
            expect(hasFrame(natFile(state))).toBe(true);
        }));
    });

    test("the difference of a state to itself is empty", () => {
        fc.assert(fc.property(states, state => {
            expect(elementChanges(natElements(state), natElements(state))).toEqual({ remove: [], add: [] });
            expect([...endings(state, state), ...announcements(state, state)]).toEqual([]);
        }));
    });
});

describe("the file", () => {
    test("has one line for a mapping, with its description, and one for its device", () => {
        const lines = natFile(one).split("\n").filter(line => line.startsWith("add element"));
        expect(lines).toEqual([
            "add element inet kvm_tap uplinks { \"eth0\" }",
            "add element inet kvm_tap taps { \"charon_pvnet1\" }; add element inet kvm_tap guarded { \"charon_pvnet1\" }",
            "add element inet kvm_tap public4 { 203.0.113.10 comment \"charon\" : 10.0.0.2 }; "
                + "add element inet kvm_tap guest4 { 10.0.0.2 : 203.0.113.10 }; add element inet kvm_tap owned4 { 203.0.113.10 }",
        ]);
    });

    test("a disabled mapping lies in a map that no rule uses, its address stays owned", () => {
        expect(natFile({ ...one, mappings: [{ ...charon, enabled: false }] })).toContain(
            "\n# Disabled\nadd element inet kvm_tap disabled4 { 203.0.113.10 comment \"charon\" : 10.0.0.2 }; "
                + "add element inet kvm_tap owned4 { 203.0.113.10 }\n");
        expect(FRAME).not.toMatch(/@disabled/);
    });

    test("hand-written forms are understood: listings, several elements, comments, other spellings", () => {
        const byHand = `
            table inet kvm_tap { # the block of nft list table
                map public6 {
                    type ipv6_addr : ipv6_addr
                    counter
                    elements = { 2001:db8::10 counter packets 5 bytes 420 comment "six" : fd00::2,
                                 2001:DB8:0::11 : fd00::3 }
                }
            }
            add element inet kvm_tap guest6 { fd00:0::2 : 2001:db8::10,
                                              fd00::3 : 2001:db8::11 }
            add element inet kvm_tap uplinks { eth0, "wan" } # two
        `;
        const { elements, problems } = readNatFile(byHand);
        const { state, oddities } = readState(elements);
        expect(problems).toEqual([]);
        expect(oddities).toEqual([]);
        expect(state.uplinks).toEqual(["eth0", "wan"]);
        expect(state.mappings.map(mapping => [mapping.public.address, mapping.guest.address, mapping.description, mapping.claimed]))
                .toEqual([["2001:db8::10", "fd00::2", "six", false], ["2001:db8::11", "fd00::3", "", false]]);
    });

    test.each([
        ["table ip mine { }", 1, "\"table ip mine { }\" is not an element of table inet kvm_tap."],
        ["\n\nadd element inet kvm_tap nonsense { 1 }", 3, "Table inet kvm_tap has no set \"nonsense\"."],
        ["\nadd element inet kvm_tap public4 { 203.0.113.10 }", 2, "\"203.0.113.10\" is not an element of public4."],
        ["add element inet kvm_tap owned4 { 203.0.113.10", 1, "A closing brace is missing."],
        ["\nadd element inet kvm_tap public4 { 203.0.113.10 comment \"web : 10.0.0.2 }", 2, "\"203.0.113.10 comment \" web : 10.0.0.2\" is not an element of public4."],
        ["\nadd element inet kvm_tap taps { \"charon0 }", 2, "\"\" charon0\" is not an element of taps."],
        ["add element inet kvm_tap owned4 203.0.113.10", 1, "Elements stand between braces: { … }."],
    ])("%j is named with its line", (text, line, says) => {
        const [problem] = readNatFile(text).problems;
        expect(problem && { line: problem.line, says: inEnglish(problem.says) }).toEqual({ line, says });
    });

    test("any text is read without throwing", () => {
        fc.assert(fc.property(fc.string({ unit: fc.constantFrom(..."add element inet kvm_tap public4{}:;,\n\"#=1.".split(/(?<= )|/)) }), text => {
            expect(Array.isArray(readNatFile(text).problems)).toBe(true);
        }));
    });
});

describe("reading elements", () => {
    test.each([
        ["public4", "203.0.113.10", { value: "10.0.0.2" }, "203.0.113.10 is mapped one way only: what 10.0.0.2 sends leaves with another address."],
        ["owned4", "203.0.113.77", {}, "203.0.113.77 in owned4 belongs to no mapping."],
        ["ports4", "203.0.113.77 . tcp . 22", {}, "203.0.113.77 . tcp . 22 in ports4 belongs to no mapping."],
    ])("an odd element of %s is named", (set, key, element, says) => {
        const { oddities } = readState(new Map([[set, new Map([[key, element]])]]));
        expect(oddities.map(inEnglish)).toEqual([says]);
    });
});

describe("limits that were set by hand", () => {
    const limited = (...more: [string, string][]) => readState(new Map([...natElements(one), ["limited4", new Map([["203.0.113.10", {}]])],
        ...more.map(([set, key]) => [set, new Map([[key, {}]])] as const)]));

    test.each<[string, [string, string][], string]>([
        ["no protocol and no port", [], "nothing"],
        ["a protocol without a word here", [["protocols4", "203.0.113.10 . ospf"]], "ospf"],
        ["ports of such a protocol", [["ports4", "203.0.113.10 . dccp . 33"]], "dccp . 33"],
        ["a port by its name", [["ports4", "203.0.113.10 . tcp . ssh"]], "tcp . ssh"],
        ["every port", [["ports4", "203.0.113.10 . tcp . 0-65535"]], "tcp . 0-65535"],
    ])("%s: %j is read, said and kept", (_what, more, text) => {
        const { state, oddities } = limited(...more);
        const [mapping] = state.mappings;
        expect(formatLimits(mapping?.limits)).toBe(text);
        expect(oddities).toEqual([]);
        const elements = natElements(state);
        for (const [set, key] of [["limited4", "203.0.113.10"], ...more] as const)
            expect([...elements.get(set)?.keys() ?? []]).toEqual([key]);
        // What has no word cannot be typed either: the form asks instead of letting it in or out.
        expect("problem" in parseLimits(text)).toBe(more.length > 0);
    });
});

describe("changes", () => {
    test("one mapping more touches its own three elements", () => {
        const two = { ...one, mappings: [...one.mappings, { ...charon, public: prefix("203.0.113.11"), guest: prefix("10.0.0.3") }] };
        expect(transaction(elementChanges(natElements(one), natElements(two)))).toBe(`add element inet kvm_tap public4 { 203.0.113.11 comment "charon" : 10.0.0.3 }
add element inet kvm_tap guest4 { 10.0.0.3 : 203.0.113.11 }
add element inet kvm_tap owned4 { 203.0.113.11 }
`);
        expect(endings(one, two)).toEqual([{ public: "203.0.113.11", guest: "10.0.0.3" }]);
        expect(announcements(one, two)).toEqual(["203.0.113.11"]);
    });

    test("a changed guest address is deletion and addition of the same key, and connections to both end", () => {
        const moved = { ...one, mappings: [{ ...charon, guest: prefix("10.0.0.9") }] };
        expect(transaction(elementChanges(natElements(one), natElements(moved)))).toBe(
            `delete element inet kvm_tap public4 { 203.0.113.10 : 10.0.0.2 }
delete element inet kvm_tap guest4 { 10.0.0.2 : 203.0.113.10 }
add element inet kvm_tap public4 { 203.0.113.10 comment "charon" : 10.0.0.9 }
add element inet kvm_tap guest4 { 10.0.0.9 : 203.0.113.10 }
`);
        expect(endings(one, moved)).toEqual([{ public: "203.0.113.10", guest: "10.0.0.2" }, { public: "203.0.113.10", guest: "10.0.0.9" }]);
    });

    test.each<[string, Partial<Mapping>, number]>([
        ["a description", { description: "other" }, 0],
        ["logging", { log: true }, 0],
        ["limits", { limits: { protocols: ["icmp"], ports: [] } }, 1],
        ["switching off", { enabled: false }, 1],
    ])("%s: connections end as needed", (_what, change, count) => {
        expect(endings(one, { ...one, mappings: [{ ...charon, ...change }] })).toHaveLength(count);
    });
});

describe("descriptions", () => {
    test.each([
        ["charon's \\ web; # { } 漢 🦆", undefined],
        ["say \"hi\"", "A description cannot contain double quotes: nftables could not read it back."],
        ["two\nlines", "A description is one line of text without control characters."],
        ["bell\u0007", "A description is one line of text without control characters."],
        ["\ud800", "The description contains half a character; remove it."],
        ["ä".repeat(64), undefined],
        ["ä".repeat(65), "The description is 130 bytes long, nftables keeps 128. Letters beyond ASCII take 2 to 4 bytes each."],
        ["x".repeat(10240), "The description is 10240 bytes long, nftables keeps 128. Letters beyond ASCII take 2 to 4 bytes each."],
    ])("%j", (text, says) => {
        const problem = descriptionProblem(text);
        expect(problem && inEnglish(problem)).toBe(says);
    });
});

test("ports are merged where they touch", () => {
    expect(normalPorts([
        { protocol: "udp", from: 53, to: 53 }, { protocol: "tcp", from: 81, to: 90 }, { protocol: "tcp", from: 80, to: 80 },
        { protocol: "tcp", from: 85, to: 87 }, { protocol: "tcp", from: 443, to: 443 },
    ])).toEqual([
        { protocol: "tcp", from: 80, to: 90 }, { protocol: "tcp", from: 443, to: 443 }, { protocol: "udp", from: 53, to: 53 },
    ]);
});

describe("the listing of nft", () => {
    test("is undefined where the table is missing, and names a frame that differs", () => {
        expect(readNatTable({ nftables: [{ metainfo: {} }, { table: { family: "ip", name: "kvm_tap" } }] })).toBeUndefined();
        const bare = readNatTable({ nftables: [{ table: { family: "inet", name: "kvm_tap" } }] });
        expect(bare?.frame).toHaveLength(SETS.size + CHAIN_RULES.size);
        const odd = readNatTable({ nftables: [{ table: { family: "inet", name: "kvm_tap" } },
            { set: { family: "inet", table: "kvm_tap", name: "limited4", elem: ["203.0.113.10", { jhash: {} }, ["203.0.113.11", "10.0.0.2"]] } }] });
        expect([...odd?.elements.get("limited4")?.keys() ?? []]).toEqual(["203.0.113.10"]);
        expect(odd?.frame.map(inEnglish)).toEqual(expect.arrayContaining([
            "\"{\"jhash\":{}}\" is not an element of limited4.", "\"[\"203.0.113.11\",\"10.0.0.2\"]\" is not an element of limited4.",
        ]));
    });
});
