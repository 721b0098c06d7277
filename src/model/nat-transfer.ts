// SPDX-License-Identifier: LGPL-2.1-or-later
// Mappings as CSV (RFC 4180) and JSON, out and in. Reading names each error with its line and goes on.
import { csvRecords, type CsvRecord } from "./csv-lines.ts";
import { JsonError, parseJson, type JsonMember, type JsonValue } from "./json-lines.ts";
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

// Reading: whatever is not understood is an error. Passed over, a misspelt "limits" would open the guest to everybody. ------------

/** What a record says, by column, still as text. */
type Cells = ReadonlyMap<Column, string>;

const isColumn = (name: string): name is Column => COLUMNS.some(column => column === name);

/** Names that are not columns, and those that stand there twice. */
function nameProblems(names: readonly { line: number; name: string }[]): ImportError[] {
    return names.flatMap(({ line, name }, index) => {
        if (!isColumn(name))
            return [{ line, says: msg("\"$0\" is not known here. A mapping has $1.", name, COLUMNS.join(", ")) }];
        const twice = names.findIndex(other => other.name === name) < index;
        return twice ? [{ line, says: msg("\"$0\" stands here twice.", name) }] : [];
    });
}

/** yes, true, 1, on and their opposites; undefined for anything else. */
function flag(text: string): boolean | undefined {
    const word = text.trim().toLowerCase();
    return ["yes", "true", "1", "on"].includes(word) ? true : ["no", "false", "0", "off"].includes(word) ? false : undefined;
}

/** One record, whatever the file's format. */
function readRecord(line: number, cells: Cells): Imported | ImportError {
    const missing = (["public", "guest"] as const).find(column => !cells.has(column));
    if (missing)
        return { line, says: msg("\"$0\" is missing.", missing) };
    const enabled = flag(cells.get("enabled") ?? "yes");
    const log = flag(cells.get("log") ?? "no");
    if (enabled === undefined || log === undefined)
        return { line, says: msg("\"$0\" is neither yes nor no.", cells.get(enabled === undefined ? "enabled" : "log") ?? "") };
    const limits = parseLimits(cells.get("limits") ?? "");
    if ("problem" in limits)
        return { line, says: limits.problem };
    const text = (column: Column) => (cells.get(column) ?? "").trim();
    return { line, public: text("public"), guest: text("guest"), description: text("description"), enabled, log, ...limits };
}

function sorted(records: readonly (Imported | ImportError)[]): Import {
    return {
        mappings: records.flatMap(item => "says" in item ? [] : [item]),
        errors: records.flatMap(item => "says" in item ? [item] : []),
    };
}

function refused(line: number, says: Message): Import {
    return { mappings: [], errors: [{ line, says }] };
}

/** Spreadsheets of many countries write semicolons. */
function separatorOf(text: string): "," | ";" | "\t" {
    const head = text.split("\n").find(line => line.trim() !== "") ?? "";
    return head.includes(";") && !head.includes(",") ? ";" : head.includes("\t") ? "\t" : ",";
}

function importCsv(text: string): Import {
    const [header, ...records] = csvRecords(text, separatorOf(text));
    const names = header?.fields.map(name => name.trim().toLowerCase()) ?? [];
    const line = header?.line ?? 1;
    if (!names.includes("public") || !names.includes("guest"))
        return refused(line, msg("The first line must name the columns, at least \"public\" and \"guest\"."));
    if (header?.problem)
        return refused(line, header.problem);
    const errors = nameProblems(names.map(name => ({ line, name })));
    return errors.length > 0 ? { mappings: [], errors } : sorted(records.map(record => csvRecord(record, names)));
}

function csvRecord({ line, fields, problem }: CsvRecord, names: readonly string[]): Imported | ImportError {
    if (problem)
        return { line, says: problem };
    if (fields.length !== names.length)
        return { line, says: msg("This line has $0 fields, the first has $1.", String(fields.length), String(names.length)) };
    const cells = new Map(names.flatMap((name, index): [Column, string][] => {
        const text = (fields[index] ?? "").replace(/^'(?=['=+@-])/, "");
        return isColumn(name) && text.trim() !== "" ? [[name, text]] : [];
    }));
    return readRecord(line, cells);
}

/** The mappings of a file: its list, or that of its only member. */
function listIn(root: JsonValue): { items: readonly JsonValue[] } | { errors: readonly ImportError[] } {
    if (root.is === "list")
        return root;
    const members = root.is === "object" ? root.members : [];
    const [mappings, ...more] = [...members].sort((a, b) => Number(b.name === "mappings") - Number(a.name === "mappings"));
    if (mappings?.name !== "mappings" || mappings.value.is !== "list")
        return { errors: [{ line: root.line, says: msg("The file must be a list of mappings, or an object with \"mappings\".") }] };
    return more.length === 0 ? mappings.value : { errors: more.map(({ line, name }) => ({
        line, says: name === "mappings" ? msg("\"$0\" stands here twice.", name) : msg("\"$0\" is not known here. The file has \"mappings\" and nothing else.", name),
    })) };
}

/** The text of a member; numbers, null, lists and objects are not what anybody here writes. */
function cellOf({ line, name, value }: JsonMember): { name: string; text: string } | ImportError {
    const plain = value.is === "plain" ? value.value : undefined;
    const isFlag = name === "enabled" || name === "log";
    if (typeof plain === "string" || (isFlag && typeof plain === "boolean"))
        return { name, text: String(plain) };
    return { line, says: isFlag ? msg("\"$0\" must be true or false.", name) : msg("\"$0\" must be text between double quotes.", name) };
}

function jsonRecord(item: JsonValue): readonly (Imported | ImportError)[] {
    const { line } = item;
    if (item.is !== "object")
        return [{ line, says: msg("A mapping is an object with \"public\" and \"guest\".") }];
    const known = item.members.filter(({ name }) => isColumn(name)).map(cellOf);
    const errors = [...nameProblems(item.members), ...known.flatMap(cell => "says" in cell ? [cell] : [])];
    if (errors.length > 0)
        return errors;
    return [readRecord(line, new Map(known.flatMap((cell): [Column, string][] => "name" in cell && isColumn(cell.name) ? [[cell.name, cell.text]] : [])))];
}

function importJson(text: string): Import {
    try {
        const list = listIn(parseJson(text));
        return "errors" in list ? { mappings: [], errors: list.errors } : sorted(list.items.flatMap(jsonRecord));
    } catch (error) {
        if (error instanceof JsonError)
            return refused(error.line, msg("This is not valid JSON."));
        throw error;
    }
}

/** Reads a file that exportCsv, exportJson, a spreadsheet or a person wrote. Line ends may be those of any system. */
export function importText(text: string): Import {
    const plain = text.replace(/^\ufeff/, "").replace(/\r\n?/g, "\n");
    const line = plain.split("\n").findIndex(each => each.includes("\0")) + 1;
    if (line > 0)
        return refused(line, msg("This line holds bytes that are no text. Save the file as UTF-8."));
    return /^\s*[[{]/.test(plain) ? importJson(plain) : importCsv(plain);
}
