// SPDX-License-Identifier: LGPL-2.1-or-later
// Will a mapping work? Everything that can be told from what was read, worst first.
import type { Ruleset } from "./firewall.ts";
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { Mapping, NatState } from "./nat.ts";
import type { Prefix } from "./nat-address.ts";
import { formatPrefix, isSingle } from "./nat-address.ts";
import type { Obstacle } from "./nat-foreign.ts";
import { foreignSays, foreignUses, obstacleCure, obstacleSays, obstacles } from "./nat-foreign.ts";
import { hostAddresses, linkNamed, macsOn, routeTo } from "./nat-host.ts";
import { unheld } from "./nat-held.ts";
import type { NatReading } from "./nat-reading.ts";
import { mappingWaysProblems, type ReversePath } from "./nat-ways.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Link } from "./tap.ts";
import { isTap } from "./tap.ts";

export interface Finding {
    severity: "danger" | "warning" | "info";
    says: Message;
    /** What to do about it, where that is not said already. */
    cure?: Message;
}

/** What src/host/nat.ts reads besides the snapshot; absent while it is not known. */
export interface Around {
    ipv4?: boolean;
    ipv6?: boolean;
    tracked?: { count: number; max: number };
    /** Of the uplinks. */
    reversePath?: ReversePath;
    /** Tables of others. */
    firewalls: readonly Ruleset[];
    /** What could not be read. */
    unread: readonly Message[];
}

function danger(says: Message): Finding {
    return { severity: "danger", says };
}

function warning(says: Message): Finding {
    return { severity: "warning", says };
}

/** The device that leads to the guest, with its link; no device where only an uplink does. */
export function wayIn(snapshot: Snapshot, guest: Prefix, uplinks: readonly string[]): { device?: string; link?: Link } {
    const device = routeTo(snapshot, guest)?.device;
    if (device === undefined || uplinks.includes(device))
        return {};
    const link = linkNamed(snapshot, device);
    return { device, ...(link ? { link } : {}) };
}

function wayFindings(snapshot: Snapshot, mapping: Mapping, uplinks: readonly string[]): Finding[] {
    const inside = formatPrefix(mapping.guest);
    const { device, link } = wayIn(snapshot, mapping.guest, uplinks);
    if (device === undefined)
        return [danger(msg("No device of this host has a route to $0.", inside))];
    if (!link)
        return [danger(msg("$0, the way to $1, is missing.", device, inside))];
    if (!link.up)
        return [danger(msg("$0, the way to $1, is down.", device, inside))];
    return isTap(link) && !link.carrier ? [warning(msg("No guest is attached to $0 now.", device))] : [];
}

/** Anti-spoofing drops all that a guest sends whose MAC address was changed. */
function macFindings(snapshot: Snapshot, mapping: Mapping, state: NatState): Finding[] {
    const { device } = wayIn(snapshot, mapping.guest, state.uplinks);
    const { macs } = state.devices.find(({ name }) => name === device) ?? {};
    const others = macs ? macsOn(snapshot, device ?? "").filter(mac => !macs.includes(mac)) : [];
    return others.map(mac => danger(msg("Anti-spoofing on $0 drops what its guest sends from $1: it was set up for $2. Save the settings of the device once more.",
        device ?? "", mac, (macs ?? []).join(", "))));
}

function uplinkFindings(snapshot: Snapshot, uplinks: readonly string[]): Finding[] {
    if (uplinks.length === 0)
        return [danger(msg("No uplink is chosen: nothing that guests send is translated."))];
    const missing = uplinks.filter(name => linkNamed(snapshot, name) === undefined);
    return missing.map(name => warning(msg("The uplink $0 is missing now.", name)));
}

function kernelFindings(mapping: Mapping, around: Around | undefined): Finding[] {
    const forwards = mapping.public.family === 4 ? around?.ipv4 : around?.ipv6;
    const { tracked } = around ?? {};
    return [
        ...(forwards === false ? [danger(msg("The kernel does not forward IPv$0 packets.", String(mapping.public.family)))] : []),
        ...(tracked && tracked.max > 0 && tracked.count > tracked.max * 0.9
            ? [warning(msg("The kernel tracks $0 connections of at most $1: soon it drops new ones.", String(tracked.count), String(tracked.max)))] : []),
    ];
}

const SEVERITIES: Readonly<Record<Obstacle["lets"], Finding["severity"]>> = { none: "danger", some: "warning", most: "info" };

/** The same words by several uplinks are said once. */
function saidOnce(found: readonly Finding[]): Finding[] {
    const words = found.map(({ says }) => JSON.stringify(says));
    return found.filter((_, index) => words.indexOf(words[index] ?? "") === index);
}

/** What others' firewalls do to the mapping, on the way by each uplink. */
function firewallFindings(snapshot: Snapshot, mapping: Mapping, uplinks: readonly string[], around: Around | undefined): Finding[] {
    const { firewalls = [], unread = [] } = around ?? {};
    const { device } = wayIn(snapshot, mapping.guest, uplinks);
    const found = uplinks.flatMap(uplink => obstacles(firewalls, mapping, uplink, device).map((obstacle): Finding => {
        const cure = obstacle.lets === "most" ? undefined : obstacleCure(obstacle, uplink, device);
        return { severity: SEVERITIES[obstacle.lets], says: obstacleSays(obstacle), ...(cure ? { cure } : {}) };
    }));
    return [
        ...saidOnce(found),
        ...unread.map((says): Finding => ({ severity: "info", says })),
    ];
}

/** Rules of others that translate the public address elsewhere. */
export function conflictFindings(
    snapshot: Snapshot, outside: Prefix, uplinks: readonly string[], around: Pick<Around, "firewalls"> | undefined,
): Finding[] {
    const own = ownership(snapshot, outside) === "own";
    // A rule that asks for no device is found without an uplink, too.
    const found = (uplinks.length > 0 ? uplinks : [""]).flatMap(uplink => foreignUses(around?.firewalls ?? [], outside, own, uplink));
    return saidOnce(found.map(use => warning(foreignSays(outside, use))));
}

/** The links on which an address that lies in a network of this host may have another owner: that of the network, and all uplinks. */
export function linksToAsk(snapshot: Snapshot, outside: Prefix, uplinks: readonly string[]): string[] {
    const device = routeTo(snapshot, outside)?.device;
    return [...new Set([...device === undefined ? [] : [device], ...uplinks])];
}

/** Whether the address is answered for on a link, or must be routed here by the provider. */
export function ownership(snapshot: Snapshot, outside: Prefix): "own" | "on-link" | "routed" {
    const addresses = hostAddresses(snapshot);
    if (isSingle(outside) && addresses.some(({ address }) => address === outside.address))
        return "own";
    const route = routeTo(snapshot, outside);
    return route && route.destination !== "default" && route.gateway === undefined ? "on-link" : "routed";
}

function ownerFindings(snapshot: Snapshot, mapping: Mapping): Finding[] {
    const outside = formatPrefix(mapping.public);
    const now = ownership(snapshot, mapping.public);
    if (now === "own" && mapping.claimed)
        return [warning(msg("$0 has become an address of this host itself. Change the mapping, and the host stops claiming it.", outside))];
    if (now !== "own" && !mapping.claimed)
        return [danger(msg("$0 is no address of this host any more, and the mapping does not claim it. Change the mapping.", outside))];
    return unheld(snapshot, [mapping]).map(address => danger(msg("This host does not answer for $0: its local route is missing.", address)));
}

/** What is not known of links, addresses and routes cannot be held against a mapping. */
function unreadFindings({ links, addresses, routes }: Snapshot): Finding[] {
    const parts = [links, addresses, routes];
    const failed = parts.flatMap(part => part.state === "failed" ? [warning(part.says)] : []);
    return failed.length > 0 || parts.every(part => part.state === "read") ? failed
        : [{ severity: "info", says: msg("The host has not been read yet. Wait a moment.") }];
}

/** Findings of one mapping; none means that nothing speaks against it. A disabled one has a single finding. */
export function findings(snapshot: Snapshot, reading: NatReading, mapping: Mapping, around?: Around): Finding[] {
    if (!mapping.enabled)
        return [{ severity: "info", says: msg("Disabled: the host holds the address and answers nothing on it.") }];
    if (!reading.running)
        return [danger(msg("The table is not loaded: nothing is translated."))];
    const { state } = reading.running;
    const { uplinks } = state;
    const unread = unreadFindings(snapshot);
    if (unread.length > 0)
        return [...unread, ...kernelFindings(mapping, around)].sort((a, b) => order(a) - order(b));
    return [
        ...macFindings(snapshot, mapping, state),
        ...mappingWaysProblems(snapshot, state, mapping, around?.reversePath).map(({ says }) => warning(says)),
        ...wayFindings(snapshot, mapping, uplinks), ...uplinkFindings(snapshot, uplinks), ...kernelFindings(mapping, around),
        ...ownerFindings(snapshot, mapping), ...conflictFindings(snapshot, mapping.public, uplinks, around),
        ...firewallFindings(snapshot, mapping, uplinks, around),
    ].sort((a, b) => order(a) - order(b));
}

function order({ severity }: Finding): number {
    return ["danger", "warning", "info"].indexOf(severity);
}
