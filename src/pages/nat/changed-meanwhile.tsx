// SPDX-License-Identifier: LGPL-2.1-or-later
// Two people at one mapping: what it was when this dialog was opened, what somebody else made of it, and which of the two to go on with.
import { useState } from "react";
import { driftLine } from "../../model/nat-reading.ts";
import { mappingElements, mappingKey, type Mapping, type NatState } from "../../model/nat.ts";
import { Alert, AlertActionLink } from "../../ui/alert.tsx";
import { Difference } from "../../ui/difference.tsx";
import { _ } from "../../ui/translate.ts";

function textOf(mapping: Mapping): string {
    return mappingElements(mapping).map(driftLine).join("\n");
}

/**
 * The mapping as somebody else changed it since it was read, unless to what this dialog wishes too. `settle` takes what is there now as
 * the new beginning.
 */
export function useChangedMeanwhile(old: Mapping | undefined, state: NatState, wishOf: (base: Mapping) => Mapping | undefined) {
    const [base, setBase] = useState(old);
    const now = base && state.mappings.find(mapping => mappingKey(mapping) === mappingKey(base));
    const differs = base && now && textOf(now) !== textOf(base);
    const wish = differs ? wishOf(base) : undefined;
    const changed = differs && (!wish || textOf(now) !== textOf(wish)) ? { base, now } : undefined;
    return { base, changed, settle: () => setBase(now) };
}

export function ChangedMeanwhile({ base, now, onTheirs, onMine }: { base: Mapping; now: Mapping; onTheirs(): void; onMine(): void }) {
    return (
        <Alert
            variant="warning" isInline title={_("Somebody changed this mapping meanwhile")}
            actionLinks={<>
                <AlertActionLink onClick={onTheirs}>{_("Go on with theirs")}</AlertActionLink>
                <AlertActionLink onClick={onMine}>{_("Go on with mine")}</AlertActionLink>
            </>}
        >
            <p>{_("− as it was when this dialog was opened, + as it is now.")}</p>
            <Difference before={textOf(base)} after={textOf(now)} label={_("What somebody else changed")} />
        </Alert>
    );
}
