// SPDX-License-Identifier: LGPL-2.1-or-later
// What happened, newest first: from the journal, also of times when no page was open.
import type { HistoryEntry } from "../model/snapshot.ts";
import { StatusIcon, type StatusKind } from "./status.tsx";
import { _ } from "./translate.ts";
import { formatFullTime, formatTime } from "./units.ts";

export function eventKind(event: string | undefined): StatusKind {
    switch (event) {
    case "deleted":
    case "failed": return "danger";
    case "nat-reverted": return "warning";
    case "restored":
    case "device-up":
    case "nat-loaded": return "success";
    default: return "info";
    }
}

export function eventName(event: string | undefined): string {
    switch (event) {
    case "deleted": return _("Deleted by libvirt");
    case "restored": return _("Made again");
    case "failed": return _("Not made again");
    case "device-up": return _("Device made");
    case "device-down": return _("Device removed");
    case "nat-loaded": return _("NAT loaded");
    case "nat-reverted": return _("NAT taken back");
    case "changed": return _("Changed here");
    default: return _("Other");
    }
}

export function HistoryList({ entries, limit = 8 }: { entries: readonly HistoryEntry[]; limit?: number }) {
    if (entries.length === 0)
        return <p className="kt-subtle">{_("Nothing has happened since the journal begins.")}</p>;
    return (
        <ul className="kt-history">
            {entries.toSorted((a, b) => b.time - a.time).slice(0, limit).map((entry, index) => (
                <li key={`${entry.time}-${index}`}>
                    <time dateTime={new Date(entry.time).toISOString()} title={formatFullTime(entry.time)}>{formatTime(entry.time)}</time>
                    <StatusIcon kind={eventKind(entry.event)} />
                    <span>{entry.text}{entry.user !== undefined && <span className="kt-subtle"> · {entry.user}</span>}</span>
                </li>
            ))}
        </ul>
    );
}
