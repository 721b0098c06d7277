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
import { inBrowser, pageCosts, storm, type Opening } from "./page.ts";

const uuid = (index: number) => `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;

function definition(index: number, model = "virtio"): string {
    return `<domain type='qemu'><name>guest${index}</name><uuid>${uuid(index)}</uuid><memory unit='MiB'>32</memory>
<os><type arch='x86_64'>hvm</type></os><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<interface type='ethernet'><target dev='tap${index}' managed='no'/><model type='${model}'/></interface></devices></domain>`;
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
const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
const ratio = (value: number, to: number) => (value / to).toFixed(2);

/** Below the browser: the same code as in the page, its commands run without a bridge. */
async function below(host: TestHost) {
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
    console.log(`  reading the host, below the browser: ${milliseconds(median(opens))}; the bare commands: ${milliseconds(median(bares))}; ratio ${
        ratio(median(opens), median(bares))}`);
    const seen = await open(host);
    await sleep(2500);
    const before = seen.processes();
    await sleep(3000);
    console.log(`  processes to open: ${processes} (at most 12); while nothing happens: ${seen.processes() - before} (0)`);
    const alone = await commandsAlone(host, 7);
    const late = await latencies(host, seen, 7);
    console.log(`  a guest starts: seen ${milliseconds(late.guest)} after the command was given (the command alone: ${
        milliseconds(alone.guest)}), at most 250 ms later`);
    console.log(`  a link goes down: seen after ${milliseconds(late.link)} (alone: ${milliseconds(alone.link)})`);
    seen.watch.close();
}

/** Of the programs that the page runs on the host, and of Cockpit's bridges that carry their words; memory shared with others in parts. */
async function hostMemory(host: TestHost) {
    const sizes = await host.sh("for p in /proc/[0-9]*; do echo \"$(sed -n 's/^Pss: *\\([0-9]*\\).*/\\1/p' $p/smaps_rollup 2>/dev/null) $(tr '\\0' ' ' <$p/cmdline)\"; done 2>/dev/null");
    const found = [...sizes.matchAll(/^(\d+) (.+)$/gm)].map(([, kilobytes, program = ""]) => ({ bytes: Number(kilobytes) * 1024, program }));
    const of = (pattern: RegExp) => found.filter(({ program }) => pattern.test(program));
    const sum = (list: typeof found) => list.reduce((all, { bytes }) => all + bytes, 0);
    const programs = of(/^(virsh|ip|nft|journalctl) /);
    return { count: programs.length, programs: sum(programs), bridges: sum(of(/cockpit-bridge/)) };
}

/** Devices that come and go and guests that are defined anew, about a thousand events; `model` of the last guest's interface ends it. */
async function burst(host: TestHost, guests: number, model: string): Promise<void> {
    const devices = Array.from({ length: 250 }, (_, index) => `storm${index}`);
    const lines = (line: (name: string) => string) => devices.map(name => `${line(name)}\n`).join("");
    await host.run(["ip", "-batch", "-"], lines(name => `tuntap add dev ${name} mode tap`) + lines(name => `link set dev ${name} up`) +
        lines(name => `tuntap del dev ${name} mode tap`));
    const numbers = Array.from({ length: guests }, (_, index) => guests - 1 - index);
    for (const index of numbers)
        writeFileSync(join(host.root, `var/tmp/guests/${index}.xml`), definition(index, model));
    await host.run(["virsh", "-q"], numbers.map(index => `define /var/tmp/guests/${index}.xml\n`).join(""));
}

interface Before {
    heap: number;
    programs: number;
}

/** In the browser; `before` are the sizes with fewer guests, to compare with. */
async function page(host: TestHost, size: number, before: Before | undefined): Promise<Before> {
    return inBrowser(host, async cockpit => {
        const { openings, heap, links, guests } = await pageCosts(cockpit, host, { row: "guest0", device: "tap0", rounds: 7, beside: () => bare(host) });
        const part = (of: (opening: Opening) => number) => median(openings.map(of));
        console.log(`  opening the page: guests shown after ${milliseconds(part(({ shown }) => shown))}, ratio ${
            part(({ shown, bare: alone }) => shown / alone).toFixed(2)} to the bare commands' ${milliseconds(part(opening => opening.bare))} (at most 3 at 1,000)`);
        console.log(`    of it ${milliseconds(part(({ scripts }) => scripts))} until its scripts run, then ${
            milliseconds(part(({ scripts, first }) => first - scripts))} until the host's first answer, ${
            milliseconds(part(({ first, last }) => last - first))} until the last of ${
            part(({ messages }) => messages)} messages with ${megabytes(part(({ bytes }) => bytes))}, ${
            milliseconds(part(({ last, shown }) => shown - last))} to draw`);
        console.log(`  a link goes down or up: its row has changed ${milliseconds(median(links))} after the command was given; a guest starts or stops: ${
            milliseconds(median(guests))} after the command was done (at most 250 ms)`);
        const memory = await hostMemory(host);
        console.log(`  memory: JavaScript of page and shell ${megabytes(heap)}${before ? `, ${ratio(heap, before.heap)} times that with 10 guests` : ""
        }; ${memory.count} programs on the host ${megabytes(memory.programs)}${before ? `, ${ratio(memory.programs, before.programs)} times` : ""
        }; Cockpit's bridges ${megabytes(memory.bridges)}`);
        const many = Math.min(size, 250);
        const { took, after, longest } = await storm(cockpit, "guest0", "e1000", () => burst(host, many, "e1000"));
        console.log(`  a storm of ${750 + many} events in ${milliseconds(took)}: its end shows ${milliseconds(after)
        } later; never longer than ${milliseconds(longest)} without a new frame; ${(await hostMemory(host)).count - memory.count} processes more`);
        await burst(host, many, "virtio");
        return { heap, programs: memory.programs };
    });
}

const host = await startHostWithPlugin({ release: "trixie", name: `bench-${process.pid}` });
try {
    let first = 0;
    let before: Before | undefined;
    for (const size of [10, 1000]) {
        await furnish(host, first, size);
        first = size;
        console.log(`${size} guests and devices`);
        await below(host);
        before = await page(host, size, before);
    }
} finally {
    await host.stop();
}
process.exit(0);
