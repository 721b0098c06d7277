// SPDX-License-Identifier: LGPL-2.1-or-later
// The lab's machine writes files as Cockpit's bridge does: over what is expected only, and with the mode of what was there.
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labMachine } from "../../lab/machine.ts";

const directory = mkdtempSync(join(tmpdir(), "kvm-tap-"));
const file = join(directory, "f");
const machine = labMachine(() => process.pid);
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
    writeFileSync(file, "old");
    chmodSync(file, 0o640);
});

test("a file keeps its mode and owner", async () => {
    const { uid, gid } = statSync(file);
    await machine.replace(file, "new", "old");
    expect(readFileSync(file, "utf8")).toBe("new");
    expect(statSync(file)).toMatchObject({ uid, gid });
    expect(statSync(file).mode & 0o777).toBe(0o640);
});

test.each([["other", "old"], [null, "old"]])("one that is not as expected (%j) stays", async (expected, found) => {
    await expect(machine.replace(file, "new", expected)).rejects.toMatchObject({ name: "ChangedMeanwhile", found });
    expect(readFileSync(file, "utf8")).toBe("old");
});

test("none is expected, and one made", async () => {
    await machine.replace(file, null, "old");
    await machine.replace(file, "new", null);
    expect(readFileSync(file, "utf8")).toBe("new");
});
