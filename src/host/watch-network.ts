// SPDX-License-Identifier: LGPL-2.1-or-later
// The kernel's part of the snapshot: links, addresses and routes, read again through the one running `ip` when `ip monitor` says
// that anything changed; and who holds which device.
import { msg } from "../model/message.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { isTap, type Link, type LinkAddress } from "../model/tap.ts";
import { Coalesce } from "./coalesce.ts";
import type { Conversation } from "./conversation.ts";
import { readHolders } from "./files.ts";
import { openIp, readNetwork, type Network } from "./ip.ts";
import { failed, read, wordsOf, type Update } from "./reading.ts";
import { CommandError, type Machine } from "./run.ts";
import { Supervise } from "./supervise.ts";

const MONITOR = ["ip", "-o", "monitor", "link", "address", "route"] as const;
/** How often the counters are read while they are on the screen: the kernel announces them to nobody. */
const TRAFFIC_INTERVAL = 1000;

const SENTENCES = {
    missing: msg("ip is not installed. Install the package iproute2 (Debian) or iproute (Fedora)."),
    failed: msg("The links of this host cannot be read."),
};
const HOLDERS = {
    missing: msg("find is not installed. Install the package findutils."),
    failed: msg("Which programs use the devices cannot be read."),
};

/** `now`, with every member that is as it was in `before` replaced by the very object: so that a table draws only what changed. */
function shared<T>(before: readonly T[], now: readonly T[], key: (item: T) => unknown, text: (item: T) => string): readonly T[] {
    const known = new Map(before.map(item => [key(item), item]));
    let same = before.length === now.length;
    const items = now.map((item, index) => {
        const old = known.get(key(item));
        const kept = old !== undefined && text(old) === text(item) ? old : item;
        same &&= kept === before[index];
        return kept;
    });
    return same ? before : items;
}

export class NetworkWatch {
    #ip: Conversation | undefined;
    #network: Network = { links: [], addresses: new Map(), routes: [] };
    #known = false;
    #traffic = false;
    #holders = false;
    #timer: ReturnType<typeof setInterval> | undefined;
    #work = new Coalesce(() => this.#refresh());
    #holding = new Coalesce(() => this.#readHolders());
    #monitor: Supervise;

    constructor(readonly machine: Machine, readonly update: Update) {
        this.#monitor = new Supervise(machine, MONITOR, {
            line: () => void this.#work.request(),
            opened: () => {
                this.update({ streams: { network: { state: "live" } } });
                void this.#work.request();
            },
            settled: () => void this.#work.request(),
            ended: (error, again) => {
                this.update({ streams: { network: { state: "interrupted", words: wordsOf(error), again } } });
                void this.#work.request();
            },
        });
    }

    /** Traffic while it is on the screen; who holds the devices, read again when one is attached or let go. */
    show(traffic: boolean, holders: boolean) {
        this.#traffic = traffic;
        clearInterval(this.#timer);
        if (traffic)
            this.#timer = setInterval(() => void this.#work.request(), TRAFFIC_INTERVAL);
        if (traffic)
            void this.#work.request();
        if (holders && !this.#holders)
            void this.#holding.request();
        this.#holders = holders;
    }

    readAll(): Promise<void> {
        return this.#work.request();
    }

    restart() {
        this.#ip?.close();
        this.#ip = undefined;
        this.#monitor.restart();
        if (this.#holders)
            void this.#holding.request();
    }

    retry() {
        this.#monitor.retry();
        void this.#work.request();
    }

    close() {
        clearInterval(this.#timer);
        this.#work.close();
        this.#holding.close();
        this.#monitor.close();
        this.#ip?.close();
    }

    async #refresh() {
        try {
            this.#ip ??= openIp(this.machine, () => { this.#ip = undefined; });
            const now = await readNetwork(this.#ip);
            if (!wereRenamed(this.#network.links, now.links))
                return this.#take(now);
            // ip remembers the names of links, and would go on calling routes by the old one.
            this.#ip.close();
            this.#ip = openIp(this.machine, () => { this.#ip = undefined; });
            this.#take(await readNetwork(this.#ip));
        } catch (error) {
            if (error instanceof CommandError && error.problem === "cancelled")
                return;
            this.#known = false;
            const reading = failed(error, SENTENCES);
            this.update({ links: reading, addresses: reading, routes: reading });
        }
    }

    /** Counters change with every reading: unless they are shown, they alone make no new link. */
    #take(now: Network) {
        const text = (link: Link) => JSON.stringify(this.#traffic ? link : { ...link, traffic: undefined });
        const before = this.#network;
        const links = shared(before.links, now.links, link => link.index, text);
        const routes = shared(before.routes, now.routes, JSON.stringify, JSON.stringify);
        const addresses = sharedAddresses(before.addresses, now.addresses);
        this.#network = { links, routes, addresses };
        const part: { -readonly [K in keyof Snapshot]?: Snapshot[K] } = {};
        if (links !== before.links || !this.#known)
            part.links = read(links);
        if (routes !== before.routes || !this.#known)
            part.routes = read(routes);
        if (addresses !== before.addresses || !this.#known)
            part.addresses = read(addresses);
        this.#known = true;
        if (Object.keys(part).length > 0)
            this.update(part);
        if (this.#holders && attached(before.links) !== attached(links))
            void this.#holding.request();
    }

    async #readHolders() {
        try {
            this.update({ holders: read(await readHolders(this.machine)) });
        } catch (error) {
            this.update({ holders: failed(error, HOLDERS) });
        }
    }
}

function wereRenamed(before: readonly Link[], now: readonly Link[]): boolean {
    const names = new Map(before.map(link => [link.index, link.name]));
    return now.some(link => (names.get(link.index) ?? link.name) !== link.name);
}

/** The TAP devices that somebody has open, as one comparable text. */
function attached(links: readonly Link[]): string {
    return links.filter(link => isTap(link) && link.carrier).map(link => link.index).join();
}

type Addresses = ReadonlyMap<string, readonly LinkAddress[]>;

function sharedAddresses(before: Addresses, now: Addresses): Addresses {
    let same = before.size === now.size;
    const addresses = new Map([...now].map(([name, list]) => {
        const old = before.get(name);
        const kept = old && JSON.stringify(old) === JSON.stringify(list) ? old : list;
        same &&= kept === old;
        return [name, kept];
    }));
    return same ? before : addresses;
}

/** Whether the holders in a snapshot are to be believed: they are read only while they are on the screen. */
export function holdersOf(snapshot: Snapshot, device: string) {
    return valueOf(snapshot.holders)?.get(device) ?? [];
}
