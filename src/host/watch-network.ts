// SPDX-License-Identifier: LGPL-2.1-or-later
// The kernel's part of the snapshot: links, addresses, routes and rules, read again through the one running `ip` when `ip monitor` says
// that anything changed; and who holds which device.
import { msg } from "../model/message.ts";
import { NOTHING_READ, valueOf, type Neighbour, type Reading, type Snapshot } from "../model/snapshot.ts";
import { isTap, type Link, type LinkAddress, type Route, type RoutingRule } from "../model/tap.ts";
import { Coalesce } from "./coalesce.ts";
import type { Conversation } from "./conversation.ts";
import { readHolders } from "./files.ts";
import { COUNTERS, countersIn, deviceIn, isGone, openIp, readDevices, readNetwork, type Answer, type Network } from "./ip.ts";
import { askingFor, isAsking, readNeeds } from "./reach.ts";
import { failed, read, wordsOf, type Sentences, type Update } from "./reading.ts";
import { CommandError, type Machine } from "./run.ts";
import { Supervise } from "./supervise.ts";

/** Next-hop objects, too: with one its routes go, which the kernel announces to nobody. */
const MONITOR = ["ip", "-o", "monitor", "link", "address", "route", "rule", "nexthop"] as const;
/** With more devices changed at once than this, everything is read. */
const MANY = 20;
/** After ip ended because a device went, more of them may go: for so long everything is read, of which ip does not end. */
const WHOLE = 5000;
/** TUNSETPERSIST follows TUNSETIFF, which is announced, and is itself announced to nobody (tun.c): a new device is looked at twice. */
const SECOND_LOOK = 200;
/** How long a neighbour has to answer: the kernel asks again after a second (arp(7), retrans_time), and a proxy waits up to 0.8 s. */
const LONGEST_ASKED = 1900;
/** How often the counters are read while they are on the screen: the kernel announces them to nobody. */
const TRAFFIC_INTERVAL = 1000;

const missing = msg("ip is not installed. Install the package iproute2 (Debian) or iproute (Fedora).");
const SENTENCES = {
    links: { missing, failed: msg("The links of this host cannot be read.") },
    addresses: { missing, failed: msg("The addresses of this host cannot be read.") },
    routes: { missing, failed: msg("The routes of this host cannot be read.") },
    rules: { missing, failed: msg("The routing rules of this host cannot be read.") },
};
const NEEDS = {
    missing: msg("ss is not installed. Install the package iproute2 (Debian) or iproute (Fedora)."),
    failed: msg("Whom this host is connected with cannot be read."),
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
        const kept = old !== undefined && (old === item || text(old) === text(item)) ? old : item;
        same &&= kept === before[index];
        return kept;
    });
    return same ? before : items;
}

/** A part as it was told before, or as it is now where that differs, with what is the same shared. Without `now` it was not asked. */
function told<T>(before: Reading<T>, now: Answer<T> | undefined, sentences: Sentences, share: (before: T, now: T) => T): Reading<T> {
    if (!now)
        return before;
    if ("error" in now) {
        const reading = failed(now.error, sentences);
        return JSON.stringify(before) === JSON.stringify(reading) ? before : reading;
    }
    if (before.state !== "read")
        return read(now.value);
    const value = share(before.value, now.value);
    return value === before.value ? before : read(value);
}

type Told = Pick<Snapshot, keyof Network>;

export class NetworkWatch {
    #ip: Conversation | undefined;
    #told: Told = NOTHING_READ;
    #everything = true;
    #wholeUntil = 0;
    #changed = new Set<string>();
    #traffic = false;
    #holders = false;
    #timer: ReturnType<typeof setInterval> | undefined;
    #secondLook: ReturnType<typeof setTimeout> | undefined;
    #work = new Coalesce(() => this.#refresh());
    #counting = new Coalesce(() => this.#readCounters());
    #holding = new Coalesce(() => this.#readHolders());
    #monitor: Supervise;

    /** @param opening what else is read while the page opens: the second look at the network waits for it */
    constructor(readonly machine: Machine, readonly update: Update, opening: Promise<void>) {
        this.#monitor = new Supervise(machine, MONITOR, {
            line: line => {
                const device = deviceIn(line);
                if (device === undefined || isGone(line))
                    this.#everything = true;
                else
                    this.#changed.add(device);
                void this.#work.request();
            },
            opened: () => {
                this.update({ streams: { network: { state: "live" } } });
                return Promise.all([this.readAll(), opening]).then(() => undefined);
            },
            settled: () => void this.readAll(),
            ended: (error, again) => {
                this.update({ streams: { network: { state: "interrupted", words: wordsOf(error), again } } });
                void this.readAll();
            },
        });
    }

    /** Traffic while it is on the screen; who holds the devices, read again when one is attached or let go. */
    show(traffic: boolean, holders: boolean) {
        this.#traffic = traffic;
        clearInterval(this.#timer);
        if (traffic)
            this.#timer = setInterval(() => void this.#counting.request(), TRAFFIC_INTERVAL);
        if (traffic)
            void this.#counting.request();
        if (holders && !this.#holders)
            void this.#holding.request();
        this.#holders = holders;
    }

    readAll(): Promise<void> {
        this.#everything = true;
        return this.#work.request();
    }

    /** What the host itself needs to reach; the network as well, so that both are of the same moment. */
    async readNeeds(): Promise<void> {
        await this.readAll();
        try {
            this.update({ needs: read(await readNeeds(this.machine, {
                ask: commands => this.#answers(commands),
                wireguard: this.#links().filter(({ kind }) => kind === "wireguard").map(({ name }) => name),
                own: this.#ownAddresses(),
                bridged: this.#links().some(link => isTap(link) && link.master !== undefined),
            })) });
        } catch (error) {
            if (!(error instanceof CommandError && error.problem === "cancelled"))
                this.update({ needs: failed(error, NEEDS) });
        }
    }

    /** Those that the host has only towards guests are left out: a guest that sends there would hold its device. */
    #ownAddresses(): string[] {
        const taps = new Set(this.#links().filter(isTap).map(({ name }) => name));
        return [...valueOf(this.#told.addresses) ?? []].flatMap(([device, list]) =>
            taps.has(device) ? [] : list.map(({ address }) => address));
    }

    /** Has the kernel ask whether these neighbours are there, and waits until it knows. */
    async askFor(neighbours: readonly Neighbour[]): Promise<void> {
        // The running ip tells nothing of what it did.
        await this.machine.run(["ip", "-force", "-batch", "-"], {
            input: neighbours.map(askingFor).join(""), accept: [1], superuser: "require",
        });
        const end = performance.now() + LONGEST_ASKED;
        for (let asking = true; asking && performance.now() < end;) {
            await new Promise(resolve => { setTimeout(resolve, 100); });
            const [answer = ""] = await this.#answers(["neigh show"]);
            asking = isAsking(answer, neighbours);
        }
    }

    async #answers(commands: readonly string[]): Promise<string[]> {
        const answers: string[] = [];
        await this.#open().ask(commands, (text, index) => { answers[index] = text; });
        return answers;
    }

    restart() {
        this.#ip?.close();
        this.#ip = undefined;
        this.#monitor.restart();
        if (this.#holders)
            void this.#holding.request();
    }

    retry() {
        this.#ip?.close();
        this.#ip = undefined;
        this.#monitor.retry();
        void this.readAll();
    }

    close() {
        clearInterval(this.#timer);
        clearTimeout(this.#secondLook);
        this.#work.close();
        this.#counting.close();
        this.#holding.close();
        this.#monitor.close();
        this.#ip?.close();
    }

    async #refresh() {
        const changed = [...this.#changed];
        const { links, addresses, routes } = this.#told;
        const known = [links, addresses, routes].every(({ state }) => state === "read");
        const everything = this.#everything || !known || changed.length > MANY || performance.now() < this.#wholeUntil;
        this.#everything = false;
        this.#changed = new Set();
        try {
            this.#take(await (everything ? this.#readEverything() : this.#readChanged(changed)).catch(error => this.#readAgain(error)));
        } catch (error) {
            if (error instanceof CommandError && error.problem === "cancelled")
                return;
            this.#take({ links: { error }, addresses: { error }, routes: { error }, rules: { error } });
        }
    }

    #open(): Conversation {
        this.#ip ??= openIp(this.machine, () => { this.#ip = undefined; });
        return this.#ip;
    }

    #links(): readonly Link[] {
        return valueOf(this.#told.links) ?? [];
    }

    async #readEverything(): Promise<Partial<Network>> {
        const now = await readNetwork(this.#open());
        if (!("value" in now.links) || !wereRenamed(this.#links(), now.links.value))
            return now;
        // ip remembers the names of links, and would go on calling routes by the old one.
        this.#ip?.close();
        this.#ip = undefined;
        return readNetwork(this.#open());
    }

    /** `ip` ends in the middle of a batch when a device goes while it is asked for (iproute2, ipaddress.c: exit(1) after iplink_get). */
    async #readAgain(error: unknown): Promise<Partial<Network>> {
        if (error instanceof CommandError && (error.problem === "cancelled" || error.problem === "not-found"))
            throw error;
        this.#wholeUntil = performance.now() + WHOLE;
        return this.#readEverything();
    }

    async #readChanged(names: readonly string[]): Promise<Partial<Network>> {
        const { links: found, addresses, routes } = await readDevices(this.#open(), names);
        const before = this.#links();
        // `ip monitor` remembers names, too: one that is neither there nor was may be an old name of another device.
        const unknown = names.some(name => !found.has(name) && !before.some(link => link.name === name));
        if (unknown || wereRenamed(before, [...found.values()]))
            return this.#readEverything();
        const links = [...before.filter(link => !names.includes(link.name)), ...found.values()].sort(byIndex);
        return { links: { value: links }, addresses: { value: addresses }, routes: { value: routes } };
    }

    /** Counters change with every reading: unless they are shown, they alone make no new link. */
    #take(now: Partial<Network>) {
        const text = (link: Link) => JSON.stringify(this.#traffic ? link : { ...link, traffic: undefined });
        const sharedLinks = (one: readonly Link[], other: readonly Link[]) => shared(one, other, link => link.index, text);
        const before = this.#told, old = this.#links();
        this.#told = {
            links: told(before.links, now.links, SENTENCES.links, sharedLinks),
            addresses: told(before.addresses, now.addresses, SENTENCES.addresses, sharedAddresses),
            routes: told(before.routes, now.routes, SENTENCES.routes, sharedRoutes),
            rules: told(before.rules, now.rules, SENTENCES.rules, sharedRules),
        };
        const { links, addresses, routes, rules } = this.#told;
        const known = new Set(old.map(link => link.index));
        if (before.links.state === "read")
            this.#lookAgainAt(this.#links().filter(link => link.tun?.persistent === false && !known.has(link.index)));
        const part = {
            ...links !== before.links && { links }, ...addresses !== before.addresses && { addresses },
            ...routes !== before.routes && { routes }, ...rules !== before.rules && { rules },
        };
        if (Object.keys(part).length > 0)
            this.update(part);
        if (this.#holders && attached(old) !== attached(this.#links()))
            void this.#holding.request();
    }

    #lookAgainAt(fresh: readonly Link[]) {
        if (fresh.length === 0)
            return;
        clearTimeout(this.#secondLook);
        this.#secondLook = setTimeout(() => void this.readAll(), SECOND_LOOK);
    }

    async #readCounters() {
        const content = await this.machine.read(COUNTERS).catch(() => null);
        if (content === null)
            return this.readAll();
        const counters = countersIn(content);
        const before = this.#links();
        const counted = before.map((link): Link => {
            const traffic = counters.get(link.name);
            return traffic ? { ...link, traffic } : link;
        });
        const links = shared(before, counted, link => link.index, link => JSON.stringify(link.traffic));
        if (this.#told.links.state !== "read" || links === before)
            return;
        this.#told = { ...this.#told, links: read(links) };
        this.update({ links: this.#told.links });
    }

    async #readHolders() {
        try {
            this.update({ holders: read(await readHolders(this.machine)) });
        } catch (error) {
            this.update({ holders: failed(error, HOLDERS) });
        }
    }
}

function byIndex(one: Link, other: Link): number {
    return one.index - other.index;
}

function wereRenamed(before: readonly Link[], now: readonly Link[]): boolean {
    const names = new Map(before.map(link => [link.index, link.name]));
    return now.some(link => (names.get(link.index) ?? link.name) !== link.name);
}

/** The TAP devices that somebody has open, as one comparable text. */
function attached(links: readonly Link[]): string {
    return links.filter(link => isTap(link) && link.carrier).map(link => link.index).join();
}

/** The same list where every route is as it was; their order says nothing. */
function sharedRoutes(before: readonly Route[], now: readonly Route[]): readonly Route[] {
    const known = new Set(before), rest = now.filter(route => !known.has(route));
    if (before.length !== now.length)
        return now;
    const still = new Set(now), gone = new Set(before.filter(route => !still.has(route)).map(route => JSON.stringify(route)));
    return rest.every(route => gone.has(JSON.stringify(route))) ? before : now;
}

function sharedRules(before: readonly RoutingRule[], now: readonly RoutingRule[]): readonly RoutingRule[] {
    return JSON.stringify(before) === JSON.stringify(now) ? before : now;
}

type Addresses = ReadonlyMap<string, readonly LinkAddress[]>;

function sharedAddresses(before: Addresses, now: Addresses): Addresses {
    let same = before.size === now.size;
    const addresses = new Map([...now].map(([name, list]) => {
        const old = before.get(name);
        const kept = old && (old === list || JSON.stringify(old) === JSON.stringify(list)) ? old : list;
        same &&= kept === old;
        return [name, kept];
    }));
    return same ? before : addresses;
}

/** Whether the holders in a snapshot are to be believed: they are read only while they are on the screen. */
export function holdersOf(snapshot: Snapshot, device: string) {
    return valueOf(snapshot.holders)?.get(device) ?? [];
}
