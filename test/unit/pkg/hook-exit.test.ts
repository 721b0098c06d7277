// SPDX-License-Identifier: LGPL-2.1-or-later
// libvirt's hook ends with 0 whatever is in its way: any other status keeps every guest of the host from starting. In each shell that
// a distribution may have as /bin/sh, run with stand-ins for what it calls and with a directory of its own instead of /run.
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const text = readFileSync("pkg/host/50-kvm-tap", "utf8");
const program = (name: string) => spawnSync("/bin/sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).stdout.trim();

/** Each as a program named sh: bash and busybox take that for "be like sh". */
const shells = ["dash", "bash", "busybox"].filter(name => program(name) !== "");
const tools = new Map(["awk", "mkdir", "rm", "timeout", "cut", "sha256sum", "tr", "cat", "sleep", "sh"].map(name => [name, program(name)]));

let top: string;
beforeEach(() => { top = mkdtempSync(join(tmpdir(), "hook-")); });
afterEach(() => { rmSync(top, { recursive: true, force: true }); });

const definition = "<domain><devices><interface type='ethernet'><target dev='hooktap0' managed='no'/></interface></devices></domain>";

interface World {
    guest?: string;
    reason?: string;
    /** Before the hook runs, with the path of what stands for /run. */
    prepare?(run: string): void;
    /** Programs that are not there, and such as do something else. */
    without?: readonly string[];
    instead?: Readonly<Record<string, string>>;
    stdin?: string | "closed";
}

function script(path: string, body: string): void {
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
}

/** Programs as links in one directory, so that some can be missing. */
function programs(place: string, { without = [], instead = {} }: World): string {
    const bin = join(place, "bin");
    mkdirSync(bin);
    for (const [name, path] of tools) {
        if (path !== "" && !without.includes(name) && !(name in instead))
            symlinkSync(path, join(bin, name));
    }
    const stubs = { systemctl: `echo "$*" >>${place}/called`, logger: `cat >>${place}/journal`, ...instead };
    for (const [name, body] of Object.entries(stubs)) {
        if (!without.includes(name))
            script(join(bin, name), body);
    }
    return bin;
}

interface Ended {
    status: number | null;
    signal: string | null;
    said: string;
    called: string;
    journal: string;
}

async function run(shell: string, operation: string, world: World): Promise<Ended> {
    const { guest = "charon", reason = "-", prepare, stdin = definition } = world;
    const place = mkdtempSync(join(top, "one-"));
    mkdirSync(join(place, "run"));
    prepare?.(join(place, "run"));
    const [hook, sh, bin] = [join(place, "hook"), join(place, "sh"), programs(place, world)];
    writeFileSync(hook, text.replace("/run/kvm-tap/guests", `${place}/run/kvm-tap/guests`).replace("/usr/lib/kvm-tap/kvm-tap-device", "/bin/true"));
    symlinkSync(program(shell), sh);
    const child = spawn("/bin/sh", ["-c", `exec "$@" ${stdin === "closed" ? "<&-" : ""}`, "-", sh, hook, guest, operation, "begin", reason],
        { env: { PATH: bin }, detached: true, stdio: ["pipe", "pipe", "pipe"] });
    let said = "";
    for (const stream of [child.stdout, child.stderr])
        stream.on("data", chunk => { said += String(chunk); });
    child.stdin.on("error", () => undefined).end(stdin === "closed" ? "" : stdin);
    const [status, signal] = await new Promise<[number | null, string | null]>(resolve => child.on("close", (...end) => resolve(end)));
    const read = (name: string) => existsSync(join(place, name)) ? readFileSync(join(place, name), "utf8") : "";
    const ended = { status, signal, said, called: read("called"), journal: read("journal") };
    spawnSync("umount", ["-q", join(place, "run")]);
    return ended;
}

const fileAt = (path: string) => { mkdirSync(join(path, ".."), { recursive: true }); writeFileSync(path, ""); };
const tmpfs = (run: string, options: string) => spawnSync("mount", ["-t", "tmpfs", "-o", options, "tmpfs", run]);

/** In these a missing device is asked for all the same. */
const inTheWay: [string, World][] = [
    ["nothing in the way", {}],
    ["a file in place of its directory", { prepare: run => fileAt(join(run, "kvm-tap")) }],
    ["a file in place of the inner directory", { prepare: run => fileAt(join(run, "kvm-tap/guests")) }],
    ["directories in place of its files", { prepare: run => ["starting", "taps"].forEach(kind =>
        mkdirSync(join(run, `kvm-tap/guests/charon.${kind}`), { recursive: true })) }],
    ["links that lead nowhere in place of its files", { prepare: run => {
        mkdirSync(join(run, "kvm-tap/guests"), { recursive: true });
        ["starting", "taps"].forEach(kind => symlinkSync("/nonexistent/x/y", join(run, `kvm-tap/guests/charon.${kind}`)));
    } }],
    ["/run read-only", { prepare: run => tmpfs(run, "ro") }],
    ["/run out of inodes", { prepare: run => tmpfs(run, "nr_inodes=1") }],
    ["/run out of inodes for files", { prepare: run => tmpfs(run, "nr_inodes=3") }],
    ["/run out of space", { prepare: run => { tmpfs(run, "size=4k"); spawnSync("sh", ["-c", `head -c 1M /dev/zero >${run}/full`]); } }],
    ["a name of 248 bytes", { guest: "g".repeat(248) }],
    ["a name of 251 bytes", { guest: "ü".repeat(125) + "x" }],
    ["a name of 4,000 bytes", { guest: "g".repeat(4000) }],
    ["a name with a slash", { guest: "../../../../tmp/x/y" }],
    ["a name with a line's end", { guest: "a\nKVM_TAP_EVENT=deleted\nPRIORITY=0" }],
    ["a name that is an option", { guest: "-rf" }],
    ["a name of all quotes", { guest: `'"\`$(exit 3)\\` }],
    ["no mkdir, no rm", { without: ["mkdir", "rm"] }],
    ["no logger", { without: ["logger"] }],
    ["a mkdir that is killed", { instead: { mkdir: "kill -SEGV $$" } }],
    ["a logger that is killed", { instead: { logger: "kill -KILL $$" } }],
];

const broken: [string, World][] = [
    ["no name", { guest: "" }],
    ["no awk", { without: ["awk"] }], ["no timeout", { without: ["timeout"] }], ["no systemctl", { without: ["systemctl"] }],
    ["nothing in PATH", { without: [...tools.keys(), "systemctl", "logger"] }],
    ["an awk that is killed", { instead: { awk: "kill -KILL $$" } }], ["an awk that ends it", { instead: { awk: "kill -TERM $PPID" } }],
    ["all of it told to end", { instead: { awk: "kill -TERM 0" } }],
    ["a systemctl that is killed", { instead: { systemctl: "kill -TERM $$" } }],
    ["a systemctl that fails", { instead: { systemctl: "exit 4" } }],
    ["no input", { stdin: "" }], ["input closed", { stdin: "closed" }], ["no XML", { stdin: "\0<<<" }],
    ["an odd reason", { reason: "a\nb" }],
];

const OPERATIONS = ["prepare", "start", "stopped", "release", ""] as const;
/** With these there is a file of libvirt's own to read, and it is not there. */
const good = { status: 0, signal: null, said: "" };

describe.each(shells)("%s as sh", shell => {
    test.each([...inTheWay, ...broken])("%s", async (_title, world) => {
        const ends = await Promise.all(OPERATIONS.map(operation => run(shell, operation, world)));
        expect(ends.map(({ status, signal, said }) => ({ status, signal, said }))).toEqual(OPERATIONS.map(() => good));
        if (inTheWay.some(([, one]) => one === world))
            expect(ends[0]?.called).toContain("restart kvm-tap@hooktap0.service");
    });

    test.each([["a\nKVM_TAP_EVENT=deleted\nPRIORITY=0", "-"], ["charon", "x\nKVM_TAP_EVENT=deleted"]])(
        "a guest named %j that stops for %j writes no lines of its own into the journal", async (guest, reason) => {
            const { journal } = await run(shell, "prepare", { guest, reason });
            expect(journal.split("\n").filter(line => /^(KVM_TAP_EVENT|PRIORITY)=/.test(line))).toEqual(["PRIORITY=3", "KVM_TAP_EVENT=failed"]);
        });
});
