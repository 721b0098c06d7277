// SPDX-License-Identifier: LGPL-2.1-or-later
// Above a table: search (`/` goes there), filters, what can be done with the selection, pages.
import { Badge } from "@patternfly/react-core/dist/dynamic/components/Badge";
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { MenuToggle } from "@patternfly/react-core/dist/dynamic/components/MenuToggle";
import { SearchInput } from "@patternfly/react-core/dist/dynamic/components/SearchInput";
import { Select, SelectList, SelectOption } from "@patternfly/react-core/dist/dynamic/components/Select";
import AngleLeftIcon from "@patternfly/react-icons/dist/dynamic/icons/angle-left-icon";
import AngleRightIcon from "@patternfly/react-icons/dist/dynamic/icons/angle-right-icon";
import { useCallback, useRef, useState, type ReactNode } from "react";
import { useShortcut } from "./hooks.ts";
import { setOptions } from "./location.ts";
import { overlayParent } from "./overlay.ts";
import { ActionMenu, type Action } from "./row-actions.tsx";
import { pageSize, type Choice, type Filter } from "./table-model.ts";
import { _, format, plural } from "./translate.ts";

function FilterMenu<Row>({ filter, chosen }: { filter: Filter<Row>; chosen: readonly string[] }) {
    const [open, setOpen] = useState(false);
    const toggle = (value: string) =>
        setOptions({ page: "", [filter.key]: chosen.includes(value) ? chosen.filter(other => other !== value) : [...chosen, value] });
    return (
        <Select
            role="menu" isOpen={open} onOpenChange={setOpen} selected={[...chosen]} popperProps={{ appendTo: overlayParent }}
            onSelect={(_event, value) => toggle(String(value))}
            toggle={ref => (
                <MenuToggle
                    ref={ref} isExpanded={open} onClick={() => setOpen(!open)}
                    badge={chosen.length > 0 ? <Badge screenReaderText={_("chosen")}>{chosen.length}</Badge> : undefined}
                >
                    {filter.title}
                </MenuToggle>
            )}
        >
            {open && (
                <SelectList>
                    {filter.choices.map(({ value, label }) => (
                        <SelectOption key={value} value={value} hasCheckbox isSelected={chosen.includes(value)}>{label}</SelectOption>
                    ))}
                </SelectList>
            )}
        </Select>
    );
}

/** "51 – 100 of 1,000", and arrows where there is more than one page. */
export function Pages({ count, page, at }: { count: number; page: number; at: "top" | "bottom" }) {
    const last = Math.max(1, Math.ceil(count / pageSize));
    const go = (wish: number) => setOptions({ page: wish === 1 ? "" : String(wish) });
    const shown = format(_("$0 – $1 of $2"), count === 0 ? 0 : (page - 1) * pageSize + 1, Math.min(count, page * pageSize), count);
    return (
        <nav className={`kt-pages kt-pages-${at}`} aria-label={at === "top" ? _("Rows, above the table") : _("Rows, below the table")}>
            <span>{shown}</span>
            {last > 1 && (
                <>
                    <Button variant="plain" isDisabled={page <= 1} aria-label={_("Previous page")} icon={<AngleLeftIcon />} onClick={() => go(page - 1)} />
                    <Button variant="plain" isDisabled={page >= last} aria-label={_("Next page")} icon={<AngleRightIcon />} onClick={() => go(page + 1)} />
                </>
            )}
        </nav>
    );
}

export interface TableToolbarProps<Row> {
    label: string;
    choice: Choice;
    filters: readonly Filter<Row>[];
    count: number;
    page: number;
    selected: number;
    bulk: readonly Action[];
    extra?: ReactNode;
}

export function clearChoice<Row>(filters: readonly Filter<Row>[]) {
    setOptions({ q: "", page: "", ...Object.fromEntries(filters.map(filter => [filter.key, ""])) });
}

export function TableToolbar<Row>({ label, choice, filters, count, page, selected, bulk, extra }: TableToolbarProps<Row>) {
    const search = useRef<HTMLInputElement>(null);
    useShortcut("/", useCallback(() => search.current?.focus(), []));
    const chosen = choice.search !== "" || Object.values(choice.filters).some(values => values.length > 0);
    return (
        <div className="kt-toolbar" role="search" aria-label={label}>
            <SearchInput
                ref={search} className="kt-search" value={choice.search} placeholder={_("Search (press /)")} aria-label={_("Search")}
                onChange={(_event, value) => setOptions({ q: value, page: "" })} onClear={() => setOptions({ q: "", page: "" })}
                resetButtonLabel={_("Clear the search")}
            />
            {filters.map(filter => <FilterMenu key={filter.key} filter={filter} chosen={choice.filters[filter.key] ?? []} />)}
            {chosen && <Button variant="link" isInline onClick={() => clearChoice(filters)}>{_("Show all")}</Button>}
            {selected > 0 && (
                <ActionMenu label={_("Actions for the selection")} text={plural("$0 selected", "$0 selected", selected)} actions={bulk} />
            )}
            <div className="kt-toolbar-end">
                {extra}
                <Pages count={count} page={page} at="top" />
            </div>
        </div>
    );
}
