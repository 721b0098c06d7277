// SPDX-License-Identifier: LGPL-2.1-or-later
// The host's helper reads a .tap file as the page does (model/ip-batch.ts). That ip does so, too: test/host/device-unit.test.ts.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { batchLines } from "../../../src/model/ip-batch.ts";

const helper = readFileSync("pkg/host/kvm-tap-device", "utf8");
const functions = ["read_file", "is_creation"].map(name => new RegExp(`^${name}\\(\\) \\{\\n[^]*?\\n\\}\\n`, "m").exec(helper)?.[0] ?? "");

const directory = mkdtempSync(join(tmpdir(), "kvm-tap-"));
const file = join(directory, "t0.tap");
afterAll(() => rmSync(directory, { recursive: true }));

/** The commands of a file as the helper takes them: the one that makes the device, then the rest; and whether it warned. */
function read(content: string): { commands: string[]; warned: boolean } {
    const script = `${functions.join("")}warn() { echo warned >&2; }\nset -f\nfile=$0\nread_file\nprintf '%s\\n%s' "$creation" "$rest"`;
    writeFileSync(file, content);
    const { stdout, stderr } = spawnSync("sh", ["-c", script, file], { encoding: "utf8" });
    return { commands: stdout.split("\n").filter(line => line !== ""), warned: stderr !== "" };
}

/** The same of the page: without the blanks in front, which the helper takes away. */
const shown = (content: string) => batchLines(content).flatMap(({ command }) => command?.replace(/^[ \t]+/, "") || []);

const created = "tuntap add dev t0 mode tap";

test.each<[string, string, string[], boolean]>([
    ["a comment that ends with a backslash", `# description: ends with \\\n${created} multi_queue user root\n`, [`${created} multi_queue user root`], false],
    ["a comment behind a command, too", `${created}\naddress add 10.0.0.1/32 dev t0 # x \\\nlink set dev t0 up\n`,
        [created, "address add 10.0.0.1/32 dev t0 ", "link set dev t0 up"], false],
    ["what a comment says is not said", `${created} # not multi_queue\n`, [`${created} `], false],
    ["a line that goes on in a comment ends there", `tuntap add dev t0 \\\nmode tap # here \\\nlink set dev t0 up\n`, [`${created} `, "link set dev t0 up"], false],
    ["nothing comes between two halves", "tuntap add dev t\\\n0 mode tap\n", [created], false],
    ["three lines", "tuntap add \\\ndev t0 \\\nmode tap\n", [created], false],
    ["two backslashes: one goes", `${created}\nlink set dev t0 alias \\\\\n# over\n`, [created, "link set dev t0 alias \\"], false],
    ["… and the other one before an empty line", `${created}\nlink set \\\\\n\ndev t0 up\n`, [created, "link set dev t0 up"], false],
    ["a last line that goes on nowhere is left out", `${created}\nlink set dev t0 up \\\n`, [created], true],
    ["without a newline, too", `${created}\nlink set dev t0 up \\`, [created], true],
    ["a last line without newline counts", `${created}\nlink set dev t0 up`, [created, "link set dev t0 up"], false],
])("%s", (_what, content, commands, warned) => {
    expect(read(content)).toEqual({ commands, warned });
    expect(shown(content)).toEqual(commands);
});

test("any text is read as the page reads it", () => {
    const piece = fc.constantFrom("tuntap add", "dev t0", "link", " ", "\t", "#", "\\", "\\\n", "\n", "# description: x \\\n", "a*", "$HOME", "'", "\"");
    fc.assert(fc.property(fc.array(piece, { maxLength: 30 }).map(pieces => pieces.join("")), content => {
        const { commands, warned } = read(content);
        const wanted = shown(content).filter(command => command.trim() !== "");
        const makes = (command: string) => /^tuntap\s+add(\s|$)/.test(command);
        // Of several lines that make the device the helper takes the last one.
        expect(commands).toEqual([...wanted.filter(makes).slice(-1), ...wanted.filter(command => !makes(command))]);
        expect(warned).toBe(batchLines(content).some(({ text, command }) => command === undefined && text.replace(/\\(\n|$)/g, "") !== ""));
    }), { numRuns: 150 });
}, 60_000);
