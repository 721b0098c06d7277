// SPDX-License-Identifier: LGPL-2.1-or-later
// Mappings in and out as files.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { FileUpload } from "@patternfly/react-core/dist/dynamic/components/FileUpload";
import { useMemo, useState } from "react";
import { planImport } from "../../actions/map-address.ts";
import { exportCsv, exportJson, importText } from "../../model/nat-transfer.ts";
import { msg } from "../../model/message.ts";
import type { NatState } from "../../model/nat.ts";
import type { Planned } from "../../model/plan.ts";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format, translate } from "../../ui/translate.ts";

/** Hands a text to the browser as a download. */
function download(name: string, type: string, text: string): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    URL.revokeObjectURL(link.href);
}

export function exportAs(format: "csv" | "json", state: NatState): void {
    if (format === "csv")
        download("nat.csv", "text/csv", exportCsv(state));
    else
        download("nat.json", "application/json", exportJson(state));
}

const FIELD = /^line (\d+)$/;

/** Errors of the file, by line; nothing is applied while there is one. */
function LineErrors({ planned }: { planned: Planned }) {
    const errors = "problems" in planned ? planned.problems.flatMap(({ field = "", says }) => {
        const line = FIELD.exec(field)?.[1];
        return line === undefined ? [] : [{ line: Number(line), says }];
    }) : [];
    if (errors.length === 0)
        return null;
    return (
        <div role="alert">
            <p>{_("Nothing is imported until every line is right:")}</p>
            <ul>
                {errors.sort((a, b) => a.line - b.line).slice(0, 50).map(({ line, says }) => (
                    <li key={`${line} ${translate(says)}`}>{format(_("Line $0:"), line)} {translate(says)}</li>
                ))}
            </ul>
            {errors.length > 50 && <p>{format(_("and $0 more"), errors.length - 50)}</p>}
        </div>
    );
}

export function ImportDialog({ onClose }: { onClose(): void }) {
    const snapshot = useSnapshot();
    const [text, setText] = useState("");
    const [name, setName] = useState("");
    const [replace, setReplace] = useState(false);
    const planned = useMemo((): Planned => text.trim() === ""
        ? { problems: [{ field: "file", says: msg("Choose a file, or paste its text.") }] }
        : planImport(snapshot, importText(text), replace), [snapshot, text, replace]);
    return (
        <PlanDialog
            title={"plan" in planned ? translate(planned.plan.title) : _("Import mappings")} size="large" action={_("Import")}
            done={_("Mappings imported")} planned={planned} onClose={onClose}
            says={_("CSV with a first line that names the columns (public, guest, description, enabled, limits, log), or JSON as exported here.")}
        >
            <FileUpload
                id="nat-import" type="text" value={text} filename={name} browseButtonText={_("Choose…")} clearButtonText={_("Clear")}
                filenamePlaceholder={_("Drop a file here, choose one, or paste its text below")} aria-label={_("Text of the file")}
                onFileInputChange={(_event, file) => setName(file.name)} onDataChange={(_event, data) => setText(data)}
                onTextChange={(_event, data) => setText(data)} onClearClick={() => { setText(""); setName(""); }}
            />
            <Checkbox
                id="nat-import-replace" label={_("Remove mappings that are not in the file")} isChecked={replace}
                onChange={(_event, value) => setReplace(value)}
            />
            <LineErrors planned={planned} />
        </PlanDialog>
    );
}
