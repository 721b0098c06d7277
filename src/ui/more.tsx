// SPDX-License-Identifier: LGPL-2.1-or-later
// The part of a form that one does not need every day. It opens where `open` says that something in it matters, and stays so.
import AngleRightIcon from "@patternfly/react-icons/dist/dynamic/icons/angle-right-icon";
import { useState, type ReactNode } from "react";
import { _ } from "./translate.ts";

export function More({ title, open = false, children }: { title?: string; open?: boolean; children: ReactNode }) {
    const [shown, setShown] = useState(open);
    const [mattered, setMattered] = useState(open);
    if (open !== mattered) {
        setMattered(open);
        setShown(shown || open);
    }
    return (
        <details className="kt-more" open={shown} onToggle={event => setShown(event.currentTarget.open)}>
            <summary><AngleRightIcon className="kt-toggle-icon" aria-hidden />{title ?? _("More")}</summary>
            {shown && <div className="kt-more-body">{children}</div>}
        </details>
    );
}
