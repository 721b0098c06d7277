// SPDX-License-Identifier: LGPL-2.1-or-later
// Something that is not as the table wants it, above the mappings, with the plan that puts it right.
import { useState, type ReactNode } from "react";
import type { Planned } from "../../model/plan.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { Alert } from "../../ui/alert.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _ } from "../../ui/translate.ts";

/** The plan as it is when the dialog opens: while it runs the notice goes, and the dialog stays until it is closed. */
function CureDialog({ title, plan, onClose }: { title: string; plan(snapshot: Snapshot): Planned; onClose(): void }) {
    const snapshot = useSnapshot();
    const [planned] = useState(() => plan(snapshot));
    return <PlanDialog title={title} action={_("Cure")} done={_("Cured")} planned={planned} onClose={onClose} />;
}

/** `shown`: whether anything is wrong. `curable`: whether the plan can put any of it right. */
export function CureNotice({ shown, variant, title, dialogTitle, plan, curable = true, children }: {
    shown: boolean; variant: "warning" | "danger"; title: string; dialogTitle: string; plan(snapshot: Snapshot): Planned;
    curable?: boolean; children: ReactNode;
}) {
    const [open, setOpen] = useState(false);
    return (
        <>
            {shown && (
                <Alert
                    variant={variant} isInline title={title}
                    actionLinks={curable && <ChangeButton variant="secondary" onClick={() => setOpen(true)}>{_("Cure…")}</ChangeButton>}
                >
                    {children}
                </Alert>
            )}
            {open && (
                <DialogBoundary onClose={() => setOpen(false)}>
                    <CureDialog title={dialogTitle} plan={plan} onClose={() => setOpen(false)} />
                </DialogBoundary>
            )}
        </>
    );
}
