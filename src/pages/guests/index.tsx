// SPDX-License-Identifier: LGPL-2.1-or-later
// All guests of the host, a row per interface: what hangs on what, and what libvirt will do to it.
import { AlertActionLink } from "@patternfly/react-core/dist/dynamic/components/Alert";
import { useMemo, useState } from "react";
import type { Reading } from "../../model/snapshot.ts";
import { useAccess } from "../../ui/access.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { hrefTo } from "../../ui/location.ts";
import { Numbers, type NumberFilter } from "../../ui/numbers.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { stableRows } from "../../ui/stable.ts";
import { Empty } from "../../ui/states.tsx";
import { _, plural } from "../../ui/translate.ts";
import { DaemonDialog } from "../host/index.tsx";
import { guestColumns, guestFilters } from "./columns.tsx";
import { GuestDetail } from "./detail.tsx";
import { guestRows, type GuestRow } from "./rows.ts";

const keyOf = (row: GuestRow) => row.key;
const textOf = (row: GuestRow) =>
    [row.guest, row.uuid, row.mac, row.target, row.fate, ...row.addresses, ...row.publicAddresses, ...row.disabledAddresses].join(" ");
const nameOf = (row: GuestRow) => row.key === row.guest ? row.guest : `${row.guest} ${row.mac}`;
const detail = (row: GuestRow) => <GuestDetail rowKey={row.key} />;

function numbers(rows: readonly GuestRow[]): readonly NumberFilter[] {
    const guests = new Set(rows.map(row => row.uuid)).size;
    const atRisk = new Set(rows.filter(row => row.atRisk).map(row => row.target)).size;
    const mappings = new Set(rows.flatMap(row => row.publicAddresses)).size;
    return [
        { text: plural("$0 guest", "$0 guests", guests), filter: ["fate", []] },
        {
            text: plural("$0 device will be deleted", "$0 devices will be deleted", atRisk),
            kind: atRisk > 0 ? "danger" : "success", filter: ["fate", ["risk"]],
        },
        { text: plural("$0 mapping", "$0 mappings", mappings), filter: ["mapping", ["mapped"]] },
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
            {open && <DaemonDialog daemon="start-libvirt" onClose={() => setOpen(false)} />}
        </>
    );
}

export function GuestsPage() {
    const snapshot = useSnapshot();
    const [columns] = useState(guestColumns);
    const [filters] = useState(guestFilters);
    const [stable] = useState(() => stableRows<GuestRow>(keyOf));
    const rows = useMemo((): Reading<readonly GuestRow[]> => {
        const reading = guestRows(snapshot);
        return reading.state === "read" ? { state: "read", value: stable(reading.value) } : reading;
    }, [snapshot, stable]);
    return (
        <>
            {rows.state === "read" && rows.value.length > 0 && <Numbers items={numbers(rows.value)} />}
            <section className="kt-card kt-table-card">
                <DataTable
                    place="guests" label={_("Guests")} rows={rows} columns={columns} filters={filters} sortBy="guest" keyOf={keyOf} nameOf={nameOf}
                    textOf={textOf} detail={detail} empty={<NoGuests />} failedActions={<StartLibvirt />}
                />
            </section>
        </>
    );
}
