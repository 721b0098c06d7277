// SPDX-License-Identifier: LGPL-2.1-or-later
// The page's machine over a bridge that the test plays.
import { jest } from "@jest/globals";
import { PATIENCE } from "../../../src/host/run.ts";

interface Channel {
    options: Record<string, unknown>;
    closed: unknown[];
    emit(type: string, ...details: unknown[]): void;
}

const channels: Channel[] = [];
/** Content and tag of the only file, and with what it was replaced. */
let file: { content: string | null; tag: string };
let replaced: unknown[][];
let conflict = false;

Object.assign(globalThis, {
    cockpit: {
        channel(options: Record<string, unknown>) {
            const listeners = new Map<string, (event: Event | null, ...details: unknown[]) => void>();
            const channel: Channel = { options, closed: [], emit: (type, ...details) => listeners.get(type)?.(null, ...details) };
            channels.push(channel);
            return {
                valid: true, addEventListener: (type: string, listener: () => void) => listeners.set(type, listener),
                send: () => undefined, control: () => undefined, close: (problem: unknown) => channel.closed.push(problem),
            };
        },
        file: (_path: string, options: { superuser: string }) => ({
            read: () => ({ then: (done: (content: string | null, tag: string) => void) => { done(file.content, file.tag); } }),
            replace(content: string | null, tag?: string) {
                replaced.push([content, tag, options.superuser]);
                return conflict ? Promise.reject(Object.assign(new Error("changed"), { problem: "change-conflict" })) : Promise.resolve("2");
            },
            close: () => undefined,
        }),
    },
});
const { machine } = await import("../../../src/host/cockpit.ts");

beforeEach(() => {
    jest.useFakeTimers();
    channels.length = 0;
    replaced = [];
    conflict = false;
    file = { content: "old", tag: "1:old" };
});
afterEach(() => { jest.useRealTimers(); });

test("a read that does not end is ended, and fails as what it is", async () => {
    const ran = machine.run(["systemctl", "list-units"]).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(PATIENCE - 1);
    expect(channels[0]?.closed).toEqual([]);
    await jest.advanceTimersByTimeAsync(1);
    expect(channels[0]?.closed).toEqual(["timeout"]);
    expect(await ran).toMatchObject({ problem: "timeout", argv: ["systemctl", "list-units"] });
});

test("one that ends has no limit any more; a change has none at all", async () => {
    const ran = machine.run(["grep"]);
    channels[0]?.emit("message", new TextEncoder().encode("out"));
    channels[0]?.emit("close", { "exit-status": 0 });
    expect(await ran).toBe("out");
    void machine.run(["systemctl", "start", "x"], { superuser: "require" });
    await jest.advanceTimersByTimeAsync(100 * PATIENCE);
    expect(channels.map(({ closed }) => closed)).toEqual([[], []]);
});

test.each([[undefined], ["old"]])("a file is replaced with the tag of what is there, which keeps its mode and owner: expected %s", async expected => {
    await machine.replace("/f", "new", expected);
    expect(replaced).toEqual([["new", "1:old", "require"]]);
});

test("a file that is not as expected stays, and so does one that changes in between", async () => {
    await expect(machine.replace("/f", "new", "other")).rejects.toMatchObject({ name: "ChangedMeanwhile", found: "old" });
    expect(replaced).toEqual([]);
    conflict = true;
    await expect(machine.replace("/f", "new", "old")).rejects.toMatchObject({ name: "ChangedMeanwhile" });
});
