// SPDX-License-Identifier: LGPL-2.1-or-later
// Two ways out where the running table and the saved one differ.
import { msg } from "../model/message.ts";
import { unheld } from "../model/nat-held.ts";
import { NAT_FILE, natFile } from "../model/nat-file.ts";
import type { NatReading } from "../model/nat-reading.ts";
import { isEmpty, natReading, readingProblem } from "../model/nat-reading.ts";
import type { Planned } from "../model/plan.ts";
import { valueOf, type Snapshot } from "../model/snapshot.ts";
import { planNatChange, planState, restoreSteps, saveSteps, unreadNetwork } from "./nat-plan.ts";

function planWith(snapshot: Snapshot, plan: (reading: NatReading) => Planned): Planned {
    const reading = natReading(snapshot);
    const unread = readingProblem(reading) ?? unreadNetwork(snapshot);
    return reading.state === "read" && !unread ? plan(reading.value)
        : { problems: [{ says: unread ?? msg("The host's NAT table has not been read yet.") }] };
}

/** Makes the kernel what the file says, as a boot would. Counters begin anew. */
export function planLoadSaved(snapshot: Snapshot): Planned {
    return planWith(snapshot, reading => {
        const { saved } = reading;
        if (!saved)
            return { problems: [{ says: msg("$0 is missing.", NAT_FILE) }] };
        if (isEmpty(saved.state))
            return { problems: [{ says: msg("$0 has no mappings: it is empty or damaged. Save what runs, or put a good file in its place.", NAT_FILE) }] };
        return planState(snapshot, reading, saved.state, { title: msg("Load the saved mappings"), text: saved.text });
    });
}

/** What holds the public addresses, for those that have lost it. */
export function planHold(snapshot: Snapshot): Planned {
    return planWith(snapshot, ({ running }) => running ? {
        plan: {
            title: msg("Answer for the public addresses again"),
            steps: restoreSteps(snapshot, running.state, msg("Set the routes and proxies of the public addresses")),
            holds: after => unheld(after, running.state.mappings).length === 0,
        },
    } : { problems: [{ says: msg("The table is not loaded: nothing is translated.") }] });
}

/** Brings the rules of this version; the mappings stay. */
export function planUpdateRules(snapshot: Snapshot): Planned {
    return planNatChange(snapshot, before => before, { title: msg("Update the rules of the NAT table") });
}

/** Makes the file what runs. Lines in it that are no mappings are lost: the difference shows them. */
export function planSaveRunning(snapshot: Snapshot): Planned {
    return planWith(snapshot, reading => {
        const { running } = reading;
        if (!running)
            return { problems: [{ says: msg("There is no running table to save.") }] };
        return {
            plan: {
                title: msg("Save the running mappings"),
                steps: saveSteps(snapshot, reading, running.state),
                holds: after => valueOf(after.files)?.get(NAT_FILE)?.content === natFile(running.state),
            },
        };
    });
}
