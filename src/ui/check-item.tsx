// SPDX-License-Identifier: LGPL-2.1-or-later
// One finding: how bad, what is the matter, what it means or what to do, and what can be done from here.
//
//     <ul className="kt-checks"><CheckItem kind="warning" says={…} means={…} action={<ChangeButton …>…</ChangeButton>} /></ul>
import type { ReactNode } from "react";
import { Words } from "./states.tsx";
import { StatusIcon, type StatusKind } from "./status.tsx";
import { _ } from "./translate.ts";

function kindWord(kind: StatusKind): string {
    switch (kind) {
    case "danger": return _("Danger:");
    case "warning": return _("Warning:");
    case "success": return _("Good:");
    case "info":
    case "pending": return _("Note:");
    case "unknown": return _("Not known:");
    }
}

export function CheckItem({ kind, says, means, words, action }: {
    kind: StatusKind; says: ReactNode; means: ReactNode; words?: string | undefined; action?: ReactNode;
}) {
    return (
        <li className="kt-check">
            <StatusIcon kind={kind} />
            <div>
                <p><span className="kt-sr-only">{kindWord(kind)} </span>{says}</p>
                <p className="kt-subtle">{means}</p>
                {words !== undefined && <Words>{words}</Words>}
            </div>
            {action !== undefined && <span className="kt-check-cure">{action}</span>}
        </li>
    );
}
