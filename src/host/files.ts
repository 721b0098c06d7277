// SPDX-License-Identifier: LGPL-2.1-or-later
// Text files in one command: ours, and what others' say of devices at boot. And the dates of what decides by its presence:
// enabled units and libvirt's hooks.
import { NAT_FILE } from "../model/nat-file.ts";
import type { HookState, HostFile, Profile } from "../model/snapshot.ts";
import type { Holder } from "../model/tap.ts";
import type { Machine } from "./run.ts";

/** Directories and files whose text is read. NetworkManager's profiles are not among them: of those even fewer lines are asked for. */
export const TEXT_PLACES = [
    "/etc/kvm-tap", "/etc/sysctl.d", "/etc/network/interfaces", "/etc/network/interfaces.d",
    "/etc/systemd/network", "/run/systemd/network",
] as const;

/** The page writes these (awk, a pattern), so it needs them byte for byte. */
const OURS = "^/etc/(kvm-tap/|sysctl[.]d/60-kvm-tap[^/]*$|systemd/network/00-kvm-tap-[^/]*[.]network$)";

/**
 * Files of others hold private keys and passwords, too: only what the page asks of them leaves the host. That is the name and kind of a
 * device of systemd-networkd, and whether it takes advertisements; settings of the network; of interfaces(5) which interfaces and files
 * there are, and of commands those that make a device, without what stands before and after it. A record is a file: no text has the
 * character 1.
 */
const PROGRAM = `
function keep(path, text) { printf "%s%c%s%c", path, 0, text, 0 }
function stanza(path, text,   parts, count, part, made, loop) {
    sub(/^[ \\t]+/, "", text)
    sub(/[ \\t]#.*/, "", text)
    if (text ~ /^(auto|source|source-directory|(allow|no)-[^ \\t]*)[ \\t]/)
        keep(path, text "\\n")
    else if (split(text, parts, /[ \\t]+/) && parts[1] ~ /^(iface|mapping|tunctl[_-]user)$/)
        keep(path, parts[1] " " parts[2] "\\n")
    if (text !~ /^(pre-|post-)?(up|down)[ \\t]/)
        return
    count = split(text, parts, /[;&|]/)
    for (part = 1; part <= count; part++)
        if (parts[part] ~ /(tuntap|tunta|tunt|tap)[ \\t]+(add|ad|a)|tunctl|--mktun/ &&
            match(parts[part], /(^|[^A-Za-z0-9_.-])(ip|tunctl|openvpn)[^A-Za-z0-9_.=-].*/))
            made = made ";" substr(parts[part], RSTART)
        else if (match(parts[part], /for[ \\t].*[ \\t]in[ \\t].*/))
            loop = loop ";" substr(parts[part], RSTART)
    if (made != "")
        keep(path, loop made "\\n")
}
function asked(path, text,   lines, count, number, line, before) {
    count = split(text, lines, "\\n")
    for (number = 1; number <= count; number++) {
        line = lines[number]
        if (path ~ /[.]netdev$/) {
            if (tolower(line) ~ /^[ \\t]*(name|kind)[ \\t]*=/)
                keep(path, line "\\n")
        } else if (path ~ "/systemd/network/.*[.]network([.]d/[^/]*)?$") {
            if (line ~ /^[ \\t]*IPv6AcceptRA[ \\t]*=[ \\t]*[A-Za-z0-9]*[ \\t\\r]*$/)
                keep(path, line "\\n")
        } else if (path ~ "^/etc/sysctl") {
            if ((line ~ /^[ \\t]*-?[ \\t]*net[.]/ || line ~ "^[ \\t]*-?[ \\t]*net/") && line !~ /secret|key/)
                keep(path, line "\\n")
        } else if (line ~ /\\\\$/ && !(before == "" && line ~ /^[ \\t]*#/)) {
            before = before substr(line, 1, length(line) - 1)
        } else {
            if (before != "" || line !~ /^[ \\t]*#/)
                stanza(path, before line)
            before = ""
        }
    }
}
BEGIN {
    RS = "\\001"
    for (number = 1; number < ARGC; number++) {
        path = ARGV[number]
        if (index(ENVIRON["DIRECTORIES"], path "/\\n") > 0)
            continue
        while ((getline text < path) > 0)
            if (path ~ "${OURS}") keep(path, text); else asked(path, text)
        close(path)
    }
}
`;

/** One process whatever their number. Of ours there may be a thousand, which a shell would take its time to look at one by one. */
const READ = ["sh", "-c", `
    for file in /etc/network/interfaces /etc/network/interfaces.d/* /etc/systemd/network/*.netdev /run/systemd/network/*.netdev /etc/sysctl.d/*.conf \\
        /etc/systemd/network/*.network /run/systemd/network/*.network /usr/lib/systemd/network/*.network \\
        /etc/systemd/network/*.network.d/*.conf /run/systemd/network/*.network.d/*.conf /usr/lib/systemd/network/*.network.d/*.conf
    do
        case $file in
        /etc/sysctl.d/60-kvm-tap* | /etc/systemd/network/00-kvm-tap-*.network) ;;
        *) if [ -f "$file" ]; then set -- "$@" "$file"; fi ;;
        esac
    done
    # mawk ends at the first.
    DIRECTORIES=$(printf '%s\\n' /etc/kvm-tap/nat.nf[t]/ /etc/kvm-tap/*.tap/ /etc/sysctl.d/60-kvm-tap*.conf/ /etc/systemd/network/00-kvm-tap-*.network/; echo .)
    export DIRECTORIES
    exec awk "$0" "$@" ${NAT_FILE} /etc/kvm-tap/*.tap /etc/sysctl.d/60-kvm-tap*.conf /etc/systemd/network/00-kvm-tap-*.network`,
PROGRAM] as const;

/** The output of the command above: path, NUL, content or a part of it, NUL, and so on. An empty file does not show. */
export function filesIn(output: string): Map<string, HostFile> {
    const parts = output.split("\0");
    const files = new Map<string, HostFile>();
    for (let index = 0; index + 1 < parts.length; index += 2) {
        const path = parts[index] ?? "", content = parts[index + 1] ?? "";
        files.set(path, { path, content: (files.get(path)?.content ?? "") + content });
    }
    return files;
}

export async function readFiles(machine: Machine): Promise<Map<string, HostFile>> {
    return filesIn(await machine.run(READ));
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
/** Our hook notes here which guests start and stop: changed after the daemon started, it proves that the daemon calls the hook. */
const CALLED = "/run/kvm-tap/guests";

/** The directories of NetworkManager's profiles. They hold passwords: only the lines asked for below leave the host. */
export const PROFILE_PLACES = ["/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections"] as const;

/**
 * What systemd-networkd does with each link, by index (sd-network.c sd_network_link_get_setup_state reads the same). Private to
 * systemd: where it looks otherwise, nothing is said of it.
 */
export const NETWORKD_LINKS = "/run/systemd/netif/links";

const FIND = [
    "find", "/etc/systemd/system", HOOKS, STARTED, CALLED, NETWORKD_LINKS, ...PROFILE_PLACES, "-maxdepth", "2",
    "(", "-path", "/etc/systemd/system/*.wants/kvm-tap*", "-o", "-path", `${HOOKS}/*`, "-o", "-path", STARTED, "-o", "-path", CALLED, ")",
    "-printf", "%m %T@ %C@ %p\\n", "-o",
    "(", "-name", "*.nmconnection", "-o", "-path", `${NETWORKD_LINKS}/*`, ")",
    "-exec", "grep", "-sHE", "^(type|interface-name|autoconnect|ADMIN_STATE|NETWORK_FILE)=", "{}", "+",
] as const;

/** The lines of the command above. */
export function entriesIn(output: string): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    for (const [, mode = "", modified, changed, path = ""] of output.matchAll(/^([0-7]+) ([\d.]+) ([\d.]+) (.*)$/gm))
        entries.set(path, { path, mode: parseInt(mode, 8), modified: Number(modified) * 1000, changed: Number(changed) * 1000 });
    return entries;
}

/** Profiles by the interface they name, from the lines of the command above; the first `type=` is that of `[connection]`. */
export function profilesIn(output: string): Map<string, Profile> {
    const files = new Map<string, Map<string, string>>();
    for (const [, path = "", key = "", value = ""] of output.matchAll(/^(\/.*\.nmconnection):([a-z-]+)=(.*)$/gm)) {
        const keys = files.get(path) ?? new Map<string, string>();
        files.set(path, keys);
        if (!keys.has(key))
            keys.set(key, value.trim());
    }
    const profiles = new Map<string, Profile>();
    for (const [path, keys] of files) {
        const name = keys.get("interface-name");
        if (name)
            profiles.set(name, { path, type: keys.get("type") ?? "", autoconnect: keys.get("autoconnect") !== "false" });
    }
    return profiles;
}

/** Links that systemd-networkd configures, by index, with its file for them; from the lines of the command above. */
export function networkdIn(output: string): Map<number, string> {
    const links = new Map<number, string>();
    const files = new Map<number, string>();
    for (const [, index, key, value = ""] of output.matchAll(/^\/run\/systemd\/netif\/links\/(\d+):([A-Z_]+)=(.*)$/gm)) {
        if (key === "ADMIN_STATE" && !["unmanaged", "initialized", "linger"].includes(value))
            links.set(Number(index), "");
        if (key === "NETWORK_FILE")
            files.set(Number(index), value);
    }
    return new Map([...links.keys()].map(index => [index, files.get(index) ?? ""]));
}

/** Enabled units of ours by name, the hook, NetworkManager's profiles and the links of systemd-networkd. */
export interface Presence {
    enabled: ReadonlySet<string>;
    hook: HookState;
    profiles: ReadonlyMap<string, Profile>;
    networkd: ReadonlyMap<number, string>;
}

export function presenceIn(output: string): Presence {
    const entries = entriesIn(output);
    const wanted = [...entries.keys()].filter(path => path.startsWith("/etc/systemd/system/"));
    return {
        enabled: new Set(wanted.map(path => path.slice(path.lastIndexOf("/") + 1))),
        hook: hookState(entries),
        profiles: profilesIn(output),
        networkd: networkdIn(output),
    };
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
    return presenceIn(await machine.run(FIND, { accept: [1] }));
}

/** All programs, by `/proc/PID/exe`, and in one further process the TUN/TAP device behind each open file that has one. */
const HOLDERS = [
    "find", "/proc", "-maxdepth", "3", "-regextype", "posix-extended",
    "(", "-regex", "/proc/[^0-9].*|/proc/[0-9]+/(attr|fd|map_files|net|ns|task)", "-prune", ")", "-o",
    "(", "-regex", "/proc/[0-9]+/exe", "-printf", "%p %l\\n", ")", "-o",
    "-regex", "/proc/[0-9]+/fdinfo/[0-9]+", "-exec", "grep", "-sH", "^iff:", "{}", "+",
] as const;

/** Who holds which device (tun.c tun_chr_show_fdinfo: `iff:`, a tab, the name), from the lines of the command above. */
export function holdersIn(output: string): Map<string, Holder[]> {
    const programs = new Map<string, string>();
    for (const [, pid = "", path = ""] of output.matchAll(/^\/proc\/(\d+)\/exe (.*)$/gm))
        programs.set(pid, path.replace(/ \(deleted\)$/, "").replace(/^.*\//, ""));
    const holders = new Map<string, Holder[]>();
    for (const [, pid = "", name = ""] of output.matchAll(/^\/proc\/(\d+)\/fdinfo\/\d+:iff:\s*(\S+)$/gm)) {
        const known = holders.get(name) ?? [];
        holders.set(name, known);
        if (!known.some(holder => holder.pid === Number(pid)))
            known.push({ pid: Number(pid), program: programs.get(pid) ?? "" });
    }
    return holders;
}

export async function readHolders(machine: Machine): Promise<Map<string, Holder[]>> {
    return holdersIn(await machine.run(HOLDERS, { accept: [1] }));
}
