// SPDX-License-Identifier: LGPL-2.1-or-later
import type { Severity } from "../../model/glance.ts";
import { hrefTo } from "../../ui/location.ts";
import { Dot, Status, type DotKind } from "../../ui/status.tsx";
import type { Column, Filter } from "../../ui/table-model.ts";
import { _, format, plural } from "../../ui/translate.ts";
import type { GuestRow } from "./rows.ts";

export function stateWord(state: GuestRow["state"]): string {
    switch (state) {
    case "running": return _("running");
    case "paused": return _("paused");
    case "off": return _("off");
    case "other": return _("between states");
    }
}

const dots: Record<GuestRow["state"], DotKind> = { running: "on", paused: "paused", off: "off", other: "paused" };

function GuestCell({ row }: { row: GuestRow }) {
    return (
        <div className="kt-lines">
            <Dot kind={dots[row.state]} word={stateWord(row.state)}>
                <a className="kt-name" href={hrefTo(["guests", ...row.key.split("/")])}>{row.guest}</a>
            </Dot>
            <span className="kt-subtle kt-indent" aria-hidden>{stateWord(row.state)}</span>
        </div>
    );
}

/** "virtio, 4 queues"; the type where it is another than ethernet. */
function interfaceWords(row: GuestRow): string {
    const queues = row.queues > 1 ? format(_("$0 queues"), row.queues) : "";
    return [row.type === "ethernet" ? "" : row.type, row.model, queues].filter(Boolean).join(", ");
}

function InterfaceCell({ row }: { row: GuestRow }) {
    if (!row.hasInterface)
        return <span className="kt-subtle">{row.problem || _("no interface")}</span>;
    return (
        <div className="kt-lines">
            <span className="kt-mono kt-nowrap" dir="ltr">{row.mac || "–"}</span>
            <span className="kt-subtle">{interfaceWords(row)}</span>
        </div>
    );
}

function deviceWords(row: GuestRow): string {
    switch (row.device) {
    case "missing": return _("not there");
    case "unnamed": return _("none named");
    case "no-tap": return _("not a TAP device");
    case "persistent": return row.up ? _("persistent, up") : _("persistent, down");
    case "temporary": return row.up ? _("made by libvirt, up") : _("not persistent, down");
    }
}

function DeviceCell({ row }: { row: GuestRow }) {
    if (!row.hasInterface)
        return null;
    return (
        <div className="kt-lines">
            {row.target === ""
                ? <span>–</span>
                : <a className="kt-mono" dir="ltr" href={hrefTo(["taps", row.target])}>{row.target}</a>}
            <span className="kt-subtle">{deviceWords(row)}</span>
        </div>
    );
}

function Addresses({ addresses }: { addresses: readonly string[] }) {
    const shown = addresses.slice(0, 2);
    return (
        <div className="kt-lines">
            {shown.map(address => <span key={address} className="kt-address" dir="ltr">{address}</span>)}
            {addresses.length > shown.length && (
                <span className="kt-subtle" title={addresses.join(", ")}>{format(_("and $0 more"), addresses.length - shown.length)}</span>
            )}
            {addresses.length === 0 && <span className="kt-subtle">–</span>}
        </div>
    );
}

function PublicCell({ row }: { row: GuestRow }) {
    const { publicAddresses, disabledAddresses } = row;
    if (publicAddresses.length + disabledAddresses.length === 0)
        return <span className="kt-subtle">–</span>;
    return (
        <div className="kt-lines">
            {publicAddresses.map(address => <a key={address} className="kt-address" dir="ltr" href={hrefTo(["nat", address])}>{address}</a>)}
            {disabledAddresses.map(address => (
                <span key={address} className="kt-subtle"><span dir="ltr">{address}</span> ({_("disabled")})</span>
            ))}
        </div>
    );
}

function FateCell({ row }: { row: GuestRow }) {
    return (
        <div className="kt-lines kt-fate">
            <Status kind={row.severity} reason={row.because} source={row.source || undefined}>{row.fate}</Status>
            {row.traps > 0 && (
                <a className="kt-subtle kt-indent-icon" href={hrefTo(["guests", ...row.key.split("/")])}>
                    {plural("$0 finding", "$0 findings", row.traps)}
                </a>
            )}
        </div>
    );
}

/** Worst first. */
const severities: readonly Severity[] = ["danger", "warning", "unknown", "info", "success"];

export const guestColumns = (): readonly Column<GuestRow>[] => [
    { key: "guest", title: _("Guest"), cell: row => <GuestCell row={row} />, sort: row => [row.guest, row.key], width: 11 },
    { key: "interface", title: _("Interface"), cell: row => <InterfaceCell row={row} />, sort: row => row.mac, width: 10 },
    { key: "device", title: _("TAP device"), cell: row => <DeviceCell row={row} />, sort: row => row.target, width: 11 },
    {
        key: "fate", title: _("What libvirt does"), width: 29,
        cell: row => row.hasInterface && <FateCell row={row} />,
        sort: row => [severities.indexOf(row.severity), row.fate, row.guest],
    },
    {
        key: "address", title: _("Guest address"), width: 11,
        cell: row => <Addresses addresses={row.addresses} />, sort: row => row.addresses[0] ?? "~",
    },
    {
        key: "public", title: _("Public address"), width: 13,
        cell: row => <PublicCell row={row} />, sort: row => row.publicAddresses[0] ?? "~",
    },
];

export const guestFilters = (): readonly Filter<GuestRow>[] => [
    {
        key: "state", title: _("State"), matches: (row, value) => row.state === value,
        choices: (["running", "paused", "off", "other"] as const).map(value => ({ value, label: stateWord(value) })),
    },
    {
        key: "fate", title: _("What libvirt does"),
        matches: (row, value) => value === "risk" ? row.losing.length > 0 : row.hasInterface && row.severity === value,
        choices: [
            { value: "risk", label: _("Device will be deleted") },
            { value: "danger", label: _("Dangers") },
            { value: "warning", label: _("Warnings") },
            { value: "success", label: _("Kept") },
            { value: "info", label: _("Made by libvirt, or no TAP device") },
            { value: "unknown", label: _("Not known") },
        ],
    },
    {
        key: "mapping", title: _("Public address"), matches: (row, value) => (row.publicAddresses.length > 0) === (value === "mapped"),
        choices: [{ value: "mapped", label: _("Mapped") }, { value: "none", label: _("Not mapped") }],
    },
];
