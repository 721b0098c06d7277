// SPDX-License-Identifier: LGPL-2.1-or-later
// Numbers in the words of a route as ip reads them (iproute2, lib/utils.c get_unsigned; lib/rt_names.c rtnl_rttable_a2n): with base 0,
// so 0xfe and 0376 are 254.

/** undefined: ip would refuse it, or it is no plain number. */
export function ipNumber(text: string): number | undefined {
    const digits = /^0x([\da-f]+)$/i.exec(text)?.[1];
    const number = digits !== undefined ? parseInt(digits, 16)
        : /^0[0-7]*$/.test(text) ? parseInt(text, 8)
            : /^[1-9]\d*$/.test(text) ? Number(text) : NaN;
    return number <= 0xffffffff ? number : undefined;
}

/** Tables that have a name on each host. The kernel takes 0 for main (fib_frontend.c, RT_TABLE_UNSPEC). */
const NAMED: ReadonlyMap<number, string> = new Map([[0, "main"], [253, "default"], [254, "main"], [255, "local"]]);

/** A table in the one spelling in which ip shows it. A name that only this host knows stays as it is. */
export function canonicalTable(text: string): string {
    const number = ipNumber(text);
    return number === undefined ? text : NAMED.get(number) ?? String(number);
}

/** A table that is no number and has no name on each host: what it means is written in files of ip. */
export function isTableWord(text: string): boolean {
    return ipNumber(text) === undefined && ![...NAMED.values()].includes(text);
}
