// SPDX-License-Identifier: LGPL-2.1-or-later
import { mergeLists } from "../../../src/model/merge.ts";

/** `a1` is item a with value 1. */
const merged = (before: string, mine: string, now: string) => {
    const list = (text: string) => text.split(" ").filter(item => item !== "");
    return mergeLists(list(before), list(mine), list(now), item => item.slice(0, 1)).join(" ");
};

test.each([
    ["nobody changed anything", "a1 b1", "a1 b1", "a1 b1", "a1 b1"],
    ["I changed one", "a1 b1", "a1 b2", "a1 b1", "a1 b2"],
    ["the other did", "a1 b1", "a1 b1", "a1 b3", "a1 b3"],
    ["each another", "a1 b1", "a2 b1", "a1 b3", "a2 b3"],
    ["both the same: mine", "a1", "a2", "a3", "a2"],
    ["I added one, the other another", "a1", "a1 b1", "a1 c1", "a1 c1 b1"],
    ["both added the same: mine", "a1", "a1 b1", "a1 b2", "a1 b1"],
    ["I removed what the other changed", "a1 b1", "a1", "a1 b2", "a1"],
    ["the other removed what I left alone", "a1 b1", "a1 b1", "a1", "a1"],
    ["the other removed what I changed", "a1 b1", "a1 b2", "a1", "a1 b2"],
])("%s", (_what, before, mine, now, is) => expect(merged(before, mine, now)).toBe(is));
