// SPDX-License-Identifier: LGPL-2.1-or-later
// All that was read of the host, immutable. Each part says for itself whether it has been read.
import type { Guest } from "./guest.ts";
import type { Message } from "./message.ts";
import type { Family } from "./nat-address.ts";
import type { Holder, Hop, Link, LinkAddress, Route, RoutingRule } from "./tap.ts";

/** A part of the host: not read yet, read, or not readable (with our sentence and the tool's own words). */
export type Reading<T> =
    | { state: "reading" }
    | { state: "read"; value: T }
    | { state: "failed"; says: Message; words: string };

export interface Libvirt {
    /** Of the running daemon, `virsh version --daemon`: e.g. "11.3.0". */
    version: string;
    /** Of the package, where dpkg or rpm know it: e.g. "9.0.0-4+deb12u2". Only it tells Debian's patched 9.0.0 from upstream's. */
    packageVersion?: string;
    /** QEMU, LXC …: of the connection in use. */
    driver: string;
    hypervisorVersion?: string;
}

/** `kvm-tap@NAME.service`, by device name. */
export interface DeviceUnit {
    name: string;
    enabled: boolean;
    /** systemd's ActiveState: active, inactive, failed … */
    active: string;
}

/** A file as read. */
export interface HostFile {
    path: string;
    content: string;
}

/** One line of the history: a journal entry with identifier `kvm-tap`. */
export interface HistoryEntry {
    /** Milliseconds since 1970. */
    time: number;
    text: string;
    device?: string;
    guest?: string;
    event?: string;
    user?: string;
    /** The `<interface>` that was changed into one of another type, as it had been. */
    was?: string;
}

/** A NetworkManager connection profile, as far as it names a link. */
export interface Profile {
    path: string;
    /** `tun`, `ethernet` … */
    type: string;
    autoconnect: boolean;
}

/** An entry of the neighbour table that somebody answered for. */
export interface Neighbour {
    device: string;
    address: string;
    /** Whoever it was has not answered lately. */
    stale?: true;
    /** The TAP device behind which a bridge has seen the neighbour. */
    port?: string;
}

/** The other end of a connection or tunnel of the host itself. */
export interface Peer {
    address: string;
    /** The host's own end, where it is known. */
    local?: string;
}

/** What the host itself needs to reach, of which the kernel announces nothing (model/host-reach.ts). Addresses without prefixes. */
export interface HostNeeds {
    nameServers: readonly string[];
    neighbours: readonly Neighbour[];
    peers: readonly Peer[];
    /** By which way the kernel sends to name servers and peers, rules of routing included. None: it would not send at all. */
    ways: ReadonlyMap<string, Hop>;
    /** Tables that rules of routing lead to, by their numbers. Undefined: not known, or a rule may lead anywhere. */
    tables: Readonly<Record<Family, ReadonlySet<string> | undefined>>;
    /** What could not be found out, for a person to know. */
    unknown: readonly Message[];
}

/** The libvirt hook that makes lost devices again (pkg/host). */
export interface HookState {
    installed: boolean;
    /** libvirt looks for hooks only when it starts: whether the running daemon has seen one. */
    inEffect: boolean | "unknown";
}

/** The streams that tell what changes: of libvirt, of the kernel's network, of nftables, of the journal. */
export type StreamName = "libvirt" | "network" | "nat" | "history";

/** Without its stream a part is as old as its last reading. */
export type StreamState =
    | { state: "live" }
    /** It ended; `again`: it will be started again by itself. */
    | { state: "interrupted"; words: string; again: boolean };

export interface Snapshot {
    /** Administrative access, as far as it is known. */
    access: "admin" | "limited" | "unknown";
    streams: Readonly<Record<StreamName, StreamState>>;
    libvirt: Reading<Libvirt>;
    guests: Reading<readonly Guest[]>;
    links: Reading<readonly Link[]>;
    addresses: Reading<ReadonlyMap<string, readonly LinkAddress[]>>;
    /** Of all tables. */
    routes: Reading<readonly Route[]>;
    /** Rules of policy routing, IPv4 only: one ip(8) reads one family of them. */
    rules: Reading<readonly RoutingRule[]>;
    units: Reading<ReadonlyMap<string, DeviceUnit>>;
    /** ActiveState by name of our other units, of libvirt's, of network managers and firewalls; those systemd does not know are absent. */
    services: Reading<ReadonlyMap<string, string>>;
    /** Names of our units that are enabled. */
    enabled: Reading<ReadonlySet<string>>;
    /**
     * By path: `NAME.tap` and `nat.nft` in `/etc/kvm-tap` and what else the page writes, whole. Of `/etc/sysctl.d`,
     * `/etc/network/interfaces` and `interfaces.d`, `/etc/systemd/network` and `/run/systemd/network` what the page asks of them: private
     * keys of others stay on the host. Empty files do not show.
     */
    files: Reading<ReadonlyMap<string, HostFile>>;
    /** Table `inet kvm_tap` as `nft -j list table` prints it; null when there is none. */
    natTable: Reading<unknown>;
    /** How many times other tables of nftables have changed since the page was opened: what was read of them is old then. */
    firewallChanges: number;
    /** Links that a NetworkManager profile makes or configures, by interface name: the profile's path and type. */
    profiles: Reading<ReadonlyMap<string, Profile>>;
    /** Links that systemd-networkd configures, by index: the `.network` file by which it does ("" where it names none). */
    networkd: Reading<ReadonlyMap<number, string>>;
    /** Who has a TUN/TAP device open, by device. Read only for those who ask (`HostWatch.show`). */
    holders: Reading<ReadonlyMap<string, readonly Holder[]>>;
    /**
     * Settings of all links and of "all" by which the kernel believes what comes in (model/steering.ts), by key:
     * `net/ipv4/conf/charon0/rp_filter`. Read only for those who ask (`HostWatch.show`): their changes are announced to nobody.
     */
    deviceSysctls: Reading<ReadonlyMap<string, string>>;
    /** Read when a form opens and again before its plan runs (`HostWatch.look`). */
    needs: Reading<HostNeeds>;
    hook: Reading<HookState>;
    history: Reading<readonly HistoryEntry[]>;
}

/** The value of a part that was read; undefined while it is not, or could not be. */
export function valueOf<T>(reading: Reading<T>): T | undefined {
    return reading.state === "read" ? reading.value : undefined;
}

const READING = { state: "reading" } as const;
const LIVE = { state: "live" } as const;

/** Before anything was read. */
export const NOTHING_READ: Snapshot = {
    access: "unknown",
    firewallChanges: 0,
    streams: { libvirt: LIVE, network: LIVE, nat: LIVE, history: LIVE },
    libvirt: READING, guests: READING, links: READING, addresses: READING, routes: READING, rules: READING, units: READING,
    services: READING, enabled: READING, files: READING, natTable: READING, profiles: READING, networkd: READING,
    holders: READING, deviceSysctls: READING, needs: READING, hook: READING, history: READING,
};
