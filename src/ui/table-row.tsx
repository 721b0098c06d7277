// SPDX-License-Identifier: LGPL-2.1-or-later
// One row with what opens under it. Rendered again only when the row itself, or what is done with it, changed.
// PatternFly's table classes on plain elements: its React cells measure every text, which a page of rows feels, and speak English.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import AngleRightIcon from "@patternfly/react-icons/dist/dynamic/icons/angle-right-icon";
import { memo, type ReactNode } from "react";
import { ErrorBoundary } from "./error-boundary.tsx";
import { ActionMenu, type Action } from "./row-actions.tsx";
import type { Column } from "./table-model.ts";
import { _, format } from "./translate.ts";

export interface RowProps<Row> {
    row: Row;
    id: string;
    name: string;
    columns: readonly Column<Row>[];
    detail?: ((row: Row) => ReactNode) | undefined;
    /** The one action of everyday use, as a button. */
    button?: ((row: Row) => ReactNode) | undefined;
    actions?: ((row: Row) => readonly Action[]) | undefined;
    selectable: boolean;
    selected: boolean;
    open: boolean;
    onSelect(id: string, selected: boolean): void;
    onToggle(id: string): void;
}

function Toggle({ name, id, open, onToggle }: { name: string; id: string; open: boolean; onToggle(id: string): void }) {
    return (
        <Button
            variant="plain" className="kt-toggle" aria-expanded={open} aria-controls={`detail-${id}`}
            aria-label={format(open ? _("Close the details of $0") : _("Open the details of $0"), name)}
            onClick={() => onToggle(id)} icon={<AngleRightIcon className="kt-toggle-icon" />}
        />
    );
}

function RowInner<Row>({ row, id, name, columns, detail, button, actions, selectable, selected, open, onSelect, onToggle }: RowProps<Row>) {
    const hasActions = button !== undefined || actions !== undefined;
    const span = columns.length + (detail ? 1 : 0) + (selectable ? 1 : 0) + (hasActions ? 1 : 0);
    return (
        <tbody className={`pf-v6-c-table__tbody ${open ? "pf-m-expanded" : ""}`} data-row={id}>
            <tr className={`pf-v6-c-table__tr kt-row ${selected ? "kt-selected" : ""}`}>
                {detail && <td className="pf-v6-c-table__td kt-toggle-cell"><Toggle {...{ name, id, open, onToggle }} /></td>}
                {selectable && (
                    <td className="pf-v6-c-table__td kt-check-cell">
                        <Checkbox
                            id={`select-${id}`} isChecked={selected} aria-label={format(_("Select $0"), name)}
                            onChange={(_event, checked) => onSelect(id, checked)}
                        />
                    </td>
                )}
                {columns.map(column => (
                    <td key={column.key} className="pf-v6-c-table__td" data-label={column.title}>{column.cell(row)}</td>
                ))}
                {hasActions && (
                    <td className="pf-v6-c-table__td kt-actions-cell">
                        <div className="kt-actions">
                            {button?.(row)}
                            {actions && <ActionMenu label={format(_("Actions for $0"), name)} actions={actions(row)} />}
                        </div>
                    </td>
                )}
            </tr>
            {detail && open && (
                <tr className="pf-v6-c-table__tr kt-detail-row" id={`detail-${id}`}>
                    <td className="pf-v6-c-table__td" colSpan={span}><div className="kt-detail"><ErrorBoundary>{detail(row)}</ErrorBoundary></div></td>
                </tr>
            )}
        </tbody>
    );
}

// memo() forgets that the component is generic; the cast gives it back.
export const TableRow = memo(RowInner) as typeof RowInner;
