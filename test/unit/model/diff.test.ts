// SPDX-License-Identifier: LGPL-2.1-or-later
import fc from "fast-check";
import { diffLines } from "../../../src/model/diff.ts";

const shown = (before: string, after: string) =>
    diffLines(before, after).map(({ kind, text }) => `${{ same: " ", removed: "-", added: "+" }[kind]}${text}`);

test.each([
    ["a\nb\nc\n", "a\nx\nc\n", [" a", "-b", "+x", " c"]],
    ["", "a\n", ["+a"]],
    ["a\n", "", ["-a"]],
    ["", "", []],
    ["a\nb", "a\nb", [" a", " b"]],
    ["a\nb\nc\nd", "b\nc\ne\nd", ["-a", " b", " c", "+e", " d"]],
])("%j to %j", (before, after, lines) => expect(shown(before, after)).toEqual(lines));

const text = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 12 }).map(lines => lines.join("\n"));

test("property: without the added lines it is what was, without the removed ones what will be", () => {
    fc.assert(fc.property(text, text, (before, after) => {
        const lines = diffLines(before, after);
        const without = (kind: string) => lines.filter(line => line.kind !== kind).map(line => line.text).join("\n");
        expect(without("added")).toBe(before);
        expect(without("removed")).toBe(after);
    }));
});
