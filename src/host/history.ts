// SPDX-License-Identifier: LGPL-2.1-or-later
// What happened, from the journal: one stream that begins with the past.
import type { HistoryEntry } from "../model/snapshot.ts";

/** Entries kept and shown; older ones are in Cockpit's Logs. */
export const HISTORY_LENGTH = 500;

/** Not --quiet: only its hint tells that a journal looks empty because this user may not read it. */
export const JOURNAL = [
    "journalctl", "--follow", "--output=json", `--lines=${HISTORY_LENGTH}`, "--identifier=kvm-tap",
    "--output-fields=MESSAGE,KVM_TAP_DEVICE,KVM_TAP_GUEST,KVM_TAP_EVENT,KVM_TAP_USER,KVM_TAP_WAS,_UID",
] as const;

/** Whether journalctl says that it does not show everything (its access_check). */
export function isDenied(line: string): boolean {
    return /^Hint: You are currently not seeing messages|insufficient permissions/.test(line);
}

/** A line of the journal as JSON. A field that is no text is an array of bytes; one that occurs twice, an array. */
export function entryIn(line: string): HistoryEntry | undefined {
    let fields: Record<string, unknown>;
    try {
        fields = { ...JSON.parse(line) as Record<string, unknown> };
    } catch {
        return undefined;
    }
    const text = (name: string) => textOf(fields[name]);
    const time = Number(text("__REALTIME_TIMESTAMP")) / 1000;
    if (!Number.isFinite(time))
        return undefined;
    const entry: HistoryEntry = { time, text: text("MESSAGE") ?? "" };
    const device = text("KVM_TAP_DEVICE"), guest = text("KVM_TAP_GUEST"), event = text("KVM_TAP_EVENT"), user = text("KVM_TAP_USER");
    // Anybody may write into the journal; what may end up in a definition counts from root only (_UID is journald's own).
    const was = text("_UID") === "0" ? text("KVM_TAP_WAS") : undefined;
    return { ...entry, ...device && { device }, ...guest && { guest }, ...event && { event }, ...user && { user }, ...was && { was } };
}

function textOf(value: unknown): string | undefined {
    if (typeof value === "string")
        return value;
    if (!Array.isArray(value))
        return undefined;
    if (value.every(byte => typeof byte === "number"))
        return new TextDecoder().decode(Uint8Array.from(value as number[]));
    return textOf(value[value.length - 1]);
}
