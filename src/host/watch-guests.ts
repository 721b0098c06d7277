// SPDX-License-Identifier: LGPL-2.1-or-later
// libvirt's part of the snapshot: all definitions once, then only the guests that an event or a changed file names.
import type { Guest } from "../model/guest.ts";
import { msg } from "../model/message.ts";
import type { Libvirt, Reading } from "../model/snapshot.ts";
import { Coalesce } from "./coalesce.ts";
import type { Conversation } from "./conversation.ts";
import { failed, read, wordsOf, type Update } from "./reading.ts";
import { CommandError, type Machine } from "./run.ts";
import { Supervise } from "./supervise.ts";
import { eventIn, openVirsh, readChanged, readGuests, readSome, readVersion } from "./virsh.ts";

const EVENTS = ["virsh", "-q", "-c", "qemu:///system", "event", "--all", "--loop"] as const;

/**
 * Where libvirt keeps what it sends no event for: definitions (9.0 announces no `--config` change), autostart, saved states; and
 * the state of running guests. Each file is named after its guest.
 */
const PLACES = [
    "/etc/libvirt/qemu", "/etc/libvirt/qemu/autostart", "/var/lib/libvirt/qemu/save", "/run/libvirt/qemu",
] as const;
/** The sockets that we connect to, libvirtd's or virtqemud's, appear here when it starts. */
const SOCKETS = "/run/libvirt", SOCKET = /\/(?:libvirt|virtqemud)-sock$/;

/**
 * When to connect again, in milliseconds after the connection ended. Not at once: while libvirt is being stopped its socket is
 * still there for a moment, and whoever connects to it starts libvirt again (systemd.socket(5)).
 */
const DELAYS = [1000, 1000, 3000] as const;

const SENTENCES = {
    missing: msg("virsh is not installed. Install the package libvirt-clients (Debian) or libvirt-client (Fedora)."),
    silent: msg("libvirt does not answer. It hangs, or the host is very busy: see “systemctl status libvirtd” or “systemctl status virtqemud”."),
    failed: msg("libvirt cannot be reached. Start it with “systemctl start libvirtd” or “systemctl start virtqemud”."),
};

/** The version of libvirt's package: dpkg's, else rpm's, else none. */
export async function readPackageVersion(machine: Machine): Promise<string | undefined> {
    const name = "libvirt-daemon-driver-qemu";
    for (const argv of [["dpkg-query", "-W", "-f=${Version}", name], ["rpm", "-q", "--qf=%{VERSION}-%{RELEASE}", name]]) {
        try {
            return await machine.run(argv);
        } catch (error) {
            if (!(error instanceof CommandError))
                throw error;
        }
    }
    return undefined;
}

function readingOf([version, packageVersion]: [Libvirt, string | undefined]): Reading<Libvirt> {
    return read({ ...version, ...packageVersion !== undefined && { packageVersion } });
}

export class GuestWatch {
    #virsh: Conversation | undefined;
    #guests = new Map<string, Guest>();
    #everything = true;
    #lists = false;
    #some = new Set<string>();
    #work = new Coalesce(() => this.#refresh());
    #events: Supervise;
    /** When the guests have been read for the first time since the stream was opened, or could not be. */
    opening: Promise<void> = Promise.resolve();
    #watches: readonly { close(): void }[] = [];

    constructor(readonly machine: Machine, readonly update: Update) {
        this.#events = new Supervise(machine, EVENTS, {
            line: line => this.#event(line),
            opened: () => {
                this.update({ streams: { libvirt: { state: "live" } } });
                this.opening = this.readAll();
                return this.opening;
            },
            settled: () => { void this.readLists(); },
            ended: (error, again) => {
                this.update({ streams: { libvirt: { state: "interrupted", words: wordsOf(error), again } } });
                if (!again)
                    void this.readAll();
            },
        }, {}, DELAYS);
        this.#watch();
    }

    /** Everything again: libvirt was restarted, access was gained, or somebody asks. */
    readAll(): Promise<void> {
        this.#everything = true;
        return this.#work.request();
    }

    /** Compares the lists and reads what differs, in case something was missed; and these guests in any case. */
    readLists(uuids: readonly string[] = []): Promise<void> {
        this.#lists = true;
        for (const uuid of uuids)
            this.#some.add(uuid);
        return this.#work.request();
    }

    /** With other rights from now on: a directory that may not be read is not watched, and a bridge that goes takes its watches along. */
    restart() {
        this.#watch();
        this.#virsh?.close();
        this.#virsh = undefined;
        this.#events.restart();
    }

    /** Not by a virsh that may still wait for an answer. */
    retry() {
        this.#virsh?.close();
        this.#virsh = undefined;
        this.#events.retry();
        void this.readAll();
    }

    close() {
        this.#work.close();
        this.#events.close();
        this.#virsh?.close();
        for (const watch of this.#watches)
            watch.close();
    }

    #watch() {
        for (const watch of this.#watches)
            watch.close();
        this.#watches = [
            ...PLACES.map(place => this.machine.watchDirectory(place, path => this.#file(path))),
            this.machine.watchDirectory(SOCKETS, path => { if (SOCKET.test(path)) this.#events.retry(); }),
        ];
    }

    #event(line: string) {
        const event = eventIn(line);
        if (event)
            this.#changed(event.guest);
    }

    #file(path: string) {
        const name = /([^/]+)\.(?:xml|save)$/.exec(path)?.[1];
        if (name !== undefined)
            this.#changed(name);
        else if (PLACES.some(place => path === place || path === `${place}/`)) // made just now, perhaps with files in it
            void this.readLists();
    }

    #changed(name: string) {
        const known = [...this.#guests.values()].find(guest => guest.name === name);
        if (known)
            this.#some.add(known.uuid);
        else
            this.#lists = true;
        void this.#work.request();
    }

    #open(): Conversation {
        this.#virsh ??= openVirsh(this.machine, () => { this.#virsh = undefined; });
        return this.#virsh;
    }

    async #refresh() {
        const everything = this.#everything, lists = this.#lists, some = this.#some;
        this.#everything = this.#lists = false;
        this.#some = new Set();
        try {
            if (everything)
                await this.#readEverything();
            else
                await this.#readSome(lists, some);
        } catch (error) {
            if (error instanceof CommandError && error.problem === "cancelled")
                return;
            // What this reading was about is lost with it, and libvirt counts as unread from here on.
            this.#everything = true;
            const reading = failed(error, SENTENCES);
            this.update({ guests: reading, libvirt: reading });
        }
    }

    /** What libvirt does not tell of itself hides no guest. */
    async #readEverything() {
        const virsh = this.#open();
        const version = Promise.all([readVersion(virsh), readPackageVersion(this.machine)]);
        const [libvirt, guests] = await Promise.all([version.then(readingOf, error => failed(error, SENTENCES)), readGuests(virsh)]);
        this.#guests = new Map(guests.map(guest => [guest.uuid, guest]));
        this.#everything ||= libvirt.state !== "read";
        this.update({ libvirt, guests: read(guests) });
    }

    async #readSome(lists: boolean, some: Set<string>) {
        const virsh = this.#open();
        const uuids = [...new Set([...some, ...lists ? await readChanged(virsh, this.#guests) : []])];
        if (uuids.length === 0)
            return;
        const found = await readSome(virsh, uuids);
        const guests = new Map(this.#guests);
        for (const uuid of uuids) {
            const guest = found.get(uuid);
            if (guest)
                guests.set(uuid, guest);
            else
                guests.delete(uuid);
        }
        this.#guests = guests;
        this.update({ guests: read([...guests.values()]) });
    }
}
