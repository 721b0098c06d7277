// SPDX-License-Identifier: LGPL-2.1-or-later
// The line of numbers over a table, each a filter: "⛔ 2 devices will be deleted".
import type { ReactNode } from "react";
import { optionValues, setOptions, useLocation } from "./location.ts";
import { StatusIcon, type StatusKind } from "./status.tsx";

export interface NumberFilter {
    /** The sentence with its count, from plural(). */
    text: string;
    /** Absent: plain. */
    kind?: StatusKind;
    /** The filter of the table that it sets, `["fate", ["deleted", "fails"]]`; or where it leads. */
    filter?: readonly [key: string, values: readonly string[]];
    href?: string;
}

function NumberButton({ item }: { item: NumberFilter }) {
    const location = useLocation();
    const label = <>{item.kind && <StatusIcon kind={item.kind} />}<span>{item.text}</span></>;
    if (item.href !== undefined)
        return <a className="kt-number" href={item.href}>{label}</a>;
    if (item.filter === undefined)
        return <span className="kt-number kt-number-plain">{label}</span>;
    const [key, values] = item.filter;
    const chosen = optionValues(location, key);
    const pressed = chosen.length === values.length && values.every(value => chosen.includes(value)) && values.length > 0;
    return (
        <button
            type="button" className="kt-number" aria-pressed={pressed}
            onClick={() => setOptions({ page: "", [key]: pressed ? [] : values })}
        >
            {label}
        </button>
    );
}

export function Numbers({ items, children }: { items: readonly NumberFilter[]; children?: ReactNode }) {
    return (
        <div className="kt-numbers">
            {items.map(item => <NumberButton key={item.text} item={item} />)}
            {children !== undefined && <div className="kt-numbers-end">{children}</div>}
        </div>
    );
}
