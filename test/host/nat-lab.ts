// SPDX-License-Identifier: LGPL-2.1-or-later
// What the NAT tests share: guests emulated by a network namespace behind a link (they boot at once, and the kernel treats
// their packets alike), programs that talk between namespaces, the host read and changed.
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import { executor } from "../../src/host/execute.ts";
import { confirmChange } from "../../src/host/nat.ts";
import { watchHost, type HostWatch } from "../../src/host/watch.ts";
import type { Executed } from "../../src/model/executed.ts";
import { inEnglish } from "../../src/model/message.ts";
import { natElements, type NatState } from "../../src/model/nat.ts";
import { announcements, elementChanges, endings, transaction } from "../../src/model/nat-change.ts";
import { natFile } from "../../src/model/nat-file.ts";
import { agreement, natReading } from "../../src/model/nat-reading.ts";
import type { Plan, Planned } from "../../src/model/plan.ts";
import { NOTHING_READ, type Snapshot } from "../../src/model/snapshot.ts";
import type { Link } from "../../src/model/tap.ts";
import { finish, must, until } from "../lab/exec.ts";
import type { TestHost } from "../lab/host.ts";
import { top } from "../lab/trees.ts";

const peer = join(top, "test/host/nat-peer.mjs");

/** A network namespace that programs of this machine can run in. */
export interface Place {
    enter: readonly string[];
}

/** The namespaces of a host: its own, and those of its guests. */
export function hostPlace(host: TestHost): Place {
    return { enter: ["nsenter", `--net=/proc/${host.leader}/ns/net`, "--"] };
}

export function internetPlace(host: TestHost): Place {
    return { enter: ["nsenter", `--net=/run/netns/${host.internet.namespace}`, "--"] };
}

/** Makes a guest: namespace NAME behind link NAME0 of the host, reached by a route, with the gateway 169.254.0.1 and fe80::1. */
export async function emulate(host: TestHost, name: string, address: string, address6: string): Promise<Place> {
    await host.sh(`
        ip netns add ${name}
        ip link add ${name}0 type veth peer name eth0 netns ${name}
        ip link set ${name}0 up
        ip address add 169.254.0.1/32 dev ${name}0
        ip -6 address add fe80::1/64 dev ${name}0 nodad
        ip route add ${address}/32 dev ${name}0
        ip -6 route add ${address6}/128 dev ${name}0
        ip -n ${name} link set lo up
        ip -n ${name} link set eth0 up
        ip -n ${name} address add ${address}/32 dev eth0
        ip -n ${name} -6 address add ${address6}/128 dev eth0 nodad
        ip -n ${name} route add 169.254.0.1 dev eth0
        ip -n ${name} route add default via 169.254.0.1
        ip -n ${name} -6 route add default via fe80::1 dev eth0
        echo 1 > /proc/sys/net/ipv4/conf/${name}0/rp_filter`);
    return { enter: ["nsenter", `--net=/proc/${host.leader}/root/run/netns/${name}`, "--"] };
}

const running = new Set<ChildProcess>();

/** Ends the programs that `serve` and `hold` started. */
export function endPrograms(): void {
    for (const child of running)
        child.kill("SIGKILL");
    running.clear();
}

function start(place: Place, argv: readonly string[]): { child: ChildProcess; said: () => string } {
    const [program = "", ...args] = [...place.enter, "node", peer, ...argv];
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => { output += chunk; });
    running.add(child);
    return { child, said: () => output };
}

/** Answers TCP and UDP on this port with the address that the caller seems to have, or with this word. */
export async function serve(place: Place, port: number, word?: string): Promise<void> {
    const { said } = start(place, ["serve", String(port), ...word === undefined ? [] : [word]]);
    await until("a server", () => said().includes("ready"));
}

/** The address under which the other side sees us; null when nobody answers. */
export async function ask(place: Place, protocol: "tcp" | "udp", address: string, port: number): Promise<string | null> {
    const { status, stdout } = await finish([...place.enter, "node", peer, "ask", protocol, address, String(port)]);
    return status === 0 ? stdout.trim() : null;
}

/** A connection that goes on; `state` is "open" or "closed". */
export async function hold(place: Place, address: string, port: number, interval = 20): Promise<{ state(): string }> {
    const { said } = start(place, ["hold", address, String(port), String(interval)]);
    const state = () => said().trim().split("\n").at(-1) ?? "";
    await until(`a connection to ${address}`, () => state() === "open");
    return { state };
}

async function ended({ child, said }: ReturnType<typeof start>): Promise<string> {
    child.kill("SIGTERM");
    await until("a program to end", () => child.exitCode !== null);
    return said().trim().split("\n").at(-1) ?? "";
}

/** So many connections that write a byte every `interval` milliseconds. `end` tells how many broke and the longest silence. */
export async function sessions(place: Place, address: string, port: number, count: number, interval: number) {
    const program = start(place, ["sessions", address, String(port), String(count), String(interval)]);
    await until(`${count} connections to ${address}`, () => program.said().includes("open"), 30);
    return {
        async end(): Promise<{ broken: number; longest: number }> {
            const [, broken, longest] = /broken (\d+) longest (\d+)/.exec(await ended(program)) ?? [];
            return { broken: Number(broken), longest: Number(longest) };
        },
    };
}

/** Knocks at a port again and again; `end` tells how often who answered, a refused connection included. */
export function knock(place: Place, address: string, port: number, interval: number) {
    const program = start(place, ["knock", address, String(port), String(interval)]);
    return { end: async () => JSON.parse(await ended(program)) as Record<string, number> };
}

/** Datagrams that go on while the test does something; `answered` waits for the end. */
export async function burst(
    place: Place, address: string, port: number, count: number, interval: number,
): Promise<{ answered(): Promise<number> }> {
    const { said } = start(place, ["burst", address, String(port), String(count), String(interval)]);
    await until("the first datagram", () => said().includes("open"));
    return {
        answered: async () => {
            await until("the last datagram", () => said().includes("answered"), 60 + count * interval / 1000);
            return Number(/answered (\d+)/.exec(said())?.[1]);
        },
    };
}

/** Sends so many bytes and answers how many came back. */
export async function sendBack(place: Place, address: string, port: number, bytes: number): Promise<number> {
    const { stdout } = await finish([...place.enter, "node", peer, "fetch", address, String(port), String(bytes)]);
    return Number(stdout);
}

/** Whether a ping is answered. */
export async function pings(place: Place, address: string, ...options: string[]): Promise<boolean> {
    const { status } = await finish([...place.enter, "busybox", "ping", "-q", "-c", "1", "-W", "1", ...options, address]);
    return status === 0;
}

export function runIn(place: Place, argv: readonly string[]): Promise<string> {
    return must([...place.enter, ...argv]);
}

/** A change from one state to another, for `kvm-tap-nat apply` and `arm`. */
export function changeOf(before: NatState, after: NatState): string {
    return JSON.stringify({
        version: 1, nft: transaction(elementChanges(natElements(before), natElements(after))).trimEnd().split("\n"),
        save: { mappings: natFile(after).trimEnd().split("\n") }, end: endings(before, after), announce: announcements(before, after),
    });
}

// Reading and changing the host --------------------------------------------------------------------------------------

/** Whether what runs and what is saved are the same, as far as they have been read. */
export function isSaved(snapshot: Snapshot): boolean {
    const reading = natReading(snapshot);
    return reading.state === "read" && ["agree", "none"].includes(agreement(reading.value));
}

/** What the page does: it watches the host, plans from what it read, and runs the plan. */
export class Page {
    private snapshot: Snapshot = NOTHING_READ;
    private readonly watch: HostWatch;

    constructor(private readonly host: TestHost) {
        this.watch = watchHost(host.machine, snapshot => { this.snapshot = snapshot; });
    }

    /** Everything that NAT uses, read. Emulated guests' links count as TAP devices. */
    async read(): Promise<Snapshot> {
        await until("the host to be read", () => (["links", "addresses", "routes", "files", "natTable", "units"] as const)
                .every(part => this.snapshot[part].state === "read"));
        await this.watch.look();
        const { links } = this.snapshot;
        return links.state === "read" ? { ...this.snapshot, links: { state: "read", value: links.value.map(asTap) } } : this.snapshot;
    }

    /** As `read`, once the host is as `wished`. */
    async readUntil(what: string, wished: (snapshot: Snapshot) => boolean): Promise<Snapshot> {
        await until(what, () => wished(this.snapshot));
        return this.read();
    }

    /** Plans from what the host is now, runs, and insists on what the plan promised. */
    async change(planner: (snapshot: Snapshot) => Planned): Promise<Executed & { state: "done" }> {
        const plan = planOf(planner(await this.read()));
        const result = await this.execute(plan);
        if (result.state !== "done")
            throw new Error(`${inEnglish(result.says)}: ${result.words}`);
        if (!result.holds)
            throw new Error(`${inEnglish(plan.title)}: the host does not read as promised`);
        if (plan.confirm)
            await this.confirm();
        return result;
    }

    /** Keeps the change that waits, and waits until the file that it left has been read. */
    async confirm(): Promise<void> {
        await confirmChange(this.host.machine);
        await this.readUntil("the saved mappings to be read", isSaved);
    }

    execute(plan: Plan): Promise<Executed> {
        return executor(this.host.machine, this.watch, () => Promise.resolve("admin"))(plan, () => undefined);
    }

    close(): void {
        this.watch.close();
    }
}

function asTap(link: Link): Link {
    const emulated = link.kind === "veth" && /^(?!eth)\w+0$/.test(link.name);
    return emulated ? { ...link, tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: false } } : link;
}

/** The plan, or the planner's sentences as an error. */
export function planOf(planned: Planned): Plan {
    if ("problems" in planned)
        throw new Error(planned.problems.map(problem => inEnglish(problem.says)).join("\n"));
    return planned.plan;
}
