// SPDX-License-Identifier: LGPL-2.1-or-later
// Mappings: add, change, enable, disable, remove, one or many, always in one transaction.
import { reachUnread } from "../model/host-reach.ts";
import type { Message } from "../model/message.ts";
import { msg } from "../model/message.ts";
import type { Limits, Mapping, NatDevice, NatState } from "../model/nat.ts";
import { mappingKey } from "../model/nat.ts";
import { formatPrefix, parsePrefix } from "../model/nat-address.ts";
import { mappingChanges } from "../model/nat-change.ts";
import { likelyUplinks, macsOn } from "../model/nat-host.ts";
import { currentState, isEmpty } from "../model/nat-reading.ts";
import type { Import } from "../model/nat-transfer.ts";
import type { Planned, Problem } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { isTap } from "../model/tap.ts";
import { deviceOf, hostProblems, isOwnAddress, mappingProblems, mappingWarnings, readSide } from "./nat-conflicts.ts";
import { planState, startingPoint } from "./nat-plan.ts";
import { withUplinks, withWay, type Gateways } from "./nat-ways.ts";

/** A mapping as it was typed or imported. */
export interface MappingWish {
    /** Address or prefix. */
    public: string;
    guest: string;
    description?: string;
    /** Default: enabled. */
    enabled?: boolean;
    log?: boolean;
    limits?: Limits;
    /** Anti-spoofing on the guest's device, by IP and MAC address. By default on for a device that had no mapping, else as it is. */
    guard?: boolean;
    /** Links to the outside, where the host has none chosen yet. Default: the devices of its default routes. */
    uplinks?: readonly string[];
    /** With several uplinks, the one by which the guest's own connections leave, unless the address is in the network of one.
     * Empty: the default route's. Absent: the one it had. */
    uplink?: string;
    /** The public address is the host's own, and the person said twice that this is meant. */
    acceptOwnAddress?: boolean;
}

/** The wish as a mapping, or what is wrong with what was typed. */
export function readWish(snapshot: Snapshot, wish: MappingWish): { mapping: Mapping } | { problems: Problem[] } {
    const outside = readSide("public", wish.public);
    const inside = readSide("guest", wish.guest);
    if ("problem" in outside || "problem" in inside)
        return { problems: [outside, inside].flatMap(side => "problem" in side ? [side.problem] : []) };
    return {
        mapping: {
            public: outside.prefix,
            guest: inside.prefix,
            description: wish.description?.trim() ?? "",
            enabled: wish.enabled ?? true,
            claimed: !isOwnAddress(snapshot, outside.prefix),
            log: wish.log ?? false,
            ...(wish.limits ? { limits: wish.limits } : {}),
        },
    };
}

function uplinksFor(snapshot: Snapshot, state: NatState, wishes: readonly MappingWish[]): readonly string[] {
    if (state.uplinks.length > 0)
        return state.uplinks;
    return wishes.find(wish => wish.uplinks)?.uplinks ?? likelyUplinks(snapshot);
}

/** Anti-spoofing as it was wished with a mapping. */
type Guard = ReadonlyMap<Mapping, boolean>;

/** The MAC addresses of the guests that name a device; those known before where no guest does. */
function guestMacs(snapshot: Snapshot, device: string, known: readonly string[] = []): readonly string[] {
    const found = macsOn(snapshot, device);
    return found.length > 0 ? found : known;
}

/** TAP devices of these mappings, added to those known; devices that are gone from the host are forgotten. */
function devicesFor(snapshot: Snapshot, state: NatState, mappings: readonly Mapping[], guard: Guard): NatDevice[] {
    const links = valueOf(snapshot.links);
    const devices = new Map(state.devices
            .filter(device => !links || links.some(link => link.name === device.name))
            .map(device => [device.name, device]));
    for (const mapping of mappings) {
        const name = deviceOf(snapshot, mapping.guest, state.uplinks);
        const link = links?.find(candidate => candidate.name === name);
        if (!link || !isTap(link))
            continue;
        const old = devices.get(link.name);
        const wished = guard.get(mapping) ?? (old ? undefined : true);
        const device = old ?? { name: link.name, guarded: true, shared: false };
        const macs = wished ?? device.macs !== undefined ? guestMacs(snapshot, link.name, device.macs) : undefined;
        devices.set(link.name, {
            name: device.name, guarded: wished ?? device.guarded, shared: device.shared, ...(macs === undefined ? {} : { macs }),
        });
    }
    return [...devices.values()];
}

/** What people should know before: connections, the host's own address, links missing. */
function notesFor(snapshot: Snapshot, state: NatState, mappings: readonly Mapping[]): Message[] {
    const warnings = mappings.flatMap(mapping => [
        ...mappingWarnings(snapshot, mapping, state.uplinks),
        ...(mapping.claimed ? []
            : [
                msg("$0 is the host's own address: what was sent to the host there goes to the guest.", mappingKey(mapping)),
                msg("While the NAT table is away (somebody flushed it, its service is stopped), the host itself answers at $0, and sessions of the guest break.",
                    mappingKey(mapping)),
            ]),
    ]);
    const shown = warnings.slice(0, 5);
    return warnings.length > shown.length ? [...shown, msg("And $0 more.", String(warnings.length - shown.length))] : shown;
}

interface Result {
    after: NatState;
    /** Mappings to check and warn about. */
    touched: readonly Mapping[];
    title: Message;
    notes?: readonly Message[];
}

/**
 * The frame of every planner here: read, compute, check, plan.
 * @param takes the plan may take addresses that nobody has had here: then it has to be known what the host needs itself
 */
function planResult(
    snapshot: Snapshot, takes: boolean, compute: (before: NatState) => Result | { problems: readonly Problem[] },
): Planned {
    const start = startingPoint(snapshot);
    if ("problem" in start)
        return { problems: [{ says: start.problem }] };
    const unread = takes ? reachUnread(snapshot) : undefined;
    if (unread)
        return { problems: [{ says: unread }] };
    const result = compute(currentState(start.reading));
    if ("problems" in result)
        return result;
    const { after, touched, title, notes = [] } = result;
    return planState(snapshot, start.reading, after, { title, notes: [...notes, ...notesFor(snapshot, after, touched)] });
}

/** Wishes read and checked against `kept`, those of the mappings before that stay, and against each other. */
function readWishes(snapshot: Snapshot, wishes: readonly MappingWish[], before: NatState, kept: readonly Mapping[]) {
    const held = before.mappings.map(mapping => mapping.public);
    const mappings: Mapping[] = [];
    const guard = new Map<Mapping, boolean>();
    const problems = wishes.map(wish => {
        const read = readWish(snapshot, wish);
        if ("problems" in read)
            return read.problems;
        const found = mappingProblems(snapshot, read.mapping, [...kept, ...mappings], { held, accepted: wish.acceptOwnAddress === true });
        mappings.push(read.mapping);
        if (wish.guard !== undefined)
            guard.set(read.mapping, wish.guard);
        return found;
    });
    return { mappings, guard, problems };
}

/** The state with these mappings beside those that stay. */
function withMappings(snapshot: Snapshot, before: NatState, kept: readonly Mapping[], wishes: readonly MappingWish[],
    { mappings, guard }: Pick<ReturnType<typeof readWishes>, "mappings" | "guard">): NatState | { problems: readonly Problem[] } {
    const uplinks = uplinksFor(snapshot, before, wishes);
    if (uplinks.length === 0)
        return { problems: [{ field: "uplinks", says: msg("This host has no default route. Choose the link that leads outside.") }] };
    const base = before.uplinks.length > 0 ? before : withUplinks(snapshot, before, uplinks);
    if ("problems" in base)
        return base;
    const old = new Map(before.mappings.map(mapping => [mappingKey(mapping), mapping.way]));
    const leaving = mappings.map((mapping, index) =>
        withWay(snapshot, base.ways ?? [], mapping, wishes[index]?.uplink, old.get(mappingKey(mapping))));
    return { ...base, mappings: [...kept, ...leaving], devices: devicesFor(snapshot, base, mappings, guard) };
}

/** Adds mappings; none unless all can be. */
export function planMapAddresses(snapshot: Snapshot, wishes: readonly MappingWish[]): Planned {
    return planResult(snapshot, true, before => {
        const read = readWishes(snapshot, wishes, before, before.mappings);
        const problems = read.problems.flat();
        if (problems.length > 0)
            return { problems: wishes.length > 1 ? problems.map(({ says }) => ({ says })) : problems };
        const after = withMappings(snapshot, before, before.mappings, wishes, read);
        if ("problems" in after)
            return after;
        const [first] = read.mappings;
        return {
            after,
            touched: read.mappings,
            title: read.mappings.length === 1 && first ? msg("Map $0 to $1", mappingKey(first), formatPrefix(first.guest))
                : msg("Map $0 addresses", String(read.mappings.length)),
        };
    });
}

/**
 * Adds the mappings of a file and changes those whose public address is mapped already; with `replace` all others go. Nothing
 * unless all of it is valid: the field of a problem is `line N`.
 */
export function planImport(snapshot: Snapshot, { mappings: rows, errors }: Import, replace: boolean): Planned {
    const broken = errors.map(({ line, says }) => ({ field: `line ${line}`, says }));
    return planResult(snapshot, true, before => {
        const keys = new Set(rows.map(row => parsePrefix(row.public)).flatMap(prefix => prefix ? [formatPrefix(prefix)] : []));
        const kept = replace ? [] : before.mappings.filter(mapping => !keys.has(mappingKey(mapping)));
        const read = readWishes(snapshot, rows, before, kept);
        const problems = [...broken, ...read.problems.flatMap((found, index) =>
            found.map(({ says }) => ({ field: `line ${rows[index]?.line ?? 0}`, says })))];
        if (problems.length > 0)
            return { problems };
        const after = withMappings(snapshot, before, kept, rows, read);
        if ("problems" in after)
            return after;
        const counts = importCounts(before, after);
        return {
            after,
            touched: read.mappings,
            title: msg("Import: $0 added, $1 changed, $2 removed", ...counts.map(String)),
            ...(counts[1] + counts[2] > 0
                ? { notes: [msg("Open connections over changed and removed mappings end at once. That cannot be undone.")] } : {}),
        };
    });
}

/** How many mappings are added, changed and removed. */
function importCounts(before: NatState, after: NatState): [number, number, number] {
    const changes = mappingChanges(before, after);
    return [
        changes.filter(change => !change.before).length,
        changes.filter(change => change.before && change.after).length,
        changes.filter(change => !change.after).length,
    ];
}

/** Maps one public address or prefix to a guest's. */
export function planMapAddress(snapshot: Snapshot, wish: MappingWish): Planned {
    return planMapAddresses(snapshot, [wish]);
}

function absent(before: NatState, keys: readonly string[]): Problem[] {
    const there = new Set(before.mappings.map(mappingKey));
    return keys.filter(key => !there.has(key)).map(key => ({ says: msg("$0 is not mapped any more.", key) }));
}

/** Removes mappings by public address. Devices of removed mappings stay shielded while other mappings are left. */
export function planRemoveMappings(snapshot: Snapshot, publicAddresses: readonly string[]): Planned {
    return planResult(snapshot, false, before => {
        const problems = absent(before, publicAddresses);
        if (problems.length > 0)
            return { problems };
        const mappings = before.mappings.filter(mapping => !publicAddresses.includes(mappingKey(mapping)));
        const after = { ...before, mappings, devices: devicesFor(snapshot, before, [], new Map()) };
        return {
            after,
            touched: [],
            title: publicAddresses.length === 1 ? msg("Remove the mapping of $0", publicAddresses[0] ?? "")
                : msg("Remove $0 mappings", String(publicAddresses.length)),
            notes: [
                msg("Open connections over a removed mapping end at once. That cannot be undone."),
                ...(isEmpty(after) ? [msg("No mapping is left: the table goes, and the host forwards no longer unless something else on it needs that.")] : []),
            ],
        };
    });
}

/** Replaces a mapping by another; the public address may change too. */
export function planChangeMapping(snapshot: Snapshot, publicAddress: string, wish: MappingWish): Planned {
    return planResult(snapshot, true, before => {
        const problems = absent(before, [publicAddress]);
        if (problems.length > 0)
            return { problems };
        const others = before.mappings.filter(mapping => mappingKey(mapping) !== publicAddress);
        const read = readWish(snapshot, wish);
        const translated = { held: before.mappings.map(each => each.public), accepted: wish.acceptOwnAddress === true };
        const found = "problems" in read ? read.problems : mappingProblems(snapshot, read.mapping, others, translated);
        if (found.length > 0 || "problems" in read)
            return { problems: found };
        const guard = new Map(wish.guard === undefined ? [] : [[read.mapping, wish.guard]]);
        const old = before.mappings.find(mapping => mappingKey(mapping) === publicAddress)?.way;
        const mapping = withWay(snapshot, before.ways ?? [], read.mapping, wish.uplink, old);
        return {
            after: { ...before, mappings: [...others, mapping], devices: devicesFor(snapshot, before, [read.mapping], guard) },
            touched: [read.mapping],
            title: msg("Change the mapping of $0", publicAddress),
        };
    });
}

/** Whether the public address is the host's own is judged anew: it may have got it, or lost it, since the mapping was made. */
function asOfNow(snapshot: Snapshot, mapping: Mapping): Mapping {
    return { ...mapping, claimed: !isOwnAddress(snapshot, mapping.public) };
}

/** Switches mappings on or off. Disabled ones stay in the table and in the file; the host goes on holding their addresses. */
export function planEnableMappings(snapshot: Snapshot, publicAddresses: readonly string[], enabled: boolean): Planned {
    return planResult(snapshot, enabled, before => {
        const problems = absent(before, publicAddresses);
        if (problems.length > 0)
            return { problems };
        const chosen = (mapping: Mapping) => publicAddresses.includes(mappingKey(mapping));
        const mappings = before.mappings.map(mapping => chosen(mapping) ? asOfNow(snapshot, { ...mapping, enabled }) : mapping);
        const held = before.mappings.map(mapping => mapping.public);
        const refused = enabled
            ? before.mappings.filter(chosen).flatMap(mapping => hostProblems(snapshot, mapping, { held, accepted: !mapping.claimed })) : [];
        if (refused.length > 0)
            return { problems: refused.map(({ says }) => ({ says })) };
        return {
            after: { ...before, mappings },
            touched: enabled ? mappings.filter(chosen) : [],
            title: enabled ? msg("Enable $0 mappings", String(publicAddresses.length))
                : msg("Disable $0 mappings", String(publicAddresses.length)),
            notes: enabled ? [] : [msg("Open connections over a disabled mapping end at once. That cannot be undone.")],
        };
    });
}

export interface NatSettings {
    uplinks?: readonly string[];
    /** Those of uplinks that are not named stay as they are. */
    gateways?: Gateways;
    devices?: readonly NatDevice[];
}

/** Settings of the whole host: its uplinks and their gateways, and for each device anti-spoofing and shared outbound access.
 * Devices with MAC addresses get those that their guests have now. */
export function planNatSettings(snapshot: Snapshot, settings: NatSettings): Planned {
    return planResult(snapshot, false, before => {
        if (settings.uplinks?.length === 0)
            return { problems: [{ field: "uplinks", says: msg("Choose at least one link to the outside.") }] };
        const base = withUplinks(snapshot, before, settings.uplinks ?? before.uplinks, settings.gateways);
        if ("problems" in base)
            return base;
        const devices = settings.devices?.map(device =>
            device.macs ? { ...device, macs: guestMacs(snapshot, device.name, device.macs) } : device);
        return { after: { ...base, devices: devices ?? before.devices }, touched: [], title: msg("Change how NAT leaves this host") };
    });
}
