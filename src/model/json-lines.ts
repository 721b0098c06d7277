// SPDX-License-Identifier: LGPL-2.1-or-later
// JSON (RFC 8259) in which each value knows its line, and an object keeps all that stands in it: of two members of one name
// JSON.parse would take the last and say nothing.

export type JsonValue = { line: number } & (
    | { is: "plain"; value: string | number | boolean | null }
    | { is: "list"; items: readonly JsonValue[] }
    | { is: "object"; members: readonly JsonMember[] }
);

export interface JsonMember {
    line: number;
    name: string;
    value: JsonValue;
}

/** The text is no JSON, from this line on. */
export class JsonError extends Error {
    constructor(readonly line: number) {
        super(`no JSON in line ${line}`);
        this.name = "JsonError";
    }
}

/** Deeper than any file that is meant for us; so that no text can exhaust the stack. */
const DEEPEST = 50;
const TOKEN = /-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/y;
const QUOTE_OR_ESCAPE = /["\\]/g;

class Reader {
    #at = 0;
    #line = 1;

    constructor(readonly text: string) {}

    whole(): JsonValue {
        const value = this.#value(0);
        if (this.#next() !== "")
            throw new JsonError(this.#line);
        return value;
    }

    /** The token that comes next, and #line its line; empty at the end of the text. */
    #next(): string {
        for (; /[ \t\r\n]/.test(this.text[this.#at] ?? ""); this.#at++)
            this.#line += this.text[this.#at] === "\n" ? 1 : 0;
        TOKEN.lastIndex = this.#at;
        const [token = ""] = this.text[this.#at] === "\"" ? [this.#string()] : TOKEN.exec(this.text) ?? [];
        if (token === "" && this.#at < this.text.length)
            throw new JsonError(this.#line);
        return token;
    }

    /** Not by one pattern: repeated for each escape, it would exhaust the stack at some megabytes. */
    #string(): string {
        QUOTE_OR_ESCAPE.lastIndex = this.#at + 1;
        let found = QUOTE_OR_ESCAPE.exec(this.text);
        for (; found?.[0] === "\\"; found = QUOTE_OR_ESCAPE.exec(this.text))
            QUOTE_OR_ESCAPE.lastIndex = found.index + 2;
        return found ? this.text.slice(this.#at, found.index + 1) : "";
    }

    #take(): string {
        const token = this.#next();
        this.#at += token.length;
        return token;
    }

    /** Whether this comes next; if so it is taken. */
    #has(token: string): boolean {
        return this.#next() === token && this.#take() !== "";
    }

    #value(depth: number): JsonValue {
        const token = this.#take(), line = this.#line;
        if (depth > DEEPEST)
            throw new JsonError(line);
        if (token === "[")
            return { line, is: "list", items: this.#several("]", () => this.#value(depth + 1)) };
        if (token === "{")
            return { line, is: "object", members: this.#several("}", () => this.#member(depth + 1)) };
        return { line, is: "plain", value: this.#plain(token) };
    }

    #several<T>(end: string, one: () => T): T[] {
        const all: T[] = [];
        if (this.#has(end))
            return all;
        do
            all.push(one());
        while (this.#has(","));
        if (!this.#has(end))
            throw new JsonError(this.#line);
        return all;
    }

    #member(depth: number): JsonMember {
        const name = this.#plain(this.#take()), line = this.#line;
        if (typeof name !== "string" || !this.#has(":"))
            throw new JsonError(line);
        return { line, name, value: this.#value(depth) };
    }

    /** JSON.parse knows what strings and numbers may be. */
    #plain(token: string): string | number | boolean | null {
        try {
            return JSON.parse(token) as string | number | boolean | null;
        } catch {
            throw new JsonError(this.#line);
        }
    }
}

/** Throws JsonError for anything else. */
export function parseJson(text: string): JsonValue {
    return new Reader(text).whole();
}
