// SPDX-License-Identifier: LGPL-2.1-or-later
// 1:1 NAT: what a mapping is, and how mappings are the elements of the sets of table `inet kvm_tap`. The table is the
// whole state, so this translation is lossless in both directions.
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { Family, Prefix } from "./nat-address.ts";
import { comparePrefixes, formatPrefix, isSingle, parsePrefix } from "./nat-address.ts";
import { MOST_WAYS, WAY_MARK } from "./nat-frame.ts";

export const PORT_PROTOCOLS = ["tcp", "udp", "sctp"] as const;
export const WHOLE_PROTOCOLS = ["icmp", "ipv6-icmp", "tcp", "udp", "sctp", "gre", "esp", "ah"] as const;
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];
export type WholeProtocol = (typeof WHOLE_PROTOCOLS)[number];

export interface Ports {
    protocol: PortProtocol;
    from: number;
    to: number;
}

/** What may come in through a mapping. Nothing but this; answers to the guest's own connections always may. */
export interface Limits {
    protocols: readonly WholeProtocol[];
    ports: readonly Ports[];
    /** What somebody else put into the sets and this page has no word for, in nft's: "ospf", "dccp . 33". Absent: nothing. */
    others?: readonly string[];
}

/** One public address (or prefix) and the guest address (or prefix of the same length) behind it. */
export interface Mapping {
    public: Prefix;
    guest: Prefix;
    description: string;
    enabled: boolean;
    /** The host answers for the public address (local route). Not where it is the host's own address anyway. */
    claimed: boolean;
    /** New incoming connections are logged, at most ten a second. Single addresses only. */
    log: boolean;
    /** Absent: everything may come in. Single addresses only. */
    limits?: Limits;
    /** Number of the uplink that what the guest begins leaves by. Absent: as the default route says. */
    way?: number;
}

/** How packets find back to one of several uplinks. */
export interface Way {
    uplink: string;
    /** 1 to 255; its mark, rule and routing table follow from it (nat-frame.ts). */
    number: number;
    /** Absent: the gateway of the default route over the uplink. */
    gateway4?: string;
    gateway6?: string;
}

/** A device that guests of mappings hang on. */
export interface NatDevice {
    name: string;
    /** Only packets from addresses that are routed to the device may come out of it. */
    guarded: boolean;
    /** Guests without a mapping reach the outside through the host's own address. */
    shared: boolean;
    /** Only packets from these MAC addresses may come out of it. Absent: from any. Lower case. */
    macs?: readonly string[];
}

export interface NatState {
    /** Links to the outside, by name: they may appear later. */
    uplinks: readonly string[];
    /** One for each uplink where there are several. Absent: all answers leave by the default route. */
    ways?: readonly Way[];
    mappings: readonly Mapping[];
    devices: readonly NatDevice[];
}

export const EMPTY_STATE: NatState = { uplinks: [], mappings: [], devices: [] };

/** An element of a set; `value` where the set is a map. */
export interface NatElement {
    value?: string;
    comment?: string;
}

/** Elements by set and key, all canonical. Sets without elements are absent. */
export type NatElements = ReadonlyMap<string, ReadonlyMap<string, NatElement>>;

/** Longest comment of an element: NFTNL_UDATA_COMMENT_MAXLEN, in bytes of UTF-8. */
export const DESCRIPTION_BYTES = 128;

/** nft prints comments between double quotes and knows no escape: a quote or newline in one makes the listing unloadable. */
export function descriptionProblem(description: string): Message | undefined {
    if (description.includes("\""))
        return msg("A description cannot contain double quotes: nftables could not read it back.");
    if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(description))
        return msg("A description is one line of text without control characters.");
    if (/\p{Surrogate}/u.test(description))
        return msg("The description contains half a character; remove it.");
    const bytes = new TextEncoder().encode(description).length;
    if (bytes > DESCRIPTION_BYTES)
        return msg("The description is $0 bytes long, nftables keeps $1. Letters beyond ASCII take 2 to 4 bytes each.",
            String(bytes), String(DESCRIPTION_BYTES));
    return undefined;
}

/** The key of a mapping: its public address or prefix. */
export function mappingKey(mapping: Mapping): string {
    return formatPrefix(mapping.public);
}

/** Order of the file and of the first look at the page. */
export function compareMappings(a: Mapping, b: Mapping): number {
    return comparePrefixes(a.public, b.public);
}

/** Ports sorted and merged where they touch: nft refuses overlapping ranges. */
export function normalPorts(ports: readonly Ports[]): Ports[] {
    const sorted = [...ports].sort((a, b) =>
        PORT_PROTOCOLS.indexOf(a.protocol) - PORT_PROTOCOLS.indexOf(b.protocol) || a.from - b.from);
    const merged: Ports[] = [];
    for (const next of sorted) {
        const last = merged.at(-1);
        if (last && last.protocol === next.protocol && next.from <= last.to + 1)
            merged[merged.length - 1] = { ...last, to: Math.max(last.to, next.to) };
        else
            merged.push(next);
    }
    return merged;
}

function normalLimits({ protocols, ports, others = [] }: Limits): Limits {
    return {
        protocols: WHOLE_PROTOCOLS.filter(protocol => protocols.includes(protocol)),
        ports: normalPorts(ports),
        ...(others.length > 0 ? { others: [...new Set(others)].sort() } : {}),
    };
}

function compareWays(a: Way, b: Way): number {
    return a.number - b.number || (a.uplink < b.uplink ? -1 : 1);
}

/** The same state in its one canonical order, so that equal states are deeply equal. */
export function normalState(state: NatState): NatState {
    return {
        uplinks: [...new Set(state.uplinks)].sort(),
        mappings: state.mappings
                .map(mapping => mapping.limits ? { ...mapping, limits: normalLimits(mapping.limits) } : mapping)
                .sort(compareMappings),
        devices: state.devices
                .map(({ macs = [], ...device }) => macs.length > 0 ? { ...device, macs: [...new Set(macs)].sort() } : device)
                .sort((a, b) => a.name < b.name ? -1 : 1),
        ...(state.ways && state.ways.length > 0 ? { ways: [...state.ways].sort(compareWays) } : {}),
    };
}

/** The names of a mapping's sets: maps and sets of single addresses are hashes, those of prefixes are interval trees. */
export function setsOf(prefix: Prefix): Record<"public" | "guest" | "disabled" | "owned" | "ways", string> {
    const suffix = (isSingle(prefix) ? "" : "net") + String(prefix.family);
    return {
        public: `public${suffix}`, guest: `guest${suffix}`, disabled: `disabled${suffix}`, owned: `owned${suffix}`, ways: `ways${suffix}`,
    };
}

/** The mark of an uplink's connections, as nft prints it. */
export function wayMark(number: number): string {
    return `0x${(WAY_MARK + number).toString(16)}`;
}

/** The reverse of `wayMark`; undefined for other marks. */
export function wayNumber(mark: string): number | undefined {
    const number = Number(mark) - WAY_MARK;
    return number >= 1 && number <= MOST_WAYS ? number : undefined;
}

/** One element with the set it belongs to. */
export interface Placed extends NatElement {
    set: string;
    key: string;
}

function portText(ports: Ports): string {
    return ports.from === ports.to ? String(ports.from) : `${ports.from}-${ports.to}`;
}

function limitElements(mapping: Mapping, address: string): Placed[] {
    if (!mapping.limits)
        return [];
    const family = mapping.public.family;
    const limits = normalLimits(mapping.limits);
    return [
        { set: `limited${family}`, key: address },
        { set: `inside${family}`, key: formatPrefix(mapping.guest) },
        ...limits.protocols.map(protocol => ({ set: `protocols${family}`, key: `${address} . ${protocol}` })),
        ...limits.ports.map(ports => ({ set: `ports${family}`, key: `${address} . ${ports.protocol} . ${portText(ports)}` })),
        ...(limits.others ?? []).map(other => ({ set: `${other.includes(" . ") ? "ports" : "protocols"}${family}`, key: `${address} . ${other}` })),
    ];
}

/** All elements of one mapping, in the order they stand on its line of the file. */
export function mappingElements(mapping: Mapping): Placed[] {
    const sets = setsOf(mapping.public);
    const outside = formatPrefix(mapping.public);
    const inside = formatPrefix(mapping.guest);
    const comment = mapping.description === "" ? {} : { comment: mapping.description };
    return [
        { set: mapping.enabled ? sets.public : sets.disabled, key: outside, value: inside, ...comment },
        ...(mapping.enabled ? [{ set: sets.guest, key: inside, value: outside }] : []),
        ...(mapping.claimed ? [{ set: sets.owned, key: outside }] : []),
        ...(mapping.log ? [{ set: `logged${mapping.public.family}`, key: outside }] : []),
        ...limitElements(mapping, outside),
        ...(mapping.way === undefined ? [] : [{ set: sets.ways, key: inside, value: wayMark(mapping.way) }]),
    ];
}

export function wayElements({ uplink, number, gateway4, gateway6 }: Way): Placed[] {
    return [
        { set: "ways", key: uplink, value: wayMark(number) },
        { set: "outward", key: uplink },
        ...(gateway4 === undefined ? [] : [{ set: "gateways4", key: uplink, value: gateway4 }]),
        ...(gateway6 === undefined ? [] : [{ set: "gateways6", key: uplink, value: gateway6 }]),
    ];
}

export function deviceElements(device: NatDevice): Placed[] {
    return [
        { set: "taps", key: device.name },
        ...(device.guarded ? [{ set: "guarded", key: device.name }] : []),
        ...(device.macs && device.macs.length > 0 ? [
            { set: "bound", key: device.name }, ...device.macs.map(mac => ({ set: "macs", key: `${device.name} . ${mac}` })),
        ] : []),
        ...(device.shared ? [{ set: "shared", key: device.name }] : []),
    ];
}

/** Collects placed elements by set. Of two with the same key the last one stays; planners refuse such states. */
export function collect(placed: Iterable<Placed>): NatElements {
    const elements = new Map<string, Map<string, NatElement>>();
    for (const { set, key, ...element } of placed) {
        const keys = elements.get(set) ?? new Map<string, NatElement>();
        elements.set(set, keys.set(key, element));
    }
    return elements;
}

/** The state as the elements of the table's sets. */
export function natElements(state: NatState): NatElements {
    return collect([
        ...state.uplinks.map(key => ({ set: "uplinks", key })),
        ...(state.ways ?? []).flatMap(wayElements),
        ...state.devices.flatMap(deviceElements),
        ...state.mappings.flatMap(mappingElements),
    ]);
}

/** What was read, and what in it no mapping accounts for. */
export interface ReadState {
    state: NatState;
    oddities: readonly Message[];
}

const NO_KEYS: ReadonlyMap<string, NatElement> = new Map();

function keysOf(elements: NatElements, set: string): ReadonlyMap<string, NatElement> {
    return elements.get(set) ?? NO_KEYS;
}

/** The end of a key of `ports4` or `ports6`; undefined where it says something that this page has no word for. */
function readPorts(text: string): Ports | undefined {
    const [, name, first = "", last = first] = /^(\S+) \. (\d+)(?:-(\d+))?$/.exec(text) ?? [];
    const protocol = PORT_PROTOCOLS.find(known => known === name);
    const [from, to] = [Number(first), Number(last)];
    return protocol && from >= 1 && from <= to && to <= 65535 ? { protocol, from, to } : undefined;
}

/** Limits by address, read once for all mappings. */
function readLimits(elements: NatElements, family: Family): Map<string, Limits> {
    const found = new Map([...keysOf(elements, `limited${family}`).keys()].map(address =>
        [address, { protocols: [] as WholeProtocol[], ports: [] as Ports[], others: [] as string[] }]));
    for (const key of [...keysOf(elements, `protocols${family}`).keys(), ...keysOf(elements, `ports${family}`).keys()]) {
        const [, address = "", rest = ""] = /^(\S+) \. (.*)$/.exec(key) ?? [];
        const limits = found.get(address);
        const protocol = WHOLE_PROTOCOLS.find(known => known === rest), ports = readPorts(rest);
        if (protocol)
            limits?.protocols.push(protocol);
        else if (ports)
            limits?.ports.push(ports);
        else
            limits?.others.push(rest);
    }
    return found;
}

function readMappings(elements: NatElements, family: Family, suffix: "" | "net", oddities: Message[]): Mapping[] {
    const limits = readLimits(elements, family);
    const guests = keysOf(elements, `guest${suffix}${family}`);
    const owned = keysOf(elements, `owned${suffix}${family}`);
    const logged = keysOf(elements, `logged${family}`);
    const ways = keysOf(elements, `ways${suffix}${family}`);
    const seen = new Set<string>();
    const read = (enabled: boolean) => [...keysOf(elements, `${enabled ? "public" : "disabled"}${suffix}${family}`)].flatMap(([key, element]) => {
        const [outside, inside] = [parsePrefix(key), parsePrefix(element.value ?? "")];
        if (!outside || !inside)
            return [];
        if (seen.has(key)) {
            oddities.push(msg("$0 is mapped twice, once disabled.", key));
            return [];
        }
        seen.add(key);
        if (enabled && guests.get(element.value ?? "")?.value !== key)
            oddities.push(msg("$0 is mapped one way only: what $1 sends leaves with another address.", key, element.value ?? ""));
        const limit = limits.get(key);
        const way = wayNumber(ways.get(element.value ?? "")?.value ?? "");
        return [{
            public: outside, guest: inside, description: element.comment ?? "", enabled, claimed: owned.has(key), log: logged.has(key),
            ...(limit ? { limits: normalLimits(limit) } : {}),
            ...(way === undefined ? {} : { way }),
        }];
    });
    return [...read(true), ...read(false)];
}

function readDevices(elements: NatElements): NatDevice[] {
    const pairs = [...keysOf(elements, "macs").keys()].map(key => key.split(" . "));
    return [...keysOf(elements, "taps").keys()].map(name => ({
        name,
        guarded: keysOf(elements, "guarded").has(name),
        shared: keysOf(elements, "shared").has(name),
        ...(keysOf(elements, "bound").has(name) ? { macs: pairs.flatMap(([device, mac]) => device === name && mac ? [mac] : []) } : {}),
    }));
}

function readWays(elements: NatElements): Way[] {
    return [...keysOf(elements, "ways")].flatMap(([uplink, { value = "" }]) => {
        const number = wayNumber(value);
        const [gateway4, gateway6] = [keysOf(elements, "gateways4").get(uplink)?.value, keysOf(elements, "gateways6").get(uplink)?.value];
        return number === undefined ? []
            : [{ uplink, number, ...(gateway4 === undefined ? {} : { gateway4 }), ...(gateway6 === undefined ? {} : { gateway6 }) }];
    });
}

/** Every element that the mappings, uplinks and devices do not account for, in words. */
function unaccounted(elements: NatElements, state: NatState): Message[] {
    const accounted = natElements(state);
    return [...elements].flatMap(([set, keys]) => [...keys.keys()]
            .filter(key => !accounted.get(set)?.has(key))
            .map(key => msg("$0 in $1 belongs to no mapping.", key, set)));
}

/** The reverse of `natElements`, with every oddity that hand edits can cause said. */
export function readState(elements: NatElements): ReadState {
    const oddities: Message[] = [];
    const mappings = ([4, 6] as const).flatMap(family =>
        (["", "net"] as const).flatMap(suffix => readMappings(elements, family, suffix, oddities)));
    const state = normalState({
        uplinks: [...keysOf(elements, "uplinks").keys()],
        ways: readWays(elements),
        mappings,
        devices: readDevices(elements),
    });
    return { state, oddities: [...oddities, ...unaccounted(elements, state)] };
}
