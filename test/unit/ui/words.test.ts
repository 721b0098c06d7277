// SPDX-License-Identifier: LGPL-2.1-or-later
import { msg } from "../../../src/model/message.ts";
import { shellWords } from "../../../src/ui/shell-words.ts";
import { stubCockpit } from "../pages/cockpit-stub.ts";

stubCockpit();
const { format, plural, translate } = await import("../../../src/ui/translate.ts");
const { formatBytes, formatRate } = await import("../../../src/ui/units.ts");

test.each([
    [["virsh", "start", "charon"], "virsh start charon"],
    [["sh", "-c", "echo $HOME; it's"], "sh -c 'echo $HOME; it'\\''s'"],
    [["printf", ""], "printf ''"],
])("%j as one would type it", (argv, text) => expect(shellWords(argv)).toBe(text));

test("arguments with signs of their own are not read as places", () => {
    expect(format("$0 and $1", "$1", "two")).toBe("$1 and two");
    expect(translate(msg("$0 is down", "tap$1"))).toBe("tap$1 is down");
});

test.each([[0, "0 guests"], [1, "1 guest"], [1234, "1,234 guests"]])("%d", (count, text) =>
    expect(plural("$0 guest", "$0 guests", count)).toBe(text));

test.each([[0, "0B"], [999, "999B"], [1000, "1 kB"], [1_234_567, "1.2 MB"], [123_400_000, "123 MB"]])("%d bytes", (bytes, text) =>
    expect(formatBytes(bytes)).toBe(text));

test("a rate", () => expect(formatRate(1500)).toBe("1.5 kB/s"));
