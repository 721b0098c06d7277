// SPDX-License-Identifier: LGPL-2.1-or-later
// The model speaks in messages; ui/ translates them. So a message is also what tests compare.

export interface Message {
    /** The English sentence, which is the gettext id; `$0`, `$1` … stand for the arguments. */
    id: string;
    args?: readonly string[];
}

/** A sentence for people. Translators find `id` by this function's name, so it is always written as a literal. */
export function msg(id: string, ...args: string[]): Message {
    return args.length > 0 ? { id, args } : { id };
}

/** Each of them once, in the order of their first. */
export function uniqueMessages(messages: readonly Message[]): Message[] {
    return [...new Map(messages.map(message => [JSON.stringify(message), message])).values()];
}

/** The message in English: for logs, tests and the journal. */
export function inEnglish(message: Message): string {
    return message.id.replace(/\$(\d)/g, (whole, index: string) => message.args?.[Number(index)] ?? whole);
}
