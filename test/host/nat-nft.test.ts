// SPDX-License-Identifier: LGPL-2.1-or-later
// The model of NAT against the real nft of this machine, in network namespaces of its own: what is written loads, is read
// back as the same state, and a difference turns any state into any other. The releases' own nft are in nat.test.ts.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { natElements, readState } from "../../src/model/nat.ts";
import { changeText, elementChanges, transaction } from "../../src/model/nat-change.ts";
import { natFile, readNatFile } from "../../src/model/nat-file.ts";
import { readNatTable } from "../../src/model/nat-table.ts";
import { states } from "../unit/model/arbitrary-nat.ts";

const directory = mkdtempSync(join(tmpdir(), "kvm-tap-nft-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Loads the texts one after the other in a new network namespace, then runs a listing. */
function load(texts: readonly string[], then = "nft -j list table inet kvm_tap"): string {
    texts.forEach((text, index) => writeFileSync(join(directory, `${index}.nft`), text));
    const script = `set -e; ${texts.map((_, index) => `nft -f ${index}.nft`).join("; ")}; ${then}`;
    const { status, stdout, stderr } = spawnSync("unshare", ["-n", "sh", "-c", script], { cwd: directory, encoding: "utf8" });
    if (status !== 0)
        throw new Error(`${stderr}\n${texts.join("\n----\n")}`);
    return stdout;
}

function read(listing: string) {
    const table = readNatTable(JSON.parse(listing));
    if (!table)
        throw new Error("no table");
    return table;
}

test("what is written loads and reads back as the same state, with our frame", () => {
    fc.assert(fc.property(states, state => {
        const table = read(load([natFile(state)]));
        expect(table.frame).toEqual([]);
        expect(readState(table.elements)).toEqual({ state, oddities: [] });
    }), { numRuns: 60 });
}, 120_000);

test("a difference turns any state into any other, and nothing is left to do", () => {
    fc.assert(fc.property(states, states, (before, after) => {
        const table = read(load([natFile(before), changeText(before, after)]));
        expect(readState(table.elements)).toEqual({ state: after, oddities: [] });
        expect(transaction(elementChanges(table.elements, natElements(after)))).toBe("");
    }), { numRuns: 60 });
}, 120_000);

test("the plain listing of nft is understood as a file, and loads again", () => {
    fc.assert(fc.property(states, state => {
        const text = load([natFile(state)], "nft list table inet kvm_tap");
        expect(readState(readNatFile(text).elements)).toEqual({ state, oddities: [] });
        expect(readState(read(load([text])).elements)).toEqual({ state, oddities: [] });
    }), { numRuns: 30 });
}, 120_000);

test("a second load of the same file changes nothing, and one refused line refuses all", () => {
    fc.assert(fc.property(states, state => {
        expect(readState(read(load([natFile(state), natFile(state)])).elements).state).toEqual(state);
    }), { numRuns: 10 });
    const [file] = fc.sample(states, { numRuns: 1, seed: 7 }).map(natFile);
    expect(() => load([`${file}\nadd element inet kvm_tap public4 { 192.0.2.1 : nonsense }`])).toThrow();
});
