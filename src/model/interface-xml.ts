// SPDX-License-Identifier: LGPL-2.1-or-later
// Edits of one `<interface>` that leave everything else of it as it is, and comparisons that do not mind how it is written.
import { child, parseElement, writeElement } from "./xml.ts";
import type { XmlElement, XmlNode } from "./xml.ts";

/** A place in an element: names of child elements, outermost first; empty for the element itself. */
export type ElementPath = readonly string[];

/** The value of an attribute below `element`; undefined where the element or the attribute is missing. */
export function attributeAt(element: XmlElement, path: ElementPath, name: string): string | undefined {
    return path.reduce<XmlElement | undefined>(child, element)?.attributes.get(name);
}

/**
 * Sets an attribute, making the elements on the way; with `undefined` takes it away, and with it each element on the way that is
 * left without attributes and content. An attribute that has the value already leaves the element untouched.
 */
export function withAttribute(element: XmlElement, path: ElementPath, name: string, value: string | undefined): XmlElement {
    if (attributeAt(element, path, name) === value)
        return element;
    const [tag, ...rest] = path;
    if (tag === undefined)
        return { ...element, attributes: attributesWith(element.attributes, name, value) };
    const old = child(element, tag) ?? { type: "element", tag, attributes: new Map(), children: [] };
    const changed = withAttribute(old, rest, name, value);
    return isEmpty(changed) ? withoutChild(element, tag) : withChild(element, changed);
}

function attributesWith(attributes: ReadonlyMap<string, string>, name: string, value: string | undefined): Map<string, string> {
    const changed = new Map(attributes);
    if (value === undefined)
        changed.delete(name);
    else
        changed.set(name, value);
    return changed;
}

function isEmpty(element: XmlElement): boolean {
    return element.attributes.size === 0 && element.children.every(isBlank);
}

function isBlank(node: XmlNode): boolean {
    return node.type === "text" && node.content.trim() === "";
}

/** Puts a child in the place of the first one of its name, or behind the last element, indented like the first child. */
export function withChild(element: XmlElement, added: XmlElement): XmlElement {
    const at = element.children.findIndex(node => node.type === "element" && node.tag === added.tag);
    if (at >= 0)
        return { ...element, children: element.children.map((node, index) => index === at ? added : node) };
    const [first] = element.children;
    const last = element.children.at(-1);
    // Behind text that says something white space would be a part of it.
    const indent: XmlNode[] = first && isBlank(first) && (last?.type !== "text" || isBlank(last)) ? [first] : [];
    const end = indent.length > 0 && last && isBlank(last) ? element.children.length - 1 : element.children.length;
    return { ...element, children: [...element.children.slice(0, end), ...indent, added, ...element.children.slice(end)] };
}

/** Takes all children of that name away, with the white space before each. */
export function withoutChild(element: XmlElement, tag: string): XmlElement {
    const gone = (node: XmlNode | undefined) => node?.type === "element" && node.tag === tag;
    return {
        ...element,
        children: element.children.filter((node, index, all) => !gone(node) && !(isBlank(node) && gone(all[index + 1]))),
    };
}

/** Edits a text: parses, changes, writes. Where nothing changed it is the same text. Throws XmlError. */
export function editXml(xml: string, change: (element: XmlElement) => XmlElement): string {
    const element = parseElement(xml);
    const changed = change(element);
    return changed === element ? xml : writeElement(changed);
}

/**
 * A form in which two texts of the same element are equal: attributes sorted by name, white space between elements dropped, one
 * element a line. Order of elements and comments stay. Throws XmlError.
 */
export function canonicalXml(xml: string): string {
    return canonicalLines(parseElement(xml), "").join("\n");
}

function canonicalLines(element: XmlElement, indent: string): string[] {
    const attributes = new Map([...element.attributes].sort(([a], [b]) => a < b ? -1 : 1));
    const children = element.children.filter(node => !isBlank(node));
    const [only] = children;
    if (children.every(node => node.type !== "element") && (children.length === 0 || only?.type !== "comment"))
        return [indent + writeElement({ ...element, attributes, children })];
    const inside = children.flatMap(node => node.type === "element"
        ? canonicalLines(node, `${indent}  `)
        : [`${indent}  ${node.type === "comment" ? `<!--${node.content}-->` : node.content.trim()}`]);
    const open = writeElement({ ...element, attributes, children: [] }).replace(/\/>$/, ">");
    return [indent + open, ...inside, `${indent}</${element.tag}>`];
}

/** Whether two texts are the same element. Text that is no XML equals only itself. */
export function sameXml(a: string, b: string): boolean {
    if (a === b)
        return true;
    try {
        return canonicalXml(a) === canonicalXml(b);
    } catch {
        return false;
    }
}
