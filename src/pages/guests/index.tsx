// SPDX-License-Identifier: LGPL-2.1-or-later
// All guests of the host, a row per interface: what hangs on what, and what libvirt will do to it.
import { useMemo, useState } from "react";
import { machine } from "../../host/cockpit.ts";
import { failingChecks } from "../../model/host-checks.ts";
import type { Reading } from "../../model/snapshot.ts";
import { ChangeButton, useAccess } from "../../ui/access.tsx";
import { AlertActionLink } from "../../ui/alert.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import { goTo, hrefTo } from "../../ui/location.ts";
import { Numbers, type NumberFilter } from "../../ui/numbers.tsx";
import type { Action } from "../../ui/row-actions.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { stableRows } from "../../ui/stable.ts";
import { Empty } from "../../ui/states.tsx";
import { _, plural } from "../../ui/translate.ts";
import { DaemonDialog } from "../host/index.tsx";
import { MapDialog } from "../nat/map-dialog.tsx";
import { guestColumns, guestFilters } from "./columns.tsx";
import { GuestDetail } from "./detail.tsx";
import { InterfaceActDialog, interfaceActions, type InterfaceAct } from "./interface-buttons.tsx";
import { ProtectDialog, UnprotectDialog } from "./protect-dialog.tsx";
import { guestRows, type GuestRow } from "./rows.ts";

const keyOf = (row: GuestRow) => row.key;
const textOf = (row: GuestRow) =>
    [row.guest, row.uuid, row.mac, row.target, row.fate, ...row.addresses, ...row.publicAddresses, ...row.disabledAddresses].join(" ");
const nameOf = (row: GuestRow) => row.key === row.guest ? row.guest : `${row.guest} ${row.mac}`;
const detail = (row: GuestRow) => <GuestDetail rowKey={row.key} machine={machine} />;

function numbers(rows: readonly GuestRow[], checks: number): readonly NumberFilter[] {
    const guests = new Set(rows.map(row => row.uuid)).size;
    const atRisk = new Set(rows.flatMap(row => row.losing)).size;
    const mappings = new Set(rows.flatMap(row => row.publicAddresses)).size;
    return [
        { text: plural("$0 guest", "$0 guests", guests), filter: ["fate", []] },
        {
            text: plural("$0 device will be deleted", "$0 devices will be deleted", atRisk),
            kind: atRisk > 0 ? "danger" : "success", filter: ["fate", ["risk"]],
        },
        { text: plural("$0 mapping", "$0 mappings", mappings), filter: ["mapping", ["mapped"]] },
        {
            text: checks === 0 ? _("All checks pass") : plural("$0 check fails", "$0 checks fail", checks),
            kind: checks === 0 ? "success" : "warning", href: hrefTo(["host"]),
        },
    ];
}

function NoGuests() {
    return (
        <Empty title={_("No guests on this host")}>
            {_("libvirt knows no guest yet. Define one with virsh or virt-install; it appears here at once. TAP devices can be made before.")}
            {" "}<a href={hrefTo(["taps"])}>{_("TAP devices")}</a>
        </Empty>
    );
}

/** Where guests cannot be read because the daemon does not run. */
function StartLibvirt() {
    const { libvirt } = useSnapshot();
    const access = useAccess();
    const [open, setOpen] = useState(false);
    if (libvirt.state !== "failed" || access !== "granted")
        return null;
    return (
        <>
            <AlertActionLink onClick={() => setOpen(true)}>{_("Start libvirt…")}</AlertActionLink>
            {open && (
                <DialogBoundary onClose={() => setOpen(false)}>
                    <DaemonDialog daemon="start-libvirt" onClose={() => setOpen(false)} />
                </DialogBoundary>
            )}
        </>
    );
}

type Open =
    | { dialog: "protect"; keys: readonly string[] }
    | { dialog: "unprotect"; key: string }
    | { dialog: "map"; address: string }
    | { dialog: "interface"; act: InterfaceAct; key: string };

function GuestDialog({ open, onClose }: { open: Open; onClose(): void }) {
    switch (open.dialog) {
    case "protect": return <ProtectDialog keys={open.keys} onClose={onClose} />;
    case "unprotect": return <UnprotectDialog rowKey={open.key} onClose={onClose} />;
    case "map": return <MapDialog guestAddress={open.address} machine={machine} onClose={onClose} onDone={() => goTo(["nat"])} />;
    case "interface": return <InterfaceActDialog act={open.act} rowKey={open.key} machine={machine} onClose={onClose} />;
    }
}

function whyNotMapped(row: GuestRow): string | undefined {
    return row.addresses.length > 0 ? undefined : _("No guest address is routed to its device yet.");
}

/** What can be done from a row; `open` never changes, so that rows are not rendered again for it. */
function actionsOf(open: (wish: Open) => void) {
    const protect = (row: GuestRow): Action => ({
        label: _("Protect…"), changes: true, run: () => open({ dialog: "protect", keys: [row.key] }),
        why: row.protect === "no" ? _("Only ethernet interfaces that are not protected yet.") : undefined,
    });
    return {
        button: (row: GuestRow) => row.protect === "needed" && (
            <ChangeButton variant="secondary" size="sm" onClick={() => open({ dialog: "protect", keys: [row.key] })}>{_("Protect")}</ChangeButton>
        ),
        actions: (row: GuestRow): readonly Action[] => [
            ...!row.managed || row.protect !== "no" ? [protect(row)] : [],
            ...row.managed
                ? [{ label: _("Take the protection off…"), changes: true, run: () => open({ dialog: "unprotect" as const, key: row.key }) }] : [],
            {
                label: _("Map public address…"), changes: true, why: whyNotMapped(row),
                run: () => open({ dialog: "map", address: row.addresses[0] ?? "" }),
            },
            ...interfaceActions(row, act => open({ dialog: "interface", act, key: row.key })),
        ],
        bulk: (rows: readonly GuestRow[]): readonly Action[] => {
            const keys = rows.filter(row => row.protect !== "no").map(row => row.key);
            return [{
                label: _("Protect…"), changes: true, run: () => open({ dialog: "protect", keys }),
                why: keys.length === 0 ? _("None of them needs it.") : undefined,
            }];
        },
    };
}

/** One plan for all whose device would be deleted, or whose start fails without it. */
function ProtectAll({ rows, open }: { rows: readonly GuestRow[]; open(wish: Open): void }) {
    const keys = rows.filter(row => row.protect === "needed").map(row => row.key);
    return keys.length === 0 ? null
        : <ChangeButton variant="primary" onClick={() => open({ dialog: "protect", keys })}>{_("Protect all…")}</ChangeButton>;
}

export function GuestsPage() {
    const snapshot = useSnapshot();
    const [open, setOpen] = useState<Open>();
    const [columns] = useState(guestColumns);
    const [filters] = useState(guestFilters);
    const [stable] = useState(() => stableRows<GuestRow>(keyOf));
    const [offered] = useState(() => actionsOf(setOpen));
    const rows = useMemo((): Reading<readonly GuestRow[]> => {
        const reading = guestRows(snapshot);
        return reading.state === "read" ? { state: "read", value: stable(reading.value) } : reading;
    }, [snapshot, stable]);
    const all = rows.state === "read" ? rows.value : [];
    const checks = useMemo(() => failingChecks(snapshot), [snapshot]);
    return (
        <>
            {all.length > 0 && <Numbers items={numbers(all, checks)}><ProtectAll rows={all} open={setOpen} /></Numbers>}
            <section className="kt-card kt-table-card">
                <DataTable
                    place="guests" label={_("Guests")} rows={rows} columns={columns} filters={filters} sortBy="guest"
                    keyOf={keyOf} nameOf={nameOf} textOf={textOf} detail={detail} button={offered.button}
                    actions={offered.actions} bulk={offered.bulk} empty={<NoGuests />}
                    failedActions={<StartLibvirt />}
                />
            </section>
            {open && (
                <DialogBoundary onClose={() => setOpen(undefined)}>
                    <GuestDialog open={open} onClose={() => setOpen(undefined)} />
                </DialogBoundary>
            )}
        </>
    );
}
