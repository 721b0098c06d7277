// SPDX-License-Identifier: LGPL-2.1-or-later
// Addresses and prefixes as 1:1 NAT needs them: one canonical spelling each, that of nft, so that texts can be compared.
import ipaddr from "ipaddr.js";

export type Family = 4 | 6;

/** A network, or a single address where `length` is the whole width (32 or 128). */
export interface Prefix {
    family: Family;
    /** Canonical: dotted quad, or RFC 5952 as inet_ntop writes it. */
    address: string;
    length: number;
}

export function width(family: Family): 32 | 128 {
    return family === 4 ? 32 : 128;
}

/**
 * One address, canonical; undefined unless it is written out in full. Octal or shortened IPv4 ("010.0.0.1", "10.1") is
 * refused: tools disagree about what it means. So is an IPv4 address inside IPv6 (::ffff:1.2.3.4) and a zone (%eth0).
 */
export function parseAddress(text: string): { family: Family; address: string } | undefined {
    const trimmed = text.trim();
    if (ipaddr.IPv4.isValidFourPartDecimal(trimmed))
        return { family: 4, address: trimmed };
    if (!trimmed.includes(":") || trimmed.includes("%") || trimmed.includes(".") || !ipaddr.IPv6.isValid(trimmed))
        return undefined;
    const parsed = ipaddr.IPv6.parse(trimmed);
    if (parsed.range() === "ipv4Mapped")
        return undefined;
    return { family: 6, address: parsed.toRFC5952String() };
}

/** An address with or without `/length`; undefined for anything else. Host bits are kept: see `networkOf`. */
export function parsePrefix(text: string): Prefix | undefined {
    const [left = "", right, ...rest] = text.trim().split("/");
    const parsed = parseAddress(left);
    if (!parsed || rest.length > 0)
        return undefined;
    const whole = width(parsed.family);
    if (right === undefined)
        return { ...parsed, length: whole };
    if (!/^\d{1,3}$/.test(right) || Number(right) > whole)
        return undefined;
    return { ...parsed, length: Number(right) };
}

/** `address` or `address/length`. */
export function formatPrefix(prefix: Prefix): string {
    return prefix.length === width(prefix.family) ? prefix.address : `${prefix.address}/${prefix.length}`;
}

/** The address as a number, for order and arithmetic. */
export function toNumber(address: string): bigint {
    return ipaddr.parse(address).toByteArray().reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

/** The reverse of `toNumber`. */
export function fromNumber(family: Family, value: bigint): string {
    const bytes = Array.from({ length: width(family) / 8 }, (_, i) => Number((value >> BigInt(width(family) - 8 - 8 * i)) & 255n));
    const parsed = ipaddr.fromByteArray(bytes);
    return parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString();
}

/** Whether it is one address. */
export function isSingle(prefix: Prefix): boolean {
    return prefix.length === width(prefix.family);
}

/** Widest prefix that is believed to be meant: a /0 would take all traffic of the host. */
export const WIDEST = { 4: 8, 6: 16 } as const;

/** First and last address, as numbers. */
export function span(prefix: Prefix): { first: bigint; last: bigint } {
    const size = 1n << BigInt(width(prefix.family) - prefix.length);
    const first = (toNumber(prefix.address) / size) * size;
    return { first, last: first + size - 1n };
}

/** The network that the address lies in: host bits cleared. */
export function networkOf(prefix: Prefix): Prefix {
    return { ...prefix, address: fromNumber(prefix.family, span(prefix).first) };
}

export function overlaps(a: Prefix, b: Prefix): boolean {
    if (a.family !== b.family)
        return false;
    const [one, other] = [span(a), span(b)];
    return one.first <= other.last && other.first <= one.last;
}

/** Whether all of `inner` lies in `outer`. */
export function contains(outer: Prefix, inner: Prefix): boolean {
    return outer.length <= inner.length && overlaps(outer, inner);
}

/** IPv4 before IPv6, then by number, then the wider prefix first. */
export function comparePrefixes(a: Prefix, b: Prefix): number {
    if (a.family !== b.family)
        return a.family - b.family;
    const [one, other] = [toNumber(a.address), toNumber(b.address)];
    return one < other ? -1 : one > other ? 1 : a.length - b.length;
}

const PRIVATE_RANGES: readonly string[] = ["private", "carrierGradeNat", "linkLocal", "uniqueLocal"];

/** Whether it means nothing outside of the host's own networks (RFC 1918, 6598, 3927, 4193): pkg/host/kvm_tap/guard.py has the same. */
export function isPrivate(address: string): boolean {
    return ipaddr.isValid(address) && PRIVATE_RANGES.includes(ipaddr.parse(address).range());
}
