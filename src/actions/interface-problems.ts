// SPDX-License-Identifier: LGPL-2.1-or-later
// What is wrong with an `<interface>` that somebody wishes: told before libvirt is asked, in our words. Odd things that an
// interface already had are left to the checks of the page; only what was changed is refused.
import { formOf, pciParts } from "../model/interface-form.ts";
import type { InterfaceField, InterfaceForm } from "../model/interface-form.ts";
import type { Guest, Interface, InterfacePair } from "../model/guest.ts";
import { msg } from "../model/message.ts";
import type { Message } from "../model/message.ts";
import { deviceNameProblem, macProblem } from "../model/names.ts";
import type { Problem } from "../model/plan.ts";
import { valueOf } from "../model/snapshot.ts";
import type { Snapshot } from "../model/snapshot.ts";
import type { Link } from "../model/tap.ts";
import { isTap } from "../model/tap.ts";
import { XmlError } from "../model/xml.ts";

export interface Wished {
    guest: Guest;
    /** The interface that is edited, as it is configured and as it runs; absent for a new one. */
    pair?: InterfacePair | undefined;
    xml: string;
}

/** What a wish is compared with: the configured interface, or else the live one. */
function beforeOf({ pair }: Wished): Interface | undefined {
    return pair?.configured ?? pair?.live;
}

/** Problems of the wish; `field` is an InterfaceField, `type`, or `xml`. */
export function interfaceProblems(snapshot: Snapshot, wished: Wished): Problem[] {
    let form: InterfaceForm;
    try {
        form = formOf(wished.xml);
        if (!/^\s*(<!--[^]*?-->\s*)*<interface[\s>/]/.test(wished.xml))
            return [{ field: "xml", says: msg("This is not an <interface> element.") }];
    } catch (error) {
        return [{ field: "xml", says: msg("This is not well-formed XML: $0", error instanceof XmlError ? error.message : String(error)) }];
    }
    const before = beforeOf(wished);
    const old = before && formOf(before.xml);
    const changed = (field: InterfaceField | "type") => form[field] !== (old?.[field] ?? "");
    return [
        ...form.type === "" ? [{ field: "xml", says: msg("The interface has no type.") }] : [],
        ...macProblems(snapshot, wished, form, changed("mac")),
        ...targetProblems(snapshot, wished, form, changed("target") || changed("managed") || changed("type")),
        ...queueProblems(snapshot, form, changed("queues") || changed("target")),
        ...sourceProblems(form),
        ...bootProblems(wished.guest, form, changed("bootOrder")),
        ...plainProblems(form, changed),
    ];
}

function macProblems(snapshot: Snapshot, { guest, pair }: Wished, { mac }: InterfaceForm, changed: boolean): Problem[] {
    const problem = (says: Message) => [{ field: "mac", says }];
    if (mac === "")
        return problem(msg("Enter a MAC address: without one libvirt would make a new one at each change."));
    if (!changed)
        return [];
    const wrong = macProblem(mac);
    if (wrong)
        return problem(wrong);
    const link = valueOf(snapshot.links)?.find(candidate => candidate.mac?.toLowerCase() === mac.toLowerCase());
    if (link)
        return problem(msg("The host's own device $0 has this MAC address. Choose another one.", link.name));
    const other = interfacesOf(snapshot, guest, pair).find(({ iface }) => iface.mac === mac.toLowerCase());
    return other ? problem(msg("An interface of the guest $0 has this MAC address. Choose another one.", other.guest.name)) : [];
}

interface Used {
    guest: Guest;
    iface: Interface;
    live: boolean;
}

/**
 * All interfaces of all guests, but for the one that is edited, in both definitions. One that does not run is changed for the next start
 * only, when nothing of what its guest runs with now is left: least of all itself, as it runs by another MAC address.
 */
function interfacesOf(snapshot: Snapshot, guest: Guest, pair: InterfacePair | undefined): Used[] {
    const { configured, live } = pair ?? {};
    const nextStart = configured !== undefined && live === undefined;
    const isEdited = (candidate: Guest, iface: Interface, runs: boolean) => candidate.uuid === guest.uuid
        && (runs ? nextStart || iface.index === live?.index : iface.index === configured?.index);
    return (valueOf(snapshot.guests) ?? []).flatMap(candidate => [
        ...(candidate.configured?.interfaces ?? []).map(iface => ({ guest: candidate, iface, live: false })),
        ...(candidate.live?.interfaces ?? []).map(iface => ({ guest: candidate, iface, live: true })),
    ].filter(({ iface, live: runs }) => !isEdited(candidate, iface, runs)));
}

function targetProblems(snapshot: Snapshot, wished: Wished, { type, target, managed }: InterfaceForm, changed: boolean): Problem[] {
    if (type !== "ethernet")
        return managed === "no" ? [{ field: "managed", says: msg("libvirt takes managed='no' for interfaces of type ethernet only.") }] : [];
    if (!changed || (target === "" && managed !== "no"))
        return [];
    const says = (target !== beforeOf(wished)?.target ? deviceNameProblem(target) : undefined)
        ?? usedElsewhere(snapshot, wished, target)
        ?? wrongKind(valueOf(snapshot.links)?.find(link => link.name === target));
    return says ? [{ field: "target", says }] : [];
}

function usedElsewhere(snapshot: Snapshot, { guest, pair }: Wished, target: string): Message | undefined {
    const users = interfacesOf(snapshot, guest, pair).filter(({ iface }) => iface.target === target);
    const user = users.find(found => found.live) ?? users.find(found => found.guest.uuid === guest.uuid);
    if (!user)
        return undefined;
    return user.guest.uuid === guest.uuid
        ? msg("Another interface of this guest uses $0 already.", target)
        : msg("The guest $0 is running on $1. Choose another device.", user.guest.name, target);
}

function wrongKind(link: Link | undefined): Message | undefined {
    if (!link || isTap(link) || link.kind === "macvtap")
        return undefined;
    return msg("$0 is not a TAP device: the guest could not start. Choose another device.", link.name);
}

/** The kernel wants a device and its user to agree on multi-queue (tun_set_iff); libvirt asks for it from 2 queues on. */
function queueProblems(snapshot: Snapshot, { type, target, queues }: InterfaceForm, changed: boolean): Problem[] {
    const problem = (says: Message) => [{ field: "queues", says }];
    if (queues !== "" && !(/^\d+$/.test(queues) && Number(queues) >= 1 && Number(queues) <= 256))
        return problem(msg("Enter a number of queues from 1 to 256, or nothing."));
    const device = valueOf(snapshot.links)?.find(link => link.name === target);
    if (!changed || type !== "ethernet" || !device || !isTap(device))
        return [];
    const many = Number(queues) > 1;
    if (many && !device.tun.multiQueue)
        return problem(msg("$0 has one queue only: the guest could not start. Leave this empty, or make the device multi-queue.", target));
    if (!many && device.tun.multiQueue)
        return problem(msg("$0 is a multi-queue device: the guest could not start with fewer than 2 queues.", target));
    return [];
}

function sourceProblems(form: InterfaceForm): Problem[] {
    const needs: Partial<Record<string, [InterfaceField, Message]>> = {
        bridge: ["bridge", msg("Enter the bridge that the interface is to be plugged into.")],
        network: ["network", msg("Enter the libvirt network that the interface is to be plugged into.")],
        direct: ["sourceDevice", msg("Enter the device of the host that the interface is to share.")],
    };
    const [field, says] = needs[form.type] ?? [];
    return field && says && form[field] === "" ? [{ field, says }] : [];
}

/** virDomainDefPostParse: `<os><boot dev=…>` and `<boot order=…>` of a device exclude each other. */
function bootProblems({ configured, live }: Guest, { bootOrder }: InterfaceForm, changed: boolean): Problem[] {
    const byKind = /<os[\s>](?:(?!<\/os>)[^])*<boot\s+dev=/.test((configured ?? live)?.xml ?? "");
    return changed && bootOrder !== "" && byKind
        ? [{ field: "bootOrder", says: msg("This guest boots by kind of device (<os><boot dev=…>): libvirt takes no boot order of single devices beside it.") }]
        : [];
}

const whole = (from: number, to: number) => (text: string) => /^\d+$/.test(text) && Number(text) >= from && Number(text) <= to;

/** What each simple field takes: the formats of domaincommon.rng. */
const formats: readonly [readonly InterfaceField[], (text: string) => boolean, Message][] = [
    [["mtu"], whole(68, 65535), msg("An MTU is a number of bytes from 68 to 65535.")],
    [["bootOrder"], whole(1, 65535), msg("A boot order is a number from 1 on.")],
    [["rxQueueSize", "txQueueSize"], text => whole(64, 32768)(text) && Number.isInteger(Math.log2(Number(text))),
        msg("A queue size is a power of two, for example 256 or 1024.")],
    [["inAverage", "inPeak", "inBurst", "outAverage", "outPeak", "outBurst"], whole(1, 4294967295), msg("Enter a whole number from 1 on.")],
    [["model"], text => /^[A-Za-z0-9_-]+$/.test(text), msg("A model is made of letters, digits, - and _, for example virtio.")],
    [["script", "downscript", "romFile"], text => text.startsWith("/"), msg("Enter the whole path, beginning with a slash.")],
    [["filter"], text => !/[\s/]/.test(text), msg("The name of a network filter has neither spaces nor slashes.")],
    [["pci"], text => pciParts(text) !== undefined, msg("A PCI address is written like $0.", "0000:01:00.0")],
    [["acpiIndex"], whole(1, 16383), msg("An ACPI index is a number from 1 to 16383.")],
    [["alias"], text => /^ua-[A-Za-z0-9_-]+$/.test(text), msg("An alias of your own begins with ua- and goes on with letters, digits, - or _.")],
];

function plainProblems(form: InterfaceForm, changed: (field: InterfaceField) => boolean): Problem[] {
    const wrong = formats.flatMap(([fields, accepts, says]) =>
        fields.filter(field => changed(field) && form[field] !== "" && !accepts(form[field])).map(field => ({ field, says })));
    const limits: readonly [InterfaceField, InterfaceField, InterfaceField][] = [
        ["inAverage", "inPeak", "inBurst"], ["outAverage", "outPeak", "outBurst"],
    ];
    const unlimited = limits
        .filter(([average, peak, burst]) => form[average] === "" && (form[peak] !== "" || form[burst] !== ""))
        .map(([field]) => ({ field, says: msg("A peak or a burst needs an average, too.") }));
    return [...wrong, ...unlimited];
}
