// SPDX-License-Identifier: LGPL-2.1-or-later
// An `<interface>` as the fields of a form. The XML is the only state: a form reads its fields from it, and a changed field
// changes one attribute of it, so the form and the XML beside it never disagree, and what no field knows stays.
// The content model is that of libvirt's schemas/domaincommon.rng ("interface" and "interface-options").
import { parseInterface, pciText } from "./guest.ts";
import type { Interface } from "./guest.ts";
import { attributeAt, editXml, withAttribute, withChild, withoutChild } from "./interface-xml.ts";
import type { ElementPath } from "./interface-xml.ts";
import { child, children, parseElement } from "./xml.ts";
import type { XmlElement } from "./xml.ts";

/** Where each field stands in the XML. */
const places = {
    mac: [["mac"], "address"],
    target: [["target"], "dev"],
    managed: [["target"], "managed"],
    network: [["source"], "network"],
    bridge: [["source"], "bridge"],
    sourceDevice: [["source"], "dev"],
    sourceMode: [["source"], "mode"],
    model: [["model"], "type"],
    linkState: [["link"], "state"],
    mtu: [["mtu"], "size"],
    bootOrder: [["boot"], "order"],
    script: [["script"], "path"],
    downscript: [["downscript"], "path"],
    filter: [["filterref"], "filter"],
    driver: [["driver"], "name"],
    queues: [["driver"], "queues"],
    rxQueueSize: [["driver"], "rx_queue_size"],
    txQueueSize: [["driver"], "tx_queue_size"],
    txMode: [["driver"], "txmode"],
    eventIdx: [["driver"], "event_idx"],
    ioEventFd: [["driver"], "ioeventfd"],
    packed: [["driver"], "packed"],
    rss: [["driver"], "rss"],
    rssHashReport: [["driver"], "rss_hash_report"],
    iommu: [["driver"], "iommu"],
    ats: [["driver"], "ats"],
    pagePerVq: [["driver"], "page_per_vq"],
    inAverage: [["bandwidth", "inbound"], "average"],
    inPeak: [["bandwidth", "inbound"], "peak"],
    inBurst: [["bandwidth", "inbound"], "burst"],
    outAverage: [["bandwidth", "outbound"], "average"],
    outPeak: [["bandwidth", "outbound"], "peak"],
    outBurst: [["bandwidth", "outbound"], "burst"],
    romEnabled: [["rom"], "enabled"],
    romBar: [["rom"], "bar"],
    romFile: [["rom"], "file"],
    alias: [["alias"], "name"],
    acpiIndex: [["acpi"], "index"],
    trustGuestRxFilters: [[], "trustGuestRxFilters"],
} as const satisfies Record<string, readonly [ElementPath, string]>;

/** `pci` is an address in one text, as lspci writes it: "0000:01:00.0". */
export type InterfaceField = keyof typeof places | "pci";

const fieldPlaces: Readonly<Record<keyof typeof places, readonly [ElementPath, string]>> = places;

/** Field values; "" where the XML says nothing. */
export type InterfaceForm = Readonly<Record<InterfaceField, string>> & { readonly type: string };

const fieldNames = Object.keys(places) as (keyof typeof places)[];

/** Reads the fields. Throws XmlError where the text is no `<interface>`. */
export function formOf(xml: string): InterfaceForm {
    const element = parseElement(xml);
    const fields = fieldNames.map(name => [name, attributeAt(element, ...fieldPlaces[name]) ?? ""]);
    return {
        ...Object.fromEntries(fields) as Record<keyof typeof places, string>, type: element.attributes.get("type") ?? "",
        pci: pciOf(element, parseInterface(xml)),
    };
}

/** "" for an address of another kind, too: there is no field for those. */
function pciOf(element: XmlElement, { pci }: Interface): string {
    const half = attributeAt(element, ["address"], "slot") === undefined;
    return pci && !half ? pciText(pci) : attributeAt(element, ["address"], "domain") ?? "";
}

/** The XML with these fields changed and nothing else; "" takes the attribute away. Throws XmlError. */
export function withFields(xml: string, fields: Readonly<Partial<Record<InterfaceField, string>>>): string {
    return editXml(xml, element => withPci(fieldNames.reduce((edited, name) => {
        const value = fields[name];
        return value === undefined ? edited : withAttribute(edited, ...fieldPlaces[name], value || undefined);
    }, element), fields.pci));
}

/** The four numbers of a PCI address, as libvirt writes them; undefined for text that is none. */
export function pciParts(text: string): Record<"domain" | "bus" | "slot" | "function", string> | undefined {
    const [, domain = "", bus = "", slot = "", fn = ""] = /^([0-9a-f]{4}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i.exec(text) ?? [];
    return slot === "" ? undefined : { domain: `0x${domain}`, bus: `0x${bus}`, slot: `0x${slot}`, function: `0x${fn}` };
}

/** Text that is no address yet, as it is while somebody types, stands in `domain`, where pciOf finds it again. */
function withPci(element: XmlElement, text: string | undefined): XmlElement {
    if (text === undefined)
        return element;
    const parts = pciParts(text);
    if (text === "")
        return withoutChild(element, "address");
    const before = child(element, "address");
    const old = before?.attributes.get("type") === "pci" ? before : undefined;
    const others = [...old?.attributes ?? []].filter(([name]) => !["domain", "bus", "slot", "function"].includes(name));
    const attributes = new Map([...others, ...Object.entries({ type: "pci", ...parts ?? { domain: text } })]);
    return withChild(element, { type: "element", tag: "address", attributes, children: old?.children ?? [] });
}

/** The types that this project converts from and to. */
export const convertible = ["ethernet", "bridge", "network", "direct"] as const;

/** What belongs to one type only. */
const typeChildren = ["source", "target", "virtualport", "vlan", "port", "script", "downscript", "backend"] as const;

/**
 * The interface as another type: what belongs to the old type only goes (libvirt refuses or ignores it), the rest stays.
 * `<virtualport>`, `<vlan>` and `<port>` are errors on ethernet; `<target managed>` is one on all other types, whose target
 * libvirt names itself (virDomainNetDefValidate).
 * @param was how the interface was at other times, the latest first: if it was of that type, what belongs to the type comes back
 * Throws XmlError.
 */
export function convertedTo(xml: string, type: string, was: readonly string[] = []): string {
    return editXml(xml, element => {
        if (element.attributes.get("type") === type)
            return element;
        const typed = withAttribute(typeChildren.reduce(withoutChild, element), [], "type", type);
        const old = was.map(parseElement).find(candidate => candidate.attributes.get("type") === type);
        if (old)
            return typeChildren.flatMap(tag => children(old, tag)).reduce(withChild, typed);
        return type === "ethernet" ? withAttribute(typed, ["target"], "managed", "no") : typed;
    });
}

/** A new interface on a TAP device of the administrator's. */
export function newInterface(mac: string, target: string): string {
    return `<interface type='ethernet'>
  <mac address='${mac}'/>
  <target dev='${target}' managed='no'/>
  <model type='virtio'/>
</interface>`;
}

/** What libvirt changes in a running guest without unplugging (qemuDomainChangeNet). */
const liveChildren = ["link", "bandwidth", "filterref"] as const;

/**
 * The running interface with what libvirt can change while it runs taken from the wish, and nothing else: `managed` stays as it
 * runs, since a live update that replaces the definition would arm or disarm the protection of a running guest.
 */
export function liveWish(live: string, wish: string): string {
    const wished = parseElement(wish);
    return editXml(live, element => {
        const edited = liveChildren.reduce((changed, tag) => withChildrenOf(changed, wished, tag), element);
        return withAttribute(edited, [], "trustGuestRxFilters", wished.attributes.get("trustGuestRxFilters"));
    });
}

function withChildrenOf(element: XmlElement, other: XmlElement, tag: string): XmlElement {
    const [theirs] = children(other, tag);
    if (theirs)
        return withChild(element, theirs);
    return children(element, tag).length > 0 ? withoutChild(element, tag) : element;
}

/** Whether all that can be changed in a running guest is in `live` as it is in `wish`. */
export function hasLivePart(live: string, wish: string): boolean {
    return tookOver(live, liveWish(live, wish), live);
}

/**
 * Whether `result`, which libvirt wrote, is `before` edited to `wish`: all of the wish is in it, and nothing is left of what the
 * wish left out. What libvirt fills in by itself (address, alias, a default model) does not matter.
 */
export function tookOver(before: string, wish: string, result: string): boolean {
    const [old, wished, found] = [factsOf(before), factsOf(wish), factsOf(result)];
    return [...wished].every(fact => found.has(fact)) && [...old].every(fact => wished.has(fact) || !found.has(fact))
        && tookPlace(before, wish, result);
}

/** Address and alias, which libvirt gives by itself where the wish has none: what the wish changes in them has to be there. */
function tookPlace(before: string, wish: string, result: string): boolean {
    const [old, wished, found] = [before, wish, result].map(xml => {
        const facts = new Set<string>();
        const root = parseElement(xml);
        for (const tag of PLACES)
            children(root, tag).forEach(element => collectFacts(facts, element, `/${tag}`));
        return facts;
    });
    return [...wished ?? []].every(fact => old?.has(fact) || found?.has(fact));
}

const PLACES: readonly string[] = ["address", "alias"];

/** `path attribute=value` of everything in an interface that is somebody's choice. */
function factsOf(xml: string): Set<string> {
    const facts = new Set<string>();
    collectFacts(facts, parseElement(xml), "");
    facts.delete("/link state=up"); // the default: libvirt may leave it out
    return facts;
}

function collectFacts(facts: Set<string>, element: XmlElement, path: string) {
    const inPlace = PLACES.some(tag => path.startsWith(`/${tag}`));
    for (const [name, value] of element.attributes)
        facts.add(`${path} ${name}=${inPlace ? sameNumber(value) : value.toLowerCase()}`);
    for (const node of element.children) {
        if (node.type === "element" && !(path === "" && PLACES.includes(node.tag)))
            collectFacts(facts, node, `${path}/${node.tag}`);
    }
}

/** libvirt writes the numbers of an address in hexadecimal, however they were typed. */
function sameNumber(value: string): string {
    return /^(0x[0-9a-f]+|\d+)$/i.test(value) ? String(Number(value)) : value.toLowerCase();
}
