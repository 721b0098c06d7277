// SPDX-License-Identifier: LGPL-2.1-or-later
// Adding, changing, converting and removing one `<interface>` of a guest. Only that element travels to libvirt
// (attach-device, update-device, detach-device), so nothing else of a definition, least of all its passwords, can be lost.
//
// libvirt finds the interface by MAC *and* PCI address *and* alias (virDomainNetFindIdx), never by target device, so all three
// are always sent; without <mac> it would store a newly generated one. What identifies the interface can only be changed by taking
// the interface away and adding it again, which update-device refuses.
import { pairInterfaces, parseInterface, pciText } from "../model/guest.ts";
import type { Guest, Interface, InterfacePair } from "../model/guest.ts";
import { formOf, hasLivePart, liveWish, tookOver } from "../model/interface-form.ts";
import type { InterfaceForm } from "../model/interface-form.ts";
import type { Interruption } from "../model/host-reach.ts";
import { editXml, sameXml, withChild, withoutChild } from "../model/interface-xml.ts";
import { msg } from "../model/message.ts";
import type { Message } from "../model/message.ts";
import type { Command, Expectation, Plan, Planned, Problem, Step } from "../model/plan.ts";
import { valueOf } from "../model/snapshot.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { child, parseElement } from "../model/xml.ts";
import { interfaceProblems } from "./interface-problems.ts";
import { plannedWith } from "./tap-steps.ts";

/** What to do in the running guest: nothing; what libvirt can change in place; or unplug the interface and plug it in again. */
export type LiveWish = "no" | "change" | "replug";

export interface InterfaceWish {
    uuid: string;
    /** The interface as the dialog was opened on; absent for a new one. */
    opened?: InterfacePair | undefined;
    /** The whole `<interface>` as it shall be. */
    xml: string;
    /** Change the configured definition: takes effect at the next start. */
    config: boolean;
    live: LiveWish;
}

export interface RemoveWish {
    uuid: string;
    opened: InterfacePair;
    config: boolean;
    live: boolean;
}

type Which = "config" | "live";

/** The verb of one virsh call about one interface. */
function virsh(verb: "attach-device" | "update-device" | "detach-device", guest: Guest, xml: string, which: Which): Command {
    return { type: "command", argv: ["virsh", "-c", "qemu:///system", verb, guest.uuid, "/dev/stdin", `--${which}`], input: xml };
}

function expected(guest: Guest, iface: Interface, which: Which): Expectation {
    return { type: "interface", uuid: guest.uuid, which: which === "live" ? "live" : "configured", index: iface.index, xml: iface.xml };
}

/** Adds an interface, or changes the one that the dialog was opened on. */
export function planInterface(snapshot: Snapshot, wish: InterfaceWish): Planned {
    const found = findOpened(snapshot, wish.uuid, wish.opened);
    if ("problems" in found)
        return found;
    const { guest, pair } = found;
    const before = pair?.configured ?? pair?.live;
    const problems = [...interfaceProblems(snapshot, { guest, pair, xml: wish.xml }), ...scopeProblems(guest, wish)];
    if (problems.length > 0)
        return { problems };
    const steps = pair ? changeSteps(guest, pair, wish) : addSteps(guest, wish);
    if (steps.some(step => step === "ambiguous"))
        return ambiguous();
    return plannedWith(snapshot, { interrupts: interruptions(pair?.live, wish) }, [], () => ({
        title: pair ? msg("Change an interface of $0", guest.name) : msg("Add an interface to $0", guest.name),
        steps: steps.filter(step => step !== "ambiguous"),
        notes: notes(snapshot, guest, pair, wish),
        about: about(guest, before, formOf(wish.xml)),
        holds: after => promised(after, guest, pair, wish),
    }));
}

/** What passes no packets for a while: an interface that is plugged in anew, loses its link, or gets another filter. */
function interruptions(live: Interface | undefined, { xml, live: how }: InterfaceWish): Interruption[] {
    if (!live?.target || how === "no")
        return [];
    const now = formOf(live.xml), then = formOf(liveWish(live.xml, xml));
    const cuts = how === "replug" || (then.linkState === "down" && now.linkState !== "down") || then.filter !== now.filter;
    return cuts ? [{ device: live.target }] : [];
}

/** Takes an interface out of the configured definition, the running guest, or both. */
export function planRemoveInterface(snapshot: Snapshot, wish: RemoveWish): Planned {
    const found = findOpened(snapshot, wish.uuid, wish.opened);
    if ("problems" in found)
        return found;
    const { guest, pair } = found;
    const live = wish.live ? pair?.live : undefined;
    const configured = wish.config ? pair?.configured : undefined;
    if (!live && !configured)
        return { problems: [{ says: msg("Choose where the interface is to be removed from.") }] };
    if ([live, configured].some(iface => iface && isAmbiguous(guest, iface)))
        return ambiguous();
    const interrupts = live?.target === undefined ? [] : [{ device: live.target }];
    return plannedWith(snapshot, { interrupts }, [], () => ({
        title: msg("Remove an interface of $0", guest.name),
        steps: [...live ? [detach(guest, live, "live")] : [], ...configured ? [detach(guest, configured, "config")] : []],
        notes: [
            ...live ? [msg("The running guest has to let go of the interface. One that is paused, still booting or hung does not.")] : [],
            ...!live && pair?.live ? [msg("The running guest keeps the interface until it is shut down.")] : [],
            ...!configured && pair?.configured ? [msg("The interface stays in the definition and is back at the next start.")] : [],
        ],
        about: about(guest, configured ?? live),
        holds: after => !(live && stillThere(after, guest, live, "live")) && !(configured && stillThere(after, guest, configured, "config")),
    }));
}

/** For the history. What is converted is kept there as it was, so that it can be converted back: there is no other place to keep it. */
function about(guest: Guest, before: Interface | undefined, wish?: InterfaceForm): NonNullable<Plan["about"]> {
    const device = wish?.target || before?.target;
    return {
        guest: guest.name, ...device !== undefined && { device },
        ...before && wish && wish.type !== before.type && { was: before.xml },
    };
}

/** An interface as it was. */
export interface Former {
    xml: string;
    /** Until when, in milliseconds since 1970; absent: until now. */
    until?: number;
}

/** What an interface was before it was converted, the latest first: as it is now, then what the journal still knows. */
export function formerly(snapshot: Snapshot, guest: Guest, { configured, live }: InterfacePair): readonly Former[] {
    const now = configured ?? live;
    const entries = (valueOf(snapshot.history) ?? []).filter(entry => entry.guest === guest.name && isOf(now, entry.was));
    const former = entries.toSorted((a, b) => b.time - a.time).map(({ was = "", time }) => ({ xml: was, until: time }));
    return [...now ? [{ xml: now.xml }] : [], ...former];
}

function isOf(iface: Interface | undefined, was: string | undefined): boolean {
    try {
        return was !== undefined && formOf(was).mac.toLowerCase() === iface?.mac;
    } catch {
        return false;
    }
}

/** The guest and the interface as they are now, if they are what the dialog was opened on. */
function findOpened(snapshot: Snapshot, uuid: string, opened: InterfacePair | undefined):
{ guest: Guest; pair: InterfacePair | undefined } | { problems: readonly Problem[] } {
    const guest = valueOf(snapshot.guests)?.find(candidate => candidate.uuid === uuid);
    if (!guest)
        return { problems: [{ says: msg("This guest does not exist any more.") }] };
    if (!opened)
        return { guest, pair: undefined };
    const pair = currentOf(guest, opened);
    return pair
        ? { guest, pair }
        : { problems: [{ field: "meanwhile", says: msg("The interface was changed by somebody else meanwhile.") }] };
}

/**
 * The pair whose texts are still those that the dialog was opened on. A guest that was started or stopped in between changes
 * nothing about what is configured.
 */
function currentOf(guest: Guest, opened: InterfacePair): InterfacePair | undefined {
    const pairs = pairInterfaces(guest);
    if (opened.configured)
        return pairs.find(pair => pair.configured?.index === opened.configured?.index && pair.configured?.xml === opened.configured?.xml);
    return pairs.find(pair => !pair.configured && pair.live?.xml === opened.live?.xml);
}

/** What stands now where the dialog's interface stood, for showing both: undefined where nothing does. */
export function foundMeanwhile(snapshot: Snapshot, uuid: string, opened: InterfacePair): InterfacePair | undefined {
    const guest = valueOf(snapshot.guests)?.find(candidate => candidate.uuid === uuid);
    const pairs = guest ? pairInterfaces(guest) : [];
    const iface = opened.configured ?? opened.live;
    const side = opened.configured ? "configured" : "live";
    return pairs.find(pair => pair[side]?.mac === iface?.mac && pair[side]?.index === iface?.index)
        ?? pairs.find(pair => pair[side]?.mac === iface?.mac);
}

function scopeProblems(guest: Guest, wish: InterfaceWish): Problem[] {
    if (!wish.config && wish.live === "no")
        return [{ field: "scope", says: msg("Choose what is to be changed: the definition, the running guest, or both.") }];
    if (wish.config && !guest.configured)
        return [{ field: "scope", says: msg("$0 is a transient guest: it has no definition that could be changed.", guest.name) }];
    return [];
}

function ambiguous(): Planned {
    return {
        problems: [{
            says: msg("Two interfaces of this guest have the same MAC address and no PCI address that tells them apart: libvirt refuses to change either. Give one of them another MAC address in the definition first."),
        }],
    };
}

/** Whether libvirt would answer "multiple devices matching". */
export function isAmbiguous(guest: Guest, iface: Interface): boolean {
    const all = [guest.configured?.interfaces, guest.live?.interfaces].find(interfaces => interfaces?.includes(iface)) ?? [];
    const alike = (other: Interface) => !iface.pci || !other.pci || pciText(other.pci) === pciText(iface.pci);
    return all.filter(other => other.mac === iface.mac && alike(other)).length > 1;
}

type Steps = readonly (Step | "ambiguous")[];

function addSteps(guest: Guest, wish: InterfaceWish): Steps {
    const running = wish.live !== "no" && guest.live;
    return [
        ...running ? [attach(guest, wish.xml, "live")] : [],
        ...wish.config ? [attach(guest, wish.xml, "config")] : [],
    ];
}

/** The running guest first: it refuses more, and what it refused need not be undone in the definition. */
function changeSteps(guest: Guest, pair: InterfacePair, wish: InterfaceWish): Steps {
    return [
        ...pair.live && wish.live !== "no" ? liveSteps(guest, pair.live, wish) : [],
        ...pair.configured && wish.config ? configSteps(guest, pair.configured, wish.xml) : [],
    ];
}

function liveSteps(guest: Guest, live: Interface, { xml, live: how }: InterfaceWish): Steps {
    if (how === "replug") {
        const plugged = withIdentity(live, xml);
        return isAmbiguous(guest, live) ? ["ambiguous"] : [detach(guest, live, "live"), attach(guest, plugged, "live")];
    }
    const sent = liveWish(live.xml, xml);
    if (hasLivePart(live.xml, xml))
        return [];
    return isAmbiguous(guest, live) ? ["ambiguous"] : [update(guest, live, sent, "live")];
}

function configSteps(guest: Guest, configured: Interface, xml: string): Steps {
    const wish = withIdentity(configured, xml);
    if (sameXml(configured.xml, wish))
        return [];
    if (isAmbiguous(guest, configured))
        return ["ambiguous"];
    return sameIdentity(configured, parseInterface(wish))
        ? [update(guest, configured, wish, "config")]
        : [detach(guest, configured, "config"), attach(guest, wish, "config")];
}

/** The wish with the address of the interface it is about, unless it has one of its own: libvirt finds it by that. */
function withIdentity(iface: Interface, wish: string): string {
    const address = child(parseElement(iface.xml), "address");
    return editXml(wish, element => address && !child(element, "address") ? withChild(element, address) : element);
}

function sameIdentity(a: Interface, b: Interface): boolean {
    return a.mac === b.mac && a.alias === b.alias && (a.pci && pciText(a.pci)) === (b.pci && pciText(b.pci));
}

/** Sends the whole interface as it shall be; undone by sending it as it was. */
export function update(guest: Guest, iface: Interface, xml: string, which: Which): Step {
    return {
        says: which === "live" ? msg("Change the interface of the running guest") : msg("Change the interface in the definition"),
        does: virsh("update-device", guest, xml, which),
        expects: expected(guest, iface, which),
        undo: virsh("update-device", guest, iface.xml, which),
        shows: { before: iface.xml, after: xml },
    };
}

function attach(guest: Guest, xml: string, which: Which): Step {
    return {
        says: which === "live" ? msg("Plug the interface into the running guest") : msg("Add the interface to the definition"),
        does: virsh("attach-device", guest, xml, which),
        undo: virsh("detach-device", guest, xml, which),
        shows: { before: "", after: xml },
    };
}

function detach(guest: Guest, iface: Interface, which: Which): Step {
    return {
        says: which === "live" ? msg("Unplug the interface from the running guest") : msg("Remove the interface from the definition"),
        does: virsh("detach-device", guest, iface.xml, which),
        expects: expected(guest, iface, which),
        undo: virsh("attach-device", guest, which === "live" ? withoutRuntimeAlias(iface) : iface.xml, which),
        shows: { before: iface.xml, after: "" },
    };
}

/** libvirt's own aliases (net0) are given anew; only those of users (ua-…) may be asked for. */
function withoutRuntimeAlias({ xml, alias }: Interface): string {
    return alias?.startsWith("ua-") ? xml : editXml(xml, element => withoutChild(element, "alias"));
}

function notes(snapshot: Snapshot, guest: Guest, pair: InterfacePair | undefined, wish: InterfaceWish): Message[] {
    const form = formOf(wish.xml);
    const device = valueOf(snapshot.links)?.find(link => link.name === form.target);
    const ethernet = form.type === "ethernet" && form.target !== "";
    const others = (valueOf(snapshot.guests) ?? []).filter(other => other.uuid !== guest.uuid
        && other.configured?.interfaces.some(iface => iface.target === form.target));
    return [
        ...ethernet && form.managed !== "no" && device?.tun?.persistent
            ? [msg("Without managed='no' libvirt deletes $0 when the guest stops or a start fails.", form.target)] : [],
        ...ethernet && form.managed === "no" && valueOf(snapshot.links) && !device
            ? [msg("There is no device $0 yet: the guest cannot start before it is made.", form.target)] : [],
        ...ethernet && others[0] ? [msg("The definition of $0 names $1, too: only one of the two guests can run.", others[0].name, form.target)] : [],
        ...guest.live && pair?.live && wish.config && wish.live !== "replug" && pending(pair, wish)
            ? [msg("$0 runs on with the old interface: the change takes effect when it is shut down and started again. A reboot from inside is not enough.", guest.name)]
            : [],
        ...guest.live && !pair && wish.live === "no" ? [msg("$0 gets the interface when it is shut down and started again.", guest.name)] : [],
        ...guest.live && wish.live === "replug" ? [msg("The guest loses its connection for a moment, and its operating system has to take part.")] : [],
        ...pair && wish.live === "change" && !wish.config && pending(pair, wish)
            ? [msg("Only link state, bandwidth and network filter can change in a running guest: everything else stays as it is.")] : [],
    ];
}

/** Whether the running interface, with what can be changed at once, still differs from the wish. */
function pending({ live, configured }: InterfacePair, wish: InterfaceWish): boolean {
    if (!live)
        return false;
    return !tookOver(configured?.xml ?? wish.xml, wish.xml, wish.live === "change" ? liveWish(live.xml, wish.xml) : live.xml);
}

/** Whether the host, read again, has the wish wherever it was to be. */
function promised(after: Snapshot, guest: Guest, pair: InterfacePair | undefined, wish: InterfaceWish): boolean {
    const now = valueOf(after.guests)?.find(candidate => candidate.uuid === guest.uuid);
    const mac = formOf(wish.xml).mac.toLowerCase();
    const has = (interfaces: readonly Interface[] | undefined, old: Interface | undefined, xml: string) =>
        interfaces?.some(iface => iface.mac === mac && tookOver(old?.xml ?? "<interface/>", xml, iface.xml)) ?? false;
    const configured = !wish.config || (!pair && !guest.configured) || has(now?.configured?.interfaces, pair?.configured, wish.xml);
    const wantsLive = wish.live !== "no" && guest.live && (!pair || pair.live);
    if (!wantsLive)
        return configured;
    return configured && (wish.live === "change" && pair?.live
        ? now?.live?.interfaces.some(iface => iface.mac === pair.live?.mac && hasLivePart(iface.xml, wish.xml)) ?? false
        : has(now?.live?.interfaces, undefined, withoutRuntimeAlias(parseInterface(wish.xml))));
}

function stillThere(after: Snapshot, guest: Guest, iface: Interface, which: Which): boolean {
    const now = valueOf(after.guests)?.find(candidate => candidate.uuid === guest.uuid);
    const definition = which === "live" ? now?.live : now?.configured;
    return definition?.interfaces.some(other => sameIdentity(other, iface)) ?? false;
}

