// SPDX-License-Identifier: LGPL-2.1-or-later
// Several uplinks whose answers would not find back, above the table, with the cure.
import { planRestoreWays } from "../../actions/nat-ways.ts";
import { natReading } from "../../model/nat-reading.ts";
import { familiesOf, waysProblems, type ReversePath } from "../../model/nat-ways.ts";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, translate } from "../../ui/translate.ts";
import { CureNotice } from "./cure-notice.tsx";

export function WaysNotice({ reversePath }: { reversePath: ReversePath | undefined }) {
    const snapshot = useSnapshot();
    const reading = natReading(snapshot);
    const state = reading.state === "read" ? reading.value.running?.state : undefined;
    const problems = state ? waysProblems(snapshot, state, familiesOf(state), reversePath) : [];
    return (
        <CureNotice
            shown={problems.length > 0} variant="warning" title={_("Answers may leave by the wrong uplink")} dialogTitle={_("Ways back of the uplinks")}
            plan={planRestoreWays} curable={problems.some(problem => problem.curable)}
        >
            <ul>{problems.map(({ says }) => <li key={translate(says)}>{translate(says)}</li>)}</ul>
        </CureNotice>
    );
}
