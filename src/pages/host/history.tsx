// SPDX-License-Identifier: LGPL-2.1-or-later
// Everything that happened to devices and mappings, from the journal.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { useMemo, useState } from "react";
import type { HistoryEntry, Reading } from "../../model/snapshot.ts";
import { DataTable } from "../../ui/data-table.tsx";
import { eventKind, eventName } from "../../ui/history.tsx";
import { hrefTo } from "../../ui/location.ts";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Empty } from "../../ui/states.tsx";
import { Status } from "../../ui/status.tsx";
import type { Column, Filter } from "../../ui/table-model.ts";
import { _ } from "../../ui/translate.ts";
import { formatFullTime, formatTime } from "../../ui/units.ts";

const columns = (): readonly Column<HistoryEntry>[] => [
    {
        key: "time", title: _("Time"), width: 18, sort: entry => entry.time,
        cell: ({ time }) => <time dateTime={new Date(time).toISOString()} title={formatFullTime(time)}>{formatTime(time)}</time>,
    },
    {
        key: "event", title: _("Event"), width: 16, sort: entry => entry.event ?? "",
        cell: entry => <Status kind={eventKind(entry.event)}>{eventName(entry.event)}</Status>,
    },
    { key: "text", title: _("What happened"), width: 36, cell: entry => entry.text },
    {
        key: "device", title: _("Device"), width: 15, sort: entry => entry.device ?? "",
        cell: entry => entry.device === undefined ? "" : <a className="kt-mono" dir="ltr" href={hrefTo(["taps", entry.device])}>{entry.device}</a>,
    },
    { key: "user", title: _("User"), width: 15, sort: entry => entry.user ?? "", cell: entry => entry.user ?? "" },
];

const events = ["deleted", "restored", "failed", "device-up", "device-down", "nat-loaded", "nat-reverted", "changed"] as const;

const filters = (): readonly Filter<HistoryEntry>[] => [{
    key: "event", title: _("Event"), matches: (entry, value) => entry.event === value,
    choices: events.map(value => ({ value, label: eventName(value) })),
}];

const keyOf = (entry: HistoryEntry) => `${entry.time}-${entry.event ?? ""}-${entry.device ?? ""}-${entry.text.length}`;
const textOf = (entry: HistoryEntry) => [entry.text, entry.device, entry.guest, entry.user].filter(Boolean).join(" ");

/** Two entries of the same microsecond that look the same are one row. */
function distinct(entries: readonly HistoryEntry[]): readonly HistoryEntry[] {
    return [...new Map(entries.map(entry => [keyOf(entry), entry])).values()];
}

export function HistorySection() {
    const { history } = useSnapshot();
    const [shownColumns] = useState(columns);
    const [shownFilters] = useState(filters);
    const rows = useMemo((): Reading<readonly HistoryEntry[]> =>
        history.state === "read" ? { state: "read", value: distinct(history.value) } : history, [history]);
    return (
        <section className="kt-card kt-table-card" aria-labelledby="host-history">
            <div className="kt-card-head">
                <h2 id="host-history">{_("History")}</h2>
                <Button variant="link" isInline onClick={() => cockpit.jump("/system/logs#/?priority=debug&tag=kvm-tap")}>{_("All of it in Logs")}</Button>
            </div>
            <DataTable
                place="host" label={_("History")} rows={rows} columns={shownColumns} filters={shownFilters} sortBy="-time" keyOf={keyOf} nameOf={textOf}
                textOf={textOf}
                empty={<Empty title={_("Nothing has happened yet")}>{_("What libvirt deletes, what is made again and what this page changes will stand here.")}</Empty>}
            />
        </section>
    );
}
