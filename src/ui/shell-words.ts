// SPDX-License-Identifier: LGPL-2.1-or-later
// Commands and XML as one would write them: for reading and copying only, nothing is ever run from it.

export function shellWords(argv: readonly string[]): string {
    return argv.map(word => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}

/** libvirt indents by depth: without the common indentation the two texts compare, and read, better. */
export function outdented(xml: string): string {
    const lines = xml.split("\n");
    const depth = Math.min(...lines.slice(1).filter(line => line.trim() !== "").map(line => line.search(/\S/)));
    return lines.map((line, index) => index === 0 ? line.trimStart() : line.slice(Number.isFinite(depth) ? depth : 0)).join("\n");
}
