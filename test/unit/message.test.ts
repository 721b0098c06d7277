// SPDX-License-Identifier: LGPL-2.1-or-later
import { inEnglish, msg } from "../../src/model/message.ts";

test.each([
    [msg("Kept"), "Kept"],
    [msg("$0 is attached to $1", "styx0", "styx"), "styx0 is attached to styx"],
    [msg("$0 of $1", "$1", "two"), "$1 of two"],
    [msg("$3 is not given", "a"), "$3 is not given"],
])("%j reads %s", (message, text) => expect(inEnglish(message)).toBe(text));
