// SPDX-License-Identifier: LGPL-2.1-or-later
// The table of every page: search, filters, sort, page and the opened row are in the address, so that links, reloads and the
// back button keep them; cards on narrow screens; a page of rows is rendered whatever their number.
//
//     const columns: readonly Column<GuestRow>[] = [{ key: "guest", title: _("Guest"), cell: row => …, sort: row => row.name, width: 20 }];
//     <DataTable
//         place="guests" label={_("Guests")} rows={reading} columns={columns} filters={filters} sortBy="guest"
//         keyOf={row => row.key} nameOf={row => row.name} textOf={row => row.text} detail={row => <GuestDetail row={row} />}
//         actions={row => [{ label: _("Protect…"), changes: true, run: … }]} bulk={rows => […]}
//         empty={<Empty title={_("No guests")}>…</Empty>}
//     />
//
// Give rows through stableRows() and functions defined outside of the component or through useCallback: then one event on the
// host renders one row. `keyOf` is also the place of a row: `#/guests/KEY` opens it; `a/b` is opened by `#/guests/a`, too.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import "@patternfly/react-styles/css/components/Table/table.css";
import "@patternfly/react-styles/css/components/Table/table-grid.css";
import LongArrowAltDownIcon from "@patternfly/react-icons/dist/dynamic/icons/long-arrow-alt-down-icon";
import LongArrowAltUpIcon from "@patternfly/react-icons/dist/dynamic/icons/long-arrow-alt-up-icon";
import ArrowsAltVIcon from "@patternfly/react-icons/dist/dynamic/icons/arrows-alt-v-icon";
import { useCallback, useEffect, useMemo, useState, type ReactNode } from "react";
import type { Reading } from "../model/snapshot.ts";
import { goTo, optionValues, setOptions, useLocation } from "./location.ts";
import { choose, inHeldOrder, pageSize, parseSort, type Choice, type Column, type Filter } from "./table-model.ts";
import type { Action } from "./row-actions.tsx";
import { Empty, Failure, Loading, Unreadable } from "./states.tsx";
import { TableRow } from "./table-row.tsx";
import { clearChoice, Pages, TableToolbar } from "./table-toolbar.tsx";
import { _, format, locale } from "./translate.ts";

export interface DataTableProps<Row> {
    /** The first part of the address: `guests`. */
    place: string;
    label: string;
    rows: Reading<readonly Row[]>;
    columns: readonly Column<Row>[];
    filters?: readonly Filter<Row>[];
    /** A column's key, with `-` before it for descending. */
    sortBy: string;
    keyOf(row: Row): string;
    /** What to call the row where it is read out: "Actions for charon". */
    nameOf(row: Row): string;
    /** All that the search should find. */
    textOf(row: Row): string;
    detail?(row: Row): ReactNode;
    button?(row: Row): ReactNode;
    actions?(row: Row): readonly Action[];
    /** What can be done with several rows at once; makes rows selectable. */
    bulk?(rows: readonly Row[]): readonly Action[];
    empty: ReactNode;
    /** Beside [Try again] when the rows cannot be read: AlertActionLinks. */
    failedActions?: ReactNode;
    /** At the end of the toolbar: [Create device…]. */
    extra?: ReactNode;
}

const noFilters: readonly never[] = [];

function useChoice<Row>(filters: readonly Filter<Row>[], sortBy: string) {
    const location = useLocation();
    const choice = useMemo((): Choice => ({
        search: optionValues(location, "q")[0] ?? "",
        filters: Object.fromEntries(filters.map(filter => [filter.key, optionValues(location, filter.key)])),
        sort: parseSort(optionValues(location, "sort")[0], sortBy),
    }), [location, filters, sortBy]);
    return { location, choice, page: Math.max(1, Math.floor(Number(optionValues(location, "page")[0] ?? "1")) || 1) };
}

/** The key of the row that the address opens: all after the page's own name. */
function placeOf(location: CockpitLocation, place: string): string {
    return location.path[0] === place ? location.path.slice(1).join("/") : "";
}

function isAt(key: string, place: string): boolean {
    return place !== "" && (key === place || key.startsWith(`${place}/`));
}

/** Rows opened by hand, and the one that the address names. */
function useOpened(place: string, location: CockpitLocation) {
    const here = placeOf(location, place);
    const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
    const isOpen = (key: string) => opened.has(key) || isAt(key, here);
    const toggle = useCallback((key: string) => {
        const now = placeOf(cockpit.location, place);
        const closing = opened.has(key) || isAt(key, now);
        setOpened(before => {
            const after = new Set(before);
            if (closing)
                after.delete(key);
            else
                after.add(key);
            return after;
        });
        if (!closing || isAt(key, now))
            goTo(closing ? [place] : [place, ...key.split("/")], cockpit.location.options as Record<string, string | string[]>);
    }, [opened, place]);
    return { here, isOpen, toggle };
}

/** While the pointer is over the rows they keep their order, until the person sorts or searches anew. */
function useSteadyOrder<Row>(rows: readonly Row[], choice: Choice, keyOf: (row: Row) => string) {
    const [held, setHeld] = useState<{ choice: Choice; keys: readonly string[] }>();
    const shown = held !== undefined && held.choice === choice ? inHeldOrder(rows, held.keys, keyOf) : rows;
    return {
        shown,
        hold: () => setHeld({ choice, keys: shown.map(keyOf) }),
        release: () => setHeld(undefined),
    };
}

function SortHead<Row>({ column, sort }: { column: Column<Row>; sort: Choice["sort"] }) {
    const active = sort.key === column.key;
    const Icon = !active ? ArrowsAltVIcon : sort.descending ? LongArrowAltDownIcon : LongArrowAltUpIcon;
    const order = active ? (sort.descending ? "descending" : "ascending") : undefined;
    if (!column.sort)
        return <th className="pf-v6-c-table__th" scope="col">{column.title}</th>;
    return (
        <th className={`pf-v6-c-table__th pf-v6-c-table__sort ${active ? "pf-m-selected" : ""}`} scope="col" aria-sort={order}>
            <button
                type="button" className="pf-v6-c-table__button"
                onClick={() => setOptions({ sort: active && !sort.descending ? `-${column.key}` : column.key, page: "" })}
            >
                <span className="pf-v6-c-table__button-content">
                    <span className="pf-v6-c-table__text">{column.title}</span>
                    <span className="pf-v6-c-table__sort-indicator"><Icon /></span>
                </span>
            </button>
        </th>
    );
}

function LoadedTable<Row>(props: DataTableProps<Row> & { all: readonly Row[] }) {
    const { place, label, all, columns, filters = noFilters, sortBy, keyOf, nameOf, textOf, detail, button, actions, bulk, extra } = props;
    const { location, choice, page: wishedPage } = useChoice(filters, sortBy);
    const { here, isOpen, toggle } = useOpened(place, location);
    const [selection, setSelection] = useState<ReadonlySet<string>>(new Set());
    const chosen = useMemo(() => choose(all, choice, columns, filters, textOf, locale()), [all, choice, columns, filters, textOf]);
    const { shown, hold, release } = useSteadyOrder(chosen, choice, keyOf);

    const opened = location.options["page"] === undefined ? shown.findIndex(row => isAt(keyOf(row), here)) : -1;
    const lastPage = Math.max(1, Math.ceil(shown.length / pageSize));
    const page = opened >= 0 ? Math.floor(opened / pageSize) + 1 : Math.min(wishedPage, lastPage);
    const onPage = shown.slice((page - 1) * pageSize, page * pageSize);
    const selected = all.filter(row => selection.has(keyOf(row)));
    const missing = here !== "" && !all.some(row => isAt(keyOf(row), here));

    const select = useCallback((key: string, on: boolean) => setSelection(before => {
        const after = new Set(before);
        if (on)
            after.add(key);
        else
            after.delete(key);
        return after;
    }), []);
    useEffect(() => {
        const rows = here === "" ? [] : [...document.querySelectorAll<HTMLElement>("[data-row]")];
        rows.find(row => isAt(row.dataset["row"] ?? "", here))?.scrollIntoView({ block: "nearest" });
    }, [here]);
    const hasActions = button !== undefined || actions !== undefined;
    const allSelected = onPage.length > 0 && onPage.every(row => selection.has(keyOf(row)));

    return (
        <>
            <TableToolbar
                label={label} choice={choice} filters={filters} count={shown.length} page={page} selected={selected.length}
                bulk={bulk ? [...bulk(selected), { label: _("Select none"), apart: true, run: () => setSelection(new Set()) }] : []} extra={extra}
            />
            {missing && <Failure title={format(_("\"$0\" is not here (any more)."), here)} />}
            <table
                className="pf-v6-c-table pf-m-grid-md pf-m-compact pf-m-expandable kt-table" aria-label={label}
                onMouseEnter={hold} onMouseLeave={release}
            >
                <colgroup>
                    {detail && <col className="kt-col-narrow" />}
                    {bulk && <col className="kt-col-narrow" />}
                    {columns.map(({ key, width }) => <col key={key} {...(width === undefined ? {} : { style: { inlineSize: `${width}%` } })} />)}
                    {hasActions && <col className="kt-col-actions" />}
                </colgroup>
                <thead className="pf-v6-c-table__thead">
                    <tr className="pf-v6-c-table__tr">
                        {detail && <td className="pf-v6-c-table__td" />}
                        {bulk && (
                            <td className="pf-v6-c-table__td kt-check-cell">
                                <Checkbox
                                    id={`select-all-${place}`} aria-label={_("Select all on this page")} isChecked={allSelected}
                                    onChange={(_event, on) => onPage.forEach(row => select(keyOf(row), on))}
                                />
                            </td>
                        )}
                        {columns.map(column => <SortHead key={column.key} column={column} sort={choice.sort} />)}
                        {hasActions && <td className="pf-v6-c-table__td" />}
                    </tr>
                </thead>
                {onPage.map(row => (
                    <TableRow
                        key={keyOf(row)} row={row} id={keyOf(row)} name={nameOf(row)} columns={columns} detail={detail} button={button}
                        actions={actions} selectable={bulk !== undefined} selected={selection.has(keyOf(row))} open={isOpen(keyOf(row))}
                        onSelect={select} onToggle={toggle}
                    />
                ))}
            </table>
            {shown.length === 0 && (
                <Empty
                    title={_("Nothing found")}
                    actions={<button type="button" className="pf-v6-c-button pf-m-link" onClick={() => clearChoice(filters)}>{_("Show all")}</button>}
                >
                    {_("No row fits the search and the filters.")}
                </Empty>
            )}
            {lastPage > 1 && <Pages count={shown.length} page={page} at="bottom" />}
        </>
    );
}

export function DataTable<Row>(props: DataTableProps<Row>) {
    const { rows, empty, failedActions } = props;
    switch (rows.state) {
    case "reading": return <Loading lines={8} />;
    case "failed": return <Unreadable says={rows.says} words={rows.words} actions={failedActions} />;
    case "read": return rows.value.length === 0 ? <>{empty}</> : <LoadedTable {...props} all={rows.value} />;
    }
}
