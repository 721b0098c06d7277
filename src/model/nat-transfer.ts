// SPDX-License-Identifier: LGPL-2.1-or-later
// Mappings as CSV (RFC 4180) and JSON, out and in. Reading names each error with its line and goes on.
import type { Message } from "./message.ts";
import { msg } from "./message.ts";
import type { Limits, Mapping, NatState } from "./nat.ts";
import { normalState } from "./nat.ts";
import { formatPrefix } from "./nat-address.ts";
import { formatLimits, parseLimits } from "./nat-limits.ts";

export const COLUMNS = ["public", "guest", "description", "enabled", "limits", "log"] as const;
type Column = (typeof COLUMNS)[number];

/** One mapping of a file, still as text where only the host can tell whether it is right. */
export interface Imported {
    line: number;
    public: string;
    guest: string;
    description: string;
    enabled: boolean;
    log: boolean;
    limits?: Limits;
}

export interface ImportError {
    line: number;
    says: Message;
}

export interface Import {
    mappings: readonly Imported[];
    errors: readonly ImportError[];
}

function record(mapping: Mapping): Record<Column, string> {
    return {
        public: formatPrefix(mapping.public), guest: formatPrefix(mapping.guest), description: mapping.description,
        enabled: mapping.enabled ? "yes" : "no", limits: formatLimits(mapping.limits), log: mapping.log ? "yes" : "no",
    };
}

/** A leading = + - @ would be a formula to a spreadsheet; the apostrophe that prevents it is taken away again by reading. */
function csvField(text: string): string {
    const safe = /^['=+@-]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, "\"\"")}"` : safe;
}

export function exportCsv(state: NatState): string {
    const rows = normalState(state).mappings.map(mapping => COLUMNS.map(column => csvField(record(mapping)[column])).join(","));
    return [COLUMNS.join(","), ...rows].join("\r\n") + "\r\n";
}

export function exportJson(state: NatState): string {
    const mappings = normalState(state).mappings.map(mapping => ({
        ...record(mapping), enabled: mapping.enabled, log: mapping.log,
    }));
    return JSON.stringify({ mappings }, null, 4) + "\n";
}

/** Fields of CSV with the line that each record begins in; quoted fields may contain separators and line ends. */
function csvRecords(text: string, separator: string): { line: number; fields: string[]; broken: boolean }[] {
    const records: { line: number; fields: string[]; broken: boolean }[] = [];
    let line = 1, fields: string[] = [], field = "", start = 1, quoted = false;
    const endRecord = () => {
        if (fields.length > 0 || field.trim() !== "")
            records.push({ line: start, fields: [...fields, field], broken: quoted });
        fields = [];
        field = "";
    };
    for (let at = 0; at < text.length; at++) {
        const letter = text[at] ?? "";
        if (letter === "\n")
            line++;
        if (quoted && letter === "\"" && text[at + 1] === "\"") {
            field += "\"";
            at++;
        } else if (letter === "\"" && (quoted || field === "")) {
            quoted = !quoted;
        } else if (!quoted && letter === separator) {
            fields.push(field);
            field = "";
        } else if (!quoted && letter === "\n") {
            endRecord();
            start = line;
        } else if (letter !== "\r" || quoted) {
            field += letter;
        }
    }
    endRecord();
    return records;
}

/** yes, true, 1, on and their opposites; undefined for anything else. */
function flag(text: string, otherwise: boolean): boolean | undefined {
    const word = text.trim().toLowerCase();
    if (word === "")
        return otherwise;
    return ["yes", "true", "1", "on"].includes(word) ? true : ["no", "false", "0", "off"].includes(word) ? false : undefined;
}

/** One record by column name, whatever the file's format. */
function readRecord(line: number, get: (column: Column) => string): Imported | ImportError {
    const enabled = flag(get("enabled"), true);
    const log = flag(get("log"), false);
    if (enabled === undefined || log === undefined)
        return { line, says: msg("\"$0\" is neither yes nor no.", enabled === undefined ? get("enabled") : get("log")) };
    const limits = parseLimits(get("limits"));
    if ("problem" in limits)
        return { line, says: limits.problem };
    return {
        line, public: get("public").trim(), guest: get("guest").trim(), description: get("description").trim(), enabled, log, ...limits,
    };
}

function sorted(records: readonly (Imported | ImportError)[]): Import {
    return {
        mappings: records.flatMap(item => "says" in item ? [] : [item]),
        errors: records.flatMap(item => "says" in item ? [item] : []),
    };
}

function importCsv(text: string): Import {
    const [head = ""] = text.split("\n", 1);
    // Spreadsheets of many countries write semicolons.
    const separator = head.includes(";") && !head.includes(",") ? ";" : head.includes("\t") ? "\t" : ",";
    const [header, ...records] = csvRecords(text, separator);
    const names = header?.fields.map(name => name.trim().toLowerCase()) ?? [];
    if (!names.includes("public") || !names.includes("guest"))
        return { mappings: [], errors: [{ line: 1, says: msg("The first line must name the columns, at least \"public\" and \"guest\".") }] };
    return sorted(records.map(({ line, fields, broken }) => {
        if (broken)
            return { line, says: msg("A double quote is opened here and never closed.") };
        if (fields.length > names.length)
            return { line, says: msg("This line has $0 fields, the first has $1.", String(fields.length), String(names.length)) };
        return readRecord(line, column => (fields[names.indexOf(column)] ?? "").replace(/^'(?=['=+@-])/, ""));
    }));
}

/** The line of each object in a JSON array of objects: that of its opening brace at depth `depth`. */
function objectLines(text: string, depth: number): number[] {
    const lines: number[] = [];
    let at = 0, line = 1;
    for (const [piece] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]]|\n/g)) {
        if (piece === "\n")
            line++;
        else if (piece === "{" || piece === "[") {
            if (piece === "{" && at === depth)
                lines.push(line);
            at++;
        } else if (piece === "}" || piece === "]") {
            at--;
        }
    }
    return lines;
}

function importJson(text: string): Import {
    let parsed: unknown;
    try {
        parsed = JSON.parse(text);
    } catch (error) {
        const position = Number(/position (\d+)/.exec(String(error))?.[1] ?? 0);
        return { mappings: [], errors: [{ line: text.slice(0, position).split("\n").length, says: msg("This is not valid JSON.") }] };
    }
    const wrapped = typeof parsed === "object" && parsed !== null && "mappings" in parsed ? parsed.mappings : undefined;
    const list = Array.isArray(parsed) ? parsed as unknown[] : Array.isArray(wrapped) ? wrapped as unknown[] : undefined;
    if (!list)
        return { mappings: [], errors: [{ line: 1, says: msg("The file must be a list of mappings, or an object with \"mappings\".") }] };
    const lines = objectLines(text, Array.isArray(parsed) ? 1 : 2);
    return sorted(list.map((item, index) => {
        const line = lines[index] ?? 1;
        if (typeof item !== "object" || item === null)
            return { line, says: msg("A mapping is an object with \"public\" and \"guest\".") };
        const fields = item as Record<string, unknown>;
        return readRecord(line, column => {
            const value = fields[column];
            return typeof value === "string" || typeof value === "boolean" || typeof value === "number" ? String(value) : "";
        });
    }));
}

/** Reads a file that exportCsv, exportJson, a spreadsheet or a person wrote. */
export function importText(text: string): Import {
    const plain = text.replace(/^\ufeff/, "");
    return /^\s*[[{]/.test(plain) ? importJson(plain) : importCsv(plain);
}
