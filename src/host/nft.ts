// SPDX-License-Identifier: LGPL-2.1-or-later
// Our own table, through one running `nft -i`: it answers each line with one line of JSON or with an error. Only this table is
// ever listed: a listing of all parses everybody's rules, which fails where another version of nft wrote them.
import { Conversation, type Grammar } from "./conversation.ts";
import type { CommandError, Machine } from "./run.ts";

export const NFT = ["nft", "-j", "-i"] as const;

/** The table of the 1:1 NAT. */
export const NAT_TABLE = "inet kvm_tap";

/**
 * After each command comes a word that nft does not know: the syntax error quotes it in every release and without any
 * permission, while the errors of commands come in too many shapes to tell where they end.
 */
export const nftGrammar: Grammar = {
    line: (command, count) => `${command}\nend_${count}\n`,
    last: "\n",
    end(text, count, from) {
        const mark = `\nend_${count}\n`;
        const at = text.indexOf(mark, from);
        const carets = at < 0 ? -1 : text.indexOf("\n", at + mark.length);
        return carets < 0 ? -1 : carets + 1;
    },
};

export function openNft(machine: Machine, ended: (error: CommandError) => void): Conversation {
    return new Conversation(machine, NFT, nftGrammar, ended);
}

/** nft's own words for what it could not do. */
export class NftError extends Error {
    constructor(readonly words: string) {
        super(words);
        this.name = "NftError";
    }
}

/** The table in the answer to `list table`; null when there is none. Throws NftError for any other refusal. */
export function tableIn(answer: string): unknown {
    const json = answer.split("\n").find(line => line.startsWith("{"));
    if (json !== undefined)
        return JSON.parse(json) as unknown;
    if (/^Error: No such file or directory/m.test(answer))
        return null;
    throw new NftError(answer.replace(/^Error: syntax error[^]*$/m, "").trim());
}

export async function readTable(nft: Conversation): Promise<unknown> {
    return tableIn(await nft.one(`list table ${NAT_TABLE}`));
}

/** Ours, and that of the packet test (pkg/host/kvm-tap-trace). Names of others may begin the same. */
export function isOurs(family: unknown, table: unknown): boolean {
    return family === "inet" && (table === "kvm_tap" || table === "kvm_tap_trace");
}

/** What a line of `nft -j monitor` is about: `{"add": {"rule": {"family": …, "table": …}}}`; undefined where it is something else. */
function subjectOf(line: string): { kind: string; family: unknown; table: unknown } | undefined {
    try {
        const [event] = Object.values(JSON.parse(line) as Record<string, Record<string, Record<string, unknown>>>);
        const [[kind, object] = ["", undefined]] = Object.entries(event ?? {});
        return object && { kind, family: object["family"], table: kind === "table" ? object["name"] : object["table"] };
    } catch {
        return undefined;
    }
}

/** Whether a line of `nft -j monitor` concerns our table. */
export function concernsTable(line: string): boolean {
    if (!line.includes("kvm_tap"))
        return false;
    const subject = subjectOf(line);
    return subject === undefined || (subject.family === "inet" && subject.table === "kvm_tap");
}

/** Whether a line of `nft -j monitor` concerns rules of others: not elements of sets, which may come and go all the time, nor ours. */
export function concernsRules(line: string): boolean {
    const subject = /"(?:rule|chain|table)":\s*\{/.test(line) ? subjectOf(line) : undefined;
    return subject !== undefined && ["rule", "chain", "table"].includes(subject.kind) && !isOurs(subject.family, subject.table);
}
