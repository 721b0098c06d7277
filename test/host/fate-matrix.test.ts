// SPDX-License-Identifier: LGPL-2.1-or-later
// What libvirt really does to devices, event by event, against what fate() says it does.
// KVM_TAP_ALL=1 also migrates between two hosts, reverts snapshots, and tries <on_reboot> and <on_poweroff>.
// KVM_TAP_WRITE_FATES=1 writes docs/fates.md.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdirSync, writeFileSync } from "node:fs";
import { startHost, type TestHost } from "../lab/host.ts";
import { eachRelease } from "../lab/releases.ts";
import { all, asMarkdown, type Cell } from "./fate/cells.ts";
import { chains, failingStarts, happen, hotPlugs, longChains, starts } from "./fate/events.ts";
import { arrives, leaves, listening } from "./fate/migrations.ts";
import { reverts } from "./fate/reverts.ts";
import { World } from "./fate/world.ts";

const tables: string[] = [];

await eachRelease(release => {
    let host: TestHost, destination: TestHost | undefined;
    let world: World, beyond: World | undefined;

    beforeAll(async () => {
        host = await startHost({ release, ...listening(1) });
        world = await World.on(host);
    });

    afterAll(async () => {
        await destination?.stop();
        await host.stop();
    });

    const cells = (): Cell[] => [...world.cells, ...beyond?.cells ?? []];

    /** Runs one event and compares all its cells. */
    function matrix(name: string, run: () => Promise<void>): void {
        test(name, async () => {
            const known = new Set(cells());
            await run();
            const fresh = cells().filter(cell => !known.has(cell));
            expect(fresh.length).toBeGreaterThan(0);
            expect(fresh.map(cell => line(cell, cell.observed))).toEqual(fresh.map(cell => line(cell, cell.predicted)));
        });
    }

    const named = (chain: typeof chains[number]) => chain.map(({ event, when }) => `${event} ${when}`.trim()).join(", ");
    for (const chain of chains)
        matrix(named(chain), () => happen(world, chain));
    matrix("start", () => starts(world));
    matrix("failed-start", () => failingStarts(world));
    matrix("hot-plug", () => hotPlugs(world));

    (all ? describe : describe.skip)("what takes longer", () => {
        for (const chain of longChains)
            matrix(named(chain), () => happen(world, chain));
        matrix("snapshot-revert", () => reverts(world));

        describe("between two hosts", () => {
            beforeAll(async () => {
                destination = await startHost({ release, internet: host.internet, ...listening(2) });
                beyond = await World.on(destination);
            });

            matrix("migrate-out", () => leaves(world, beyond ?? world));
            matrix("migrate-in", () => arrives(world, beyond ?? world));
        });
    });

    describe("all combinations", () => {
        test("are 80 at least, and go into the table", () => {
            const title = `## ${release}: libvirt ${world.version}, ${cells().length} combinations`;
            tables.push(`${title}\n\n${asMarkdown(cells())}\n`);
            expect(cells().length).toBeGreaterThanOrEqual(80);
        });
    });
});

afterAll(() => {
    const text = `${introduction}\n${tables.join("\n")}`;
    process.stdout.write(`\n${text}\n`);
    if (process.env["KVM_TAP_WRITE_FATES"] === "1") {
        mkdirSync("docs", { recursive: true });
        writeFileSync("docs/fates.md", text);
    }
});

function line({ event, when, nic, because }: Cell, outcome: string): string {
    const { managed, device, queues, disarmed } = nic;
    return `${event} ${when} managed=${managed} device=${device}${disarmed ? " disarmed" : ""} queues=${queues}: ${outcome} (${because})`;
}

const introduction = `# What libvirt does to the TAP device of an ethernet interface

Seen on real hosts by \`test/host/fate-matrix.test.ts\`, which also compares each line with what the page says (\`src/model/fate.ts\`).
Written by it: run it with \`KVM_TAP_ALL=1 KVM_TAP_WRITE_FATES=1\`.

- **kept**: the device is the same as before · **deleted**: a persistent device is gone · **fails**: the event fails, the device stays ·
  **fails-and-deleted**: it fails and the device is gone · **made**: libvirt made one · **gone**: it was libvirt's own, or missing before ·
  **not-used**: the device stays, and the guest runs on another one
- device before: *held* is not persistent and another guest has it, *in use* is persistent and another guest runs on it; *bridge* stands for
  any link that is no TAP device.
- *failed-start* is a start that fails for another reason, here a missing disk.
`;
