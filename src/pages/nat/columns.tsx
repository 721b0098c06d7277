// SPDX-License-Identifier: LGPL-2.1-or-later
import { hrefTo } from "../../ui/location.ts";
import { Dot, Status } from "../../ui/status.tsx";
import type { Column, Filter } from "../../ui/table-model.ts";
import { _, format } from "../../ui/translate.ts";
import { formatBytes, formatClock, formatFullTime, formatRate, formatTime } from "../../ui/units.ts";
import { stateWord } from "../guests/columns.tsx";
import { useRate } from "../taps/traffic.tsx";
import type { NatRow } from "./rows.ts";

function PublicCell({ row }: { row: NatRow }) {
    return (
        <div className="kt-lines">
            <Dot kind={row.enabled ? "on" : "off"} word={row.enabled ? _("enabled") : _("disabled")}>
                <a className="kt-address" dir="ltr" href={hrefTo(["nat", ...row.key.split("/")])}>{row.key}</a>
            </Dot>
            {row.description !== "" && <span className="kt-subtle kt-indent">{row.description}</span>}
        </div>
    );
}

function GuestCell({ row }: { row: NatRow }) {
    return (
        <div className="kt-lines">
            <span className="kt-address" dir="ltr">{row.guestAddress}</span>
            {row.guest !== "" && row.guestState !== "" && (
                <span className="kt-subtle">
                    <a href={hrefTo(["guests", row.guest])}>{row.guest}</a> ({stateWord(row.guestState)})
                </span>
            )}
        </div>
    );
}

function WorksCell({ row }: { row: NatRow }) {
    switch (row.severity) {
    case "success": return <Status kind="success">{_("No obstacle found")}</Status>;
    case "disabled": return <Status kind="info" reason={row.because}>{_("Disabled")}</Status>;
    case "info": return <Status kind="info" reason={row.because}>{_("No obstacle found, with remarks")}</Status>;
    case "warning": return <Status kind="warning" reason={row.because}>{_("May not work")}</Status>;
    case "danger": return <Status kind="danger" reason={row.because}>{_("Does not work")}</Status>;
    }
}

function DeviceCell({ row }: { row: NatRow }) {
    return (
        <div className="kt-lines">
            {row.device === "" ? "–" : <a className="kt-mono" dir="ltr" href={hrefTo(["taps", row.device])}>{row.device}</a>}
            {row.uplinks !== "" && <span className="kt-subtle">{format(_("by $0"), row.uplinks)}</span>}
        </div>
    );
}

/** Open now, and counted since the table was loaded. */
function ConnectionsCell({ row }: { row: NatRow }) {
    return (
        <div className="kt-lines">
            {row.unknown !== "" ? <Status kind="unknown" reason={row.unknown}>{_("Not known")}</Status>
                : <span>{row.open < 0 ? "–" : format(_("$0 open now"), row.open)}</span>}
            {row.hitsIn >= 0 && (
                <span className="kt-subtle kt-nowrap" title={_("Connections since the mapping was loaded")}>
                    {format(_("$0 in, $1 out"), row.hitsIn, Math.max(0, row.hitsOut))}
                </span>
            )}
        </div>
    );
}

function LastCell({ row }: { row: NatRow }) {
    if (row.busy)
        return _("now");
    if (row.last > 0)
        return <time dateTime={new Date(row.last).toISOString()} title={formatFullTime(row.last)}>{formatTime(row.last)}</time>;
    return row.since === 0 ? "–"
        : <span className="kt-subtle kt-nowrap" title={_("Nobody on the host writes it down: this page looks since then.")}>{format(_("not since $0"), formatClock(row.since))}</span>;
}

/** Of the device: now, and since it was made. */
function TrafficCell({ row }: { row: NatRow }) {
    const rate = useRate(row.device);
    if (row.sent < 0)
        return "–";
    return (
        <div className="kt-lines">
            <span className="kt-nowrap" title={format(_("to the guest: all that its device $0 carries, whichever mapping it belongs to"), row.device)}>
                {rate ? format(_("in $0"), formatRate(rate.toGuest)) : ""} <span className="kt-subtle">{formatBytes(row.received)}</span>
            </span>
            <span className="kt-nowrap" title={format(_("from the guest: all that its device $0 carries, whichever mapping it belongs to"), row.device)}>
                {rate ? format(_("out $0"), formatRate(rate.fromGuest)) : ""} <span className="kt-subtle">{formatBytes(row.sent)}</span>
            </span>
        </div>
    );
}

export const natColumns = (): readonly Column<NatRow>[] => [
    { key: "public", title: _("Public address"), cell: row => <PublicCell row={row} />, sort: row => row.key, width: 18 },
    { key: "guest", title: _("Guest address"), cell: row => <GuestCell row={row} />, sort: row => row.guestAddress, width: 16 },
    { key: "device", title: _("Device, uplink"), cell: row => <DeviceCell row={row} />, sort: row => [row.device, row.uplinks], width: 13 },
    {
        key: "works", title: _("Will it work?"), cell: row => <WorksCell row={row} />, width: 16,
        sort: row => ["danger", "warning", "disabled", "info", "success"].indexOf(row.severity),
    },
    {
        key: "connections", title: _("Connections"), width: 12, sort: row => [row.open, row.hitsIn + row.hitsOut],
        cell: row => <ConnectionsCell row={row} />,
    },
    { key: "last", title: _("Last used"), width: 10, sort: row => row.last, cell: row => <LastCell row={row} /> },
    { key: "traffic", title: _("Traffic"), width: 15, sort: row => row.sent + row.received, cell: row => <TrafficCell row={row} /> },
];

export const natFilters = (): readonly Filter<NatRow>[] => [
    {
        key: "works", title: _("Will it work?"), matches: (row, value) => row.severity === value,
        choices: [
            { value: "danger", label: _("Does not work") }, { value: "warning", label: _("May not work") },
            { value: "success", label: _("No obstacle found") }, { value: "info", label: _("No obstacle found, with remarks") },
            { value: "disabled", label: _("Disabled") },
        ],
    },
];
