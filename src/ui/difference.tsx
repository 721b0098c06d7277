// SPDX-License-Identifier: LGPL-2.1-or-later
import { diffLines } from "../model/diff.ts";
import { outdented } from "./shell-words.ts";
import { _ } from "./translate.ts";

const marks = { same: " ", removed: "−", added: "+" };

/** An element cut out of its document has its first line at the margin and the others deep inside. */
function readable(text: string): string {
    return text.startsWith("<") ? outdented(text) : text;
}

/** Two texts as one, line by line: `−` was, `+` will be.. */
export function Difference({ before, after, label }: { before: string; after: string; label?: string }) {
    const words = { same: "", removed: _("removed: "), added: _("added: ") };
    return (
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre className="kt-diff" dir="ltr" tabIndex={0} role="group" aria-label={label ?? _("Difference")}>
            {diffLines(readable(before), readable(after)).map((line, index) => (
                <div key={index} className={`kt-diff-${line.kind}`}>
                    <span aria-hidden className="kt-diff-mark">{marks[line.kind]}</span>
                    <span className="kt-sr-only">{words[line.kind]}</span>
                    {line.text}
                </div>
            ))}
        </pre>
    );
}
