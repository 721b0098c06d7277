// SPDX-License-Identifier: LGPL-2.1-or-later
// A test host seen as the page sees it: its snapshots, and plans run on it.
import { executor } from "../../src/host/execute.ts";
import { confirmChange } from "../../src/host/nat.ts";
import type { Machine } from "../../src/host/run.ts";
import { watchHost } from "../../src/host/watch.ts";
import type { Executed } from "../../src/model/executed.ts";
import type { Planned } from "../../src/model/plan.ts";
import { NOTHING_READ, valueOf, type Reading, type Snapshot } from "../../src/model/snapshot.ts";
import type { TestHost } from "../lab/host.ts";
import { isSaved } from "./nat-lab.ts";

export interface Watching {
    snapshot(): Snapshot;
    /** Waits for a snapshot that is so; tells what was seen last if none comes. */
    until(what: string, holds: (snapshot: Snapshot) => unknown, seconds?: number): Promise<Snapshot>;
    /** Runs what a planner planned for the snapshot of now, and keeps it where it waits for that; fails where there is no plan. */
    run(plan: (snapshot: Snapshot) => Planned): Promise<Executed>;
    show: ReturnType<typeof watchHost>["show"];
    retry(): void;
    close(): void;
}

/** A part that must have been read. */
export function given<T>(reading: Reading<T>): T {
    if (reading.state !== "read")
        throw new Error(`not read: ${JSON.stringify(reading)}`);
    return reading.value;
}

/** Watches until closed; ready when everything was read once. `forms`: also what is read only when a form opens. */
export async function watching(host: TestHost, machine: Machine = host.machine, forms = true): Promise<Watching> {
    let snapshot = NOTHING_READ;
    const changed = new Set<() => void>();
    const watch = watchHost(machine, next => {
        snapshot = next;
        for (const tell of changed)
            tell();
    });
    const until = (what: string, holds: (snapshot: Snapshot) => unknown, seconds = 10) => new Promise<Snapshot>((resolve, reject) => {
        const timer = setTimeout(() => {
            changed.delete(look);
            reject(new Error(`${what} did not show in ${seconds} s:\n${shown(snapshot)}`));
        }, seconds * 1000);
        const look = () => {
            if (!holds(snapshot))
                return;
            clearTimeout(timer);
            changed.delete(look);
            resolve(snapshot);
        };
        changed.add(look);
        look();
    });
    const execute = executor(machine, watch, () => Promise.resolve("tester"));
    const parts = ["libvirt", "guests", "links", "addresses", "routes", "units", "enabled", "files", "natTable", "hook", "history"] as const;
    try {
        await until("everything", now => parts.every(part => now[part].state !== "reading"), 30);
        if (forms)
            await watch.look();
    } catch (error) {
        watch.close();
        throw error;
    }
    return {
        snapshot: () => snapshot,
        until,
        async run(plan) {
            const planned = plan(await watch.look());
            if (!("plan" in planned))
                throw new Error(`no plan: ${JSON.stringify(planned.problems)}`);
            const result = await execute(planned.plan, () => undefined);
            if (result.state === "done" && planned.plan.confirm) {
                // A page that is open on the same host may be faster.
                await confirmChange(machine).catch(() => undefined);
                await until("the saved mappings", isSaved);
            }
            return result;
        },
        show: shown => watch.show(shown),
        retry: () => watch.retry(),
        close: () => watch.close(),
    };
}

function shown(snapshot: Snapshot): string {
    const plain = (_key: string, value: unknown) =>
        value instanceof Map ? Object.fromEntries(value) : value instanceof Set ? [...value] : value;
    const { guests, links, addresses, routes, units, enabled, streams, hook } = snapshot;
    const brief = valueOf(guests)?.map(({ live, configured, ...guest }) => (
        { ...guest, live: live?.interfaces.length, configured: configured?.interfaces.length })) ?? guests;
    return JSON.stringify({ brief, links, addresses, routes: valueOf(routes)?.length ?? routes, units, enabled, streams, hook }, plain, 1);
}
