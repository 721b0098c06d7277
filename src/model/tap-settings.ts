// SPDX-License-Identifier: LGPL-2.1-or-later
// A TAP device as it is wished, as its file says, or as the kernel has it: one shape, so that they can be compared.
import { formatPrefix, parsePrefix } from "./nat-address.ts";
import type { LinkAddress, Route, TapDevice } from "./tap.ts";

export interface TapRoute {
    /** `default`, or an address with its length: `10.0.0.2/32`. */
    destination: string;
    via?: string;
    source?: string;
    metric?: number;
    /** Absent: main. */
    table?: string;
}

export interface TapSettings {
    name: string;
    description?: string;
    multiQueue: boolean;
    /** A name, or a number where there is none. */
    owner?: string;
    group?: string;
    mac?: string;
    mtu?: number;
    /** `none`: no link-local address that nobody asked for. Absent: the kernel's default, eui64. */
    addrGenMode?: string;
    /** Absent: nothing is said about it. */
    up?: boolean;
    /** With their lengths: `169.254.0.1/32`. */
    addresses: readonly string[];
    routes: readonly TapRoute[];
    /** Of a running device: what lines of its file set that the page does not understand (tap-foreign.ts). Nobody's drift. */
    foreign?: ReadonlySet<string>;
}

/** What tells an address of a device from its others, and a route: the kernel has one for each. */
export function addressKey(address: string): string {
    return `address ${address}`;
}

export function routeKey({ destination, metric, table }: TapRoute): string {
    const usual = metric === undefined || metric === 0 || (metric === IPV6_METRIC && !destination.includes("."));
    const main = table === undefined || table === "main";
    return ["route", destination, ...usual ? [] : ["metric", metric], ...main ? [] : ["table", table]].join(" ");
}

/** What the kernel gives an IPv6 route for which nobody named a metric (IP6_RT_PRIO_USER). */
const IPV6_METRIC = 1024;

/** What the kernel gives a TAP device for which nobody asked for anything else (tun.c, addrconf.c). */
export const DEFAULTS = { mtu: 1500, addrGenMode: "eui64" } as const;

/** An address or network with its length, in one spelling; `default` for the whole. Anything unreadable stays as it is. */
export function withLength(text: string): string {
    if (text === "default" || /^(0\.0\.0\.0|::)\/0$/.test(text))
        return "default";
    const prefix = parsePrefix(text);
    return prefix ? `${prefix.address}/${prefix.length}` : text;
}

/** The reverse, for people: `10.0.0.2` instead of `10.0.0.2/32`. */
export function shortly(text: string): string {
    const prefix = parsePrefix(text);
    return prefix ? formatPrefix(prefix) : text;
}

/** Whether the kernel made this route itself, from an address or because the link is up. */
function isKernels(route: Route): boolean {
    return route.protocol === "kernel" || route.protocol === "ra" || route.table === "local" || route.type !== "unicast";
}

function routeOf(route: Route): TapRoute {
    return {
        destination: withLength(route.destination),
        ...route.gateway !== undefined && { via: route.gateway },
        ...route.source !== undefined && { source: route.source },
        ...route.metric !== undefined && !(route.family === "inet6" && route.metric === IPV6_METRIC) && { metric: route.metric },
        ...route.table !== undefined && route.table !== "main" && { table: route.table },
    };
}

/** A device exactly as it runs, without what the kernel adds by itself (its link-local address, routes of its addresses). */
export function settingsOf(link: TapDevice, addresses: readonly LinkAddress[], routes: readonly Route[]): TapSettings {
    const own = addresses.filter(({ family, scope }) => !(family === "inet6" && scope === "link" && link.addrGenMode !== "none"));
    return {
        name: link.name,
        multiQueue: link.tun.multiQueue,
        ...link.tun.owner !== undefined && { owner: link.tun.owner },
        ...link.tun.group !== undefined && { group: link.tun.group },
        ...link.mac !== undefined && { mac: link.mac },
        mtu: link.mtu,
        ...link.addrGenMode !== undefined && { addrGenMode: link.addrGenMode },
        up: link.up,
        addresses: own.map(({ address, prefix }) => withLength(`${address}/${prefix}`)),
        routes: routes.filter(route => route.device === link.name && !isKernels(route)).map(routeOf),
    };
}

/** Settings without what the kernel would do anyway, unless `said` (a file) says it too. */
export function withoutDefaults(settings: TapSettings, said?: TapSettings): TapSettings {
    const { mtu, addrGenMode, ...rest } = settings;
    return {
        ...rest,
        ...mtu !== undefined && (mtu !== DEFAULTS.mtu || said?.mtu !== undefined) && { mtu },
        ...addrGenMode !== undefined && (addrGenMode !== DEFAULTS.addrGenMode || said?.addrGenMode !== undefined) && { addrGenMode },
    };
}

/** The running device's addresses and routes, but for what others' lines of its file set: of that as much as `ours` says itself. */
function withOurLists(kernel: TapSettings, ours: TapSettings): TapSettings {
    const foreign = kernel.foreign ?? new Set<string>();
    const split = <T>(key: (item: T) => string, now: readonly T[], said: readonly T[]) =>
        [...now.filter(item => !foreign.has(key(item))), ...said.filter(item => foreign.has(key(item)))];
    return {
        ...kernel, addresses: split(addressKey, kernel.addresses, ours.addresses), routes: split(routeKey, kernel.routes, ours.routes),
    };
}

/** The same of all settings. */
function asOurs(kernel: TapSettings, file: TapSettings): TapSettings {
    const { name, addresses, routes } = withOurLists(kernel, file);
    const by = (key: string) => kernel.foreign?.has(key) ? file : kernel;
    const { multiQueue, owner, group } = by("create"), { addrGenMode } = by("addrgenmode");
    const { mac } = by("mac"), { mtu } = by("mtu"), { up } = by("state");
    return {
        name, multiQueue, addresses, routes, ...owner !== undefined && { owner }, ...group !== undefined && { group },
        ...mac !== undefined && { mac }, ...mtu !== undefined && { mtu }, ...up !== undefined && { up },
        ...addrGenMode !== undefined && { addrGenMode },
    };
}

/** What a file should say so that it describes the device as it runs; a random MAC address that nobody wrote down stays random. */
export function takenOver(file: TapSettings, kernel: TapSettings): TapSettings {
    const { mac, ...rest } = withoutDefaults(asOurs(kernel, file), file);
    return {
        ...rest,
        ...file.description !== undefined && { description: file.description },
        ...mac !== undefined && file.mac !== undefined && { mac },
    };
}

/** One thing in which a device differs from its file. */
export interface Drift {
    what: "multi-queue" | "owner" | "group" | "mac" | "mtu" | "addrgenmode" | "state" | "address" | "route";
    /** As it runs; absent: not there. */
    kernel?: string;
    /** As the file says; absent: it does not say so. */
    file?: string;
}

/** A device set down as its file says has no routes and no IPv6 addresses (the kernel's fib_disable_ip, addrconf_ifdown). */
function whileDown(file: TapSettings, kernel: TapSettings): TapSettings {
    if (kernel.up || file.up !== false)
        return file;
    const routes = file.routes.filter(route => kernel.routes.some(there => routeWords(there) === routeWords(route)));
    return { ...file, routes, addresses: file.addresses.filter(address => !address.includes(":") || kernel.addresses.includes(address)) };
}

/** In what the running device differs from what its file says (with the kernel's defaults where it says nothing). */
export function driftOf(said: TapSettings, running: TapSettings): Drift[] {
    const file = whileDown(said, running), kernel = asOurs(running, file);
    const yes = (value: boolean) => value ? "yes" : "no";
    const single: [Drift["what"], string | undefined, string | undefined][] = [
        ["multi-queue", yes(kernel.multiQueue), yes(file.multiQueue)],
        ["owner", sameAccount(kernel.owner, file.owner) ? file.owner : kernel.owner, file.owner],
        ["group", sameAccount(kernel.group, file.group) ? file.group : kernel.group, file.group],
        ["mac", file.mac && kernel.mac, file.mac],
        ["mtu", String(kernel.mtu ?? DEFAULTS.mtu), String(file.mtu ?? DEFAULTS.mtu)],
        ["addrgenmode", file.addrGenMode && kernel.addrGenMode, file.addrGenMode],
        ["state", file.up === undefined ? undefined : kernel.up ? "up" : "down", file.up === undefined ? undefined : file.up ? "up" : "down"],
    ];
    const differing = single.filter(([, now, said]) => now !== said).map(([what, now, said]) => drift(what, now, said));
    return [
        ...differing,
        ...listDrift("address", kernel.addresses, file.addresses),
        ...listDrift("route", kernel.routes.map(routeWords), file.routes.map(routeWords)),
    ];
}

/** A number on one side and a name on the other may well be the same account: no drift is claimed. */
function sameAccount(one: string | undefined, other: string | undefined): boolean {
    return one === other || (one !== undefined && other !== undefined && /^\d+$/.test(one) !== /^\d+$/.test(other));
}

function drift(what: Drift["what"], kernel: string | undefined, file: string | undefined): Drift {
    return { what, ...kernel !== undefined && { kernel }, ...file !== undefined && { file } };
}

function listDrift(what: Drift["what"], kernel: readonly string[], file: readonly string[]): Drift[] {
    return [
        ...kernel.filter(item => !file.includes(item)).map(item => drift(what, item, undefined)),
        ...file.filter(item => !kernel.includes(item)).map(item => drift(what, undefined, item)),
    ];
}

/** A route in ip's words, without its device. */
export function routeWords({ destination, via, source, metric, table }: TapRoute): string {
    return [
        destination, ...via === undefined ? [] : ["via", via], ...source === undefined ? [] : ["src", source],
        ...metric === undefined ? [] : ["metric", String(metric)], ...table === undefined ? [] : ["table", table],
    ].join(" ");
}

/** What `ip -batch -` has to be told to make a device that is as `before` into one as `after`; not what needs a new device. */
export function changeCommands(running: TapSettings, after: TapSettings): string[] {
    const before = withOurLists(running, after);
    const dev = `dev ${after.name}`;
    const routes = { before: before.routes.map(routeWords), after: after.routes.map(routeWords) };
    const set = (words: string) => `link set ${dev} ${words}`;
    const differs = (key: "mac" | "mtu" | "addrGenMode" | "up") => after[key] !== undefined && after[key] !== before[key];
    return [
        ...routes.before.filter(words => !routes.after.includes(words)).map(words => `route delete ${words} ${dev}`),
        ...before.addresses.filter(item => !after.addresses.includes(item)).map(item => `address delete ${item} ${dev}`),
        ...differs("mac") ? [set(`address ${after.mac}`)] : [],
        ...differs("mtu") ? [set(`mtu ${after.mtu}`)] : [],
        ...differs("addrGenMode") ? [set(`addrgenmode ${after.addrGenMode}`)] : [],
        ...differs("up") ? [set(after.up ? "up" : "down")] : [],
        ...after.addresses.filter(item => !before.addresses.includes(item)).map(item => `address replace ${item} ${dev}`),
        ...routes.after.filter(words => !routes.before.includes(words)).map(words => `route replace ${words} ${dev}`),
    ];
}

/** What only a new device can have (tun.c: TUNSETIFF compares the flags; ip sets owners only when it makes the device). */
export function needsNewDevice(before: TapSettings, after: TapSettings): boolean {
    const { multiQueue, owner, group, foreign } = before;
    return !foreign?.has("create") && (multiQueue !== after.multiQueue || owner !== after.owner || group !== after.group);
}
