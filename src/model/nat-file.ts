// SPDX-License-Identifier: LGPL-2.1-or-later
// /etc/kvm-tap/nat.nft: the frame, then one line for each device and mapping. Written for people; what people write into it
// is understood as far as it is elements of this table, in any order and also inside of the table's block, which is how
// `nft list table inet kvm_tap` prints them.
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { Mapping, NatElements, NatState, Placed } from "./nat.ts";
import { collect, deviceElements, mappingElements, normalState, wayElements } from "./nat.ts";
import { formatPrefix, parsePrefix } from "./nat-address.ts";
import { FRAME, NAME_SETS, REMOVE_TABLE, SETS, TABLE, TABLE_FAMILY, TABLE_NAME } from "./nat-frame.ts";

export const NAT_FILE = "/etc/kvm-tap/nat.nft";

const HEAD = `# SPDX-License-Identifier: CC0-1.0
# 1:1 NAT of this host, loaded at boot by kvm-tap-nat.service and written by the KVM TAP page of Cockpit.
# One mapping a line, below the rules. Edit it by hand if you like; check with "nft -c -f ${NAT_FILE}" and load
# with "systemctl reload-or-restart kvm-tap-nat".
`;

/** Whether a link's name can stand in nft's quotes, inside of which nothing can be escaped: what follows a quote would be commands. */
export function isQuotable(name: string): boolean {
    return !/["\n]/.test(name);
}

/** An ifname in quotes, since names such as "all" or "vlan" are keywords; addresses and ports as they are. */
function keyText(set: string, key: string): string {
    if (!NAME_SETS.has(set))
        return key;
    const [name = "", ...rest] = key.split(" . ");
    if (!isQuotable(name))
        throw new Error(`${JSON.stringify(name)} is no name that nftables can be told`); // planners and readers refuse it before
    return [`"${name}"`, ...rest].join(" . ");
}

/** One element as it stands between the braces. */
export function elementText(placed: Placed): string {
    const comment = placed.comment === undefined ? "" : ` comment "${placed.comment}"`;
    return keyText(placed.set, placed.key) + comment + (placed.value === undefined ? "" : ` : ${placed.value}`);
}

/** Elements of one subject as one line of commands, those of the same set together. */
export function addLine(placed: readonly Placed[]): string {
    const bySet = new Map<string, string[]>();
    for (const element of placed)
        bySet.set(element.set, [...bySet.get(element.set) ?? [], elementText(element)]);
    return [...bySet].map(([set, texts]) => `add element ${TABLE} ${set} { ${texts.join(", ")} }`).join("; ");
}

function section(title: string, lines: readonly string[]): string[] {
    return lines.length > 0 ? ["", `# ${title}`, ...lines] : [];
}

/** The file's text for a state. The same state always gives the same text. */
export function natFile(state: NatState): string {
    const normal = normalState(state);
    const lines = (wanted: (mapping: Mapping) => boolean) =>
        normal.mappings.filter(wanted).map(mapping => addLine(mappingElements(mapping)));
    return HEAD + REMOVE_TABLE + FRAME + [
        ...section("Uplinks", normal.uplinks.length > 0 ? [addLine(normal.uplinks.map(key => ({ set: "uplinks", key })))] : []),
        ...section("Ways back, one for each of several uplinks", (normal.ways ?? []).map(way => addLine(wayElements(way)))),
        ...section("Devices of guests", normal.devices.map(device => addLine(deviceElements(device)))),
        ...section("IPv4", lines(mapping => mapping.enabled && mapping.public.family === 4)),
        ...section("IPv6", lines(mapping => mapping.enabled && mapping.public.family === 6)),
        ...section("Disabled", lines(mapping => !mapping.enabled)),
    ].join("\n") + "\n";
}

// Reading ----------------------------------------------------------------------------------------------------------------

interface Token {
    text: string;
    line: number;
    quoted?: true;
}

/**
 * Words, quoted strings and the separators { } ; , = newline. Colons stand alone only between blanks: addresses have them. A quote that
 * is not closed in its line is a word by itself, which means nothing anywhere.
 */
function tokens(text: string): Token[] {
    const found: Token[] = [];
    let line = 1;
    for (const [piece, quoted, newline] of text.matchAll(/"([^"\n]*)"|(\n)|#[^\n]*|\\\n|[{};,="]|[^\s"{};,=#]+/g)) {
        if (quoted !== undefined)
            found.push({ text: quoted, line, quoted: true });
        else if (!piece.startsWith("#") && piece !== "\\\n")
            found.push({ text: newline === undefined ? piece : "\n", line });
        line += piece.endsWith("\n") ? 1 : 0;
    }
    return found;
}

/** What the file says: elements, and lines that are not elements of this table or not our frame. */
export interface ReadFile {
    elements: NatElements;
    /** 1-based line and what is the matter with it. Writing the file anew would lose these lines. */
    problems: readonly { line: number; says: Message }[];
}

/** Keys in nft's own spelling, so that hand-written "2001:DB8::0" compares equal. */
function canonical(key: string): string {
    return key.split(" . ").map((part, index) => {
        const prefix = index === 0 ? parsePrefix(part) : undefined;
        return prefix ? formatPrefix(prefix) : part;
    }).join(" . ");
}

/** The words of one element: key, comment, value; counters and timeouts of a listing are skipped. */
function elementOf(set: string, words: readonly Token[]): Placed | undefined {
    const colon = words.findIndex(word => word.text === ":" && !word.quoted);
    const left = colon < 0 ? words : words.slice(0, colon);
    const end = left.findIndex(word => !word.quoted && ["comment", "counter", "timeout", "expires"].includes(word.text));
    const key = (end < 0 ? left : left.slice(0, end)).map(word => word.text).join(" ");
    const comment = left.find((word, index) => word.quoted && left[index - 1]?.text === "comment")?.text;
    const value = colon < 0 ? undefined : words.slice(colon + 1).map(word => word.text).join(" ");
    const unclosed = words.some(word => word.text === "\"" && !word.quoted);
    if (key === "" || unclosed || (SETS.get(set) === "map") !== (value !== undefined))
        return undefined;
    return {
        set, key: canonical(key),
        ...(value === undefined ? {} : { value: canonical(value) }),
        ...(comment ? { comment } : {}),
    };
}

/** A reader over the tokens; each method consumes what it understands. */
class Reader {
    private at = 0;
    readonly placed: Placed[] = [];
    readonly problems: { line: number; says: Message }[] = [];

    constructor(private readonly all: readonly Token[]) {}

    file(): ReadFile {
        while (this.at < this.all.length)
            this.statement();
        return { elements: collect(this.placed), problems: this.problems };
    }

    private peek(offset = 0): string {
        return this.all[this.at + offset]?.text ?? "";
    }

    /** Whether these words come next; if so they are consumed. */
    private take(...words: string[]): boolean {
        if (!words.every((word, index) => this.peek(index) === word))
            return false;
        this.at += words.length;
        return true;
    }

    private statement(): void {
        if (this.take("\n") || this.take(";"))
            return;
        const start = this.all[this.at];
        if (this.take("delete", "table", TABLE_FAMILY, TABLE_NAME) || this.take("flush", "table", TABLE_FAMILY, TABLE_NAME))
            return;
        if (this.take("add", "element", TABLE_FAMILY, TABLE_NAME) || this.take("create", "element", TABLE_FAMILY, TABLE_NAME))
            this.named();
        else if (this.take("table", TABLE_FAMILY, TABLE_NAME) || this.take("add", "table", TABLE_FAMILY, TABLE_NAME))
            this.table();
        else {
            this.problem(start, msg("\"$0\" is not an element of table $1.", this.restOfStatement(), TABLE));
        }
    }

    private problem(token: Token | undefined, says: Message): void {
        this.problems.push({ line: token?.line ?? 1, says });
    }

    private restOfStatement(): string {
        const words: string[] = [];
        let depth = 0;
        for (; this.at < this.all.length; this.at++) {
            const text = this.peek();
            if (depth === 0 && (text === "\n" || text === ";"))
                break;
            depth += text === "{" ? 1 : text === "}" ? -1 : 0;
            words.push(text);
        }
        return words.filter(word => word !== "\n").join(" ").slice(0, 60);
    }

    private named(): void {
        const name = this.all[this.at++];
        if (!name || !SETS.has(name.text)) {
            this.problem(name, msg("Table $0 has no set \"$1\".", TABLE, name?.text ?? ""));
            this.restOfStatement();
            return;
        }
        this.elements(name.text);
    }

    /** `{ element, element }`: the opening brace comes next. */
    private elements(set: string): void {
        if (!this.take("{")) {
            this.problem(this.all[this.at], msg("Elements stand between braces: { … }."));
            return;
        }
        let words: Token[] = [];
        const finish = (token: Token | undefined) => {
            const element = words.length > 0 ? elementOf(set, words) : undefined;
            if (element)
                this.placed.push(element);
            else if (words.length > 0)
                this.problem(token, msg("\"$0\" is not an element of $1.", words.map(word => word.text).join(" "), set));
            words = [];
        };
        for (let token = this.all[this.at]; token; token = this.all[++this.at]) {
            if (!token.quoted && token.text === "}") {
                finish(token);
                this.at++;
                return;
            }
            if (!token.quoted && token.text === ",")
                finish(token);
            else if (token.quoted || token.text !== "\n")
                words.push(token);
        }
        this.problem(this.all.at(-1), msg("A closing brace is missing."));
    }

    /** `table inet kvm_tap` alone, or with a block: only the elements in it matter here, nft checks the rest. */
    private table(): void {
        if (!this.take("{"))
            return;
        let set = "";
        for (let depth = 1; depth > 0 && this.at < this.all.length;) {
            if ((this.peek() === "set" || this.peek() === "map") && SETS.has(this.peek(1)))
                set = this.peek(1);
            if (this.take("elements", "=")) {
                this.elements(set);
                continue;
            }
            depth += this.take("{") ? 1 : this.take("}") ? -1 : (this.at++, 0);
        }
    }
}

/** Reads the file's text. Never throws: what it does not understand is a problem with its line. */
export function readNatFile(text: string): ReadFile {
    return new Reader(tokens(text)).file();
}

/** Whether the rules in a file are the frame of this version, whatever its elements. */
export function hasFrame(text: string): boolean {
    const squeeze = (part: string) => tokens(part).map(token => token.text).filter(word => word !== "\n").join(" ");
    return squeeze(text).includes(squeeze(FRAME));
}
