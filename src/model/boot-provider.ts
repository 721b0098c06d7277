// SPDX-License-Identifier: LGPL-2.1-or-later
// What makes a device again at the next boot.
import { valueOf, type HostFile, type Snapshot } from "./snapshot.ts";
import type { TapDevice } from "./tap.ts";
import { deviceOfNetworkdPath } from "./networkd-file.ts";
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

/** The device need not exist: its name decides. Files of a network manager that does not run make nothing. */
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
    const services = valueOf(snapshot.services);
    if (!files || !profiles || !enabled || !services)
        return "unknown";
    const path = tapFilePath(name);
    if (files.has(path) && enabled.has(`kvm-tap@${name}.service`))
        return { by: "kvm-tap", path };
    const runs = (unit: string) => (services.get(unit) ?? "inactive") !== "inactive";
    const netdev = runs("systemd-networkd.service") ? textFile(files, NETDEVS, text => isNetdev(text, name)) : undefined;
    if (netdev !== undefined)
        return { by: "networkd", path: netdev };
    const profile = runs("NetworkManager.service") ? profiles.get(name) : undefined;
    if (profile?.type === "tun" && profile.autoconnect && isLasting(profile.path))
        return { by: "NetworkManager", path: profile.path };
    const stanza = runs("networking.service") ? textFile(files, interfaceFiles(files), text => isStanza(text, name)) : undefined;
    return stanza === undefined ? "nothing" : { by: "ifupdown", path: stanza };
}

/** What lies in /run is gone with the boot, unless netplan writes it anew each time. */
const NETDEVS = /^(\/etc\/systemd\/network\/|\/run\/systemd\/network\/\d*-?netplan-)[^/]*\.netdev$/;

function isLasting(path: string): boolean {
    return !path.startsWith("/run/") || path.includes("/netplan-");
}

type Files = ReadonlyMap<string, HostFile>;

/** `/etc/network/interfaces`, and the files beside it where that one reads them (`source`, `source-directory`: interfaces(5)). */
function interfaceFiles(files: Files): RegExp {
    const main = files.get("/etc/network/interfaces")?.content ?? "";
    const word = /^\s*(source|source-directory)\s+(?:\/etc\/network\/)?interfaces\.d\b/m.exec(main)?.[1];
    switch (word) {
        case "source": return /^\/etc\/network\/interfaces(\.d\/[^./~][^/~]*)?$/;
        case "source-directory": return /^\/etc\/network\/interfaces(\.d\/[a-zA-Z0-9_-]+)?$/;
        default: return /^\/etc\/network\/interfaces$/;
    }
}

/** Files of others, apart from ours, of which there may be a thousand. */
const othersFiles = new WeakMap<Files, readonly HostFile[]>();

function othersOf(files: Files): readonly HostFile[] {
    const found = othersFiles.get(files)
        ?? [...files.values()].filter(({ path }) => /^\/(etc|run)\/(systemd\/)?network\//.test(path) && !deviceOfNetworkdPath(path));
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

/** A stanza of interfaces(5): which interface, and its options, continued lines joined. */
interface Stanza {
    device: string;
    options: readonly string[];
}

function stanzasIn(lines: readonly string[]): Stanza[] {
    const stanzas: { device: string; options: string[] }[] = [];
    for (const line of lines) {
        const [word = "", device = ""] = line.split(/\s+/);
        if (word === "iface")
            stanzas.push({ device, options: [] });
        else if (/^(auto|mapping|source|source-directory|allow-.*|no-.*)$/.test(word))
            stanzas.push({ device: "", options: [] });
        else
            stanzas[stanzas.length - 1]?.options.push(line);
    }
    return stanzas;
}

/** Lines of interfaces(5) without comments. A comment never goes on; of other lines a backslash at the end and the newline go. */
function linesIn(text: string): string[] {
    return (text.match(/^[ \t]*#.*$|^(?:.*\\\n)*.*$/gm) ?? []).map(line => line.replaceAll("\\\n", "").trim()).filter(line => !line.startsWith("#"));
}

/** A stanza that is brought up at boot, its own or a bridge's, and in it a command or option that makes this device. */
function isStanza(text: string, name: string): boolean {
    const lines = linesIn(text);
    const atBoot = new Set(lines.filter(line => /^(auto|allow-auto|allow-hotplug)\s/.test(line))
        .flatMap(line => line.split(/\s+/).slice(1)));
    return stanzasIn(lines).some(({ device, options }) => atBoot.has(device) && options.some(option => makes(option, device, name)));
}

/** `pre-up ip tuntap add …`, `tunctl -t …` and the like; `tunctl_user` is the option of Debian's uml-utilities. */
function makes(option: string, device: string, name: string): boolean {
    if (/^tunctl[_-]user\s/.test(option))
        return device === name;
    const words = option.replace(/\$\{?IFACE\}?/g, device).split(/[\s;&|"']+/);
    return words.includes(name) && /\b(ip\s+(tuntap|tunta|tunt|tap)\s+(add|ad|a)|tunctl|openvpn\s+.*--mktun)\b/.test(option);
}
