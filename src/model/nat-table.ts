// SPDX-License-Identifier: LGPL-2.1-or-later
// Table `inet kvm_tap` as `nft -j list table` prints it (man libnftables-json), from nft 1.0.6 to 1.1.7.
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { NatElements, Placed } from "./nat.ts";
import { collect } from "./nat.ts";
import { formatPrefix, parsePrefix } from "./nat-address.ts";
import { isQuotable } from "./nat-file.ts";
import { CHAIN_RULES, FRAME_BEFORE, MARK_MAPS, NAME_SETS, SETS, TABLE_FAMILY, TABLE_NAME } from "./nat-frame.ts";

/** First packets of connections that an element translated, since it was loaded. */
export interface Hits {
    packets: number;
    bytes: number;
}

export interface NatTable {
    elements: NatElements;
    /** By set and key: `public4` counts incoming connections, `guest4` outgoing ones. */
    hits: ReadonlyMap<string, ReadonlyMap<string, Hits>>;
    /** What differs from the frame of this version: missing sets or chains, more or fewer rules, elements that cannot be written. */
    frame: readonly Message[];
    /** The frame is that of the version before: nobody changed it, and the next change brings this one's. */
    outdated: boolean;
}

type Json = Record<string, unknown>;

function isObject(value: unknown): value is Json {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectAt(value: unknown, key: string): Json | undefined {
    const inner = isObject(value) ? value[key] : undefined;
    return isObject(inner) ? inner : undefined;
}

function arrayAt(value: unknown, key: string): readonly unknown[] {
    const inner = isObject(value) ? value[key] : undefined;
    return Array.isArray(inner) ? inner : [];
}

/** Protocol numbers instead of names: nft without /etc/protocols. */
const PROTOCOL_NUMBERS: Readonly<Record<string, string>> = {
    1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp", 132: "sctp", icmpv6: "ipv6-icmp",
};

/** Marks are numbers in JSON, and hexadecimal in nft's own text. */
function valueText(set: string, value: unknown): string {
    return MARK_MAPS.has(set) && typeof value === "number" ? `0x${value.toString(16).padStart(8, "0")}` : expressionText(value);
}

function scalarText(value: unknown): string {
    if (typeof value !== "string" && typeof value !== "number")
        return "";
    const prefix = typeof value === "string" ? parsePrefix(value) : undefined;
    return prefix ? formatPrefix(prefix) : String(value);
}

/** An expression of an element as nft's own text: address, prefix, range, concatenation, name. */
function expressionText(value: unknown): string {
    const prefix = objectAt(value, "prefix");
    if (prefix)
        return scalarText(`${scalarText(prefix["addr"])}/${scalarText(prefix["len"])}`);
    const concat = arrayAt(value, "concat");
    if (concat.length > 0)
        return concat.map(expressionText).map((part, index) => index === 1 ? PROTOCOL_NUMBERS[part] ?? part : part).join(" . ");
    const range = arrayAt(value, "range");
    if (range.length > 0)
        return range.map(expressionText).join("-");
    return scalarText(value);
}

interface ReadElement {
    placed: Placed;
    hits?: Hits;
}

function readElement(set: string, json: unknown): ReadElement | undefined {
    const [left, right] = Array.isArray(json) ? [json[0], json[1]] as [unknown, unknown] : [json, undefined];
    const elem = objectAt(left, "elem");
    const key = expressionText(elem ? elem["val"] : left);
    const comment = elem?.["comment"];
    const counter = objectAt(elem, "counter");
    if (key === "" || (SETS.get(set) === "map") !== (right !== undefined))
        return undefined;
    return {
        placed: {
            set, key,
            ...(right === undefined ? {} : { value: valueText(set, right) }),
            ...(typeof comment === "string" && comment !== "" ? { comment } : {}),
        },
        ...(counter ? { hits: { packets: Number(counter["packets"]), bytes: Number(counter["bytes"]) } } : {}),
    };
}

/** Whether an element begins with a link's name that nft itself could not be told. */
function isUnwritable({ set, key }: Placed): boolean {
    return NAME_SETS.has(set) && !isQuotable(key);
}

/** What is found goes into `placed` and `hits`; answered is what cannot be. */
function readSet(json: Json, placed: Placed[], hits: Map<string, Map<string, Hits>>): Message[] {
    const name = String(json["name"]);
    const odd: Message[] = [];
    for (const item of arrayAt(json, "elem")) {
        const element = readElement(name, item);
        if (!element) {
            odd.push(msg("\"$0\" is not an element of $1.", JSON.stringify(item), name));
            continue;
        }
        if (isUnwritable(element.placed)) {
            odd.push(msg("Set \"$0\" has an element $1, which cannot be written into a file: load the saved table again.", name, element.placed.key));
            continue;
        }
        placed.push(element.placed);
        if (element.hits) {
            const counts = hits.get(name) ?? new Map<string, Hits>();
            hits.set(name, counts.set(element.placed.key, element.hits));
        }
    }
    return odd;
}

function isFrameBefore(sets: ReadonlySet<string>, rules: ReadonlyMap<string, number>): boolean {
    return rules.size === FRAME_BEFORE.rules.size && [...FRAME_BEFORE.rules].every(([name, count]) => rules.get(name) === count)
        && [...SETS.keys()].every(name => sets.has(name) !== FRAME_BEFORE.lacks.has(name));
}

function frameDifferences(sets: ReadonlySet<string>, rules: ReadonlyMap<string, number>): Message[] {
    return [
        ...[...SETS.keys()].filter(name => !sets.has(name)).map(name => msg("The table has no set \"$0\".", name)),
        ...[...CHAIN_RULES.keys()].filter(name => !rules.has(name)).map(name => msg("The table has no chain \"$0\".", name)),
        ...[...rules].filter(([name, count]) => (CHAIN_RULES.get(name) ?? 0) !== count)
                .map(([name, count]) => msg("Chain \"$0\" has $1 rules, $2 expected.", name, String(count), String(CHAIN_RULES.get(name) ?? 0))),
    ];
}

/** Reads the listing; undefined when it has no such table. Foreign sets and rules in the table are named in `frame`. */
export function readNatTable(json: unknown): NatTable | undefined {
    const mine = (item: Json | undefined): item is Json => item?.["family"] === TABLE_FAMILY && item["table"] === TABLE_NAME;
    const items = arrayAt(json, "nftables");
    if (!items.some(item => objectAt(item, "table")?.["family"] === TABLE_FAMILY && objectAt(item, "table")?.["name"] === TABLE_NAME))
        return undefined;
    const placed: Placed[] = [];
    const hits = new Map<string, Map<string, Hits>>();
    const sets = new Set<string>();
    const odd: Message[] = [];
    const rules = new Map<string, number>();
    for (const item of items) {
        const set = objectAt(item, "set") ?? objectAt(item, "map");
        const chain = objectAt(item, "chain");
        const rule = objectAt(item, "rule");
        if (mine(set)) {
            sets.add(String(set["name"]));
            odd.push(...readSet(set, placed, hits));
        } else if (mine(chain)) {
            rules.set(String(chain["name"]), rules.get(String(chain["name"])) ?? 0);
        } else if (mine(rule)) {
            rules.set(String(rule["chain"]), (rules.get(String(rule["chain"])) ?? 0) + 1);
        }
    }
    const outdated = isFrameBefore(sets, rules);
    return { elements: collect(placed), hits, frame: [...odd, ...outdated ? [] : frameDifferences(sets, rules)], outdated };
}
