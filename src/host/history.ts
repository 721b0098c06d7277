// SPDX-License-Identifier: LGPL-2.1-or-later
// What happened, from the journal: one stream that begins with the past.
import type { HistoryEntry } from "../model/snapshot.ts";

/** Entries kept and shown; older ones are in Cockpit's Logs. */
export const HISTORY_LENGTH = 500;

const FIELDS = [
    "MESSAGE", "KVM_TAP_DEVICE", "KVM_TAP_GUEST", "KVM_TAP_EVENT", "KVM_TAP_USER", "KVM_TAP_WAS", "_UID", "_TRANSPORT", "_SYSTEMD_UNIT",
];

/** Asks for lines of the history: root's, or those of users would count among the last so many. --all: fields above 4096 bytes, too. */
export function journalctl(...options: string[]): string[] {
    return ["journalctl", "--output=json", "--all", "--identifier=kvm-tap", `--output-fields=${FIELDS.join(",")}`, ...options, "_UID=0"];
}

/** Not --quiet: only its hint tells that a journal looks empty because this user may not read it. */
export const JOURNAL: readonly string[] = journalctl("--follow", `--lines=${HISTORY_LENGTH}`);

/** Whether journalctl says that it does not show everything (its access_check). */
export function isDenied(line: string): boolean {
    return /^Hint: You are currently not seeing messages|insufficient permissions/.test(line);
}

/**
 * A line of the journal as JSON, if root wrote it: anybody may write into the journal under our name. A field that is no text is an
 * array of bytes; one that occurs twice, an array.
 */
export function entryIn(line: string): HistoryEntry | undefined {
    let fields: Record<string, unknown>;
    try {
        fields = { ...JSON.parse(line) as Record<string, unknown> };
    } catch {
        return undefined;
    }
    const text = (name: string) => textOf(fields[name]);
    const time = Number(text("__REALTIME_TIMESTAMP")) / 1000;
    if (!Number.isFinite(time) || !isOurs(fields))
        return undefined;
    const entry: HistoryEntry = { time, text: text("MESSAGE") ?? "" };
    const device = text("KVM_TAP_DEVICE"), guest = text("KVM_TAP_GUEST"), event = text("KVM_TAP_EVENT"), user = text("KVM_TAP_USER");
    const was = text("KVM_TAP_WAS");
    return { ...entry, ...device && { device }, ...guest && { guest }, ...event && { event }, ...user && { user }, ...was && { was } };
}

/**
 * Fields with an underscore are journald's own. The output of any program that a user may run as root is root's for it, too
 * (`systemd-cat -t kvm-tap sudo …`), and so may be its name in syslog: of these only our units' output counts.
 */
function isOurs({ _UID, _TRANSPORT, _SYSTEMD_UNIT }: Record<string, unknown>): boolean {
    return _UID === "0" && (_TRANSPORT === "journal" || (typeof _SYSTEMD_UNIT === "string" && /^kvm-tap@.*\.service$/.test(_SYSTEMD_UNIT)));
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
