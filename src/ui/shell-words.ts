// SPDX-License-Identifier: LGPL-2.1-or-later
// A command as one would type it: for reading and copying only, nothing is ever run from it.

export function shellWords(argv: readonly string[]): string {
    return argv.map(word => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
