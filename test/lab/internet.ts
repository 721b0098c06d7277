// SPDX-License-Identifier: LGPL-2.1-or-later
// The world beyond a test host's uplinks: a network namespace with a bridge per uplink, so that several hosts (and machines that a test
// adds) share a segment. Only documentation addresses (RFC 5737, RFC 3849) are used.
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { finish, must } from "./exec.ts";
import { kernel } from "./kernel.ts";
import { cgroupOf, directoryOf } from "./places.ts";

export interface Segment {
    /** The host's link. */
    uplink: string;
    bridge: string;
    /** Of the gateway, which is the internet itself. */
    gateway: string;
    gateway6: string;
    /** Of the nth host, from 1. */
    address(host: number): string;
    address6(host: number): string;
}

/** Addresses from .10 on are free on both segments. */
export const segments: readonly Segment[] = [
    {
        uplink: "eth0", bridge: "br0", gateway: "203.0.113.254", gateway6: "2001:db8:0:1::fe",
        address: host => `203.0.113.${host}`, address6: host => `2001:db8:0:1::${host}`,
    },
    {
        uplink: "eth1", bridge: "br1", gateway: "198.51.100.254", gateway6: "2001:db8:0:2::fe",
        address: host => `198.51.100.${host}`, address6: host => `2001:db8:0:2::${host}`,
    },
];

/** Clients beyond the gateway. */
export const far = { address: "192.0.2.80", address6: "2001:db8:0:ff::80" };

/** Runs a program with its process in a cgroup of the lab, so that it goes with the host. Its output goes to a file. */
export function startInCgroup(cgroup: string, argv: readonly string[], log: string): number {
    mkdirSync(cgroup, { recursive: true });
    const output = openSync(log, "a");
    const child = spawn("sh", ["-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', cgroup, ...argv],
        { stdio: ["ignore", output, output], detached: true });
    closeSync(output);
    child.unref();
    return child.pid ?? 0;
}

export class Internet {
    /** Hosts plugged in so far. */
    hosts = 0;

    private constructor(readonly owner: string) {}

    get namespace(): string {
        return `kvm-tap-lab.${this.owner}.internet`;
    }

    /** The file with a line per HTTP request that arrived at port 80. */
    private get requests(): string {
        return join(directoryOf(this.owner), "requests");
    }

    static async start(owner: string, uplinks: number): Promise<Internet> {
        const internet = new Internet(owner);
        await must(["ip", "netns", "add", internet.namespace]);
        const lines = ["link set dev lo up", `address add ${far.address}/32 dev lo`, `address add ${far.address6}/128 dev lo`];
        for (const { bridge, gateway, gateway6 } of segments.slice(0, uplinks)) {
            lines.push(`link add ${bridge} type bridge mcast_snooping 0`, `link set dev ${bridge} up`,
                `address add ${gateway}/24 dev ${bridge}`, `address add ${gateway6}/64 dev ${bridge} nodad`);
        }
        await must(["ip", "-n", internet.namespace, "-batch", "-"], lines.join("\n"));
        await internet.sh("echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding");
        mkdirSync(join(directoryOf(owner), "www"));
        writeFileSync(join(directoryOf(owner), "www/index.html"), "the internet\n");
        internet.start([join(await kernel(), "busybox"), "httpd", "-f", "-vv", "-p", "80", "-h", join(directoryOf(owner), "www")], internet.requests);
        return internet;
    }

    /** The internet of a host that another process started. */
    static open(owner: string): Internet {
        return new Internet(owner);
    }

    /** The machine's own programs, in this namespace. */
    run(argv: readonly string[], input = ""): Promise<string> {
        return must([...this.enter, ...argv], input);
    }

    sh(script: string): Promise<string> {
        return this.run(["sh", "-euc", script]);
    }

    /** Whether a command succeeds here, and what it wrote. */
    attempt(argv: readonly string[]) {
        return finish([...this.enter, ...argv]);
    }

    /** Starts a program that goes on until the host is stopped; answers its process ID. */
    start(argv: readonly string[], log = "/dev/null"): number {
        return startInCgroup(join(cgroupOf(this.owner), "internet"), [...this.enter, ...argv], log);
    }

    /** HTTP requests that arrived at any of the internet's own addresses, oldest first. All but `/` are answered with 404. */
    received(): { from: string; path: string }[] {
        return readFileSync(this.requests, "utf8").split("\n").flatMap(line => {
            const [, from, path] = /^\[?(?:::ffff:)?([0-9a-f.:]+?)\]?:\d+: ?url:(.*)$/.exec(line) ?? [];
            return from !== undefined && path !== undefined ? [{ from, path }] : [];
        });
    }

    private get enter(): string[] {
        return ["nsenter", `--net=/run/netns/${this.namespace}`, "--"];
    }
}
