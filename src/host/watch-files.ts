// SPDX-License-Identifier: LGPL-2.1-or-later
// The part of the snapshot that lies in files and in systemd: read again when a watched directory changes.
import { msg } from "../model/message.ts";
import { NAT_FILE } from "../model/nat-file.ts";
import { Coalesce } from "./coalesce.ts";
import { NETWORKD_LINKS, PROFILE_PLACES, readFiles, readPresence, TEXT_PLACES, type Presence } from "./files.ts";
import { failed, read, type Update } from "./reading.ts";
import type { Machine } from "./run.ts";
import { deviceUnits, isOther, readActiveUnits } from "./systemd.ts";

/** systemd keeps a link `invocation:UNIT` here for each unit that is active: made at a start, removed at a stop or failure. */
const RUNNING_UNITS = "/run/systemd/units";
const PRESENCE_PLACES = [
    "/etc/systemd/system/multi-user.target.wants", "/etc/libvirt/hooks", "/etc/libvirt/hooks/qemu.d", ...PROFILE_PLACES,
] as const;

/**
 * The link is there while a unit is still starting or stopping, and nothing tells when it is done: looked at again after these
 * milliseconds, as long as one is between its states.
 */
const LOOKS = [150, 300, 600, 1200, 2400, 5000, 10_000, 20_000] as const;
const BETWEEN = /ing$/;

const FILES = { missing: msg("sh is not installed."), failed: msg("The files in /etc/kvm-tap cannot be read.") };
const PRESENCE = { ...FILES, missing: msg("find is not installed.") };
const UNITS = { missing: msg("systemctl is not installed."), failed: msg("The state of the units kvm-tap@… cannot be read.") };

export class FileWatch {
    #active: ReadonlyMap<string, string> | undefined;
    #presence: Presence | undefined;
    #looks = 0;
    #timer: ReturnType<typeof setTimeout> | undefined;
    #files = new Coalesce(() => this.#readFiles());
    #units = new Coalesce(() => this.#readUnits());
    #presences = new Coalesce(() => this.#readPresence());
    #watches: readonly { close(): void }[] = [];

    constructor(readonly machine: Machine, readonly update: Update) {
        this.restart();
    }

    /** With other rights from now on: watches end with the bridge that held them. */
    restart() {
        for (const watch of this.#watches)
            watch.close();
        this.#watches = [
            // The directory of /etc/network/interfaces, a file.
            ...[...TEXT_PLACES.filter(place => place !== "/etc/network/interfaces"), "/etc/network"].map(place =>
                this.machine.watchDirectory(place, () => void this.#files.request())),
            ...PRESENCE_PLACES.map(place => this.machine.watchDirectory(place, () => {
                void this.#presences.request();
                void this.#units.request();
            })),
            this.machine.watchDirectory(NETWORKD_LINKS, () => void this.#presences.request()),
            this.machine.watchDirectory(RUNNING_UNITS, path => {
                if (path.includes("kvm-tap") || isOther(path.replace(/^.*:/, "")))
                    void this.#units.request();
            }),
        ];
        void this.readAll();
    }

    async readAll(): Promise<void> {
        await Promise.all([this.#files.request(), this.#units.request(), this.#presences.request()]);
    }

    /** libvirt was restarted: whether it knows the hook may have changed. */
    readHook(): Promise<void> {
        return this.#presences.request();
    }

    close() {
        clearTimeout(this.#timer);
        for (const part of [this.#files, this.#units, this.#presences, ...this.#watches])
            part.close();
    }

    async #readFiles() {
        try {
            const files = await readFiles(this.machine);
            // No empty files show, and of this one that means that what was mapped is lost.
            if (!files.has(NAT_FILE) && await this.machine.read(NAT_FILE) === "")
                files.set(NAT_FILE, { path: NAT_FILE, content: "" });
            this.update({ files: read(files) });
        } catch (error) {
            this.update({ files: failed(error, FILES) });
        }
    }

    async #readUnits() {
        try {
            this.#active = await readActiveUnits(this.machine);
            this.#lookAgain([...this.#active.values()].some(state => BETWEEN.test(state)));
            this.#tellUnits();
        } catch (error) {
            const reading = failed(error, UNITS);
            this.update({ units: reading, services: reading });
        }
    }

    /** systemd's own words for it: activating, deactivating, reloading, refreshing. */
    #lookAgain(between: boolean) {
        clearTimeout(this.#timer);
        const delay = LOOKS[this.#looks];
        this.#looks = between ? this.#looks + 1 : 0;
        if (between && delay !== undefined)
            this.#timer = setTimeout(() => void this.#units.request(), delay);
    }

    async #readPresence() {
        try {
            this.#presence = await readPresence(this.machine);
            const { enabled, hook, profiles, networkd } = this.#presence;
            this.update({ enabled: read(enabled), hook: read(hook), profiles: read(profiles), networkd: read(networkd) });
            this.#tellUnits();
        } catch (error) {
            const reading = failed(error, PRESENCE);
            this.update({ enabled: reading, hook: reading, profiles: reading, networkd: reading });
        }
    }

    /** A unit is what is active and what is enabled: told when both are known. */
    #tellUnits() {
        if (!this.#presence || !this.#active)
            return;
        const services = new Map([...this.#active].filter(([unit]) => !unit.startsWith("kvm-tap@")));
        this.update({ units: read(deviceUnits(this.#active, this.#presence.enabled)), services: read(services) });
    }
}
