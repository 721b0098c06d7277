// SPDX-License-Identifier: LGPL-2.1-or-later
// An `<interface>` as the fields of a form. The XML is the only state: a form reads its fields from it, and a changed field
// changes one attribute of it, so the form and the XML beside it never disagree, and what no field knows stays.
// The content model is that of libvirt's schemas/domaincommon.rng ("interface" and "interface-options").
import { attributeAt, editXml, withAttribute, withChild, withoutChild } from "./interface-xml.ts";
import type { ElementPath } from "./interface-xml.ts";
import { children, parseElement } from "./xml.ts";
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
    trustGuestRxFilters: [[], "trustGuestRxFilters"],
} as const satisfies Record<string, readonly [ElementPath, string]>;

export type InterfaceField = keyof typeof places;

const fieldPlaces: Readonly<Record<InterfaceField, readonly [ElementPath, string]>> = places;

/** Field values; "" where the XML says nothing. */
export type InterfaceForm = Readonly<Record<InterfaceField, string>> & { readonly type: string };

const fieldNames = Object.keys(places) as InterfaceField[];

/** Reads the fields. Throws XmlError where the text is no `<interface>`. */
export function formOf(xml: string): InterfaceForm {
    const element = parseElement(xml);
    const fields = fieldNames.map(name => [name, attributeAt(element, ...fieldPlaces[name]) ?? ""]);
    return { ...Object.fromEntries(fields) as Record<InterfaceField, string>, type: element.attributes.get("type") ?? "" };
}

/** The XML with these fields changed and nothing else; "" takes the attribute away. Throws XmlError. */
export function withFields(xml: string, fields: Readonly<Partial<Record<InterfaceField, string>>>): string {
    return editXml(xml, element => fieldNames.reduce((edited, name) => {
        const value = fields[name];
        return value === undefined ? edited : withAttribute(edited, ...fieldPlaces[name], value || undefined);
    }, element));
}

/** The types that this project converts from and to. */
export const convertible = ["ethernet", "bridge", "network", "direct"] as const;

/**
 * The interface as another type: what belongs to the old type only goes (libvirt refuses or ignores it), the rest stays.
 * `<virtualport>`, `<vlan>` and `<port>` are errors on ethernet; `<target managed>` is one on all other types, whose target
 * libvirt names itself (virDomainNetDefValidate). Throws XmlError.
 */
export function convertedTo(xml: string, type: string): string {
    return editXml(xml, element => {
        if (element.attributes.get("type") === type)
            return element;
        const bare = ["source", "target", "virtualport", "vlan", "port", "script", "downscript", "backend"].reduce(withoutChild, element);
        const typed = withAttribute(bare, [], "type", type);
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
    return [...wished].every(fact => found.has(fact)) && [...old].every(fact => wished.has(fact) || !found.has(fact));
}

/** `path attribute=value` of everything in an interface that is somebody's choice. */
function factsOf(xml: string): Set<string> {
    const facts = new Set<string>();
    const collect = (element: XmlElement, path: string) => {
        for (const [name, value] of element.attributes)
            facts.add(`${path} ${name}=${value.toLowerCase()}`);
        for (const node of element.children) {
            if (node.type === "element" && !(path === "" && ["address", "alias"].includes(node.tag)))
                collect(node, `${path}/${node.tag}`);
        }
    };
    collect(parseElement(xml), "");
    facts.delete("/link state=up"); // the default: libvirt may leave it out
    return facts;
}
