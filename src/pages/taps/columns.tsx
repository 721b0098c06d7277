// SPDX-License-Identifier: LGPL-2.1-or-later
import { hrefTo } from "../../ui/location.ts";
import { Dot, Status, type StatusKind } from "../../ui/status.tsx";
import type { Column, Filter } from "../../ui/table-model.ts";
import { _, format } from "../../ui/translate.ts";
import type { TapRow, Warning } from "./rows.ts";
import { TrafficCell } from "./traffic.tsx";

/** "up, a guest is attached". */
export function stateWords({ there, up, carrier }: TapRow): string {
    if (!there)
        return _("not there");
    if (!up)
        return _("down");
    return carrier ? _("up, attached") : _("up, nothing attached");
}

function kindWords({ there, persistent, multiQueue, owner, group }: TapRow): string {
    return [
        there && !persistent ? _("not persistent") : "", multiQueue ? _("multi-queue") : "",
        owner === "" ? "" : format(_("owner $0"), owner), group === "" ? "" : format(_("group $0"), group),
    ].filter(Boolean).join(", ");
}

function DeviceCell({ row }: { row: TapRow }) {
    const state = stateWords(row);
    return (
        <div className="kt-lines">
            <Dot kind={!row.there ? "bad" : row.carrier ? "on" : row.up ? "paused" : "off"} word={state}>
                <a className="kt-name kt-mono" dir="ltr" href={hrefTo(["taps", row.name])}>{row.name}</a>
            </Dot>
            <span className="kt-subtle kt-indent" aria-hidden>{state}</span>
            <span className="kt-subtle kt-indent">{kindWords(row)}</span>
        </div>
    );
}

function UserCell({ row: { guests, holders, usersKnown } }: { row: TapRow }) {
    return (
        <div className="kt-lines">
            {guests.map(guest => <a key={guest} href={hrefTo(["guests", guest])}>{guest}</a>)}
            {holders.map(holder => <span key={holder} className="kt-subtle" dir="ltr">{holder}</span>)}
            {guests.length + holders.length === 0 && <span className="kt-subtle">{usersKnown ? "–" : _("not known")}</span>}
        </div>
    );
}

export function bootWords({ boot, bootFrom }: TapRow): string {
    switch (boot) {
    case "kvm-tap": return _("KVM TAP");
    case "networkd": return "systemd-networkd";
    case "NetworkManager": return "NetworkManager";
    case "ifupdown": return "ifupdown";
    case "libvirt": return format(_("libvirt, when $0 starts"), bootFrom);
    case "nothing": return _("nothing");
    case "unknown": return _("not known");
    }
}

function BootCell({ row }: { row: TapRow }) {
    const file = row.boot !== "libvirt" && row.bootFrom !== "";
    return (
        <div className="kt-lines">
            <span>{bootWords(row)}</span>
            {file && <span className="kt-subtle" dir="ltr">{row.bootFrom}</span>}
        </div>
    );
}

const SHOWN = 2;

function AddressCell({ row: { addresses, routes } }: { row: TapRow }) {
    const all = [...addresses, ...routes.map(route => `→ ${route}`)];
    return (
        <div className="kt-lines">
            {all.slice(0, SHOWN).map(text => <span key={text} className="kt-address" dir="ltr">{text}</span>)}
            {all.length > SHOWN && <span className="kt-subtle" title={all.join(", ")}>{format(_("and $0 more"), all.length - SHOWN)}</span>}
            {all.length === 0 && <span className="kt-subtle">–</span>}
        </div>
    );
}

export function warningText(warning: Warning): string {
    switch (warning) {
    case "odd-name": return _("Name not usable here");
    case "missing": return _("Missing");
    case "failed": return _("Could not be made");
    case "drift": return _("Differs from its file");
    case "not-at-boot": return _("Gone after a reboot");
    case "down": return _("Down");
    case "networkd": return _("systemd-networkd takes it, too");
    case "shared": return _("Named by several guests");
    case "leftover": return _("Left over");
    case "unused": return _("Named by no guest");
    }
}

/** Why a device with such a name (model/names.ts) can only be looked at. */
export function oddNameExplained(): string {
    return _("Files, units and commands would take its name for something else, so this page leaves it alone. Give the device another name first.");
}

export function warningReason(warning: Warning): string {
    switch (warning) {
    case "odd-name": return oddNameExplained();
    case "missing": return _("It is written down, but the host does not have it: something deleted it. Bring it back from the menu of its row.");
    case "failed": return _("Its unit failed. The log under the row tells why.");
    case "drift": return _("Somebody changed the device or its file by hand. Take over what runs, or apply the file.");
    case "not-at-boot": return _("It was made by hand and is written down nowhere. Take it over, and it is made at every boot.");
    case "down": return _("A guest uses it, but the host has set it down: no packet passes.");
    case "networkd": return _("systemd-networkd configures this device as well: when it is restarted, it removes the addresses and routes that it did not set. Keep it off from the menu of the row.");
    case "shared": return _("Several definitions name it: only one of these guests can run at a time.");
    case "leftover": return _("A unit or kernel settings of a device that is not written down any more. Delete them from the menu of the row.");
    case "unused": return _("No definition of a guest names it. It may be left over from a guest that was removed or renamed.");
    }
}

export const warningKinds: Record<Warning, StatusKind> = {
    "odd-name": "warning", missing: "danger", failed: "danger", drift: "warning", "not-at-boot": "warning", down: "warning", networkd: "warning", shared: "warning",
    leftover: "info",
    unused: "info",
};

function WarningCell({ row: { warnings } }: { row: TapRow }) {
    if (warnings.length === 0)
        return <Status kind="success">{_("In order")}</Status>;
    return (
        <div className="kt-lines">
            {warnings.map(warning =>
                <Status key={warning} kind={warningKinds[warning]} reason={warningReason(warning)}>{warningText(warning)}</Status>)}
        </div>
    );
}

const order: readonly Warning[] = ["missing", "failed", "odd-name", "drift", "not-at-boot", "down", "networkd", "shared", "leftover", "unused"];
const worst = ({ warnings: [first] }: TapRow) => first === undefined ? order.length : order.indexOf(first);

export const tapColumns = (): readonly Column<TapRow>[] => [
    { key: "device", title: _("Device"), cell: row => <DeviceCell row={row} />, sort: row => row.name, width: 17 },
    { key: "state", title: _("State"), cell: row => <WarningCell row={row} />, sort: row => [worst(row), row.name], width: 16 },
    { key: "user", title: _("Used by"), cell: row => <UserCell row={row} />, sort: row => row.guests[0] ?? "~", width: 14 },
    { key: "boot", title: _("Made at boot by"), cell: row => <BootCell row={row} />, sort: row => [row.boot, row.name], width: 15 },
    {
        key: "address", title: _("Addresses and routes"), cell: row => <AddressCell row={row} />, sort: row => row.routes[0] ?? row.addresses[0] ?? "~",
        width: 15,
    },
    { key: "traffic", title: _("Traffic"), cell: row => <TrafficCell name={row.name} />, width: 9 },
];

export const tapFilters = (): readonly Filter<TapRow>[] => [
    {
        key: "state", title: _("State"), matches: (row, value) => value === "fine" ? row.warnings.length === 0 : row.warnings.some(one => one === value),
        choices: [...order.map(value => ({ value, label: warningText(value) })), { value: "fine", label: _("In order") }],
    },
    {
        key: "boot", title: _("Made at boot by"), matches: (row, value) => row.boot === value,
        choices: [
            { value: "kvm-tap", label: _("KVM TAP") }, { value: "networkd", label: "systemd-networkd" },
            { value: "NetworkManager", label: "NetworkManager" }, { value: "ifupdown", label: "ifupdown" }, { value: "libvirt", label: "libvirt" },
            { value: "nothing", label: _("nothing") },
        ],
    },
];
