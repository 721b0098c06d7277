// SPDX-License-Identifier: LGPL-2.1-or-later
// Test hosts: a Debian release with systemd, libvirt, QEMU, nft and Cockpit, booted by systemd-nspawn from an overlay over its cached tree,
// with uplinks into a network namespace that plays the internet.
//
//     const host = await startHost({ release: "trixie" });
//     await host.run(["virsh", "list", "--all"]);
//     await host.reboot();      // a new network namespace: TAP devices, routes and rules are gone unless a unit brings them back
//     await host.stop();        // nothing of it is left; the same happens when this process ends in any way
//
// What it hides from tests: one kernel for all releases, no udevd, no SELinux or AppArmor, no hardware network card, no module loading.
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { finish, must, sleep, until } from "./exec.ts";
import { Internet, segments, startInCgroup } from "./internet.ts";
import { inHost, labMachine } from "./machine.ts";
import { cgroupOf, directoryOf, namespaceOf } from "./places.ts";
import { top, tree, type Release } from "./trees.ts";

export interface HostOptions {
    release: Release;
    /** At most 40 of [a-z0-9-]; the host's name too. By default made of the release and this process's ID. */
    name?: string;
    /** Debian packages beside the usual ones; a tree of its own is cached for them. */
    packages?: readonly string[];
    /** eth0 (203.0.113.1/24), and with 2 eth1 (198.51.100.1/24). Default 1. */
    uplinks?: 1 | 2;
    /** Another host's internet, to be its neighbour: the second host is 203.0.113.2. */
    internet?: Internet;
    /** Installs the plugin from this checkout (`make install`, which needs a built page) before the first boot. */
    plugin?: boolean;
    /** Files to put into its tree before the first boot, by absolute path. Scripts (`#!`) become executable. */
    files?: Readonly<Record<string, string>>;
    /** Units to enable before the first boot. */
    enable?: readonly string[];
    /** Stays when this process ends, until somebody calls stop(). */
    stays?: boolean;
}

/** The login user of every host, in groups sudo and libvirt. */
export const login = { user: "admin", password: "kvm-tap-lab" };

/** What the host must know to boot again; kept in its directory for other processes. */
interface Facts {
    release: Release;
    uplinks: number;
    /** Whose internet it is plugged into. */
    internet: string;
    /** Which of the hosts there, from 1. */
    number: number;
}

const keeperScript = join(top, "test/lab/keeper.sh");

/** Held: the other ends of the keepers' pipes. */
const keepers = new Map<string, ChildProcess>();

/** Makes and boots a host; ready when systemd has started everything. 2 s once its tree is there. */
export async function startHost(options: HostOptions): Promise<TestHost> {
    const name = options.name ?? `${options.release}-${process.pid}-${randomBytes(2).toString("hex")}`;
    if (!/^[a-z0-9][a-z0-9-]{0,39}$/.test(name))
        throw new Error(`lab: "${name}" cannot be the name of a host`);
    const lower = await tree(options.release, options.packages);
    await keep(name, options.stays === true);
    try {
        const internet = options.internet ?? await Internet.start(name, options.uplinks ?? 1);
        internet.hosts += 1;
        const facts = { release: options.release, uplinks: options.uplinks ?? 1, internet: internet.owner, number: internet.hosts };
        writeFileSync(join(directoryOf(name), "facts.json"), JSON.stringify(facts));
        await mountTree(name, lower);
        const host = new TestHost(name, facts, internet);
        await furnish(host, facts, options);
        await host.boot();
        return host;
    } catch (error) {
        await letGo(name);
        throw error;
    }
}

/** A running host that another process started with `stays`. */
export function openHost(name: string): TestHost {
    const file = join(directoryOf(name), "facts.json");
    if (!existsSync(file))
        throw new Error(`lab: there is no host ${name}`);
    const facts = JSON.parse(readFileSync(file, "utf8")) as Facts;
    return new TestHost(name, facts, Internet.open(facts.internet));
}

export class TestHost {
    readonly release: Release;
    /** Path of its file tree on this machine. */
    readonly root: string;
    readonly machine = labMachine(() => this.leader);

    constructor(readonly name: string, private readonly facts: Facts, readonly internet: Internet) {
        this.release = facts.release;
        this.root = join(directoryOf(name), "root");
    }

    /** The process ID of its systemd on this machine. */
    get leader(): number {
        const scope = join(cgroupOf(this.name), "host/payload/init.scope/cgroup.procs");
        const pid = existsSync(scope) ? Number.parseInt(readFileSync(scope, "utf8"), 10) : NaN;
        if (Number.isNaN(pid))
            throw new Error(`lab: ${this.name} is not running`);
        return pid;
    }

    /** Its network namespace by name, for programs of this machine (a browser): `ip netns exec NAMESPACE …`. */
    get namespace(): string {
        return namespaceOf(this.name);
    }

    /** Its address on an uplink: 0 is eth0, 1 is eth1. */
    address(uplink = 0): string {
        return segments[uplink]?.address(this.facts.number) ?? "";
    }

    /** Runs a command as root. Rejects with CommandError. */
    run(argv: readonly string[], input?: string): Promise<string> {
        // As a change: what a test does may take longer than the page waits for an answer.
        return this.machine.run(argv, { superuser: "require", ...input !== undefined && { input } });
    }

    /** Runs a shell script as root that stops at the first failing command. For tests only. */
    sh(script: string): Promise<string> {
        return this.run(["sh", "-euc", script]);
    }

    /** Runs a command as root, whatever comes of it. */
    attempt(argv: readonly string[], input?: string) {
        return finish(inHost(this.leader, argv), input);
    }

    /** Shuts down in good order (or, with `cut`, as if the power went away) and boots again. 2 s. */
    async reboot({ cut = false } = {}): Promise<void> {
        if (cut)
            writeFileSync(join(cgroupOf(this.name), "host/cgroup.kill"), "1");
        else
            await this.attempt(["systemctl", "poweroff"]);
        await this.hasEnded();
        await this.boot();
    }

    /** Removes it and all that belongs to it. */
    async stop(): Promise<void> {
        await letGo(this.name);
    }

    /** Boots it with a new network namespace; for a host that is off. */
    async boot(): Promise<void> {
        await this.plugIn();
        const log = join(directoryOf(this.name), "boot.log");
        startInCgroup(join(cgroupOf(this.name), "host"), ["nsenter", `--net=/run/netns/${this.namespace}`, "--",
            "env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
            "systemd-nspawn", "--quiet", "--directory", this.root, "--boot", "--machine", this.name, "--register=no", "--keep-unit",
            "--capability=all", "--bind=/dev/net/tun", "--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=pipe"], log);
        try {
            await until(`${this.name} to boot`, () => this.bootState(), 60);
        } catch (error) {
            throw new Error(`${String(error)}\n${readFileSync(log, "utf8").slice(-2000)}`, { cause: error });
        }
    }

    /** "running", or "degraded" when a unit failed; null while it is still booting. */
    async bootState(): Promise<string | null> {
        // Early on systemd calls itself "running" before it has queued what it will start: so ask for the last target too.
        const { stdout } = await this.attempt(["sh", "-c", "systemctl is-system-running --wait; systemctl is-active graphical.target"]);
        const [state = "", target] = stdout.split("\n");
        return /^(running|degraded)$/.test(state) && target === "active" ? state : null;
    }

    private async hasEnded(): Promise<void> {
        const cgroup = join(cgroupOf(this.name), "host");
        await until(`${this.name} to shut down`, () => readFileSync(join(cgroup, "cgroup.events"), "utf8").includes("populated 0"), 60);
        await finish(["sh", keeperScript, "ended", this.name]);
    }

    /** A new network namespace whose uplinks lead into the internet. The links keep their MAC addresses, as hardware does. */
    private async plugIn(): Promise<void> {
        if (existsSync(`/run/netns/${this.namespace}`))
            await must(["ip", "netns", "delete", this.namespace]);
        await must(["ip", "netns", "add", this.namespace]);
        const { number, uplinks } = this.facts;
        for (const [index, { uplink, bridge }] of segments.slice(0, uplinks).entries()) {
            const port = `${bridge}p${number}`;
            await finish(["ip", "-n", this.internet.namespace, "link", "delete", port]);
            await must(["ip", "-n", this.internet.namespace, "link", "add", port, "type", "veth",
                "peer", "name", uplink, "address", `02:00:00:00:0${index}:0${number}`, "netns", this.namespace]);
            await must(["ip", "-n", this.internet.namespace, "link", "set", "dev", port, "up", "master", bridge]);
        }
    }
}

/** Takes the name and starts its keeper. */
async function keep(name: string, stays: boolean): Promise<void> {
    await must(["sh", keeperScript, "sweep"]);
    const keeper = spawn("sh", [keeperScript, stays ? "stay" : "keep", name], { stdio: ["pipe", "pipe", "inherit"], detached: true });
    const [said] = await new Promise<string[]>(resolve => {
        keeper.stdout.once("data", (data: Buffer) => resolve([data.toString().trim()]));
        keeper.once("exit", () => resolve([]));
    });
    if (said !== "ready")
        throw new Error(said === "taken" ? `lab: a host named ${name} is running already` : "lab: the keeper does not start");
    // Neither must keep this process alive.
    keeper.unref();
    for (const end of [keeper.stdin, keeper.stdout]) {
        if ("unref" in end && typeof end.unref === "function")
            end.unref();
    }
    keepers.set(name, keeper);
}

/** Lets the keeper remove the host, and waits until it has. */
async function letGo(name: string): Promise<void> {
    const file = join(directoryOf(name), "keeper");
    if (!existsSync(file))
        return;
    const pid = Number(readFileSync(file, "utf8"));
    process.kill(pid, "SIGTERM");
    keepers.delete(name);
    await until(`${name} to be removed`, () => !existsSync(directoryOf(name)), 30);
    await until("its keeper to end", () => !existsSync(`/proc/${pid}`), 5);
}

async function mountTree(name: string, lower: string): Promise<void> {
    const directory = directoryOf(name);
    for (const part of ["upper", "work", "root"])
        mkdirSync(join(directory, part));
    // volatile: no need to wait for the disk, nothing survives this machine's own reboot.
    await must(["mount", "-t", "overlay", `kvm-tap-lab.${name}`, "-o",
        `volatile,lowerdir=${lower},upperdir=${directory}/upper,workdir=${directory}/work`, `${directory}/root`]);
}

/** What a host has beyond its tree before it boots for the first time. */
async function furnish(host: TestHost, facts: Facts, options: HostOptions): Promise<void> {
    const files = {
        "/etc/hostname": `${host.name}\n`,
        "/etc/hosts": `127.0.0.1 localhost\n::1 localhost\n${host.address()} ${host.name}\n`,
        // An id of its own, and no "first boot", which would enable every unit by preset.
        "/etc/machine-id": `${randomBytes(16).toString("hex")}\n`,
        "/etc/lab-uplinks": uplinkLines(facts).join("\n"),
        "/etc/systemd/system/lab-uplinks.service": uplinkUnit,
        ...options.files,
    };
    for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(host.root, path)), { recursive: true });
        writeFileSync(join(host.root, path), content, { mode: content.startsWith("#!") ? 0o755 : 0o644 });
    }
    if (options.plugin === true)
        await must(["make", "-s", "-C", top, "install", `DESTDIR=${host.root}`, "PREFIX=/usr"]);
    await must(["systemctl", "--quiet", "--root", host.root, "enable", "lab-uplinks.service", ...options.enable ?? []]);
}

/** The uplinks are configured by a unit, at the place where a network manager would do it. */
const uplinkUnit = `[Unit]
Description=Uplinks of the test host
DefaultDependencies=no
After=local-fs.target network-pre.target
Wants=network-pre.target network.target
Before=network.target network-online.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=ip -batch /etc/lab-uplinks

[Install]
WantedBy=multi-user.target network-online.target
`;

function uplinkLines({ number, uplinks }: Facts): string[] {
    const lines = segments.slice(0, uplinks).flatMap(({ uplink, address, address6 }) => [
        `link set dev ${uplink} up`,
        `address replace ${address(number)}/24 dev ${uplink}`,
        `address replace ${address6(number)}/64 dev ${uplink} nodad`,
    ]);
    const [first] = segments;
    return first ? [...lines, `route replace default via ${first.gateway}`, `route replace ::/0 via ${first.gateway6}`, ""] : lines;
}

export { sleep, until };
