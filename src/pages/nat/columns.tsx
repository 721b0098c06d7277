// SPDX-License-Identifier: LGPL-2.1-or-later
import { hrefTo } from "../../ui/location.ts";
import { Dot, Status } from "../../ui/status.tsx";
import type { Column, Filter } from "../../ui/table-model.ts";
import { _, format, formatNumber } from "../../ui/translate.ts";
import { formatBytes } from "../../ui/units.ts";
import { stateWord } from "../guests/columns.tsx";
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
    case "info": return <Status kind="info" reason={row.because}>{_("Disabled")}</Status>;
    case "warning": return <Status kind="warning" reason={row.because}>{_("May not work")}</Status>;
    case "danger": return <Status kind="danger" reason={row.because}>{_("Does not work")}</Status>;
    }
}

function count(value: number): string {
    return value < 0 ? "–" : formatNumber(value);
}

function bytes(value: number): string {
    return value < 0 ? "–" : formatBytes(value);
}

export const natColumns = (): readonly Column<NatRow>[] => [
    { key: "public", title: _("Public address"), cell: row => <PublicCell row={row} />, sort: row => row.key, width: 20 },
    { key: "guest", title: _("Guest address"), cell: row => <GuestCell row={row} />, sort: row => row.guestAddress, width: 18 },
    {
        key: "device", title: _("Device"), width: 15, sort: row => row.device,
        cell: row => row.device === "" ? "–" : <a className="kt-mono" dir="ltr" href={hrefTo(["taps", row.device])}>{row.device}</a>,
    },
    {
        key: "works", title: _("Will it work?"), cell: row => <WorksCell row={row} />, width: 19,
        sort: row => ["danger", "warning", "info", "success"].indexOf(row.severity),
    },
    {
        key: "hits", title: _("Connections in, out"), width: 14, sort: row => row.hitsIn + row.hitsOut,
        cell: row => format("$0, $1", count(row.hitsIn), count(row.hitsOut)),
    },
    {
        key: "traffic", title: _("Sent, received"), width: 14, sort: row => row.sent + row.received,
        cell: row => format("$0, $1", bytes(row.sent), bytes(row.received)),
    },
];

export const natFilters = (): readonly Filter<NatRow>[] => [
    {
        key: "works", title: _("Will it work?"), matches: (row, value) => row.severity === value,
        choices: [
            { value: "danger", label: _("Does not work") }, { value: "warning", label: _("May not work") },
            { value: "success", label: _("No obstacle found") }, { value: "info", label: _("Disabled") },
        ],
    },
];
