// SPDX-License-Identifier: LGPL-2.1-or-later
// The host as an immutable snapshot, and a new one whenever something on it changes. Streams and file watches say what to read
// again; nothing is started to find out whether anything changed.
import { msg } from "../model/message.ts";
import { NOTHING_READ, type HistoryEntry, type Snapshot } from "../model/snapshot.ts";
import { neighboursToAsk, type Touch } from "../model/touch.ts";
import { entryIn, HISTORY_LENGTH, isDenied, JOURNAL } from "./history.ts";
import { failed, read, Unreadable, wordsOf, type Part } from "./reading.ts";
import type { Machine } from "./run.ts";
import { Supervise } from "./supervise.ts";
import { SysctlWatch } from "./sysctls.ts";
import { FileWatch } from "./watch-files.ts";
import { GuestWatch } from "./watch-guests.ts";
import { NatWatch } from "./watch-nat.ts";
import { NetworkWatch } from "./watch-network.ts";

/** What is on the screen that nobody announces: read again and again only while it is there. */
export interface Shown {
    /** Counters of the links. */
    traffic?: boolean;
    /** Which processes have the devices open. */
    holders?: boolean;
    /** Counters of the NAT table. */
    hits?: boolean;
    /** By which of the kernel's settings guests can steer the host. */
    sysctls?: boolean;
}

export interface HostWatch {
    /** Says what is on the screen now, whole. Hidden pages show nothing. */
    show(shown: Shown): void;
    /**
     * Whether a change is in effect: everything that a plan may have changed is read again, and looked at as often as something
     * changes for a few seconds more, since libvirt and systemd take their time. Rejects with Unreadable where it cannot be found out,
     * after a while in any case, and with whatever `holds` throws.
     */
    verify(holds: (after: Snapshot) => boolean): Promise<boolean>;
    /**
     * Reads what nobody announces and forms depend on; answers a snapshot in which it was read after the call. Neighbours are asked for
     * what a plan takes. Rejects with Unreadable where that takes too long.
     */
    look(touch?: Touch): Promise<Snapshot>;
    /** Tries again what gave up, and reads everything: for the "Try again" of an error. */
    retry(): void;
    close(): void;
}

/** How long a change may take until it shows once all was read, and how long anything may take until it is told; in milliseconds. */
const SHOWS = 3000, LONGEST = 20_000;

const HISTORY = { missing: msg("journalctl is not installed."), failed: msg("The history cannot be read from the journal.") };

/**
 * Watches a host until closed. `onSnapshot` gets every snapshot, the first one as soon as one part was read; several parts that
 * come at once make one snapshot.
 */
export function watchHost(machine: Machine, onSnapshot: (snapshot: Snapshot) => void): HostWatch {
    let snapshot = NOTHING_READ;
    let told = true;
    let closed = false;
    const update = (part: Part) => {
        snapshot = { ...snapshot, ...part, streams: { ...snapshot.streams, ...part.streams } };
        if (!told)
            return;
        told = false;
        queueMicrotask(() => {
            told = true;
            if (!closed)
                onSnapshot(snapshot);
        });
    };
    const guests = new GuestWatch(machine, part => {
        // Whether a libvirt that was restarted knows the hook.
        if (part.libvirt && snapshot.libvirt.state !== "reading")
            void files.readHook();
        update(part);
    });
    const network = new NetworkWatch(machine, update, guests.opening);
    const nat = new NatWatch(machine, update);
    const files = new FileWatch(machine, update);
    const sysctls = new SysctlWatch(machine, update);
    const history = watchHistory(machine, update);
    const look = async (touch: Touch) => {
        await network.readNeeds();
        const asked = neighboursToAsk(snapshot, touch);
        if (asked.length > 0) {
            await network.askFor(asked);
            await network.readNeeds();
        }
        return snapshot;
    };
    const verify = async (holds: (after: Snapshot) => boolean) => {
        const { latest, clear } = limit();
        try {
            const all = Promise.all([guests.readLists(), network.readAll(), nat.readAll(), files.readAll(), sysctls.readAll()]);
            if (await Promise.race([all, latest]) === "late")
                throw new Unreadable(msg("The host could not be read again within $0 seconds.", String(LONGEST / 1000)), "");
            for (const end = Date.now() + SHOWS; Date.now() <= end && !closed; await sleep(50)) {
                if (holds(snapshot))
                    return true;
            }
            await Promise.race([guests.readAll(), latest]);
        } finally {
            clear();
        }
        const shown = holds(snapshot), failed = shown ? undefined : PARTS.map(part => snapshot[part]).find(part => part.state === "failed");
        if (failed?.state === "failed")
            throw new Unreadable(failed.says, failed.words);
        return shown;
    };
    const access = watchAccess(machine, admin => {
        const before = snapshot.access;
        update({ access: admin ? "admin" : "limited" });
        if (before === "unknown" || (before === "admin") === admin)
            return;
        for (const part of [guests, network, nat, files, history])
            part.restart();
    });
    return {
        show({ traffic = false, holders = false, hits = false, sysctls: settings = false }) {
            network.show(traffic, holders);
            nat.show(hits);
            sysctls.show(settings);
        },
        verify,
        async look(touch = {}) {
            const { latest, clear } = limit();
            const found = await Promise.race([look(touch), latest]).finally(clear);
            if (found !== "late")
                return found;
            const says = msg("What this host is connected with could not be read within $0 seconds. Nothing was changed.", String(LONGEST / 1000));
            update({ needs: { state: "failed", says, words: "" } });
            throw new Unreadable(says, "");
        },
        retry() {
            for (const part of [guests, network, nat, history])
                part.retry();
            void files.readAll();
        },
        close() {
            closed = true;
            for (const part of [access, guests, network, nat, files, sysctls, history])
                part.close();
        },
    };
}

/** Of the snapshot, what plans promise something of. */
const PARTS = ["guests", "links", "addresses", "routes", "rules", "files", "units", "enabled", "natTable"] as const;

/** For how long the host is waited for, whatever hangs; to be cleared by whoever waits no longer. */
function limit(): { latest: Promise<"late">; clear(): void } {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const latest = new Promise<"late">(resolve => { timer = setTimeout(() => resolve("late"), LONGEST); });
    return { latest, clear: () => clearTimeout(timer) };
}

function sleep(milliseconds: number): Promise<void> {
    return new Promise(resolve => { setTimeout(resolve, milliseconds); });
}

/** Where access never changes, it is root's. */
function watchAccess(machine: Machine, changed: (admin: boolean) => void): { close(): void } {
    if (machine.watchAccess)
        return machine.watchAccess(changed);
    changed(true);
    return { close: () => { /* nothing to end */ } };
}

/** The journal: what is past comes first, then what happens. Started again, it begins anew. */
function watchHistory(machine: Machine, update: (part: Part) => void): Supervise {
    let entries: readonly HistoryEntry[] = [];
    let denied: string | undefined;
    const tell = () => update({ history: denied === undefined ? read(entries) : failed(new Error(denied), HISTORY) });
    return new Supervise(machine, JOURNAL, {
        line(line) {
            if (isDenied(line)) {
                denied = line.trim();
                return tell();
            }
            const entry = entryIn(line);
            if (!entry)
                return;
            entries = [...entries.slice(1 - HISTORY_LENGTH), entry];
            tell();
        },
        opened() {
            entries = [];
            denied = undefined;
            update({ streams: { history: { state: "live" } } });
            return undefined;
        },
        // An empty journal says nothing: after a second there is no past to wait for.
        settled: tell,
        ended: (error, again) => update({
            streams: { history: { state: "interrupted", words: denied ?? wordsOf(error), again } },
            ...entries.length === 0 && { history: failed(denied === undefined ? error : new Error(denied), HISTORY) },
        }),
    }, { mixed: true });
}
