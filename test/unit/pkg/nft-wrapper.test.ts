// SPDX-License-Identifier: LGPL-2.1-or-later
// What nftables.service runs in nft's place: the table of the 1:1 NAT comes along, and where it could not, it is loaded again. Run with
// stand-ins for what it calls, and with a directory of its own instead of /run.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const text = readFileSync("pkg/host/kvm-tap-nft", "utf8");
const lock = /\$RUN\/(nat\S+lock)/.exec(text)?.[1] ?? "";

let place: string;
beforeEach(() => {
    place = mkdtempSync(join(tmpdir(), "nft-"));
    mkdirSync(join(place, "bin"));
    mkdirSync(join(place, "run"));
});
afterEach(() => { rmSync(place, { recursive: true, force: true }); });

function script(name: string, body: string): void {
    const path = join(place, "bin", name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
}

interface World {
    state?: string;
    /** What nft does when it is asked for the table, and when it is told to run commands from its standard input. */
    list?: string;
    together?: string;
    bare?: string;
    flock?: string;
}

/** Exit status, and what was called. */
function run(shell: string, world: World): { status: number | null; called: string } {
    const log = `echo "$0 $*" | sed 's|.*/bin/||' >>${place}/called`;
    script("systemctl", `echo ${world.state ?? "active"}`);
    script("systemd-run", log);
    script("flock", `${log}\n${world.flock ?? ""}`);
    script("nft", `${log}
        case "$*" in
        list*) ${world.list ?? "echo listing"} ;;
        "-f -") cat >${place}/input; ${world.together ?? ":"} ;;
        *) ${world.bare ?? ":"} ;;
        esac`);
    writeFileSync(join(place, "kvm-tap-nft"), text.replaceAll("/run/kvm-tap", `${place}/run/kvm-tap`));
    const { status } = spawnSync(shell, [join(place, "kvm-tap-nft"), "-f", "/etc/nftables.conf"], {
        encoding: "utf8", env: { PATH: `${place}/bin:/usr/sbin:/usr/bin:/sbin:/bin` },
    });
    return { status, called: existsSync(join(place, "called")) ? readFileSync(join(place, "called"), "utf8") : "" };
}

describe.each(["dash", "bash"])("%s", shell => {
    const restored = /systemd-run .*kvm-tap-nat restore\n/;

    test("all in one transaction, and nothing is loaded again", () => {
        const { status, called } = run(shell, {});
        expect([status, called]).toEqual([0, expect.stringMatching(/^flock .*\nnft list table inet kvm_tap\nnft -f -\n$/)]);
        expect(readFileSync(join(place, "input"), "utf8")).toBe('include "/etc/nftables.conf"\ntable inet kvm_tap\ndelete table inet kvm_tap\nlisting\n');
    });

    test.each<[string, World]>([
        ["the lock is not to be had", { flock: "exit 1" }], ["the table cannot be listed", { list: "exit 1" }],
        ["nft takes it only by itself", { together: "exit 1" }],
    ])("%s: nft runs by itself, and the table is loaded again, which nobody waits for", (_, world) => {
        const { status, called } = run(shell, world);
        expect([status, called]).toEqual([0, expect.stringMatching(/\nnft -f \S+\nsystemd-run .*--no-block .*kvm-tap-nat restore\n$/)]);
    });

    test("the status is nft's own; the table may have gone all the same", () => {
        expect(run(shell, { flock: "exit 1", bare: "exit 3" })).toEqual({ status: 3, called: expect.stringMatching(restored) });
    });

    test("where the table is not to be there nobody asks for it", () => {
        expect(run(shell, { state: "inactive" })).toEqual({ status: 0, called: "nft -f /etc/nftables.conf\n" });
    });

    test("it waits for longer than a change takes", () => {
        expect(Number(/--wait (\d+)/.exec(run(shell, {}).called)?.[1])).toBeGreaterThanOrEqual(30);
    });

    test("nobody else can take the lock: its file is root's alone, also one that is there already", () => {
        // The name that version 0.1 used may be open in the programs of others, who could read it, and hold it until the host boots.
        expect(lock).not.toBe("nat.lock");
        const path = join(place, "run/kvm-tap", lock);
        run(shell, {});
        expect(statSync(path).mode & 0o777).toBe(0o600);
        chmodSync(path, 0o644);
        run(shell, {});
        expect(statSync(path).mode & 0o777).toBe(0o600);
    });
});
