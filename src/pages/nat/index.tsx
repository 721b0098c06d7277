// SPDX-License-Identifier: LGPL-2.1-or-later
// The 1:1 NAT of the host: one row per mapping.
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { planEnableMappings, planRemoveMappings } from "../../actions/map-address.ts";
import { machine as host } from "../../host/cockpit.ts";
import { connections, readForwarding, type Forwarding } from "../../host/nat.ts";
import type { Machine } from "../../host/run.ts";
import { ofMapping } from "../../model/nat-connections.ts";
import { natReading } from "../../model/nat-reading.ts";
import { mappingKey } from "../../model/nat.ts";
import type { Reading } from "../../model/snapshot.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { Confirm } from "../../ui/confirm.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { ActionMenu, type Action } from "../../ui/row-actions.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { stableRows } from "../../ui/stable.ts";
import { Empty } from "../../ui/states.tsx";
import { _, plural } from "../../ui/translate.ts";
import { usePendingChange } from "./change-status.tsx";
import { natColumns, natFilters } from "./columns.tsx";
import { NatDetail } from "./detail.tsx";
import { NatStatus } from "./drift.tsx";
import { useOwners } from "./guest-field.tsx";
import { MapDialog, stateOf } from "./map-dialog.tsx";
import "./page.css";
import { natRows, type NatRow } from "./rows.ts";
import { SettingsDialog } from "./settings-dialog.tsx";
import { TestDialog } from "./test-dialog.tsx";
import { exportAs, ImportDialog } from "./transfer.tsx";
import { TrafficContext, useTraffic } from "../taps/traffic.tsx";
import { useUse } from "./use.ts";
import { WaysNotice } from "./ways-notice.tsx";

type Open =
    | { dialog: "map" | "import" | "settings" }
    | { dialog: "change" | "test"; key: string }
    | { dialog: "remove" | "enable" | "disable"; keys: readonly string[] };

const keyOf = (row: NatRow) => row.key;
const textOf = (row: NatRow) => [row.key, row.guestAddress, row.guest, row.device, row.description, row.because].join(" ");

/** What decides besides our table; read when the page opens and after each change of a table, our files and units. */
function useForwarding(machine: Machine, uplinks: string): Forwarding | undefined {
    const { natTable, links, access, files, services, firewallChanges } = useSnapshot();
    const [found, setFound] = useState<Forwarding>();
    const count = links.state === "read" ? links.value.length : 0;
    const looked = useRef(false);
    useEffect(() => {
        let stale = false;
        // A hundred devices that come one after the other are looked at once: each look is a handful of processes.
        const timer = window.setTimeout(() => {
            looked.current = true;
            void readForwarding(machine, uplinks.split(" ").filter(name => name !== "")).then(now => { if (!stale) setFound(now); });
        }, looked.current ? 200 : 0);
        return () => {
            stale = true;
            window.clearTimeout(timer);
        };
    }, [machine, access, natTable.state, files, services, firewallChanges, count, uplinks]);
    return found;
}

/** How many connections a removal ends, counted on the host while the dialog is open. */
function EndingConnections({ keys, machine }: { keys: readonly string[]; machine: Machine }) {
    const snapshot = useSnapshot();
    const [mappings] = useState(() => stateOf(snapshot).mappings.filter(mapping => keys.includes(mappingKey(mapping))));
    const [count, setCount] = useState<number>();
    useEffect(() => {
        let stale = false;
        const families = [...new Set(mappings.map(mapping => mapping.public.family))];
        void Promise.all(families.map(family => connections(machine, family))).then(all => {
            const known = all.flatMap(some => some ?? []);
            if (!stale && all.every(some => some !== undefined))
                setCount(mappings.reduce((sum, mapping) => sum + ofMapping(mapping, known).length, 0));
        });
        return () => { stale = true; };
    }, [machine, mappings]);
    return <>{count === undefined ? "" : plural("$0 open connection will end.", "$0 open connections will end.", count)}</>;
}

interface DialogProps {
    open: Open;
    machine: Machine;
    around: Forwarding | undefined;
    onClose(): void;
}

function ChangeDialog({ rowKey, ...rest }: { rowKey: string; machine: Machine; onClose(): void }) {
    const snapshot = useSnapshot();
    const [old] = useState(() => stateOf(snapshot).mappings.find(mapping => mappingKey(mapping) === rowKey));
    return old ? <MapDialog old={old} {...rest} /> : null;
}

function Dialog({ open, machine, around, onClose }: DialogProps) {
    const snapshot = useSnapshot();
    switch (open.dialog) {
    case "map": return <MapDialog machine={machine} onClose={onClose} />;
    case "import": return <ImportDialog onClose={onClose} />;
    case "settings": return <SettingsDialog onClose={onClose} />;
    case "change": return <ChangeDialog rowKey={open.key} machine={machine} onClose={onClose} />;
    case "test": return <TestDialog rowKey={open.key} machine={machine} around={around} onClose={onClose} />;
    case "remove": return (
        <Confirm
            title={plural("Remove $0 mapping?", "Remove $0 mappings?", open.keys.length)} action={_("Remove")} done={_("Mapping removed")}
            planned={planRemoveMappings(snapshot, open.keys)} onClose={onClose}
        >
            <span dir="ltr">{open.keys.slice(0, 10).join(", ")}</span>. <EndingConnections keys={open.keys} machine={machine} />
        </Confirm>
    );
    case "enable": return (
        <PlanDialog
            title={plural("Enable $0 mapping?", "Enable $0 mappings?", open.keys.length)} action={_("Enable")} done={_("Mapping enabled")}
            planned={planEnableMappings(snapshot, open.keys, true)} onClose={onClose}
        />
    );
    case "disable": return (
        <PlanDialog
            title={plural("Disable $0 mapping?", "Disable $0 mappings?", open.keys.length)} action={_("Disable")} done={_("Mapping disabled")}
            planned={planEnableMappings(snapshot, open.keys, false)} onClose={onClose}
            says={<EndingConnections keys={open.keys} machine={machine} />}
        />
    );
    }
}

function Nothing({ children }: { children: ReactNode }) {
    return (
        <Empty title={_("No public addresses are mapped")} actions={children}>
            {_("Map a public address to a guest: the guest is reached there from everywhere, and what it sends leaves with that address.")}
        </Empty>
    );
}

function useActions(open: (what: Open) => void) {
    return useMemo(() => ({
        row: (row: NatRow): readonly Action[] => [
            {
                label: _("Test…"), changes: true, run: () => open({ dialog: "test", key: row.key }),
                why: row.key.includes("/") ? _("Only mappings of single addresses can be tested.") : undefined,
            },
            { label: _("Change…"), changes: true, run: () => open({ dialog: "change", key: row.key }) },
            row.enabled
                ? { label: _("Disable…"), changes: true, run: () => open({ dialog: "disable", keys: [row.key] }) }
                : { label: _("Enable…"), changes: true, run: () => open({ dialog: "enable", keys: [row.key] }) },
            { label: _("Remove…"), changes: true, danger: true, apart: true, run: () => open({ dialog: "remove", keys: [row.key] }) },
        ],
        bulk: (rows: readonly NatRow[]): readonly Action[] => {
            const on = rows.filter(row => row.enabled).map(keyOf);
            const off = rows.filter(row => !row.enabled).map(keyOf);
            return [
                ...(off.length > 0 ? [{ label: _("Enable…"), changes: true, run: () => open({ dialog: "enable", keys: off }) }] : []),
                ...(on.length > 0 ? [{ label: _("Disable…"), changes: true, run: () => open({ dialog: "disable", keys: on }) }] : []),
                { label: _("Remove…"), changes: true, danger: true, apart: true, run: () => open({ dialog: "remove", keys: rows.map(keyOf) }) },
            ];
        },
    }), [open]);
}

function PageActions({ open }: { open(what: Open): void }) {
    const snapshot = useSnapshot();
    const more: readonly Action[] = [
        { label: _("Import…"), changes: true, run: () => open({ dialog: "import" }) },
        { label: _("Export as CSV"), run: () => exportAs("csv", stateOf(snapshot)) },
        { label: _("Export as JSON"), run: () => exportAs("json", stateOf(snapshot)) },
        { label: _("Uplinks and devices…"), changes: true, apart: true, run: () => open({ dialog: "settings" }) },
    ];
    return (
        <>
            <ChangeButton onClick={() => open({ dialog: "map" })}>{_("Map address…")}</ChangeButton>
            <ActionMenu label={_("More about all mappings")} text={_("More")} actions={more} />
        </>
    );
}

export function NatPage({ machine = host }: { machine?: Machine }) {
    const snapshot = useSnapshot();
    const around = useForwarding(machine, stateOf(snapshot).uplinks.join(" "));
    const pending = usePendingChange();
    const use = useUse(machine);
    const owners = useOwners(machine, snapshot);
    const traffic = useTraffic(snapshot.links);
    const [open, setOpen] = useState<Open>();
    const [columns] = useState(natColumns);
    const [filters] = useState(natFilters);
    const [stable] = useState(() => stableRows<NatRow>(keyOf));
    const reading = useMemo(() => natReading(snapshot), [snapshot]);
    const rows = useMemo((): Reading<readonly NatRow[]> => {
        const read = natRows(snapshot, around, use, owners);
        return read.state === "read" ? { state: "read", value: stable(read.value) } : read;
    }, [snapshot, around, use, owners, stable]);
    const actions = useActions(setOpen);
    const detail = useCallback((row: NatRow) => <NatDetail rowKey={row.key} machine={machine} around={around} />, [machine, around]);
    return (
        <TrafficContext value={traffic}>
            {reading.state === "read" && <NatStatus reading={reading.value} pending={pending} />}
            <WaysNotice reversePath={around?.reversePath} />
            <section className="kt-card kt-table-card">
                <DataTable
                    place="nat" label={_("1:1 NAT")} rows={rows} columns={columns} filters={filters} sortBy="public" keyOf={keyOf} nameOf={keyOf}
                    textOf={textOf} detail={detail} actions={actions.row} bulk={actions.bulk} extra={<PageActions open={setOpen} />}
                    empty={<Nothing><ChangeButton onClick={() => setOpen({ dialog: "map" })}>{_("Map address…")}</ChangeButton></Nothing>}
                />
            </section>
            {open && (
                <DialogBoundary onClose={() => setOpen(undefined)}>
                    <Dialog open={open} machine={machine} around={around} onClose={() => setOpen(undefined)} />
                </DialogBoundary>
            )}
        </TrafficContext>
    );
}
