// SPDX-License-Identifier: LGPL-2.1-or-later
// A TAP device as somebody types it into the fields of a form, and back. Addresses are separated by spaces or commas; routes and
// kernel settings are one a line, in the words of ip and of sysctl.d.
import type { Guest } from "./guest.ts";
import { msg } from "./message.ts";
import { parsePrefix } from "./nat-address.ts";
import type { Planned, Problem } from "./plan.ts";
import { canonicalTable, ipNumber } from "./route-words.ts";
import { canonicalKey, defaultSysctls, parseSysctls, type Sysctls } from "./sysctl-file.ts";
import { routeWords, shortly, type TapRoute, type TapSettings } from "./tap-settings.ts";

export interface TapText {
    name: string;
    description: string;
    /** undefined: the ones that fit the guest addresses. */
    gateways: string | undefined;
    guestAddresses: string;
    routes: string;
    owner: string;
    group: string;
    multiQueue: boolean;
    mtu: string;
    mac: string;
    /** undefined: what a routed device needs. */
    sysctls: string | undefined;
    atBoot: boolean;
}

export const NEW_TAP: TapText = {
    name: "", description: "", gateways: undefined, guestAddresses: "", routes: "", owner: "root", group: "", multiQueue: false, mtu: "", mac: "",
    sysctls: undefined, atBoot: true,
};

const words = (text: string) => text.split(/[\s,]+/).filter(Boolean);
const lines = (text: string) => text.split("\n").map(line => line.trim()).filter(Boolean);
const hasIpv6 = (text: string) => words(text).some(word => word.includes(":"));

/**
 * The gateways as the form shows them. For IPv6 a link-local one with its /64: the guest's link-local address must be on the link, or
 * the host has no way to answer it.
 */
export function gatewaysOf({ gateways, guestAddresses }: TapText): string {
    const all = words(guestAddresses);
    const only6 = all.length > 0 && all.every(word => word.includes(":"));
    return gateways ?? [...only6 ? [] : ["169.254.0.1"], ...hasIpv6(guestAddresses) ? ["fe80::1/64"] : []].join(" ");
}

export function sysctlsOf({ sysctls, name, guestAddresses }: TapText): string {
    return sysctls ?? (name === "" ? "" : sysctlLines(defaultSysctls(name, hasIpv6(guestAddresses))));
}

function sysctlLines(sysctls: Sysctls): string {
    return [...sysctls].map(([key, value]) => `${key} = ${value}`).join("\n");
}

/** What is typed, as make-tap's planners take it (TapWish). */
export function wishOf(text: TapText) {
    const { name, description, owner, group, mac, multiQueue, atBoot } = text;
    const mtu = text.mtu.trim();
    return {
        name: name.trim(), multiQueue, atBoot, gateways: words(gatewaysOf(text)), guestAddresses: words(text.guestAddresses),
        routes: lines(text.routes).map(line => parseRoute(line) ?? { destination: line }),
        sysctls: parseSysctls(sysctlsOf(text)),
        ...description.trim() && { description: description.trim() },
        ...owner && { owner: owner.trim() }, ...group && { group: group.trim() },
        ...mtu && { mtu: Number(mtu) }, ...mac && { mac: mac.trim() },
    };
}

/** Whether a key of sysctl.d is one of this device: `net/ipv4/conf/NAME/…`. */
function isSettingOf(name: string, key: string): boolean {
    return /^net\/ipv[46]\/(conf|neigh)\/([^/]+)\/[a-z0-9_]+$/.exec(canonicalKey(key))?.[2] === name;
}

/** What only the text can be wrong about; the planner judges the rest. */
export function textProblems(text: TapText): Problem[] {
    const route = lines(text.routes).find(line => !parseRoute(line));
    const sysctl = lines(sysctlsOf(text)).find(line => !/^[#;]/.test(line) && !isSettingOf(text.name, /^-?([^=\s]+)\s*=\s*\S/.exec(line)?.[1] ?? ""));
    return [
        ...route === undefined ? []
            : [{ field: "routes", says: msg("$0 is not a route. Write one a line, for example $1", route, "192.168.7.0/24 via 10.0.0.2") }],
        ...sysctl === undefined || text.name === "" ? []
            : [{ field: "sysctls", says: msg("$0 is not a setting of this device. Write one a line, for example $1",
                sysctl, `net/ipv4/conf/${text.name}/rp_filter = 1`) }],
    ];
}

/** A plan, or what is wrong with the text and the wish; a problem of one item of a list is one of its field. */
export function withTextProblems(text: TapText, planned: Planned): Planned {
    const mine = textProblems(text);
    if ("plan" in planned)
        return mine.length > 0 ? { problems: mine } : planned;
    const theirs = planned.problems.map(({ field, says }) => ({ ...field !== undefined && { field: field.replace(/\.\d+$/, "") }, says }));
    return { problems: [...mine, ...theirs] };
}

/** A route in ip's words, its numbers in one spelling; undefined where it says something that we do not know. */
export function parseRoute(line: string): TapRoute | undefined {
    const [destination = "", ...rest] = line.trim().split(/\s+/);
    const said = new Map<string, string>();
    for (let index = 0; index < rest.length; index += 2)
        said.set(rest[index] ?? "", rest[index + 1] ?? "");
    const known = [...said].every(([key, value]) => ["via", "src", "metric", "table"].includes(key) && value !== "");
    const words = said.get("metric"), metric = words === undefined ? undefined : ipNumber(words);
    if (!known || (destination !== "default" && !parsePrefix(destination)) || (words !== undefined && metric === undefined))
        return undefined;
    const [via, source, table] = [said.get("via"), said.get("src"), said.get("table")];
    return {
        destination, ...via !== undefined && { via }, ...source !== undefined && { source },
        ...metric !== undefined && { metric }, ...table !== undefined && { table: canonicalTable(table) },
    };
}

/** A device that is there, as the form for editing it shows it. */
export function textOf(settings: TapSettings, sysctls: Sysctls, atBoot: boolean): TapText {
    const isGuest = (route: TapRoute) => routeWords(route) === route.destination && route.destination !== "default"
        && parsePrefix(route.destination)?.length === (route.destination.includes(":") ? 128 : 32);
    return {
        name: settings.name, description: settings.description ?? "", multiQueue: settings.multiQueue, atBoot,
        gateways: settings.addresses.map(shortly).join(" "),
        guestAddresses: settings.routes.filter(isGuest).map(route => shortly(route.destination)).join(" "),
        routes: settings.routes.filter(route => !isGuest(route)).map(routeWords).join("\n"),
        owner: settings.owner ?? "", group: settings.group ?? "", mtu: settings.mtu === undefined ? "" : String(settings.mtu),
        mac: settings.mac ?? "", sysctls: sysctlLines(sysctls),
    };
}

/** What a device for this guest would be called, and whether it needs several queues: from its definition. */
export function suggestionFor(guest: Guest, taken: ReadonlySet<string>): Partial<TapText> {
    const interfaces = (guest.configured ?? guest.live)?.interfaces ?? [];
    const missing = interfaces.find(iface => iface.type === "ethernet" && iface.target !== undefined && !taken.has(iface.target));
    return { name: missing?.target ?? freeName(guest, taken), multiQueue: (missing?.queues ?? 1) > 1, description: guest.name };
}

/** A name for a new device of this guest: its own, as far as the kernel takes it, with a number. */
export function freeName(guest: Guest, taken: ReadonlySet<string>): string {
    const base = guest.name.normalize("NFKD").replace(/[^A-Za-z0-9_.-]/g, "").replace(/^[-.]+/, "").slice(0, 12) || "guest";
    return Array.from({ length: 100 }, (_unused, index) => `${base}${index}`).find(name => !taken.has(name)) ?? base;
}
