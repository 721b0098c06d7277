// SPDX-License-Identifier: LGPL-2.1-or-later
// What holds the streams together: conversations, restarts, coalesced work.
import { jest } from "@jest/globals";
import { Coalesce } from "../../../src/host/coalesce.ts";
import { Conversation } from "../../../src/host/conversation.ts";
import { ipGrammar } from "../../../src/host/ip.ts";
import { nftGrammar } from "../../../src/host/nft.ts";
import { failed } from "../../../src/host/reading.ts";
import { CommandError, limitOf, PATIENCE, type RunOptions } from "../../../src/host/run.ts";
import { Supervise } from "../../../src/host/supervise.ts";
import { virshGrammar } from "../../../src/host/virsh.ts";
import { inEnglish, msg } from "../../../src/model/message.ts";
import { captured, releases, streamingMachine } from "./captured.ts";

describe("a conversation", () => {
    const cases = releases.flatMap(release => [
        { release, tool: "virsh", file: "virsh.txt", grammar: virshGrammar("token"), count: 6 },
        { release, tool: "ip", file: "ip.txt", grammar: ipGrammar, count: 4 },
        { release, tool: "nft", file: "nft.txt", grammar: nftGrammar, count: 2 },
    ]);

    it.each(cases)("with $tool of $release is the same however the chunks are cut", async ({ release, file, grammar, count }) => {
        const text = captured(release, file);
        const commands = Array.from({ length: count }, (_, index) => `command ${index}`);
        const all: string[][] = [];
        for (const size of [1, 7, 64, 1000, text.length]) {
            const { machine, streams } = streamingMachine();
            const conversation = new Conversation(machine, ["tool"], grammar, () => undefined);
            const answers: string[] = [];
            const asked = conversation.ask(commands, answer => answers.push(answer));
            for (let start = 0; start < text.length; start += size)
                streams[0]?.handlers.data(text.slice(start, start + size));
            await asked;
            all.push(answers);
        }
        expect(all[0]).toHaveLength(count);
        for (const answers of all)
            expect(answers).toEqual(all[0]);
    });

    it("answers questions in the order they were asked, though asked before the first answer", async () => {
        const { machine, streams } = streamingMachine();
        const conversation = new Conversation(machine, ["ip"], ipGrammar, () => undefined);
        const both = Promise.all([conversation.one("link show"), conversation.one("route show")]);
        expect(streams[0]?.written).toBe("link show\nroute show\n");
        streams[0]?.handlers.data('[{"a":1}]\n[{"b":');
        streams[0]?.handlers.data("2}]\n");
        expect(await both).toEqual(['[{"a":1}]\n', '[{"b":2}]\n']);
    });

    it("that ends fails what is open with the last words, and what is asked later", async () => {
        const { machine, streams } = streamingMachine();
        const ended = jest.fn();
        const conversation = new Conversation(machine, ["virsh"], virshGrammar("t"), ended);
        const asked = conversation.one("list");
        streams[0]?.handlers.data("error: failed to connect to the hypervisor\nerror: no such socket\n");
        streams[0]?.handlers.end(new CommandError(["virsh"], null, 1, ""));
        await expect(asked).rejects.toMatchObject({ exitStatus: 1, words: expect.stringContaining("no such socket") });
        await expect(conversation.one("list")).rejects.toMatchObject({ exitStatus: 1 });
        expect(ended).toHaveBeenCalledTimes(1);
    });
});

test("an answer that cannot be taken fails its question, not the conversation", async () => {
    const { machine, streams } = streamingMachine();
    const conversation = new Conversation(machine, ["ip"], ipGrammar, () => undefined);
    const taken: string[] = [];
    const asked = conversation.ask(["link show", "route show"], answer => {
        taken.push(answer);
        if (taken.length === 1)
            throw new Error("not like this");
    });
    const later = conversation.one("rule show");
    expect(() => streams[0]?.handlers.data("[]\n[1]\n[2]\n")).not.toThrow();
    await expect(asked).rejects.toThrow("not like this");
    expect(await later).toBe("[2]\n");
    expect(taken).toEqual(["[]\n", "[1]\n"]);
});

describe("a program that says nothing", () => {
    beforeEach(() => { jest.useFakeTimers(); });
    afterEach(() => { jest.useRealTimers(); });

    it.each([["virsh", virshGrammar("t")], ["ip", ipGrammar], ["nft", nftGrammar]] as const)("%s is ended, and its questions fail", async (tool, grammar) => {
        const { machine, streams } = streamingMachine();
        const ended = jest.fn();
        const conversation = new Conversation(machine, [tool], grammar, ended);
        await jest.advanceTimersByTimeAsync(10 * PATIENCE);
        expect(ended).not.toHaveBeenCalled(); // it was not asked anything
        const asked = [conversation.one("one"), conversation.one("two")].map(question => question.then(() => "answered", (error: CommandError) => error.problem));
        await jest.advanceTimersByTimeAsync(PATIENCE - 1);
        expect(ended).not.toHaveBeenCalled();
        await jest.advanceTimersByTimeAsync(1);
        expect(await Promise.all(asked)).toEqual(["timeout", "timeout"]);
        expect(streams[0]?.closed).toBe(true);
        expect(ended).toHaveBeenCalledTimes(1);
        await expect(conversation.one("three")).rejects.toMatchObject({ problem: "timeout" });
    });

    it("is not one that is slow: with each word its time begins anew", async () => {
        const { machine, streams } = streamingMachine();
        const ended = jest.fn();
        const conversation = new Conversation(machine, ["ip"], ipGrammar, ended);
        const asked = conversation.one("link show");
        for (const piece of ["[", "{", "}"]) {
            await jest.advanceTimersByTimeAsync(PATIENCE - 1);
            streams[0]?.handlers.data(piece);
        }
        await jest.advanceTimersByTimeAsync(PATIENCE - 1);
        streams[0]?.handlers.data("]\n");
        expect(await asked).toBe("[{}]\n");
        await jest.advanceTimersByTimeAsync(10 * PATIENCE);
        expect(ended).not.toHaveBeenCalled();
    });

    it("nor one that was let go of", async () => {
        const { machine } = streamingMachine();
        const ended = jest.fn();
        const conversation = new Conversation(machine, ["ip"], ipGrammar, ended);
        const asked = conversation.one("link show").catch((error: CommandError) => error.problem);
        conversation.close();
        await jest.advanceTimersByTimeAsync(10 * PATIENCE);
        expect(await asked).toBe("cancelled");
        expect(ended).not.toHaveBeenCalled();
    });

    it("is said in a sentence", () => {
        const sentences = { missing: msg("missing"), failed: msg("failed") };
        const hangs = (argv: string[], more = {}) => inEnglish(failed(new CommandError(argv, "timeout", null, ""), { ...sentences, ...more }).says);
        expect(hangs(["systemctl", "list-units"])).toBe("systemctl does not answer. It hangs, or the host is very busy.");
        expect(hangs(["virsh"], { silent: msg("libvirt sleeps") })).toBe("libvirt sleeps");
    });
});

test("reads have a limit, changes only where they say so", () => {
    expect([{}, { superuser: "try" }, { superuser: "require" }, { superuser: "require", timeout: 7 }, { timeout: 7 }].map(options => limitOf(options as RunOptions)))
        .toEqual([PATIENCE, PATIENCE, undefined, 7, 7]);
});

describe("a stream that should go on", () => {
    beforeEach(() => { jest.useFakeTimers(); });
    afterEach(() => { jest.useRealTimers(); });

    function supervised(problem: string | null = null, reading?: Promise<void>) {
        const { machine, streams } = streamingMachine();
        const told: string[] = [];
        const supervise = new Supervise(machine, ["tool"], {
            line: line => told.push(line), settled: () => told.push("settled"),
            opened: () => { told.push("opened"); return reading; },
            ended: (error, again) => told.push(`ended ${error.exitStatus ?? error.problem} ${again}`),
        });
        const end = () => streams[streams.length - 1]?.handlers.end(new CommandError(["tool"], problem, problem ? null : 1, ""));
        return { supervise, streams, told, end };
    }

    it("is cut into lines wherever the chunks end", () => {
        const { streams, told } = supervised();
        streams[0]?.handlers.data("one\ntw");
        streams[0]?.handlers.data("o\nthr");
        expect(told).toEqual(["opened", "one", "two"]);
    });

    it("is tried again four times at growing intervals, and then only when somebody asks", () => {
        const { supervise, streams, told, end } = supervised();
        for (const delay of [100, 400, 1500, 5000]) {
            const before = streams.length;
            end();
            jest.advanceTimersByTime(delay - 1);
            expect(streams).toHaveLength(before);
            jest.advanceTimersByTime(1);
            expect(streams).toHaveLength(before + 1);
        }
        end();
        jest.advanceTimersByTime(3_600_000);
        expect(streams).toHaveLength(5);
        expect(told[told.length - 1]).toBe("ended 1 false");
        supervise.retry();
        expect(streams).toHaveLength(6);
        supervise.retry();
        expect(streams).toHaveLength(6);
    });

    it("begins its intervals anew once it has worked", () => {
        const { streams, told, end } = supervised();
        end();
        jest.advanceTimersByTime(100);
        jest.advanceTimersByTime(1000);
        expect(told).toEqual(["opened", "ended 1 true", "opened", "settled"]);
        end();
        jest.advanceTimersByTime(100);
        expect(streams).toHaveLength(3);
    });

    it("settles a second after its first reading, and not where it ended meanwhile", async () => {
        let done = () => { /* set below */ };
        const { told } = supervised(null, new Promise(resolve => { done = resolve; }));
        await jest.advanceTimersByTimeAsync(5000);
        expect(told).toEqual(["opened"]);
        done();
        await jest.advanceTimersByTimeAsync(999);
        expect(told).toEqual(["opened"]);
        await jest.advanceTimersByTimeAsync(1);
        expect(told).toEqual(["opened", "settled"]);
        const short = supervised("not-found", Promise.resolve());
        short.end();
        await jest.advanceTimersByTimeAsync(5000);
        expect(short.told).toEqual(["opened", "ended not-found false"]);
    });

    it("goes on after a line that cannot be handled, and has everything read", () => {
        const { machine, streams } = streamingMachine();
        const told: string[] = [];
        const silent = jest.spyOn(console, "error").mockImplementation(() => undefined);
        new Supervise(machine, ["tool"], {
            line(line) {
                told.push(line);
                if (line === "odd")
                    throw new Error("odd");
            },
            opened: () => { throw new Error("opened"); },
            settled: () => { told.push("settled"); throw new Error("settled"); },
            ended: () => { told.push("ended"); throw new Error("ended"); },
        });
        streams[0]?.handlers.data("one\nodd\ntwo\n");
        expect(told).toEqual(["one", "odd", "settled", "two"]);
        jest.advanceTimersByTime(1000);
        streams[0]?.handlers.end(new CommandError(["tool"], null, 1, ""));
        jest.advanceTimersByTime(100);
        expect(told.slice(4)).toEqual(["settled", "ended"]);
        expect(streams).toHaveLength(2);
        expect(silent).toHaveBeenCalledTimes(6);
        silent.mockRestore();
    });

    it("is not tried again where the program is missing, nor after it was closed", () => {
        const missing = supervised("not-found");
        missing.end();
        jest.advanceTimersByTime(60_000);
        expect(missing.told).toEqual(["opened", "ended not-found false"]);
        const closed = supervised();
        closed.end();
        closed.supervise.close();
        jest.advanceTimersByTime(60_000);
        closed.supervise.retry();
        expect(closed.streams).toHaveLength(1);
    });
});

describe("coalesced work", () => {
    it("answers a storm with two runs, and each request with one that began after it", async () => {
        let runs = 0;
        const seen: number[] = [];
        const work = new Coalesce(async () => {
            runs++;
            await new Promise(resolve => setTimeout(resolve, 20));
        });
        const first = work.request().then(() => seen.push(runs));
        const others = Array.from({ length: 1000 }, () => work.request().then(() => seen.push(runs)));
        await Promise.all([first, ...others]);
        expect(runs).toBe(2);
        expect(seen).toEqual([1, ...Array<number>(1000).fill(2)]);
    });

    it("leaves half of the time to others", async () => {
        const starts: number[] = [];
        const work = new Coalesce(async () => {
            starts.push(performance.now());
            await new Promise(resolve => setTimeout(resolve, 40));
        });
        await work.request();
        await work.request();
        const [one = 0, two = 0] = starts;
        expect(two - one).toBeGreaterThanOrEqual(75);
    });

    it("goes on after an error, and lets nobody wait for what failed", async () => {
        const silent = jest.spyOn(console, "error").mockImplementation(() => undefined);
        let runs = 0;
        const work = new Coalesce(() => {
            runs++;
            if (runs === 1)
                throw new Error("at once");
            return runs === 2 ? Promise.reject(new Error("later")) : Promise.resolve();
        });
        for (const count of [1, 2, 3]) {
            await work.request();
            expect(runs).toBe(count);
        }
        expect(silent).toHaveBeenCalledTimes(2);
        silent.mockRestore();
    });

    it("lets nobody wait once it is closed", async () => {
        const work = new Coalesce(() => Promise.resolve());
        work.close();
        await expect(work.request()).resolves.toBeUndefined();
    });
});
