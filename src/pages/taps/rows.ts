// SPDX-License-Identifier: LGPL-2.1-or-later
// The rows of the TAP devices page: flat, so that only changed ones render.
import { findOrphans, type Orphan } from "../../actions/delete-tap.ts";
import { fileOf, isEnabled, runningSettings } from "../../actions/tap-steps.ts";
import { bootProvider, type BootProvider } from "../../model/boot-provider.ts";
import { valueOf, type DeviceUnit, type Reading, type Snapshot } from "../../model/snapshot.ts";
import type { Guest } from "../../model/guest.ts";
import { isSafeName } from "../../model/names.ts";
import { isTap, type Holder, type TapDevice } from "../../model/tap.ts";
import { deviceOfNetworkdPath } from "../../model/networkd-file.ts";
import { deviceOfPath } from "../../model/tap-file.ts";
import { driftOf, routeWords, settingsOf, shortly } from "../../model/tap-settings.ts";
import { guestsNaming } from "../../model/validate.ts";

export type Warning = "odd-name" | "missing" | "failed" | "drift" | "not-at-boot" | "unused" | "shared" | "down" | "leftover" | "networkd";

export interface TapRow {
    name: string;
    there: boolean;
    up: boolean;
    carrier: boolean;
    persistent: boolean;
    multiQueue: boolean;
    owner: string;
    group: string;
    /** Names of guests of which a definition names it. */
    guests: readonly string[];
    /** Whether guests could be read: without them nobody knows who uses it. */
    usersKnown: boolean;
    /** `program (pid)` of those that have it open. */
    holders: readonly string[];
    boot: BootProvider["by"];
    bootFrom: string;
    addresses: readonly string[];
    routes: readonly string[];
    written: boolean;
    enabled: boolean;
    warnings: readonly Warning[];
}

/** All TAP devices of the host, and those that are written down, enabled or left behind. */
export function tapRows(snapshot: Snapshot): Reading<readonly TapRow[]> {
    for (const part of [snapshot.links, snapshot.files]) {
        if (part.state !== "read")
            return part;
    }
    const links = (valueOf(snapshot.links) ?? []).filter(isTap);
    const orphans = findOrphans(snapshot);
    const written = [...valueOf(snapshot.files)?.keys() ?? []].map(deviceOfPath).filter(name => name !== undefined);
    const enabled = [...valueOf(snapshot.enabled) ?? []].flatMap(unit => /^kvm-tap@(.+)\.service$/.exec(unit)?.[1] ?? []);
    const names = new Set([...links.map(link => link.name), ...written, ...enabled, ...orphans.map(orphan => orphan.device)]);
    const byName = new Map(links.map(link => [link.name, link]));
    const of = narrowed(snapshot);
    const left = grouped(orphans, orphan => [orphan.device]);
    return { state: "read", value: [...names].map(name => rowOf(of(name), name, byName.get(name), left.get(name) ?? [])) };
}

function grouped<T>(items: Iterable<T>, keys: (item: T) => Iterable<string>): Map<string, T[]> {
    const groups = new Map<string, T[]>();
    for (const item of items) {
        for (const key of keys(item))
            groups.set(key, [...groups.get(key) ?? [], item]);
    }
    return groups;
}

/** The snapshot with only what concerns one device, so that 1,000 rows do not each look through everything of all. */
function narrowed(snapshot: Snapshot): (name: string) => Snapshot {
    const files = [...valueOf(snapshot.files)?.values() ?? []];
    const shared = files.filter(({ path }) => !deviceOfPath(path) && !deviceOfNetworkdPath(path) && !path.startsWith("/etc/sysctl.d/"));
    const own = new Map(files.map(file => [deviceOfPath(file.path), file]));
    const links = grouped(valueOf(snapshot.links) ?? [], link => [link.name]);
    const routes = grouped(valueOf(snapshot.routes) ?? [], route => route.device === undefined ? [] : [route.device]);
    const guests = grouped(valueOf(snapshot.guests) ?? [], devicesOf);
    const only = <T, U>(reading: Reading<T>, value: U) => reading.state === "read" ? { state: "read" as const, value } : reading;
    return name => {
        const file = own.get(name);
        return {
            ...snapshot, links: only(snapshot.links, links.get(name) ?? []), routes: only(snapshot.routes, routes.get(name) ?? []),
            guests: only(snapshot.guests, guests.get(name) ?? []),
            files: only(snapshot.files, new Map([...shared, ...file ? [file] : []].map(each => [each.path, each]))),
        };
    };
}

function devicesOf({ live, configured }: Guest): Set<string> {
    const interfaces = [...live?.interfaces ?? [], ...configured?.interfaces ?? []];
    return new Set(interfaces.flatMap(({ target }) => target ?? []));
}

function rowOf(snapshot: Snapshot, name: string, link: TapDevice | undefined, orphans: readonly Orphan[]): TapRow {
    const file = fileOf(snapshot, name);
    const settings = runningSettings(snapshot, name) ?? (link ? settingsOf(link, [], []) : file?.settings);
    const provider = bootProvider(snapshot, name, link);
    const enabled = isEnabled(snapshot, name);
    const guests = guestsNaming(snapshot, name).map(guest => guest.name);
    const usersKnown = snapshot.guests.state === "read";
    const row = {
        name, there: link !== undefined, up: link?.up ?? false, carrier: link?.carrier ?? false, persistent: link?.tun.persistent ?? false,
        multiQueue: settings?.multiQueue ?? false, owner: settings?.owner ?? "", group: settings?.group ?? "", guests, usersKnown,
        holders: (valueOf(snapshot.holders)?.get(name) ?? []).map(holderWords),
        boot: provider.by, bootFrom: "path" in provider ? provider.path : "guest" in provider ? provider.guest : "",
        addresses: (settings?.addresses ?? []).map(shortly), routes: (settings?.routes ?? []).map(route => shortly(routeWords(route))),
        written: file !== undefined, enabled,
    };
    return { ...row, warnings: warningsOf(snapshot, row, valueOf(snapshot.units)?.get(name), orphans) };
}

export function holderWords({ pid, program }: Holder): string {
    return program === "" ? String(pid) : `${program} (${pid})`;
}

/** Worst first. */
function warningsOf(snapshot: Snapshot, row: Omit<TapRow, "warnings">, unit: DeviceUnit | undefined, orphans: readonly Orphan[]): Warning[] {
    const networkd = valueOf(snapshot.networkd)?.get(valueOf(snapshot.links)?.find(link => link.name === row.name)?.index ?? -1);
    const is = (kind: Orphan["kind"]) => orphans.some(orphan => orphan.kind === kind);
    const all: [boolean, Warning][] = [
        [!isSafeName(row.name), "odd-name"],
        [!row.there && row.written, "missing"],
        [unit?.active === "failed", "failed"],
        [hasDrift(snapshot, row.name), "drift"],
        [row.there && row.persistent && row.boot === "nothing", "not-at-boot"],
        [row.there && !row.up && row.guests.length > 0, "down"],
        [row.written && networkd !== undefined, "networkd"],
        [is("shared"), "shared"],
        [is("unit") || is("sysctl") || is("networkd"), "leftover"],
        [is("unused"), "unused"],
    ];
    return all.filter(([applies]) => applies).map(([, warning]) => warning);
}

/** Whether the running device differs from its file. */
export function hasDrift(snapshot: Snapshot, name: string): boolean {
    const running = runningSettings(snapshot, name);
    const file = fileOf(snapshot, name);
    return running !== undefined && file !== undefined && driftOf(file.settings, running).length > 0;
}
