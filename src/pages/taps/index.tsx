// SPDX-License-Identifier: LGPL-2.1-or-later
// All TAP devices of the host, whoever made them.
import { useCallback, useMemo, useState } from "react";
import { isSafeName } from "../../model/names.ts";
import type { Reading } from "../../model/snapshot.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { DataTable } from "../../ui/data-table.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import { Numbers, type NumberFilter } from "../../ui/numbers.tsx";
import type { Action } from "../../ui/row-actions.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { stableRows } from "../../ui/stable.ts";
import { Empty } from "../../ui/states.tsx";
import { _, plural } from "../../ui/translate.ts";
import { oddNameExplained, tapColumns, tapFilters, warningText } from "./columns.tsx";
import { TapDetail } from "./detail.tsx";
import { TapDialogs, type Open } from "./dialogs.tsx";
import "./page.css";
import { tapRows, type TapRow, type Warning } from "./rows.ts";
import { TrafficContext, useTraffic } from "./traffic.tsx";

const keyOf = (row: TapRow) => row.name;
const textOf = (row: TapRow) =>
    [row.name, ...row.guests, ...row.holders, row.bootFrom, ...row.addresses, ...row.routes, ...row.warnings.map(warningText)].join(" ");
const detail = (row: TapRow) => <TapDetail name={row.name} />;

function numbers(rows: readonly TapRow[]): readonly NumberFilter[] {
    const count = (warning: Warning) => rows.filter(row => row.warnings.includes(warning)).length;
    const [missing, drift, gone] = [count("missing"), count("drift"), count("not-at-boot")];
    return [
        { text: plural("$0 device", "$0 devices", rows.length), filter: ["state", []] },
        ...missing === 0 ? []
            : [{ text: plural("$0 is missing", "$0 are missing", missing), kind: "danger" as const, filter: ["state", ["missing"]] as const }],
        ...drift === 0 ? []
            : [{ text: plural("$0 differs from its file", "$0 differ from their files", drift), kind: "warning" as const, filter: ["state", ["drift"]] as const }],
        ...gone === 0 ? []
            : [{ text: plural("$0 is gone after a reboot", "$0 are gone after a reboot", gone), kind: "warning" as const, filter: ["state", ["not-at-boot"]] as const }],
    ];
}

/** What can be done with one device; what is most needed comes first. */
function actionsFor(row: TapRow, open: (dialog: Open) => void): readonly Action[] {
    const { name, there, written, enabled, up, carrier, persistent, warnings } = row;
    const odd = isSafeName(name) ? {} : { why: oddNameExplained() };
    const action = (label: string, dialog: Open, more: Partial<Action> = {}): Action =>
        ({ label, changes: true, run: () => open(dialog), ...more, ...odd });
    return [
        ...!there && written ? [action(_("Bring back…"), { dialog: "bring-back", name })] : [],
        ...warnings.includes("drift") ? [action(_("Make device and file agree…"), { dialog: "drift", name })] : [],
        ...warnings.includes("networkd") ? [action(_("Keep systemd-networkd off…"), { dialog: "keep-off", name })] : [],
        ...there && !written ? [action(_("Take over…"), { dialog: "adopt", name }, persistent ? {} : { why: _("It is not persistent: it goes with the program that has it open.") })] : [],
        ...warnings.includes("unused") ? [action(_("Give to a guest…"), { dialog: "give", name })] : [],
        ...warnings.includes("shared") ? [action(_("A device of its own for one of the guests…"), { dialog: "own", name })] : [],
        ...there || written ? [action(_("Change…"), { dialog: "edit", name })] : [],
        ...there ? [up ? action(_("Set down…"), { dialog: "down", name }) : action(_("Set up…"), { dialog: "up", name })] : [],
        ...written ? [enabled ? action(_("No longer at boot…"), { dialog: "not-at-boot", name }) : action(_("Make at every boot…"), { dialog: "at-boot", name })] : [],
        action(_("Delete…"), { dialog: "delete", names: [name] }, {
            danger: true, apart: true, ...carrier && { why: _("Something is attached: shut the guest down first.") },
        }),
    ];
}

function bulkFor(rows: readonly TapRow[], open: (dialog: Open) => void): readonly Action[] {
    const names = (wanted: (row: TapRow) => boolean) => rows.filter(row => isSafeName(row.name) && wanted(row)).map(keyOf);
    const missing = names(row => row.warnings.includes("missing"));
    const foreign = names(row => row.there && !row.written && row.persistent);
    const free = names(row => !row.carrier);
    return [
        ...missing.length > 0 ? [{ label: _("Bring back the missing ones…"), changes: true, run: () => open({ dialog: "bring-back-all", names: missing }) }] : [],
        ...foreign.length > 0 ? [{ label: _("Take over…"), changes: true, run: () => open({ dialog: "adopt-all", names: foreign }) }] : [],
        ...free.length > 0 ? [{ label: _("Delete…"), changes: true, danger: true, run: () => open({ dialog: "delete", names: free }) }] : [],
    ];
}

function NoTaps({ onCreate }: { onCreate(): void }) {
    return (
        <Empty
            title={_("No TAP devices on this host")}
            actions={<ChangeButton variant="primary" onClick={onCreate}>{_("Create device…")}</ChangeButton>}
        >
            {_("A TAP device connects a guest to this host. Create one, and name it in the guest's definition.")}
        </Empty>
    );
}

export function TapsPage() {
    const snapshot = useSnapshot();
    const [columns] = useState(tapColumns);
    const [filters] = useState(tapFilters);
    const [stable] = useState(() => stableRows<TapRow>(keyOf));
    const traffic = useTraffic(snapshot.links);
    const [open, setOpen] = useState<Open>();
    const rows = useMemo((): Reading<readonly TapRow[]> => {
        const reading = tapRows(snapshot);
        return reading.state === "read" ? { state: "read", value: stable(reading.value) } : reading;
    }, [snapshot, stable]);
    const actions = useCallback((row: TapRow) => actionsFor(row, setOpen), []);
    const bulk = useCallback((chosen: readonly TapRow[]) => bulkFor(chosen, setOpen), []);
    return (
        <TrafficContext value={traffic}>
            {rows.state === "read" && rows.value.length > 0 && <Numbers items={numbers(rows.value)} />}
            <section className="kt-card kt-table-card kt-taps">
                <DataTable
                    place="taps" label={_("TAP devices")} rows={rows} columns={columns} filters={filters} sortBy="device" keyOf={keyOf} nameOf={keyOf}
                    textOf={textOf} detail={detail} actions={actions} bulk={bulk} empty={<NoTaps onCreate={() => setOpen({ dialog: "create" })} />}
                    extra={(
                        <>
                            <ChangeButton variant="secondary" onClick={() => setOpen({ dialog: "series" })}>{_("Create series…")}</ChangeButton>
                            <ChangeButton variant="primary" onClick={() => setOpen({ dialog: "create" })}>{_("Create device…")}</ChangeButton>
                        </>
                    )}
                />
            </section>
            {open && (
                <DialogBoundary onClose={() => setOpen(undefined)}>
                    <TapDialogs open={open} onClose={() => setOpen(undefined)} />
                </DialogBoundary>
            )}
        </TrafficContext>
    );
}
