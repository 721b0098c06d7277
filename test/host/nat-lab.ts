// SPDX-License-Identifier: LGPL-2.1-or-later
// What the NAT tests share: guests emulated by a network namespace behind a link (they boot at once, and the kernel treats
// their packets alike), programs that talk between namespaces, the host read and changed.
import { spawn, type ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plan, Planned } from "../../src/model/plan.ts";
import type { HostFile, Snapshot } from "../../src/model/snapshot.ts";
import type { Link, LinkAddress, Route } from "../../src/model/tap.ts";
import { inEnglish } from "../../src/model/message.ts";
import { finish, must, until } from "../lab/exec.ts";
import type { TestHost } from "../lab/host.ts";
import { top } from "../lab/trees.ts";

const peer = join(top, "test/host/nat-peer.mjs");

/** pkg/host/kvm-tap-nat* at their places, for startHost's `files`. */
export function natFiles(): Record<string, string> {
    const read = (name: string) => readFileSync(join(top, "pkg/host", name), "utf8");
    return {
        "/usr/lib/kvm-tap/kvm-tap-nat": read("kvm-tap-nat"),
        "/usr/lib/systemd/system/kvm-tap-nat.service": read("kvm-tap-nat.service"),
        "/usr/lib/systemd/system/kvm-tap-nat-announce.service": read("kvm-tap-nat-announce.service"),
        "/etc/kvm-tap/.keep": "",
    };
}

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

/** Answers TCP and UDP on this port with the address that the caller seems to have. */
export async function serve(place: Place, port: number): Promise<void> {
    const { said } = start(place, ["serve", String(port)]);
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

// Reading and changing the host --------------------------------------------------------------------------------------

type Json = Record<string, unknown>;

function parse(text: string): Json[] {
    return JSON.parse(text === "" ? "[]" : text) as Json[];
}

/** Emulated guests' links count as TAP devices. */
function linkOf(json: Json): Link {
    const name = String(json["ifname"]);
    const up = (json["flags"] as string[]).includes("UP");
    const guest = /^(?!eth|lo)\w+0$|_pvnet\d$/.test(name);
    return {
        index: Number(json["ifindex"]), name, mtu: Number(json["mtu"]), up, carrier: true,
        ...(guest ? { tun: { type: "tap", persistent: true, multiQueue: false, vnetHdr: false } } : {}),
    };
}

function addressesOf(json: Json): [string, LinkAddress[]] {
    const infos = json["addr_info"] as Json[];
    return [String(json["ifname"]), infos.map(info => ({
        family: info["family"] as "inet", address: String(info["local"]), prefix: Number(info["prefixlen"]), scope: String(info["scope"]),
    }))];
}

function routeOf(family: "inet" | "inet6", json: Json): Route {
    return {
        family, destination: String(json["dst"]), type: String(json["type"] ?? "unicast"), table: "main",
        ...(json["dev"] === undefined ? {} : { device: String(json["dev"]) }),
        ...(json["gateway"] === undefined ? {} : { gateway: String(json["gateway"]) }),
    };
}

async function filesOf(host: TestHost, paths: readonly string[]): Promise<ReadonlyMap<string, HostFile>> {
    const files = await Promise.all(paths.map(async path => [path, await host.machine.read(path)] as const));
    return new Map(files.flatMap(([path, content]) => content === null ? [] : [[path, { path, content }]]));
}

/** The parts of a snapshot that NAT uses. */
export async function readHost(host: TestHost): Promise<Snapshot> {
    const read = <T>(value: T) => ({ state: "read", value } as const);
    const table = await host.attempt(["nft", "-j", "list", "table", "inet", "kvm_tap"]);
    const ip = async (...argv: string[]) => parse(await host.run(["ip", "-j", ...argv]));
    const links = await ip("address", "show");
    return {
        libvirt: { state: "reading" }, guests: read([]), units: read(new Map()), hook: { state: "reading" }, history: read([]),
        links: read(links.map(linkOf)),
        addresses: read(new Map(links.map(addressesOf))),
        routes: read([
            ...(await ip("-4", "route", "show")).map(json => routeOf("inet", json)),
            ...(await ip("-6", "route", "show")).map(json => routeOf("inet6", json)),
        ]),
        files: read(await filesOf(host, ["/etc/kvm-tap/nat.nft", "/etc/sysctl.d/60-kvm-tap.conf"])),
        natTable: read(table.status === 0 ? JSON.parse(table.stdout) as unknown : null),
    };
}

/** The plan, or the planner's sentences as an error. */
export function planOf(planned: Planned): Plan {
    if ("problems" in planned)
        throw new Error(planned.problems.map(problem => inEnglish(problem.says)).join("\n"));
    return planned.plan;
}

/** Runs a plan's steps; the executor of the page has tests of its own. */
export async function run(host: TestHost, plan: Plan): Promise<void> {
    for (const { does, expects } of plan.steps) {
        if (does.type === "command") {
            await host.machine.run(does.argv, { ...(does.input === undefined ? {} : { input: does.input }), accept: does.accept ?? [] });
        } else {
            const expected = expects?.type === "file" ? expects.content : undefined;
            await host.machine.replace(does.path, does.content, expected);
        }
    }
}

/** Plans from what the host is now, runs, reads again, and insists on what the plan promised. */
export async function change(host: TestHost, planner: (snapshot: Snapshot) => Planned): Promise<Snapshot> {
    const plan = planOf(planner(await readHost(host)));
    await run(host, plan);
    const after = await readHost(host);
    expect(plan.holds(after)).toBe(true);
    return after;
}
