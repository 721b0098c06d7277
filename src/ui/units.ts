// SPDX-License-Identifier: LGPL-2.1-or-later
// Numbers, sizes and times as the person's language writes them.
import { locale } from "./translate.ts";

const byteUnits = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];

/** Value and unit with at most three digits, in powers of 1000 as Cockpit does. */
function inUnits(value: number, suffix: string): string {
    const power = value >= 1 ? Math.min(Math.floor(Math.log10(value) / 3), byteUnits.length - 1) : 0;
    const scaled = value / 1000 ** power;
    return new Intl.NumberFormat(locale(), {
        style: "unit", unit: `${byteUnits[power] ?? "byte"}${suffix}`, unitDisplay: power === 0 ? "narrow" : "short",
        maximumFractionDigits: power > 0 && scaled < 100 ? 1 : 0,
    }).format(scaled);
}

/** `1200000` → "1.2 MB". */
export function formatBytes(bytes: number): string {
    return inUnits(bytes, "");
}

/** Bytes per second: `1200000` → "1.2 MB/s". */
export function formatRate(bytesPerSecond: number): string {
    return inUnits(bytesPerSecond, "-per-second");
}

/** Milliseconds since 1970 → "14:03:22" today, with the date on other days. */
export function formatTime(time: number, now = Date.now()): string {
    const today = new Date(time).toDateString() === new Date(now).toDateString();
    return new Intl.DateTimeFormat(locale(), today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" }).format(time);
}

/** Hours and minutes. */
export function formatClock(time: number): string {
    return new Intl.DateTimeFormat(locale(), { timeStyle: "short" }).format(time);
}

/** Milliseconds since 1970, complete: for titles. */
export function formatFullTime(time: number): string {
    return new Intl.DateTimeFormat(locale(), { dateStyle: "full", timeStyle: "long" }).format(time);
}
