// SPDX-License-Identifier: LGPL-2.1-or-later
// Several uplinks whose answers would not find back, above the table, with the cure.
import { useState } from "react";
import { planRestoreWays } from "../../actions/nat-ways.ts";
import { natReading } from "../../model/nat-reading.ts";
import { familiesOf, waysProblems, type ReversePath } from "../../model/nat-ways.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { Alert } from "../../ui/alert.tsx";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, translate } from "../../ui/translate.ts";

function Cure({ onClose }: { onClose(): void }) {
    const [planned] = useState(planRestoreWays(useSnapshot()));
    return <PlanDialog title={_("Ways back of the uplinks")} action={_("Cure")} done={_("Cured")} planned={planned} onClose={onClose} />;
}

export function WaysNotice({ reversePath }: { reversePath: ReversePath | undefined }) {
    const snapshot = useSnapshot();
    const [open, setOpen] = useState(false);
    const reading = natReading(snapshot);
    const state = reading.state === "read" ? reading.value.running?.state : undefined;
    const problems = state ? waysProblems(snapshot, state, familiesOf(state), reversePath) : [];
    return (
        <>
            {problems.length > 0 && (
                <Alert
                    variant="warning" isInline title={_("Answers may leave by the wrong uplink")}
                    actionLinks={problems.some(problem => problem.curable)
                        && <ChangeButton variant="secondary" onClick={() => setOpen(true)}>{_("Cure…")}</ChangeButton>}
                >
                    <ul>{problems.map(({ says }) => <li key={translate(says)}>{translate(says)}</li>)}</ul>
                </Alert>
            )}
            {open && <Cure onClose={() => setOpen(false)} />}
        </>
    );
}
