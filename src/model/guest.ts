// SPDX-License-Identifier: LGPL-2.1-or-later
// Guests as libvirt describes them. Every element of a domain definition is optional to us: what cannot be read
// leaves a `problem` on its guest and never hides the others.
import { msg } from "./message.ts";
import type { Message } from "./message.ts";
import { attributesIn, decodeXml, scan, XmlError } from "./xml.ts";

export type GuestState = "running" | "paused" | "off" | "other";

/** `<address type='pci' …>` of a device: with the MAC it is how libvirt finds an interface (virDomainNetFindIdx). */
export interface PciAddress {
    domain: number;
    bus: number;
    slot: number;
    function: number;
}

/** One `<interface>` of one definition. */
export interface Interface {
    /** Position among the interfaces of its definition. */
    index: number;
    /** The element's own text, byte for byte as libvirt printed it. */
    xml: string;
    /** `ethernet`, `bridge`, `network`, `direct` … */
    type: string;
    mac?: string;
    /** `<target dev>`: the TAP device. */
    target?: string;
    /** `<target managed>`: absent means yes (virDomainNetDef.managed_tap). */
    managed?: "yes" | "no";
    model?: string;
    /** `<driver queues>`: multi-queue only from 2 on. */
    queues?: number;
    /** `<source dev|bridge|network>`, by type. */
    source?: string;
    /** `<source network>`: libvirt's network. */
    network?: string;
    /** `<source bridge|dev>`: the link of the host that it is a port of or made on; libvirt adds that of a network while it runs. */
    lower?: string;
    script?: string;
    downscript?: string;
    mtu?: number;
    linkState?: "up" | "down";
    /** `<source><ip>`: addresses that libvirt would put on the host's side. */
    sourceIps: readonly string[];
    pci?: PciAddress;
    alias?: string;
}

/** What happens to the guest when the inside asks for it: `<on_poweroff>` and its siblings. */
export interface LifecycleActions {
    poweroff: string;
    reboot: string;
    crash: string;
}

/** A definition: the live one (`dumpxml`) or the configured one (`dumpxml --inactive`). */
export interface Definition {
    xml: string;
    name?: string;
    uuid?: string;
    /** `<domain type>`: kvm, qemu, lxc, xen … */
    type?: string;
    interfaces: readonly Interface[];
    on: LifecycleActions;
    /** `<launchSecurity type>`: sev, tdx … (a reset of a TDX guest is a stop and a start). */
    launchSecurity?: string;
}

export interface Guest {
    uuid: string;
    name: string;
    /** `<domain type>`: kvm, qemu, lxc, xen … */
    type: string;
    state: GuestState;
    persistent: boolean;
    autostart: boolean;
    managedSave: boolean;
    /** Only while the guest runs. */
    live?: Definition;
    /** Only of a persistent guest. */
    configured?: Definition;
    problem?: Message;
}

/** What was read of a guest: its line of the list and its definitions as text. */
export interface GuestReading {
    uuid: string;
    /** Where the list gave it; else the definition's. */
    name?: string;
    state: GuestState;
    persistent: boolean;
    autostart: boolean;
    managedSave: boolean;
    /** `dumpxml` of a guest that runs. */
    live?: string;
    /** `dumpxml --inactive` of a persistent guest. */
    configured?: string;
    /** Why a definition could not be had. */
    problem?: Message;
}

/** A guest from what was read of it. Never throws: what cannot be read is left out and said in `problem`. */
export function guestOf(reading: GuestReading): Guest {
    const live = tryDefinition(reading.live);
    const configured = tryDefinition(reading.configured);
    const definition = configured.definition ?? live.definition;
    const problem = reading.problem ?? configured.problem ?? live.problem;
    const { uuid, state, persistent, autostart, managedSave } = reading;
    return {
        uuid, state, persistent, autostart, managedSave,
        name: reading.name ?? definition?.name ?? uuid,
        type: definition?.type ?? "",
        ...live.definition && { live: live.definition },
        ...configured.definition && { configured: configured.definition },
        ...problem && { problem },
    };
}

function tryDefinition(xml: string | undefined): { definition?: Definition; problem?: Message } {
    if (xml === undefined)
        return {};
    try {
        return { definition: parseDefinition(xml) };
    } catch (error) {
        const words = error instanceof Error ? error.message : String(error);
        return { problem: msg("The definition of this guest cannot be read: $0", words) };
    }
}

/**
 * Reads a `<domain>` as `virsh dumpxml` prints it. Only its interfaces are parsed in full.
 * Throws XmlError where the text is not well-formed or no `<domain>`.
 */
export function parseDefinition(xml: string): Definition {
    const texts = new Map<string, string>();
    const interfaces: Interface[] = [];
    let domain: string | undefined;
    let launchSecurity: string | undefined;
    scan(xml, found => {
        const [root, first, second] = found.path;
        if (root !== "domain")
            return;
        if (first === undefined) {
            domain = xml.slice(found.start, found.inside);
        } else if (second === undefined) {
            if (!texts.has(first) && wanted.has(first))
                texts.set(first, decodeXml(xml.slice(found.inside, found.insideEnd)).trim());
            if (first === "launchSecurity")
                launchSecurity = attributesIn(xml.slice(found.start, found.inside)).get("type");
        } else if (first === "devices" && second === "interface") {
            interfaces.push(parseInterface(xml.slice(found.start, found.end), interfaces.length));
        }
    });
    if (domain === undefined)
        throw new XmlError("no <domain>");
    const type = attributesIn(domain).get("type");
    const name = texts.get("name");
    const uuid = texts.get("uuid");
    return {
        xml, interfaces, on: lifecycleOf(texts),
        ...name && { name }, ...uuid && { uuid }, ...type && { type }, ...launchSecurity && { launchSecurity },
    };
}

const wanted = new Set(["name", "uuid", "on_poweroff", "on_reboot", "on_crash"]);

/** libvirt's defaults where the element is missing: virDomainDefLifecycleParse. */
function lifecycleOf(texts: ReadonlyMap<string, string>): LifecycleActions {
    return {
        poweroff: texts.get("on_poweroff") || "destroy",
        reboot: texts.get("on_reboot") || "restart",
        crash: texts.get("on_crash") || "destroy",
    };
}

type Attributes = ReadonlyMap<string, string>;

/** Reads one `<interface>`. Throws XmlError where its tags do not match. */
export function parseInterface(xml: string, index = 0): Interface {
    const elements = new Map<string, Attributes>();
    const sourceIps: string[] = [];
    scan(xml, ({ path, start, inside }) => {
        const key = path.slice(1).join("/");
        if (!elements.has(key))
            elements.set(key, attributesIn(xml.slice(start, inside)));
        if (key === "source/ip")
            sourceIps.push(attributesIn(xml.slice(start, inside)).get("address") ?? "");
    });
    const attribute = (element: string, name: string) => elements.get(element)?.get(name);
    const managed = attribute("target", "managed");
    const linkState = attribute("link", "state");
    const pci = pciOf(elements.get("address"));
    return {
        index, xml, sourceIps,
        type: attribute("", "type") ?? "",
        ...optional("mac", attribute("mac", "address")?.toLowerCase()),
        ...optional("target", attribute("target", "dev")),
        ...(managed === "yes" || managed === "no") && { managed },
        ...optional("model", attribute("model", "type")),
        ...optional("queues", positive(attribute("driver", "queues"))),
        ...optional("source", sourceOf(elements.get("source"))),
        ...optional("network", attribute("source", "network")),
        ...optional("lower", attribute("source", "bridge") ?? attribute("source", "dev")),
        ...optional("script", attribute("script", "path")),
        ...optional("downscript", attribute("downscript", "path")),
        ...optional("mtu", positive(attribute("mtu", "size"))),
        ...(linkState === "up" || linkState === "down") && { linkState },
        ...pci && { pci },
        ...optional("alias", attribute("alias", "name")),
    };
}

/** `{ key: value }`, or nothing for an undefined value. */
function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
    const object: { [P in K]?: V } = {};
    if (value !== undefined)
        object[key] = value;
    return object;
}

function positive(text: string | undefined): number | undefined {
    return text !== undefined && /^\d+$/.test(text) && Number(text) > 0 ? Number(text) : undefined;
}

function sourceOf(source: Attributes | undefined): string | undefined {
    for (const name of ["network", "bridge", "dev", "name", "path"]) {
        const value = source?.get(name);
        if (value !== undefined)
            return value;
    }
    return undefined;
}

function pciOf(address: Attributes | undefined): PciAddress | undefined {
    if (address?.get("type") !== "pci")
        return undefined;
    const part = (name: string) => Number(address.get(name) ?? "0");
    const pci = { domain: part("domain"), bus: part("bus"), slot: part("slot"), function: part("function") };
    return Object.values(pci).every(Number.isInteger) ? pci : undefined;
}

/** An interface of a guest as it is configured and as it runs now; at least one of the two is there. */
export interface InterfacePair {
    configured?: Interface;
    live?: Interface;
}

/**
 * The interfaces of a guest, each with its counterpart in the other definition: the same MAC and PCI address, which is
 * how libvirt finds one (virDomainNetFindIdx). Configured ones first, in their order, then those that only run.
 */
export function pairInterfaces(guest: Guest): InterfacePair[] {
    const live = [...guest.live?.interfaces ?? []];
    const take = (matches: (candidate: Interface) => boolean) => {
        const at = live.findIndex(matches);
        return at < 0 ? undefined : live.splice(at, 1)[0];
    };
    const pairs: InterfacePair[] = (guest.configured?.interfaces ?? []).map(configured => ({ configured }));
    for (const same of [sameDevice, sameMac]) { // exact matches first, so that a looser one cannot take them away
        for (const pair of pairs) {
            const counterpart = pair.live ? undefined : take(candidate => !!pair.configured && same(pair.configured, candidate));
            if (counterpart)
                pair.live = counterpart;
        }
    }
    return [...pairs, ...live.map(only => ({ live: only }))];
}

function sameDevice(a: Interface, b: Interface): boolean {
    return a.mac === b.mac && !!a.pci && !!b.pci && pciText(a.pci) === pciText(b.pci);
}

/** For definitions that carry no PCI address on one side. */
function sameMac(a: Interface, b: Interface): boolean {
    return a.mac !== undefined && a.mac === b.mac && (!a.pci || !b.pci);
}

/** `0000:01:00.0`, as lspci and the kernel write it. */
export function pciText(pci: PciAddress): string {
    const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
    return `${hex(pci.domain, 4)}:${hex(pci.bus, 2)}:${hex(pci.slot, 2)}.${pci.function.toString(16)}`;
}
