// SPDX-License-Identifier: LGPL-2.1-or-later
// Test hosts from the shell: see `usage`.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { forward } from "./forward.ts";
import { login, openHost, startHost } from "./host.ts";
import { kernel } from "./kernel.ts";
import { inHost } from "./machine.ts";
import { directoryOf } from "./places.ts";
import { releases, tree, type Release } from "./trees.ts";

const usage = `test/lab/lab start RELEASE NAME [--plugin] [--two-uplinks]   boots a host (${releases.join(", ")}) that stays until it is stopped
test/lab/lab shell NAME                    a root shell in it
test/lab/lab run NAME COMMAND…             a command in it
test/lab/lab internet NAME COMMAND…        a command of this machine in its internet
test/lab/lab cockpit NAME [PORT]           its Cockpit on a loopback port, until Ctrl-C
test/lab/lab reboot NAME
test/lab/lab stop NAME
test/lab/lab list
test/lab/lab prepare                       makes the trees and the guests' kernel, if they are missing
`;

/** Runs a program with this terminal. */
function hand(argv: readonly string[]): void {
    const [program = "", ...args] = argv;
    process.exitCode = spawnSync(program, args, { stdio: "inherit" }).status ?? 1;
}

function list(): void {
    const all = directoryOf("");
    for (const name of existsSync(all) ? readdirSync(all) : []) {
        if (existsSync(join(directoryOf(name), "facts.json")))
            console.log(`${name}  ${openHost(name).release}`);
    }
}

async function prepare(): Promise<void> {
    await kernel();
    for (const release of releases) {
        await tree(release).catch((error: unknown) => {
            if (release !== "forky")
                throw error;
            console.error(`*** The tree of forky cannot be made, its tests will be skipped: ${String(error)}`);
        });
    }
}

const [verb = "", name = "", ...rest] = process.argv.slice(2);
const commands: Record<string, () => void | Promise<void>> = {
    list,
    prepare,
    async start() {
        const [host = ""] = rest;
        await startHost({ release: name as Release, name: host, stays: true, plugin: rest.includes("--plugin"),
            uplinks: rest.includes("--two-uplinks") ? 2 : 1 });
    },
    shell: () => { hand(inHost(openHost(name).leader, ["env", "HOME=/root", `TERM=${process.env["TERM"] ?? "dumb"}`, "bash", "-l"])); },
    run: () => { hand(inHost(openHost(name).leader, rest)); },
    internet: () => { hand(["nsenter", `--net=/run/netns/${openHost(name).internet.namespace}`, "--", ...rest]); },
    async cockpit() {
        console.log(`http://127.0.0.1:${await forward(openHost(name), Number(rest[0] ?? 9090))}  ${login.user} / ${login.password}`);
    },
    reboot: () => openHost(name).reboot(),
    stop: () => openHost(name).stop(),
};

const command = Object.hasOwn(commands, verb) ? commands[verb] : undefined;
if (command) {
    try {
        await command();
    } catch (error) {
        console.error(error instanceof Error ? error.message : error);
        process.exitCode = 1;
    }
} else {
    process.stderr.write(usage);
    process.exitCode = 2;
}
