// SPDX-License-Identifier: LGPL-2.1-or-later
// Form and XML of the same interface, in two tabs, with what libvirt's schema says of it.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { useEffect, useId, useRef, useState } from "react";
import type { Machine } from "../../host/run.ts";
import { schemaFindings, type SchemaFinding } from "../../host/schema.ts";
import { msg } from "../../model/message.ts";
import type { Planned } from "../../model/plan.ts";
import { parseElement } from "../../model/xml.ts";
import { Alert } from "../../ui/alert.tsx";
import { TextField } from "../../ui/fields.tsx";
import { _, format } from "../../ui/translate.ts";
import { EverydayFields, MoreFields, type FieldsProps } from "./interface-fields.tsx";

export function isXml(xml: string): boolean {
    try {
        return parseElement(xml).tag === "interface";
    } catch {
        return false;
    }
}

export interface SchemaCheck {
    /** "absent": there is nobody to ask. "waiting": the findings are of an older text. */
    state: "waiting" | "absent" | "checked";
    findings: readonly SchemaFinding[];
}

/** Asks in the pauses of typing. What was found last stays until the next answer, so that nothing jumps. */
export function useSchema(machine: Machine, xml: string): SchemaCheck {
    const [check, setCheck] = useState<SchemaCheck & { of?: string }>({ state: "waiting", findings: [] });
    useEffect(() => {
        let gone = false;
        const timer = window.setTimeout(() => void schemaFindings(machine, xml).then(findings => {
            if (!gone)
                setCheck({ of: xml, findings: findings ?? [], state: findings ? "checked" : "absent" });
        }), 300);
        return () => {
            gone = true;
            window.clearTimeout(timer);
        };
    }, [machine, xml]);
    return check.of === xml || check.state === "absent" ? check : { ...check, state: "waiting" };
}

/** The parser that libvirt uses knows better than ours why a text is no XML; what it finds, libvirt refuses. */
export function withSyntax(planned: Planned, { state, findings }: SchemaCheck): Planned {
    const wrong = findings.find(({ kind }) => kind === "syntax");
    if (state !== "checked" || !wrong)
        return planned;
    const others = "problems" in planned ? planned.problems.filter(({ field }) => field !== "xml") : [];
    return { problems: [...others, { field: "xml", says: msg("This is not well-formed XML: $0", `line ${wrong.line}: ${wrong.words}`) }] };
}

/** A warning, no refusal: libvirt takes some things that its schema does not know. */
function SchemaFindings({ findings, onLine }: { findings: readonly SchemaFinding[]; onLine(line: number): void }) {
    const shown = findings.filter(({ kind }) => kind === "schema");
    return shown.length === 0 ? null : (
        <Alert variant="warning" isInline title={_("libvirt's schema does not know this: it is refused, or dropped without a word")}>
            <ul>
                {shown.map(({ line, words }) => (
                    <li key={`${line} ${words}`}>
                        <Button variant="link" isInline onClick={() => onLine(line)}>{format(_("Line $0"), line)}</Button>
                        {" "}<span className="kt-mono" dir="ltr">{words}</span>
                    </li>
                ))}
            </ul>
        </Alert>
    );
}

function schemaWords({ state, findings }: SchemaCheck): string {
    if (state === "absent")
        return _("libvirt checks it when it takes it. Where xmllint is installed, its schema is looked at while you type, too.");
    return state === "checked" && findings.length === 0 ? _("Valid by libvirt's schema.") : "";
}

/** As XML there is one field only: what is wrong with anything is said under it. The rest of the dialog shows what is not about the XML. */
function underXml(planned: Planned): Planned {
    if (!("problems" in planned))
        return planned;
    const elsewhere = ["scope", "meanwhile"];
    return { problems: planned.problems.map(({ field, says }) => field === undefined || elsewhere.includes(field) ? { says } : { field: "xml", says }) };
}

/** Puts the cursor around a line of a text, from 1. */
function selectLine(area: HTMLTextAreaElement, line: number) {
    const lines = area.value.split("\n");
    const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
}

type View = "form" | "xml";

export function InterfaceEditor({ schema, ...props }: FieldsProps & { schema: SchemaCheck }) {
    const { xml, planned, onChange } = props;
    const [wish, setView] = useState<View>("form");
    const [line, setLine] = useState<number>();
    const panel = useRef<HTMLDivElement>(null);
    const id = useId();
    const readable = isXml(xml);
    const view = readable ? wish : "xml";
    useEffect(() => {
        const area = panel.current?.querySelector("textarea");
        if (view === "xml" && line !== undefined && area) {
            selectLine(area, line);
            setLine(undefined);
        }
    }, [view, line]);
    const tab = (key: View, title: string) => (
        <button
            type="button" role="tab" id={`${id}-${key}`} aria-controls={id} aria-selected={view === key} onClick={() => setView(key)}
            disabled={!readable && key === "form"}
        >
            {title}
        </button>
    );
    return (
        <>
            <div className="kt-switch" role="tablist" aria-label={_("Show as")}>{tab("form", _("Form"))}{tab("xml", "XML")}</div>
            <div className="kt-more-body" role="tabpanel" id={id} aria-labelledby={`${id}-${view}`} ref={panel}>
                {view === "form"
                    ? (
                        <>
                            <EverydayFields {...props} />
                            <MoreFields {...props} />
                        </>
                    )
                    : (
                        <TextField
                            label={_("Definition")} field="xml" planned={underXml(planned)} value={xml} code lines={14} help={schemaWords(schema)}
                            onChange={text => { setView("xml"); onChange(text); }}
                        />
                    )}
                <SchemaFindings findings={schema.findings} onLine={to => { setView("xml"); setLine(to); }} />
            </div>
        </>
    );
}
