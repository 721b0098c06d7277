// SPDX-License-Identifier: LGPL-2.1-or-later
// Making TAP devices: written down, and made by the unit that makes them at every boot. Singly, or a numbered series.
import { reachUnread } from "../model/host-reach.ts";
import { msg, type Message } from "../model/message.ts";
import { macProblem } from "../model/names.ts";
import { formatPrefix, fromNumber, parsePrefix, toNumber } from "../model/nat-address.ts";
import { combined, type Plan, type Planned, type Problem, type Step } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { editSysctls, sysctlFilePath, type Sysctls } from "../model/sysctl-file.ts";
import { tapFilePath, writeTapFile } from "../model/tap-file.ts";
import { withLength, type TapRoute, type TapSettings } from "../model/tap-settings.ts";
import { accountProblem, gatewayProblem, guestAddressProblem, mtuProblem, newDeviceProblem, routeProblem } from "../model/validate.ts";
import {
    fileSteps, guardedSysctls, isEnabled, keepOffSteps, plannedWith, problem, runsAs, systemctl, tapOf, unitOf, unreadProblems,
} from "./tap-steps.ts";

/** What a person wishes of a device, in the words of the dialog. */
export interface TapWish {
    name: string;
    description?: string;
    /** The host's addresses on it; without a length they are single addresses. */
    gateways: readonly string[];
    guestAddresses: readonly string[];
    /** Networks behind the guest, each through one of its addresses or directly. */
    routes?: readonly TapRoute[];
    owner?: string;
    group?: string;
    multiQueue?: boolean;
    mtu?: number;
    mac?: string;
    sysctls: Sysctls;
    atBoot: boolean;
}

/** The device that fulfils a wish. Up, and without addresses that nobody asked for. */
export function settingsFor(wish: TapWish): TapSettings {
    const { name, description, owner, group, mtu, mac, routes = [] } = wish;
    return {
        name, multiQueue: wish.multiQueue === true, addrGenMode: "none", up: true,
        ...description && { description }, ...owner && { owner }, ...group && { group },
        ...mtu !== undefined && { mtu }, ...mac && { mac: mac.toLowerCase() },
        addresses: wish.gateways.map(withLength),
        routes: [
            ...wish.guestAddresses.map(address => ({ destination: withLength(address) })),
            ...routes.map(route => ({ ...route, destination: withLength(route.destination) })),
        ],
    };
}

/** The host would have the guest's address itself, and keep what is sent to it. */
function guestsOwn(gateway: string, { guestAddresses }: TapWish): Message | undefined {
    const address = parsePrefix(gateway)?.address;
    return address !== undefined && guestAddresses.some(text => parsePrefix(text)?.address === address)
        ? msg("$0 is the guest's own address: the host would keep what is sent there. Enter another gateway.", address) : undefined;
}

/** What is wrong with a wish. `before`: the device that is edited. Fields: those of TapWish, with their index in a list. */
export function wishProblems(snapshot: Snapshot, wish: TapWish, before?: string): Problem[] {
    const unread = reachUnread(snapshot);
    if (unread)
        return [{ says: unread }];
    const link = valueOf(snapshot.links)?.find(item => item.name === wish.name);
    const ipv6 = [...wish.gateways, ...wish.guestAddresses].some(address => address.includes(":"));
    const twice = (list: readonly string[], index: number) => list.map(withLength).indexOf(withLength(list[index] ?? "")) < index
        ? msg("This address is in the list already.")
        : undefined;
    const problems = [
        before === wish.name ? undefined : problem("name", newDeviceProblem(wish.name, snapshot)),
        ...wish.gateways.map((text, index) => problem(`gateways.${index}`,
            gatewayProblem(text, snapshot, wish.name) ?? twice(wish.gateways, index) ?? guestsOwn(text, wish))),
        ...wish.guestAddresses.map((text, index) => problem(`guestAddresses.${index}`,
            guestAddressProblem(text, snapshot, wish.name) ?? twice(wish.guestAddresses, index))),
        ...(wish.routes ?? []).map((route, index) => problem(`routes.${index}`, routeProblem(route, snapshot, wish.name))),
        wish.owner ? problem("owner", accountProblem(wish.owner)) : undefined,
        wish.group ? problem("group", accountProblem(wish.group)) : undefined,
        wish.mtu === undefined ? undefined : problem("mtu", mtuProblem(wish.mtu, link, ipv6)),
        wish.mac ? problem("mac", macProblem(wish.mac) ?? usedMac(snapshot, wish)) : undefined,
    ];
    return problems.filter(item => item !== undefined);
}

function usedMac(snapshot: Snapshot, wish: TapWish) {
    const mac = wish.mac?.toLowerCase();
    const link = valueOf(snapshot.links)?.find(item => item.mac === mac && item.name !== wish.name);
    return link && msg("$0 is the MAC address of $1. Enter another one.", mac ?? "", link.name);
}

/** The files of a device. */
function writingSteps(snapshot: Snapshot, wish: TapWish): Step[] {
    const { name } = wish;
    return [
        ...fileSteps(snapshot, msg("Write the device down in $0", tapFilePath(name)), tapFilePath(name), writeTapFile(settingsFor(wish))),
        ...fileSteps(snapshot, msg("Write its kernel settings down in $0", sysctlFilePath(name)),
            sysctlFilePath(name), editSysctls(null, guardedSysctls(snapshot, name, wish.sysctls))),
    ];
}

function makingStep(wishes: readonly TapWish[], atBoot: boolean): Step[] {
    const units = wishes.filter(wish => wish.atBoot === atBoot).map(wish => unitOf(wish.name));
    const [first] = wishes;
    if (units.length === 0 || !first)
        return [];
    return [{
        says: atBoot
            ? msg("Make it now and at every boot, before libvirt starts")
            : msg("Make it now; the next boot will not make it again"),
        does: atBoot ? systemctl("enable", "--now", ...units) : systemctl("start", ...units),
        undo: atBoot ? systemctl("disable", "--now", ...units) : systemctl("stop", ...units),
        partial: true,
    }];
}

function made(after: Snapshot, wish: TapWish): boolean {
    const { name, atBoot } = wish;
    return runsAs(after, settingsFor(wish)) && tapOf(after, name)?.tun.persistent === true && isEnabled(after, name) === atBoot;
}

/** A new device. */
export function planMakeTap(snapshot: Snapshot, wish: TapWish): Planned {
    return plannedWith(snapshot, { gives: [settingsFor(wish)] }, [...unreadProblems(snapshot), ...wishProblems(snapshot, wish)], () => ({
        title: msg("Create the TAP device $0", wish.name),
        steps: [
            ...keepOffSteps(snapshot, [wish.name]), ...writingSteps(snapshot, wish),
            ...makingStep([wish], true), ...makingStep([wish], false),
        ],
        about: { device: wish.name },
        holds: after => made(after, wish),
    }));
}

export interface Series {
    /** Names are this and a number. */
    prefix: string;
    first: number;
    count: number;
}

/** The wishes of a series: each device has the next name, and the next of each guest address; the gateways are the same. */
export function seriesWishes(wish: TapWish, { prefix, first, count }: Series): TapWish[] {
    return Array.from({ length: count }, (_, index) => ({
        ...wish,
        name: `${prefix}${first + index}`,
        guestAddresses: wish.guestAddresses.map(address => nextAddress(address, index)),
    })).map(each => ({ ...each, sysctls: renamed(wish.sysctls, wish.name, each.name) }));
}

function nextAddress(text: string, steps: number): string {
    const prefix = parsePrefix(text);
    return prefix ? formatPrefix({ ...prefix, address: fromNumber(prefix.family, toNumber(prefix.address) + BigInt(steps)) }) : text;
}

function renamed(sysctls: Sysctls, from: string, to: string): Sysctls {
    return new Map([...sysctls].map(([key, value]) => [key.replace(`/${from}/`, `/${to}/`), value]));
}

/** A numbered series of new devices: one unit call for all. */
export function planMakeSeries(snapshot: Snapshot, wish: TapWish, series: Series): Planned {
    if (!Number.isInteger(series.count) || series.count < 1 || series.count > 256)
        return { problems: [{ field: "count", says: msg("Enter how many devices to make, from $0 to $1.", "1", "256") }] };
    const wishes = seriesWishes(wish, series);
    const problems = wishes.flatMap(each => wishProblems(snapshot, each));
    return plannedWith(snapshot, { gives: wishes.map(settingsFor) }, [...unreadProblems(snapshot), ...problems], () => combined(
        msg("Create $0 TAP devices", String(wishes.length)),
        [
            { title: msg("Create the devices"), steps: keepOffSteps(snapshot, wishes.map(({ name }) => name)), holds: () => true },
            ...wishes.map((each): Plan => ({
                title: msg("Create the TAP device $0", each.name), steps: writingSteps(snapshot, each), holds: after => made(after, each),
            })),
            { title: msg("Create the devices"), steps: [...makingStep(wishes, true), ...makingStep(wishes, false)], holds: () => true },
        ]));
}
