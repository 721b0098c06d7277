// SPDX-License-Identifier: LGPL-2.1-or-later
// The model of NAT against the real nft of this machine, in network namespaces of its own: what is written loads, is read
// back as the same state, and a difference turns any state into any other. The releases' own nft are in nat.test.ts.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { collect, EMPTY_STATE, natElements, readState, type Placed } from "../../src/model/nat.ts";
import { elementChanges, transaction } from "../../src/model/nat-change.ts";
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
        const table = read(load([natFile(before), transaction(elementChanges(natElements(before), natElements(after)))]));
        expect(readState(table.elements)).toEqual({ state: after, oddities: [] });
        expect(transaction(elementChanges(table.elements, natElements(after)))).toBe("");
    }), { numRuns: 60 });
}, 120_000);

/** Elements of any two states mixed, as hands and half a transaction leave them: mapped one way only, owned by nobody, without limits … */
const mixed = fc.record({
    one: states, other: states, dropped: fc.array(fc.nat(1000)), taken: fc.array(fc.nat(1000)),
}).map(({ one, other, dropped, taken }) => {
    const [mine, others] = [one, other].map(state => elementChanges(new Map(), natElements(state)).add);
    const gone = new Set(dropped.map(index => index % Math.max(1, mine?.length ?? 0)));
    const elements = (mine ?? []).filter((_, index) => !gone.has(index));
    const has = (placed: Placed) => elements.some(element => element.set === placed.set && element.key === placed.key);
    // Intervals may overlap: nft would refuse them, here as from anybody.
    const more = (others ?? []).filter((placed, index) => taken.some(wish => wish % Math.max(1, others?.length ?? 0) === index)
        && !has(placed) && !/net|ports/.test(placed.set));
    return collect([...elements, ...more]);
});

test("whatever is in the table, our difference to it makes it the wished state", () => {
    fc.assert(fc.property(mixed, states, (there, after) => {
        const before = [natFile(EMPTY_STATE), transaction(elementChanges(new Map(), there))];
        const found = read(load(before)).elements;
        expect(elementChanges(found, there)).toEqual({ remove: [], add: [] });
        const table = read(load([...before, transaction(elementChanges(found, natElements(after)))]));
        expect(readState(table.elements)).toEqual({ state: after, oddities: [] });
    }), { numRuns: 30 });
}, 120_000);

test("nft's refusal names the line that it means, and nothing of the rest is done", () => {
    const [before, after] = fc.sample(fc.tuple(states, states), { numRuns: 200, seed: 3 })
            .find(([one, other]) => one.mappings.length > 3 && other.mappings.length > 3) ?? [EMPTY_STATE, EMPTY_STATE];
    const lines = transaction(elementChanges(natElements(before), natElements(after))).split("\n");
    const at = lines.findIndex(line => line.startsWith("delete element"));
    // Somebody else has taken this element out already.
    const [, line = ""] = /^delete (element .*)$/.exec(lines[at] ?? "") ?? [];
    expect(line).not.toBe("");
    writeFileSync(join(directory, "change"), lines.join("\n"));
    const texts = [natFile(before), `delete ${line}\n`];
    const words = load(texts, "nft -f - < change 2>&1 || true");
    expect(words).toMatch(new RegExp(`^/dev/stdin:${at + 1}:[0-9-]+: Error: .*\n`));
    expect(words.split("\n")[1]).toBe(lines[at]);
    const left = read(load(texts, "nft -f - < change 2> /dev/null || true; nft -j list table inet kvm_tap"));
    expect(left.elements).toEqual(read(load(texts)).elements);
});

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
