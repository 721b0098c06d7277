// SPDX-License-Identifier: LGPL-2.1-or-later
// What the page costs, below the browser and in it, on a host with 10 and with 1,000 guests and devices, against the bare commands in the
// same minute. Printed, not asserted: the machine may be busy; the ratios and counts are what matters. `make bench`.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "../../src/host/run.ts";
import { watchHost } from "../../src/host/watch.ts";
import { NOTHING_READ, valueOf, type Snapshot } from "../../src/model/snapshot.ts";
import { startHostWithPlugin } from "../browser/packages.ts";
import { sleep, type TestHost } from "../lab/host.ts";
import { pageCosts } from "./page.ts";

const uuid = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

function definition(index: number): string {
    return `<domain type='qemu'><name>guest${index}</name><uuid>${uuid(index)}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<interface type='ethernet'><target dev='tap${index}' managed='no'/><model type='virtio'/></interface></devices></domain>`;
}

/** Guests that are off and devices with an address and a route each, from `first` up to `last`. */
async function furnish(host: TestHost, first: number, last: number): Promise<void> {
    const directory = join(host.root, "var/tmp/guests");
    mkdirSync(directory, { recursive: true });
    const numbers = Array.from({ length: last - first }, (_, index) => first + index);
    for (const index of numbers)
        writeFileSync(join(directory, `${index}.xml`), definition(index));
    await host.run(["virsh", "-q"], numbers.map(index => `define /var/tmp/guests/${index}.xml\n`).join(""));
    await host.run(["ip", "-batch", "-"], numbers.map(index => [
        `tuntap add dev tap${index} mode tap`, `link set dev tap${index} addrgenmode none`, `link set dev tap${index} up`,
        `address add 169.254.0.1/32 dev tap${index}`, `route add 10.${index >> 8}.${index & 255}.2/32 dev tap${index}`, "",
    ].join("\n")).join(""));
}

/** The bare commands, one after the other: all definitions in one virsh, the links, addresses and routes, the table. */
async function bare(host: TestHost): Promise<number> {
    const uuids = (await host.run(["virsh", "-q", "list", "--all", "--uuid"])).match(/\S{36}/g) ?? [];
    const start = performance.now();
    await host.run(["virsh", "-q"], uuids.map(id => `dumpxml --inactive ${id}\n`).join(""));
    await host.run(["ip", "-force", "-d", "-s", "-j", "-batch", "-"], "link show\naddress show\nroute show table all\n");
    await host.run(["nft", "-j", "list", "tables"]);
    return performance.now() - start;
}

function counting(machine: Machine): { machine: Machine; count(): number } {
    let count = 0;
    const note = (argv: readonly string[]) => { count += argv.includes("-exec") ? 2 : 1; };
    return {
        count: () => count,
        machine: {
            ...machine,
            run: (argv, options) => { note(argv); return machine.run(argv, options); },
            stream: (argv, handlers, options) => { note(argv); return machine.stream(argv, handlers, options); },
        },
    };
}

/** Opens the page's view of the host: how long until guests, links and table are there, how many processes it took. */
async function open(host: TestHost) {
    const { machine, count } = counting(host.machine);
    let snapshot: Snapshot = NOTHING_READ;
    let tell = () => { /* set below */ };
    const start = performance.now();
    const watch = watchHost(machine, next => { snapshot = next; tell(); });
    const until = (holds: () => boolean) => new Promise<number>(resolve => {
        tell = () => { if (holds()) resolve(performance.now()); };
        tell();
    });
    const ready = await until(() => [snapshot.guests, snapshot.links, snapshot.natTable, snapshot.units].every(part => part.state === "read"));
    return { took: ready - start, watch, until, processes: count, snapshot: () => snapshot };
}

function median(values: readonly number[]): number {
    return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** From the command on the host to the snapshot that shows it; the command itself is in it. */
async function latencies(host: TestHost, seen: Awaited<ReturnType<typeof open>>, rounds: number) {
    const guest: number[] = [], link: number[] = [];
    for (let round = 0; round < rounds; round++) {
        const id = uuid(round + 1), paused = round % 2 === 0;
        let start = performance.now();
        await host.run(["virsh", "-q", "start", "--paused", id]);
        guest.push(await seen.until(() => valueOf(seen.snapshot().guests)?.find(item => item.uuid === id)?.state === "paused") - start);
        await host.run(["virsh", "-q", "destroy", id]);
        start = performance.now();
        await host.run(["ip", "link", "set", "dev", "tap5", paused ? "down" : "up"]);
        link.push(await seen.until(() => valueOf(seen.snapshot().links)?.find(item => item.name === "tap5")?.up === !paused) - start);
    }
    return { guest: median(guest), link: median(link) };
}

/** How long `virsh start --paused` and `ip link set` take by themselves. */
async function commandsAlone(host: TestHost, rounds: number) {
    const guest: number[] = [], link: number[] = [];
    for (let round = 0; round < rounds; round++) {
        let start = performance.now();
        await host.run(["virsh", "-q", "start", "--paused", uuid(round + 1)]);
        guest.push(performance.now() - start);
        await host.run(["virsh", "-q", "destroy", uuid(round + 1)]);
        start = performance.now();
        await host.run(["ip", "link", "set", "dev", "tap6", round % 2 ? "up" : "down"]);
        link.push(performance.now() - start);
    }
    return { guest: median(guest), link: median(link) };
}

const milliseconds = (value: number) => `${value.toFixed(0)} ms`;
const megabytes = () => process.memoryUsage().heapUsed / 1e6;

const host = await startHostWithPlugin({ release: "trixie", name: `bench-${process.pid}` });
try {
    let first = 0;
    for (const size of [10, 1000]) {
        await furnish(host, first, size);
        first = size;
        const bares: number[] = [], opens: number[] = [];
        let processes = 0;
        for (let round = 0; round < 3; round++) {
            bares.push(await bare(host));
            const seen = await open(host);
            opens.push(seen.took);
            await sleep(1500);
            processes = seen.processes();
            seen.watch.close();
            await sleep(200);
        }
        globalThis.gc?.();
        const memory = megabytes();
        const seen = await open(host);
        await sleep(2500);
        const before = seen.processes();
        await sleep(3000);
        console.log(`${size} guests and devices`);
        console.log(`  opening: ${milliseconds(median(opens))}; the bare commands: ${milliseconds(median(bares))}; ratio ${
            (median(opens) / median(bares)).toFixed(2)} (at most 3 at 1,000)`);
        console.log(`  processes to open: ${processes} (at most 12); while nothing happens: ${seen.processes() - before} (0)`);
        const alone = await commandsAlone(host, 7);
        const late = await latencies(host, seen, 7);
        console.log(`  a guest starts: seen ${milliseconds(late.guest)} after the command was given (the command alone: ${
            milliseconds(alone.guest)}), at most 250 ms later`);
        console.log(`  a link goes down: seen after ${milliseconds(late.link)} (alone: ${milliseconds(alone.link)})`);
        console.log(`  memory of the snapshot and its readers: ${(megabytes() - memory).toFixed(1)} MB of heap`);
        seen.watch.close();
        const page = await pageCosts(host, "guest0", "tap0", 7);
        console.log(`  in the browser: reloading until the guests show ${milliseconds(median(page.loads))}, ratio ${
            (median(page.loads) / median(bares)).toFixed(2)} (at most 3 at 1,000)`);
        console.log(`  a link goes down or up: its row has changed ${milliseconds(median(page.links))} after the command was given; a guest starts or stops: ${
            milliseconds(median(page.guests))} after the command was done (at most 250 ms)`);
    }
} finally {
    await host.stop();
}
process.exit(0);
