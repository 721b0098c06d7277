// SPDX-License-Identifier: LGPL-2.1-or-later
// The lines of an `ip -batch` text as ip reads them (iproute2, lib/utils.c getcmdline and makeargs). pkg/host/kvm-tap-device
// reads them the same way.

export interface BatchLine {
    /** As it stands, with the lines that it goes on in. */
    text: string;
    /** What ip does; blank for an empty line or a comment. Undefined: it would go on after the end of the text, and is left out. */
    command: string | undefined;
}

/**
 * ip cuts a comment off first: a line with one never goes on in the next, whatever it ends with. Then a backslash and the newline
 * behind it go, with nothing in their place.
 */
export function batchLines(content: string): BatchLine[] {
    const texts = content.split("\n");
    if (texts[texts.length - 1] === "")
        texts.pop();
    const lines: BatchLine[] = [];
    for (let index = 0; index < texts.length; index++) {
        const begin = index;
        let command = withoutComment(texts[index] ?? "");
        while (command.endsWith("\\\n") && ++index < texts.length)
            command = command.slice(0, -2) + withoutComment(texts[index] ?? "");
        const unfinished = command.endsWith("\\\n");
        lines.push({ text: texts.slice(begin, index + 1).join("\n"), command: unfinished ? undefined : command.replace(/\n$/, "") });
    }
    return lines;
}

/** With the comment goes the newline. */
function withoutComment(text: string): string {
    const comment = text.indexOf("#");
    return comment < 0 ? `${text}\n` : text.slice(0, comment);
}

/** White space is what ip takes for it: a blank that is none of ASCII belongs to its word. */
export function wordsIn(command: string): string[] {
    return command.split(/[ \t\r\n]+/).filter(word => word !== "");
}
