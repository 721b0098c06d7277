// SPDX-License-Identifier: LGPL-2.1-or-later
// All that was read of the host, immutable. Each part says for itself whether it has been read.
import type { Guest } from "./guest.ts";
import type { Message } from "./message.ts";
import type { Link, LinkAddress, Route } from "./tap.ts";

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
}

/** The libvirt hook that makes lost devices again (pkg/host). */
export interface HookState {
    installed: boolean;
    /** libvirt looks for hooks only when it starts: whether the running daemon has seen one. */
    inEffect: boolean | "unknown";
}

export interface Snapshot {
    libvirt: Reading<Libvirt>;
    guests: Reading<readonly Guest[]>;
    links: Reading<readonly Link[]>;
    addresses: Reading<ReadonlyMap<string, readonly LinkAddress[]>>;
    routes: Reading<readonly Route[]>;
    units: Reading<ReadonlyMap<string, DeviceUnit>>;
    /** `/etc/kvm-tap/NAME.tap` and `/etc/sysctl.d/60-kvm-tap*.conf`, `/etc/kvm-tap/nat.nft`, by path. */
    files: Reading<ReadonlyMap<string, HostFile>>;
    /** Table `inet kvm_tap` as `nft -j list table` prints it; null when there is none. */
    natTable: Reading<unknown>;
    hook: Reading<HookState>;
    history: Reading<readonly HistoryEntry[]>;
}
