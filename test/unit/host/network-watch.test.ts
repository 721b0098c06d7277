// SPDX-License-Identifier: LGPL-2.1-or-later
// The network as `ip` answers and `ip monitor` announces it: what is read again, and what one failure hides.
import { jest } from "@jest/globals";
import { inEnglish } from "../../../src/model/message.ts";
import { NOTHING_READ, valueOf, type Snapshot } from "../../../src/model/snapshot.ts";
import type { Machine } from "../../../src/host/run.ts";
import { NetworkWatch } from "../../../src/host/watch-network.ts";

type Answers = Record<string, string>;

const json = (...objects: object[]) => `${JSON.stringify(objects)}\n`;
const link = (ifindex: number, ifname: string) => ({ ifindex, ifname, mtu: 1500, flags: ["UP"], linkinfo: {} });
const refused = (words: string) => `${words}\nCommand failed -:4\n`;

/** What ip answers when nothing is wrong. */
const usual: Answers = {
    "link show": json(link(2, "v1"), link(3, "br0")),
    "link show dev v1": json(link(2, "v1")),
    "link show dev br0": json(link(3, "br0")),
    "address show": json({ ifname: "v1", addr_info: [{ family: "inet", local: "10.3.0.1", prefixlen: 24 }] }),
    "route show table all": json({ type: "unicast", dst: "10.0.0.2", dev: "v1", table: "main" }),
    "rule show": json({ priority: 0, table: "local" }),
};

/** A host whose ip answers from `answers` at the time of the question, and whose monitor says what the test says. */
function host(given: Answers, told: () => void = () => undefined) {
    const answers = { ...usual, ...given };
    const asked: string[] = [];
    let said: (line: string) => void = () => undefined;
    let snapshot: Snapshot = NOTHING_READ;
    const refuse = () => { throw new Error("not in this test"); };
    const machine: Machine = {
        run: refuse, read: refuse, replace: refuse, watchDirectory: refuse,
        stream(argv, handlers) {
            if (argv.includes("monitor"))
                said = line => handlers.data(`${line}\n`);
            return {
                write(text) {
                    for (const command of text.split("\n").filter(line => line !== "")) {
                        asked.push(command);
                        queueMicrotask(() => handlers.data(answers[command] ?? refused("Device does not exist.")));
                    }
                },
                close: () => undefined,
            };
        },
    };
    const watch = new NetworkWatch(machine, part => {
        snapshot = { ...snapshot, ...part, streams: snapshot.streams };
        told();
    }, Promise.resolve());
    const settle = () => new Promise(resolve => { setTimeout(resolve, 30); });
    return {
        answers, asked, watch, settle, now: () => snapshot,
        async says(line: string) {
            said(line);
            await settle();
        },
        routes: () => (valueOf(snapshot.routes) ?? []).map(({ destination, device }) => `${destination} ${device}`),
    };
}

let open: NetworkWatch | undefined;
afterEach(() => open?.close());

async function started(given: Answers = {}) {
    const on = host(given);
    open = on.watch;
    await on.settle();
    return on;
}

const moved = json({ type: "unicast", dst: "10.0.0.2", dev: "br0", table: "main" });

test.each([
    ["10.0.0.2 dev br0 scope link ", "a route that was replaced by one over another device"],
    ["3: br0    inet 10.3.0.9/24 scope global br0\\       valid_lft forever", "a change of another device"],
    ["Deleted id 77 via 10.3.0.9 dev br0 scope link ", "a next-hop object that went"],
    ["id 78 via 10.3.0.7 dev br0 scope link ", "one that was replaced"],
])("%s (%s): no route is left that the kernel has not", async line => {
    const on = await started();
    expect(on.routes()).toEqual(["10.0.0.2 v1"]);
    on.answers["route show table all"] = moved;
    await on.says(line);
    expect(on.routes()).toEqual(["10.0.0.2 br0"]);
});

test("a listener that throws stops nothing", async () => {
    const silent = jest.spyOn(console, "error").mockImplementation(() => undefined);
    let throws = true;
    const on = host({}, () => {
        if (throws)
            throw new Error("not now");
    });
    open = on.watch;
    await on.settle();
    throws = false;
    on.answers["route show table all"] = moved;
    await on.says("3: br0: <BROADCAST,UP> mtu 1400");
    expect([on.now().links.state, ...on.routes()]).toEqual(["read", "10.0.0.2 br0"]);
    expect(silent).toHaveBeenCalled();
    silent.mockRestore();
});

test("of links only the changed one is asked for", async () => {
    const on = await started();
    on.asked.length = 0;
    await on.says("3: br0: <BROADCAST,UP> mtu 1400");
    expect(on.asked).toEqual(["link show dev br0", "address show", "route show table all"]);
});

test.each(["a#b", "a\"b", "a'b", "a\\b", "größe", "\ufffd\ufffd", "a@b", "a$b", "{}", "*"])("a device named %s changes: everything is read", async name => {
    const on = await started({ "link show": json(link(2, "a"), link(3, name)), "link show dev a": json(link(2, "a")) });
    for (const line of [`3: ${name}: <BROADCAST,UP> mtu 1400 qdisc noop`, `3: ${name}    inet 10.3.0.9/24 scope global`, `10.0.0.2 dev ${name} scope link `]) {
        on.asked.length = 0;
        await on.says(line);
        expect([line, on.asked]).toEqual([line, Object.keys(usual).filter(command => !command.includes(" dev "))]);
    }
    expect(valueOf(on.now().links)?.map(each => each.name)).toEqual(["a", name]);
});

test.each(["link show", "address show", "route show table all", "rule show"] as const)("%s fails: only its own part is not known", async command => {
    const parts = { "link show": "links", "address show": "addresses", "route show table all": "routes", "rule show": "rules" } as const;
    const on = await started({ [command]: refused("RTNETLINK answers: Operation not supported") });
    for (const part of Object.values(parts)) {
        const reading = on.now()[part];
        if (part === parts[command])
            expect([part, reading.state === "failed" && inEnglish(reading.says)]).toEqual([part, expect.stringMatching(/^The [a-z ]+ of this host cannot be read\.$/)]);
        else
            expect([part, reading.state]).toEqual([part, "read"]);
    }
    on.answers[command] = usual[command] ?? "";
    await on.says("blackhole 10.9.9.0/24 ");
    expect(on.now()[parts[command]].state).toBe("read");
});

test.each([["no JSON", "[{\n"], ["an error", refused("RTNETLINK answers: Operation not permitted")]])(
    "a reading after a change that answers with %s ends, and what can be read is", async (_what, answer) => {
        const on = await started();
        on.answers["address show"] = answer;
        await on.says("3: br0: <BROADCAST,UP> mtu 1400");
        expect([on.now().links.state, on.now().addresses.state, on.now().routes.state]).toEqual(["read", "failed", "read"]);
        on.answers["address show"] = usual["address show"] ?? "";
        await on.says("3: br0: <BROADCAST,UP> mtu 1400");
        expect(on.now().addresses.state).toBe("read");
    });
