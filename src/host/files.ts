// SPDX-License-Identifier: LGPL-2.1-or-later
// Text files in one process: ours, and those of others that make devices at boot. And the dates of what decides by its presence:
// enabled units and libvirt's hooks.
import type { HookState, HostFile } from "../model/snapshot.ts";
import type { Machine } from "./run.ts";

/** Directories and files whose text is read whole. NetworkManager's profiles are not among them: they hold passwords. */
export const TEXT_PLACES = [
    "/etc/kvm-tap", "/etc/sysctl.d", "/etc/network/interfaces", "/etc/network/interfaces.d",
    "/etc/systemd/network", "/run/systemd/network",
] as const;

/** The output of `grep -aHZz ''`: path, NUL, content, NUL. An empty file does not show. */
export function filesIn(output: string): Map<string, HostFile> {
    const parts = output.split("\0");
    const files = new Map<string, HostFile>();
    for (let index = 0; index + 1 < parts.length; index += 2) {
        const path = parts[index] ?? "", content = parts[index + 1] ?? "";
        files.set(path, { path, content });
    }
    return files;
}

/** -z makes a file one line, so that its text arrives byte for byte, with or without a newline at its end. */
export async function readFiles(machine: Machine): Promise<Map<string, HostFile>> {
    return filesIn(await machine.run(["grep", "-arsHZz", "", ...TEXT_PLACES], { accept: [1, 2] }));
}

/** What `find` tells of one path; times in milliseconds since 1970. */
export interface Entry {
    path: string;
    mode: number;
    modified: number;
    changed: number;
}

const HOOKS = "/etc/libvirt/hooks";
/** Written by libvirt's QEMU driver when it starts (virQEMUDriver, qemuStateInitialize). */
const STARTED = "/run/libvirt/qemu/driver.pid";
const OUR_HOOK = `${HOOKS}/qemu.d/50-kvm-tap`;
/** Our hook touches it whenever libvirt calls it: proof that the running daemon has seen the hook. */
const CALLED = "/run/kvm-tap/hook-called";

const FIND = [
    "find", "/etc/systemd/system", HOOKS, STARTED, CALLED, "-maxdepth", "2",
    "(", "-path", "/etc/systemd/system/*.wants/kvm-tap*", "-o", "-path", `${HOOKS}/*`, "-o", "-path", "/run/*", ")",
    "-printf", "%m %T@ %C@ %p\\n",
] as const;

/** The lines of the command above. */
export function entriesIn(output: string): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    for (const [, mode = "", modified, changed, path = ""] of output.matchAll(/^([0-7]+) ([\d.]+) ([\d.]+) (.*)$/gm))
        entries.set(path, { path, mode: parseInt(mode, 8), modified: Number(modified) * 1000, changed: Number(changed) * 1000 });
    return entries;
}

/** Enabled units of ours by name, and the hook. */
export interface Presence {
    enabled: ReadonlySet<string>;
    hook: HookState;
}

export function presenceIn(entries: ReadonlyMap<string, Entry>): Presence {
    const enabled = [...entries.keys()].filter(path => path.startsWith("/etc/systemd/system/"));
    return { enabled: new Set(enabled.map(path => path.slice(path.lastIndexOf("/") + 1))), hook: hookState(entries) };
}

/**
 * libvirt looks for hooks only when it starts (virHookInitialize) and from then on runs whatever is there. So ours is in effect
 * if any hook of the QEMU driver was in place before the daemon started, or if ours has been called since. A hook that is newer
 * than the daemon may have replaced an older one (an upgrade): that cannot be told.
 */
function hookState(entries: ReadonlyMap<string, Entry>): HookState {
    const ours = entries.get(OUR_HOOK);
    const installed = ours !== undefined && (ours.mode & 0o111) !== 0;
    const started = entries.get(STARTED)?.modified;
    if (!installed)
        return { installed, inEffect: false };
    if (started === undefined)
        return { installed, inEffect: "unknown" };
    const called = (entries.get(CALLED)?.modified ?? 0) > started;
    const before = [...entries.values()].some(entry => isQemuHook(entry) && entry.changed < started);
    return { installed, inEffect: called || before ? true : "unknown" };
}

function isQemuHook(entry: Entry): boolean {
    return (entry.mode & 0o111) !== 0 && (entry.path === `${HOOKS}/qemu` || entry.path.startsWith(`${HOOKS}/qemu.d/`));
}

export async function readPresence(machine: Machine): Promise<Presence> {
    return presenceIn(entriesIn(await machine.run(FIND, { accept: [1] })));
}
