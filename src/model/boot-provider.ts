// SPDX-License-Identifier: LGPL-2.1-or-later
// What makes a device again at the next boot.
import { valueOf, type HostFile, type Snapshot } from "./snapshot.ts";
import type { TapDevice } from "./tap.ts";
import { tapFilePath } from "./tap-file.ts";
import { guestsRunningOn } from "./validate.ts";

/** Who makes a device at boot, and the file that says so. */
export type AtBoot =
    /** Our unit is enabled and its file is there. */
    | { by: "kvm-tap"; path: string }
    | { by: "networkd" | "NetworkManager" | "ifupdown"; path: string };

export type BootProvider =
    | AtBoot
    /** libvirt made it for a guest that runs, and makes it again at the guest's next start. */
    | { by: "libvirt"; guest: string }
    | { by: "nothing" }
    /** What would tell could not be read. */
    | { by: "unknown" };

/** The device need not exist: its name decides. */
export function bootProvider(snapshot: Snapshot, name: string, device?: TapDevice): BootProvider {
    const provider = madeAtBoot(snapshot, name);
    if (typeof provider === "object")
        return provider;
    const guest = provider === "nothing" && device && !device.tun.persistent ? guestsRunningOn(snapshot, name)[0] : undefined;
    return guest ? { by: "libvirt", guest: guest.name } : { by: provider };
}

/** The same without libvirt. Asked of every device of a host, it costs no more than its files. */
export function madeAtBoot(snapshot: Snapshot, name: string): AtBoot | "nothing" | "unknown" {
    const files = valueOf(snapshot.files), profiles = valueOf(snapshot.profiles), enabled = valueOf(snapshot.enabled);
    if (!files || !profiles || !enabled)
        return "unknown";
    const path = tapFilePath(name);
    if (files.has(path) && enabled.has(`kvm-tap@${name}.service`))
        return { by: "kvm-tap", path };
    const netdev = textFile(files, /^\/(etc|run)\/systemd\/network\/[^/]+\.netdev$/, text => isNetdev(text, name));
    if (netdev !== undefined)
        return { by: "networkd", path: netdev };
    const profile = profiles.get(name);
    if (profile?.type === "tun" && profile.autoconnect)
        return { by: "NetworkManager", path: profile.path };
    const stanza = textFile(files, /^\/etc\/network\/interfaces(\.d\/[a-zA-Z0-9_-]+)?$/, text => isStanza(text, name));
    return stanza === undefined ? "nothing" : { by: "ifupdown", path: stanza };
}

type Files = ReadonlyMap<string, HostFile>;

/** Files of others, apart from ours, of which there may be a thousand. */
const othersFiles = new WeakMap<Files, readonly HostFile[]>();

function othersOf(files: Files): readonly HostFile[] {
    const found = othersFiles.get(files) ?? [...files.values()].filter(({ path }) => /^\/(etc|run)\/(systemd\/)?network\//.test(path));
    othersFiles.set(files, found);
    return found;
}

function textFile(files: Files, places: RegExp, says: (text: string) => boolean): string | undefined {
    return othersOf(files).find(({ path, content }) => places.test(path) && says(content))?.path;
}

/** systemd.netdev(5): `[NetDev]` with this name and `Kind=tap`. */
function isNetdev(text: string, name: string): boolean {
    const value = (key: string) => new RegExp(`^\\s*${key}\\s*=\\s*(.*?)\\s*$`, "mi").exec(text)?.[1];
    return value("Name") === name && value("Kind") === "tap";
}

/** interfaces(5): a stanza of this name that is brought up at boot, and in it a command or option that makes a TAP device. */
function isStanza(text: string, name: string): boolean {
    const lines = text.split("\n").map(line => line.trim().split(/\s+/));
    const atBoot = lines.some(([word = "", ...names]) => ["auto", "allow-auto", "allow-hotplug"].includes(word) && names.includes(name));
    const start = lines.findIndex(([word, device]) => word === "iface" && device === name);
    if (!atBoot || start < 0)
        return false;
    const rest = lines.slice(start + 1);
    const end = rest.findIndex(([word = ""]) => /^(iface|auto|mapping|source|source-directory|allow-.*)$/.test(word));
    const stanza = (end < 0 ? rest : rest.slice(0, end)).map(words => words.join(" "));
    return stanza.some(line => /\b(ip (link|tuntap|tap) add|tunctl|openvpn --mktun)\b/.test(line));
}
