// SPDX-License-Identifier: LGPL-2.1-or-later
// Which address a guest has inside, and who says so: the host's routes over its device, else the neighbour table, libvirt's DHCP
// leases and the guest agent, by MAC address. Of each family the first of them that knows one is believed. All but the routes is said
// by guests, so each word counts only where it was heard: an agent speaks for its own guest, ARP for the link it came by, DHCP for its
// network.
import type { Guest, Interface } from "./guest.ts";
import { pairInterfaces } from "./guest.ts";
import type { Family } from "./nat-address.ts";
import { contains, formatPrefix, isSingle, parseAddress, parsePrefix, overlaps, type Prefix } from "./nat-address.ts";
import { destination, hostAddresses } from "./nat-host.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";
import { isSet, type Link } from "./tap.ts";

/** Who knows addresses by MAC address, the most reliable first. */
export const FINDERS = ["neighbour", "lease", "agent"] as const;
export type Finder = (typeof FINDERS)[number];

/** An address of a MAC address (lower case), with who said so and where. */
export type FoundAddress = { mac: string; address: string } & (
    /** The link of the host on which it was heard. */
    | { by: "neighbour"; link: string }
    /** libvirt's network, and its bridge. */
    | { by: "lease"; network: string; link: string }
    /** UUID of the guest that was asked. */
    | { by: "agent"; guest: string });

/** An address that may be mapped, or an interface of which none is known. */
export interface GuestChoice {
    guest: Guest;
    /** The device on the host; of a guest that is off and whose device libvirt makes, what it will hang on. */
    device: string;
    /** Of the interface; empty where its definition has none. */
    mac: string;
    /** Address or prefix. */
    address?: string;
    by?: "route" | Finder;
    /** The link that others are on, too, and could have said the same. */
    sharedOn?: string;
}

/** What is read of the host for it. */
type Known = Pick<Snapshot, "guests" | "routes" | "links" | "addresses">;

/** Addresses that are not unique on the host, or of nobody. */
const UNUSABLE = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"].flatMap(text => parsePrefix(text) ?? []);

function usable(prefix: Prefix): boolean {
    return prefix.length > 0 && !UNUSABLE.some(range => overlaps(range, prefix));
}

/** What is routed to each device by hand, with no router between. */
function routedTo(snapshot: Pick<Snapshot, "routes">): ReadonlyMap<string, readonly Prefix[]> {
    const routed = new Map<string, Prefix[]>();
    for (const route of valueOf(snapshot.routes) ?? []) {
        const prefix = destination(route);
        if (prefix && usable(prefix) && route.device !== undefined && route.type === "unicast" && isSet(route) && route.gateway === undefined)
            routed.set(route.device, [...routed.get(route.device) ?? [], prefix]);
    }
    return routed;
}

/** An interface with the links of the host where it is heard. */
interface Heard {
    guest: Guest;
    iface: Interface;
    running: boolean;
    /** What it is a port of, or made on. */
    shared: string | undefined;
}

/** The link that the device is a port of. Ports of Open vSwitch have one master, whichever bridge they are of; macvtap has none. */
function sharedLink({ target = "", lower }: Interface, links: ReadonlyMap<string, Link>): string | undefined {
    const link = links.get(target);
    return link === undefined || link.kind === "macvtap" || link.master === "ovs-system" ? lower : link.master;
}

/** Whether it counts for this interface. Of a guest that is off nothing can have been heard now, but a lease stays. */
function speaksFor(found: FoundAddress, { guest, iface, running, shared }: Heard): boolean {
    switch (found.by) {
    case "neighbour": return running && (found.link === iface.target || found.link === shared);
    case "lease": return found.network === iface.network || found.link === shared;
    case "agent": return found.guest === guest.uuid;
    }
}

type Seen = FoundAddress & { prefix: Prefix };

/** Whether the host has the address, or sends what is for it to others: over no link that the interface is on, nor one made on that. */
function elsewhere(snapshot: Known): (prefix: Prefix, heard: Heard) => boolean {
    const madeOn = new Map((valueOf(snapshot.links) ?? []).map(({ name, lower }) => [name, lower]));
    const own = new Set(hostAddresses(snapshot).map(({ address }) => address));
    const hosts = new Map<string, string>();
    const networks: { prefix: Prefix; device: string }[] = [];
    for (const route of valueOf(snapshot.routes) ?? []) {
        const prefix = route.type === "unicast" && route.table === "main" ? destination(route) : undefined;
        if (!prefix || prefix.length === 0 || route.device === undefined)
            continue;
        if (isSingle(prefix))
            hosts.set(prefix.address, route.device);
        else
            networks.push({ prefix, device: route.device });
    }
    networks.sort((a, b) => b.prefix.length - a.prefix.length);
    return (prefix, { iface, shared }) => {
        const device = hosts.get(prefix.address) ?? networks.find(network => contains(network.prefix, prefix))?.device;
        const leadsHere = (over: string) =>
            [iface.target, shared].some(here => here !== undefined && [over, madeOn.get(over)].includes(here));
        return own.has(prefix.address) || (device !== undefined && !leadsHere(device));
    };
}

const bySurety = (a: FoundAddress, b: FoundAddress) => FINDERS.indexOf(a.by) - FINDERS.indexOf(b.by);

/** What was found, by MAC address, the most reliable first. */
function foundBy(found: readonly FoundAddress[]): ReadonlyMap<string, readonly Seen[]> {
    const known = new Map<string, Seen[]>();
    for (const one of [...found].sort(bySurety)) {
        const parsed = parseAddress(one.address);
        const prefix = parsed && parsePrefix(parsed.address);
        if (prefix && usable(prefix))
            known.set(one.mac, [...known.get(one.mac) ?? [], { ...one, prefix }]);
    }
    return known;
}

function deviceOf(iface: Interface): string {
    return iface.target ?? iface.source ?? "";
}

/** Kinds of interface that no packet of the host's own network reaches. */
const APART = ["user", "hostdev", "vhostuser", "null", "vds"];

/** All interfaces that packets reach, by the names of their guests. */
function heardInterfaces(snapshot: Known): Heard[] {
    const links = new Map((valueOf(snapshot.links) ?? []).map(link => [link.name, link]));
    const guests = [...valueOf(snapshot.guests) ?? []].sort((a, b) => a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    return guests.flatMap(guest => pairInterfaces(guest).flatMap(({ live, configured }) => {
        const iface = live ?? configured;
        return !iface || APART.includes(iface.type) ? []
            : [{ guest, iface, running: live !== undefined, shared: sharedLink(iface, links) }];
    }));
}

/** Every address of every guest, by name; interfaces without a known one stand there without. */
export function guestChoices(snapshot: Known, found: readonly FoundAddress[] = []): GuestChoice[] {
    const routed = routedTo(snapshot), known = foundBy(found), isElsewhere = elsewhere(snapshot);
    const interfaces = heardInterfaces(snapshot);
    const running = new Set(interfaces.flatMap(({ iface: { mac }, running }) => running && mac !== undefined ? [mac] : []));
    const seen = interfaces.map(heard => {
        const { iface: { mac = "" } } = heard;
        // Of two guests with one MAC address (a clone) only the one that runs can have been seen.
        return !heard.running && running.has(mac) ? []
            : (known.get(mac) ?? []).filter(one => speaksFor(one, heard) && !isElsewhere(one.prefix, heard));
    });
    const surest = new Map(seen.flat().sort(bySurety).reverse().map(({ prefix, by }) => [prefix.address, by]));
    return interfaces.flatMap((heard, at) => choicesOf(heard, routed.get(heard.iface.target ?? "") ?? [],
        (seen[at] ?? []).filter(({ prefix, by }) => surest.get(prefix.address) === by)));
}

function choicesOf({ guest, iface, shared }: Heard, routed: readonly Prefix[], seen: readonly Seen[]): GuestChoice[] {
    const base = { guest, device: deviceOf(iface), mac: iface.mac ?? "" };
    const choices = ([4, 6] as const).flatMap((family: Family): GuestChoice[] => {
        const routes = routed.filter(prefix => prefix.family === family);
        if (routes.length > 0)
            return [...new Set(routes.map(formatPrefix))].map(address => ({ ...base, address, by: "route" }));
        const mine = seen.filter(({ prefix }) => prefix.family === family);
        const [first] = mine;
        if (!first)
            return [];
        const said = { by: first.by, ...shared !== undefined && first.by !== "agent" && { sharedOn: shared } };
        const addresses = mine.filter(({ by }) => by === first.by).map(({ prefix }) => formatPrefix(prefix));
        return [...new Set(addresses)].map(address => ({ ...base, address, ...said }));
    });
    return choices.length > 0 ? choices : [base];
}

/** Whose address it is, by what neighbours and leases tell; where two guests are known by it, nobody's. */
export function guestOwners(snapshot: Known, found: readonly FoundAddress[]): ReadonlyMap<string, Guest> {
    if (found.length === 0)
        return new Map();
    const owners = new Map<string, Set<Guest>>();
    for (const { guest, address, by } of guestChoices(snapshot, found)) {
        if (address !== undefined && by !== "route")
            owners.set(address, (owners.get(address) ?? new Set()).add(guest));
    }
    return new Map([...owners].flatMap(([address, guests]): [string, Guest][] => {
        const [only] = guests;
        return only && guests.size === 1 ? [[address, only]] : [];
    }));
}

/** UUIDs of guests whose agent is connected: libvirt writes it into the live definition, and tells when it changes. */
export function agentsOf(guests: readonly Guest[]): string[] {
    return guests.filter(({ live }) => /<target type='virtio' name='org\.qemu\.guest_agent\.0' state='connected'\/>/.test(live?.xml ?? ""))
            .map(({ uuid }) => uuid);
}
