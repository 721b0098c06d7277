// SPDX-License-Identifier: LGPL-2.1-or-later
// Changing TAP devices that are there: their file and the running device together, without dropping a guest.
import type { Interruption } from "../model/host-reach.ts";
import { msg, type Message } from "../model/message.ts";
import type { Plan, Planned, Problem, Step } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { canonicalKey, defaultSysctls, editSysctls, parseSysctls, sysctlFilePath, type Sysctls } from "../model/sysctl-file.ts";
import { editTapFile, tapFilePath, writeTapFile } from "../model/tap-file.ts";
import { changeCommands, DEFAULTS, needsNewDevice, routeWords, takenOver, withoutDefaults, type TapSettings } from "../model/tap-settings.ts";
import type { Touch } from "../model/touch.ts";
import { guestsRunningOn, prefixesOf, type Giving } from "../model/validate.ts";
import { settingsFor, wishProblems, type TapWish } from "./make-tap.ts";
import {
    command, contentOf, deviceProblems, fileGives, fileOf, fileSteps, guardedSysctls, guardSteps, ipBatch, isEnabled, keepOffSteps,
    networkdRuns, othersGive, plannedWith, reloadNetworkd, runningSettings, runsAs, systemctl, tapOf, unitOf,
} from "./tap-steps.ts";

/** A device as the dialog for editing shows it at first: its file's words, else as it runs. Undefined: there is neither. */
export function currentSettings(snapshot: Snapshot, name: string): TapSettings | undefined {
    const running = runningSettings(snapshot, name);
    return fileOf(snapshot, name)?.settings ?? (running && withoutDefaults(running));
}

/** A device changed into what is wished; one that was made by hand is written down with it. */
export function planEditTap(snapshot: Snapshot, wish: TapWish): Planned {
    const { name } = wish;
    const before = currentSettings(snapshot, name);
    const running = runningSettings(snapshot, name);
    const after = keepingMode(settingsFor(wish), before);
    const renew = running !== undefined && needsNewDevice(running, withAccounts(after, running));
    const now = heeding(after, before, running);
    const problems = [
        ...deviceProblems(snapshot, name), ...wishProblems(snapshot, wish, name),
        before ? undefined : { says: msg("$0 is neither there nor written down.", name) },
        renew ? inUse(snapshot, name) : undefined,
        running?.foreign?.has("create") && before && needsNewDevice(before, withAccounts(after, before)) ? madeByOthers(name) : undefined,
    ];
    const interrupts = renew ? [{ device: name }]
        : running ? [...interruptions(running, now), ...changedSysctls(snapshot, wish).some(isDeep(name)) ? [{ device: name }] : []] : [];
    const gives = [after, ...renew ? othersGive(snapshot, name) : []];
    return plannedWith(snapshot, { gives, had: running ? [running] : [], interrupts }, problems, () => ({
        title: msg("Change the TAP device $0", name),
        steps: renew ? renewing(snapshot, wish, after) : changing(snapshot, wish, after, running, now),
        about: { device: name },
        holds: at => (!running || runsAs(at, after)) && isEnabled(at, name) === wish.atBoot,
    }));
}

/** Whether link-local addresses are made is not in the dialog: what the file or the device says stays. */
function keepingMode(after: TapSettings, before: TapSettings | undefined): TapSettings {
    const { addrGenMode, ...rest } = after;
    const mode = before ? before.addrGenMode : addrGenMode;
    return { ...rest, ...mode !== undefined && { addrGenMode: mode } };
}

/** What others' lines of the file set stays on the running device as it is, unless this very thing is changed; the form has no "up". */
function heeding(after: TapSettings, before: TapSettings | undefined, running: TapSettings | undefined): TapSettings {
    const { foreign, mac, mtu, addrGenMode, up } = running ?? after;
    const stays = (key: "mac" | "mtu" | "addrGenMode") => foreign?.has(key.toLowerCase()) && after[key] === before?.[key];
    return {
        ...after, ...stays("mac") && mac !== undefined && { mac }, ...stays("mtu") && mtu !== undefined && { mtu },
        ...stays("addrGenMode") && addrGenMode !== undefined && { addrGenMode }, ...foreign?.has("state") && up !== undefined && { up },
    };
}

/** Where the kernel shows a name and the wish has a number, or the other way round, it may be the same account: left as it is. */
function withAccounts(after: TapSettings, running: TapSettings): TapSettings {
    const number = (text: string | undefined) => text !== undefined && /^\d+$/.test(text);
    const { owner, group, ...rest } = after;
    const kept = (wished: string | undefined, now: string | undefined) => wished && now && number(wished) !== number(now) ? now : wished;
    const as = { owner: kept(owner, running.owner), group: kept(group, running.group) };
    return { ...rest, ...as.owner !== undefined && { owner: as.owner }, ...as.group !== undefined && { group: as.group } };
}

function madeByOthers(name: string): Problem {
    return { says: msg("The line of $0 that makes the device says more than this page knows. Change multi-queue, owner and group there.", tapFilePath(name)) };
}

function inUse(snapshot: Snapshot, name: string): Problem | undefined {
    const [guest] = guestsRunningOn(snapshot, name);
    if (guest)
        return { says: msg("Multi-queue, owner and group can only be had by a new device. Shut $0 down first.", guest.name) };
    return tapOf(snapshot, name)?.carrier
        ? { says: msg("Multi-queue, owner and group can only be had by a new device, and a program is using this one.") }
        : undefined;
}

function tapFileSteps(snapshot: Snapshot, after: TapSettings): Step[] {
    const path = tapFilePath(after.name);
    const content = contentOf(snapshot, path);
    return fileSteps(snapshot, msg("Change $0", path), path, content === null ? writeTapFile(after) : editTapFile(content, after));
}

function sysctlFileSteps(snapshot: Snapshot, { name, sysctls }: TapWish): Step[] {
    const path = sysctlFilePath(name);
    const wanted = guardedSysctls(snapshot, name, sysctls);
    return fileSteps(snapshot, msg("Change $0", path), path, editSysctls(contentOf(snapshot, path), wanted));
}

/** The file, then the same changes on the running device. */
function changing(snapshot: Snapshot, wish: TapWish, after: TapSettings, running: TapSettings | undefined, now: TapSettings): Step[] {
    return [
        ...keepOffSteps(snapshot, [wish.name]), ...tapFileSteps(snapshot, after), ...sysctlFileSteps(snapshot, wish),
        ...running ? [...runningSteps(running, now), ...sysctlSteps(snapshot, wish)] : [],
        ...bootSteps(snapshot, wish.name, wish.atBoot),
    ];
}

function runningSteps(running: TapSettings, after: TapSettings): Step[] {
    const commands = changeCommands(running, after);
    if (commands.length === 0)
        return [];
    return [{
        says: msg("Change the running device"),
        does: ipBatch(commands),
        undo: command(["ip", "-force", "-batch", "-"], { input: inverse(running, after).map(line => `${line}\n`).join(""), accept: [1] }),
        partial: true,
    }];
}

/** Half of a change may be there when it fails: what is already as it was refuses to be taken back, which is no failure. */
function inverse(running: TapSettings, after: TapSettings): string[] {
    const changed = { ...running, ...after };
    const forgotten = after.up === false ? { routes: [], addresses: changed.addresses.filter(address => !address.includes(":")) } : {};
    return changeCommands({ ...changed, ...forgotten }, running);
}

/** What a change does to packets that pass now: a device that is set down, or gets another MAC address or MTU, or loses an address. */
function interruptions(running: TapSettings, after: TapSettings): Interruption[] {
    const { name } = running, lines = changeCommands(running, after);
    const whole = lines.some(line => /^(address delete|link set \S+ \S+ (address|mtu|down))\b/.test(line));
    const losing = lines.flatMap(line => prefixesOf(/^route delete (\S+)/.exec(line)?.[1] ?? ""));
    return whole ? [{ device: name }] : losing.length > 0 ? [{ device: name, losing }] : [];
}

/** All but those that every routed device gets may decide about packets that pass now. */
function isDeep(name: string): (sysctl: readonly [string, string]) => boolean {
    const usual = defaultSysctls(name, true);
    return ([key, value]) => usual.get(canonicalKey(key)) !== value;
}

function changedSysctls(snapshot: Snapshot, { name, sysctls }: TapWish): [string, string][] {
    const before: Sysctls = parseSysctls(contentOf(snapshot, sysctlFilePath(name)) ?? "");
    return [...guardedSysctls(snapshot, name, sysctls)].filter(([key, value]) => before.get(key) !== value);
}

function sysctlSteps(snapshot: Snapshot, wish: TapWish): Step[] {
    const before: Sysctls = parseSysctls(contentOf(snapshot, sysctlFilePath(wish.name)) ?? "");
    const changed = changedSysctls(snapshot, wish);
    const known = changed.flatMap(([key]) => before.has(key) ? [`${key}=${before.get(key)}`] : []);
    if (changed.length === 0)
        return [];
    return [{
        says: msg("Change the kernel settings of the running device"),
        does: command(["sysctl", "-w", ...changed.map(([key, value]) => `${key}=${value}`)]),
        ...known.length > 0 && { undo: command(["sysctl", "-w", ...known]) },
        partial: true,
    }];
}

/** Made anew: stopping the unit deletes the device, starting it makes it. Undone in reverse, the old file is there before the start. */
function renewing(snapshot: Snapshot, wish: TapWish, after: TapSettings): Step[] {
    const unit = unitOf(wish.name);
    return [
        { says: msg("Delete the device"), does: systemctl("stop", unit), undo: systemctl("start", unit), partial: true },
        ...keepOffSteps(snapshot, [wish.name]), ...tapFileSteps(snapshot, after), ...sysctlFileSteps(snapshot, wish),
        { says: msg("Make it anew"), does: systemctl("start", unit), undo: systemctl("stop", unit), partial: true },
        ...bootSteps(snapshot, wish.name, wish.atBoot),
    ];
}

function bootSteps(snapshot: Snapshot, name: string, atBoot: boolean): Step[] {
    if (isEnabled(snapshot, name) === atBoot)
        return [];
    const unit = unitOf(name);
    const [enable, disable] = [systemctl("enable", unit), systemctl("disable", unit)];
    return [atBoot
        ? { says: msg("Make it at every boot"), does: enable, undo: disable }
        : { says: msg("Do not make it at the next boot"), does: disable, undo: enable }];
}

/** Made at boot, or not. */
export function planAtBoot(snapshot: Snapshot, name: string, atBoot: boolean): Planned {
    return plannedWith(snapshot, { gives: atBoot ? fileGives(snapshot, name) : [] }, [
        ...deviceProblems(snapshot, name),
        fileOf(snapshot, name)?.makes ? undefined : { says: msg("$0 does not say how to make $1.", tapFilePath(name), name) },
    ], () => ({
        title: atBoot ? msg("Make $0 at every boot", name) : msg("Make $0 no longer at boot", name),
        steps: [...atBoot ? guardSteps(snapshot, name) : [], ...bootSteps(snapshot, name, atBoot)],
        about: { device: name },
        holds: after => isEnabled(after, name) === atBoot,
    }));
}

/** Up or down, now and in the file. */
export function planSetUp(snapshot: Snapshot, name: string, up: boolean): Planned {
    return planSettings(snapshot, name, up ? msg("Set $0 up", name) : msg("Set $0 down", name), () => ({ up }));
}

/** What can change while a guest is on the device: now, and in its file where it has one. */
export function planSettings(
    snapshot: Snapshot, name: string, title: Message, change: (before: TapSettings) => Partial<Pick<TapSettings, "up" | "mtu" | "addresses">>,
): Planned {
    const running = runningSettings(snapshot, name);
    const file = fileOf(snapshot, name);
    const wished = running && withForgotten({ ...running, ...change(running) }, running, file?.settings);
    const others = running && change(running).up === true && !running.up ? othersSteps(snapshot, name) : [];
    const touch: Touch = running && wished ? {
        gives: [given(running, wished), ...others.length > 0 ? othersGive(snapshot, name) : []], had: [running],
        interrupts: interruptions(running, wished),
    } : {};
    return plannedWith(snapshot, touch, [
        ...deviceProblems(snapshot, name), running ? undefined : { says: msg("$0 is not there.", name) },
    ], (): Plan => ({
        title,
        steps: [
            ...file ? tapFileSteps(snapshot, { ...file.settings, ...change(file.settings) }) : [],
            ...running && wished ? runningSteps(running, wished) : [],
            ...others,
        ],
        about: { device: name },
        holds: after => {
            const now = runningSettings(after, name);
            return now !== undefined && running !== undefined && runningSteps(now, { ...now, ...change(now) }).length === 0;
        },
    }));
}

/** What lines that the page does not understand had set, and the kernel has forgotten: their unit applies them again. */
function othersSteps(snapshot: Snapshot, name: string): Step[] {
    const foreign = fileOf(snapshot, name)?.foreign ?? [];
    return foreign.length === 0 || valueOf(snapshot.units)?.get(name)?.active !== "active" ? [] : [{
        says: msg("Apply what else $0 says", tapFilePath(name)), does: systemctl("reload", unitOf(name)), inert: true,
    }];
}

/** What a device gets by a change that it does not have. Set up, it gets what its file says. */
function given(running: TapSettings, { name, addresses, routes }: TapSettings): Giving {
    const known = new Set(running.routes.map(routeWords));
    return {
        name, addresses: addresses.filter(address => !running.addresses.includes(address)),
        routes: routes.filter(route => !known.has(routeWords(route))), ...!running.up && { written: true },
    };
}

/**
 * The kernel forgets routes and IPv6 addresses of a device that is set down (fib_disable_ip, addrconf_ifdown): up again, it gets those
 * that its file says.
 */
function withForgotten(wished: TapSettings, running: TapSettings, file: TapSettings | undefined): TapSettings {
    if (!file || running.up || !wished.up)
        return wished;
    const known = new Set(wished.routes.map(routeWords));
    return {
        ...wished, addresses: [...new Set([...wished.addresses, ...file.addresses])],
        routes: [...wished.routes, ...file.routes.filter(route => !known.has(routeWords(route)))],
    };
}

/** A device that is written down and missing. */
export function planBringBack(snapshot: Snapshot, name: string): Planned {
    const file = fileOf(snapshot, name);
    return plannedWith(snapshot, { gives: fileGives(snapshot, name) }, [
        ...deviceProblems(snapshot, name),
        file?.makes ? undefined : { says: msg("$0 does not say how to make $1.", tapFilePath(name), name) },
        tapOf(snapshot, name) ? { says: msg("$0 is there already.", name) } : undefined,
    ], () => ({
        title: msg("Bring $0 back", name),
        steps: [...guardSteps(snapshot, name), {
            says: msg("Make it as $0 says", tapFilePath(name)),
            does: systemctl("restart", unitOf(name)), undo: systemctl("stop", unitOf(name)), partial: true,
        }],
        about: { device: name },
        holds: after => tapOf(after, name) !== undefined,
    }));
}

/** A device made by hand, written down exactly as it runs; it is not made anew. */
export function planAdopt(snapshot: Snapshot, name: string, description?: string): Planned {
    const running = runningSettings(snapshot, name);
    const device = tapOf(snapshot, name);
    return plannedWith(snapshot, { gives: running ? [running] : [] }, [
        ...deviceProblems(snapshot, name),
        running ? undefined : { says: msg("There is no TAP device $0.", name) },
        fileOf(snapshot, name) ? { says: msg("$0 describes it already.", tapFilePath(name)) } : undefined,
        device && !device.tun.persistent
            ? { says: msg("$0 is not persistent: it goes with the program that has it open, and only that program could change this.", name) }
            : undefined,
    ], () => adopting(snapshot, { ...withoutDefaults(running ?? empty(name)), ...description && { description } }, device?.index));
}

function empty(name: string): TapSettings {
    return { name, multiQueue: false, addresses: [], routes: [] };
}

function adopting(snapshot: Snapshot, settings: TapSettings, index: number | undefined): Plan {
    const { name } = settings;
    return {
        title: msg("Take over $0 as it is", name),
        steps: [
            ...keepOffSteps(snapshot, [name]),
            ...fileSteps(snapshot, msg("Write the device down in $0", tapFilePath(name)), tapFilePath(name), writeTapFile(settings)),
            ...guardSteps(snapshot, name),
            {
                says: msg("Make it at every boot, before libvirt starts"),
                does: systemctl("enable", "--now", unitOf(name)),
                // Stopping the unit would delete the device, which was there before.
                undo: systemctl("disable", unitOf(name)),
                partial: true,
            },
        ],
        about: { device: name },
        holds: after => tapOf(after, name)?.index === index && isEnabled(after, name) && runsAs(after, settings),
    };
}

/** Drift: the file is made to say what runs. */
export function planTakeOver(snapshot: Snapshot, name: string): Planned {
    const running = runningSettings(snapshot, name), file = fileOf(snapshot, name);
    const after = running && file && takenOver(file.settings, running);
    return plannedWith(snapshot, { gives: after ? [after] : [] }, [
        ...deviceProblems(snapshot, name),
        after ? undefined : { says: msg("$0 is not both there and written down.", name) },
    ], () => ({
        title: msg("Write down how $0 runs", name),
        steps: tapFileSteps(snapshot, after ?? empty(name)),
        about: { device: name },
        holds: at => runsAs(at, fileOf(at, name)?.settings ?? empty(name)),
    }));
}

/** Drift: the running device is made to be as the file says. */
export function planApplyFile(snapshot: Snapshot, name: string): Planned {
    const running = runningSettings(snapshot, name), file = fileOf(snapshot, name);
    const said = file && { mtu: DEFAULTS.mtu, ...file.settings };
    const after = said && running && withAccounts(heeding(said, said, running), running);
    const renew = after && needsNewDevice(running, after);
    const touch: Touch = running && after ? {
        gives: [after, ...renew ? othersGive(snapshot, name) : []], had: [running],
        interrupts: renew ? [{ device: name }] : interruptions(running, after),
    } : {};
    return plannedWith(snapshot, touch, [
        ...deviceProblems(snapshot, name),
        after ? undefined : { says: msg("$0 is not both there and written down.", name) },
        renew ? inUse(snapshot, name) : undefined,
    ], () => ({
        title: msg("Make $0 as its file says", name),
        steps: renew
            ? [...guardSteps(snapshot, name), { says: msg("Make it anew"), does: systemctl("restart", unitOf(name)), partial: true }]
            : running && after ? runningSteps(running, after) : [],
        about: { device: name },
        holds: at => file !== undefined && runsAs(at, file.settings),
    }));
}

/** systemd-networkd kept off a device that it configures as well. */
export function planKeepOff(snapshot: Snapshot, name: string): Planned {
    const device = tapOf(snapshot, name);
    const steps = keepOffSteps(snapshot, [name]);
    return plannedWith(snapshot, { interrupts: [{ device: name }] }, [
        ...deviceProblems(snapshot, name), device ? undefined : { says: msg("$0 is not there.", name) },
        networkdRuns(snapshot) ? undefined : { says: msg("systemd-networkd does not run.") },
    ], () => ({
        title: msg("Keep systemd-networkd off $0", name),
        steps: steps.length > 0 ? steps : [reloadNetworkd()],
        about: { device: name },
        holds: after => device !== undefined && valueOf(after.networkd)?.has(device.index) === false,
    }));
}

/** Kernel settings of a device as its file says; empty without one. */
export function currentSysctls(snapshot: Snapshot, name: string): Sysctls {
    return parseSysctls(valueOf(snapshot.files)?.get(sysctlFilePath(name))?.content ?? "");
}
