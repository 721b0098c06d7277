// SPDX-License-Identifier: LGPL-2.1-or-later
// XML as the model needs it: a tree of one small element that can be written back unchanged, and a scan that finds
// elements in a whole definition without building a tree of it (1,000 guests are read when the page opens).
import { XMLParser, XMLValidator } from "fast-xml-parser";

export interface XmlElement {
    type: "element";
    /** With its prefix, if any. */
    tag: string;
    /** In order; values decoded. */
    attributes: ReadonlyMap<string, string>;
    children: readonly XmlNode[];
}

/** Text, comments and CDATA sections keep their content as written (text: still encoded). */
export type XmlNode = XmlElement | { type: "text" | "comment" | "cdata"; content: string };

/** Text that is not well-formed XML, or not the element that was expected. */
export class XmlError extends Error {
    constructor(words: string) {
        super(words);
        this.name = "XmlError";
    }
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: "\"", apos: "'" };

/** Replaces the five entities of XML and character references; leaves what it does not know. */
export function decodeXml(text: string): string {
    if (!text.includes("&"))
        return text;
    return text.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|(lt|gt|amp|quot|apos));/gi, (whole, hex, decimal, name) => {
        if (name !== undefined)
            return entities[String(name)] ?? whole;
        const code = hex !== undefined ? parseInt(String(hex), 16) : Number(decimal);
        return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    });
}

/** Encodes a value for an attribute (as virBufferEscapeString does, and line breaks, which parsers would turn into spaces). */
export function encodeXml(value: string): string {
    return value.replace(/[<>&"'\t\r\n]/g, char =>
        ({ "<": "&lt;", ">": "&gt;", "&": "&amp;", "\"": "&quot;", "'": "&apos;" })[char] ?? `&#${char.charCodeAt(0)};`);
}

const parser = new XMLParser({
    preserveOrder: true, ignoreAttributes: false, attributeNamePrefix: "", trimValues: false, parseTagValue: false,
    parseAttributeValue: false, processEntities: false, commentPropName: "#comment", cdataPropName: "#cdata",
});

/**
 * Reads exactly one element that somebody typed (white space and comments around it are dropped).
 * Throws XmlError, with the line, where the text is not well-formed.
 */
export function parseElement(xml: string): XmlElement {
    const valid = XMLValidator.validate(xml);
    if (valid !== true)
        throw new XmlError(`line ${valid.err.line}: ${valid.err.msg}`);
    let nodes: readonly XmlNode[];
    try {
        nodes = nodesOf(parser.parse(xml));
    } catch (error) {
        throw new XmlError(error instanceof Error ? error.message : String(error));
    }
    const elements = nodes.filter(node => node.type === "element");
    const [element] = elements;
    if (!element || elements.length > 1)
        throw new XmlError("not exactly one element");
    return element;
}

/** The library's ordered form ({tag: children, ":@": attributes}) into ours. */
function nodesOf(parsed: unknown): XmlNode[] {
    if (!Array.isArray(parsed))
        return [];
    return parsed.flatMap((item: Record<string, unknown>): XmlNode[] => {
        const tag = Object.keys(item).find(key => key !== ":@");
        if (tag === undefined || tag.startsWith("?"))
            return [];
        if (tag === "#text")
            return [{ type: "text", content: String(item[tag]) }];
        if (tag === "#comment" || tag === "#cdata") {
            const content = nodesOf(item[tag]).map(node => node.type === "element" ? "" : node.content).join("");
            return [{ type: tag === "#comment" ? "comment" : "cdata", content }];
        }
        const attributes = Object.entries(item[":@"] ?? {}).map(([name, value]) => [name, decodeXml(String(value))] as const);
        return [{ type: "element", tag, attributes: new Map(attributes), children: nodesOf(item[tag]) }];
    });
}

/** Writes an element as libvirt would: single quotes, empty elements closed at once; everything else as it was read. */
export function writeElement(element: XmlElement): string {
    const attributes = [...element.attributes].map(([name, value]) => ` ${name}='${encodeXml(value)}'`).join("");
    const inside = element.children.map(writeNode).join("");
    return inside ? `<${element.tag}${attributes}>${inside}</${element.tag}>` : `<${element.tag}${attributes}/>`;
}

function writeNode(node: XmlNode): string {
    switch (node.type) {
        case "element": return writeElement(node);
        case "text": return node.content;
        case "comment": return `<!--${node.content}-->`;
        case "cdata": return `<![CDATA[${node.content}]]>`;
    }
}

/** The first child element of that name. */
export function child(element: XmlElement | undefined, tag: string): XmlElement | undefined {
    return element?.children.find((node): node is XmlElement => node.type === "element" && node.tag === tag);
}

/** All child elements of that name. */
export function children(element: XmlElement | undefined, tag: string): XmlElement[] {
    return element?.children.filter((node): node is XmlElement => node.type === "element" && node.tag === tag) ?? [];
}

/** An element met by `scan`, when it ends. */
export interface Found {
    /** Names from the root to the element, itself included. Valid during the call only. */
    path: readonly string[];
    start: number;
    end: number;
    /** Where its content begins and ends. */
    inside: number;
    insideEnd: number;
}

/**
 * Walks over all elements and calls back at the end of each one that is at most three deep (domain / devices / interface).
 * What stands in comments, CDATA sections and metadata is not taken for an element of the definition.
 * No regular expression: their match objects cost more than all the rest when 2,000 definitions are read.
 * Throws XmlError where tags do not match.
 */
export function scan(xml: string, found: (element: Found) => void): void {
    const path: string[] = [];
    const starts: { start: number; inside: number }[] = [];
    let seen = false;
    for (let at = xml.indexOf("<"); at >= 0;) {
        const next = xml.charCodeAt(at + 1);
        if (next === bang || next === question) {
            at = xml.indexOf("<", endOfMarkup(xml, at));
            continue;
        }
        const last = endOfTag(xml, at);
        const closing = next === slash;
        const tag = nameAt(xml, closing ? at + 2 : at + 1);
        if (!closing && path.push(tag) <= 3)
            starts[path.length - 1] = { start: at, inside: last + 1 };
        if (closing || xml.charCodeAt(last - 1) === slash) {
            if (path[path.length - 1] !== tag)
                throw new XmlError(`</${tag}> does not match at character ${at}`);
            const opened = path.length <= 3 ? starts[path.length - 1] : undefined;
            if (opened)
                found({ path, ...opened, end: last + 1, insideEnd: closing ? at : last + 1 });
            path.pop();
        }
        seen = true;
        at = xml.indexOf("<", last + 1);
    }
    if (path[0] !== undefined)
        throw new XmlError(`<${path[0]}> is not closed`);
    if (!seen)
        throw new XmlError("no element");
}

const [bang, question, slash, greater, quote, apostrophe] = [33, 63, 47, 62, 34, 39];

/** Behind a comment, CDATA section, processing instruction or document type. */
function endOfMarkup(xml: string, at: number): number {
    const close = xml.startsWith("<!--", at) ? "-->" : xml.startsWith("<![CDATA[", at) ? "]]>" : ">";
    const end = xml.indexOf(close, at + 2);
    if (end < 0)
        throw new XmlError(`no ${close} after character ${at}`);
    return end + close.length;
}

/** Where the `>` of the tag stands: not one in a quoted value. */
function endOfTag(xml: string, at: number): number {
    for (let i = at + 1; i < xml.length; i++) {
        const char = xml.charCodeAt(i);
        if (char === greater)
            return i;
        if (char === quote || char === apostrophe) {
            i = xml.indexOf(char === quote ? "\"" : "'", i + 1);
            if (i < 0)
                break;
        }
    }
    throw new XmlError(`the tag at character ${at} is not closed`);
}

function nameAt(xml: string, from: number): string {
    let to = from;
    for (let char = xml.charCodeAt(to); char > 32 && char !== slash && char !== greater; char = xml.charCodeAt(++to))
        ;
    return xml.slice(from, to);
}

/** The attributes in the text of a start tag, values decoded. */
export function attributesIn(startTag: string): Map<string, string> {
    const attributes = new Map<string, string>();
    for (const match of startTag.matchAll(/([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g))
        attributes.set(match[1] ?? "", decodeXml(match[2] ?? match[3] ?? ""));
    return attributes;
}
