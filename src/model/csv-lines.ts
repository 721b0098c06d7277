// SPDX-License-Identifier: LGPL-2.1-or-later
// CSV (RFC 4180) as records that know their line. Not by one pattern: repeated for each doubled quote, it would exhaust the stack
// at some megabytes.
import { msg, type Message } from "./message.ts";

export interface CsvRecord {
    /** That it begins in. */
    line: number;
    fields: string[];
    /** Its quotes are not as they must be; then the fields are of no use. */
    problem?: Message;
}

/** Where the quote that opens at `start` closes; -1 where it does not. A doubled quote is a letter of the field. */
function closingQuote(text: string, start: number): number {
    let close = text.indexOf("\"", start + 1);
    while (close >= 0 && text[close + 1] === "\"")
        close = text.indexOf("\"", close + 2);
    return close;
}

/** The field that begins at `start`, and where it ends: at a separator, a line end or the end of the text. */
function fieldAt(text: string, start: number, separator: string): { field: string; end: number; problem?: Message } {
    const quoted = text[start] === "\"";
    const close = quoted ? closingQuote(text, start) : start - 1;
    if (quoted && close < 0)
        return { field: "", end: text.length, problem: msg("A double quote is opened here and never closed.") };
    const ends = new RegExp(`[${separator}\\n]|$`, "g");
    ends.lastIndex = close + 1;
    const end = ends.exec(text)?.index ?? text.length;
    const rest = text.slice(close + 1, end);
    if (rest.includes("\"") || (quoted && rest !== ""))
        return { field: "", end, problem: msg("A double quote is out of place: it stands before and after a field, and is doubled inside.") };
    return { field: quoted ? text.slice(start + 1, close).replaceAll("\"\"", "\"") : rest, end };
}

/** Quoted fields may contain separators and line ends (\n). Empty lines are no records. */
export function csvRecords(text: string, separator: "," | ";" | "\t"): CsvRecord[] {
    const records: CsvRecord[] = [];
    let line = 1, record: CsvRecord = { line, fields: [] };
    for (let start = 0; start <= text.length;) {
        const { field, end, problem } = fieldAt(text, start, separator);
        record.fields.push(field);
        if (problem)
            record.problem ??= problem;
        line += text.slice(start, end + 1).split("\n").length - 1;
        start = end + 1;
        if (text[end] === separator)
            continue;
        if (record.problem || record.fields.length > 1 || field.trim() !== "")
            records.push(record);
        record = { line, fields: [] };
    }
    return records;
}
