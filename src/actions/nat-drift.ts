// SPDX-License-Identifier: LGPL-2.1-or-later
// Two ways out where the running table and the saved one differ.
import { msg } from "../model/message.ts";
import { unheld } from "../model/nat-held.ts";
import { NAT_FILE } from "../model/nat-file.ts";
import type { NatReading } from "../model/nat-reading.ts";
import { natReading, readingProblem } from "../model/nat-reading.ts";
import { elementChanges } from "../model/nat-change.ts";
import type { Planned } from "../model/plan.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { fileStep, NAT_HELPER, NAT_UNIT } from "./nat-plan.ts";
import { natFile } from "../model/nat-file.ts";

function planWith(snapshot: Snapshot, plan: (reading: NatReading) => Planned): Planned {
    const reading = natReading(snapshot);
    return reading.state === "read" ? plan(reading.value)
        : { problems: [{ says: readingProblem(reading) ?? msg("The host's NAT table has not been read yet.") }] };
}

/** Makes the kernel what the file says, as a boot would. Counters begin anew; connections go on. */
export function planLoadSaved(snapshot: Snapshot): Planned {
    return planWith(snapshot, ({ saved }) => {
        if (!saved)
            return { problems: [{ says: msg("$0 is missing.", NAT_FILE) }] };
        return {
            plan: {
                title: msg("Load the saved mappings"),
                steps: [
                    { says: msg("Have nftables check the file"), does: { type: "command", argv: ["nft", "-c", "-f", NAT_FILE] }, inert: true },
                    { says: msg("Load the mappings at every boot"), does: { type: "command", argv: ["systemctl", "enable", NAT_UNIT] }, inert: true },
                    { says: msg("Load the mappings now"), does: { type: "command", argv: ["systemctl", "reload-or-restart", NAT_UNIT] } },
                ],
                holds: after => {
                    const now = natReading(after);
                    if (now.state !== "read" || !now.value.running)
                        return false;
                    const { add, remove } = elementChanges(now.value.running.elements, saved.elements);
                    return add.length + remove.length === 0;
                },
            },
        };
    });
}

/** Local routes for the public addresses that have lost theirs. */
export function planHold(snapshot: Snapshot): Planned {
    return planWith(snapshot, ({ running }) => running ? {
        plan: {
            title: msg("Answer for the public addresses again"),
            steps: [{ says: msg("Set the local routes"), does: { type: "command", argv: [NAT_HELPER, "routes"] }, inert: true }],
            holds: after => unheld(after, running.state.mappings).length === 0,
        },
    } : { problems: [{ says: msg("The table is not loaded: nothing is translated.") }] });
}

/** Makes the file what runs. Lines in it that are no mappings are lost: the difference shows them. */
export function planSaveRunning(snapshot: Snapshot): Planned {
    return planWith(snapshot, ({ running }) => {
        if (!running)
            return { problems: [{ says: msg("There is no running table to save.") }] };
        const text = natFile(running.state);
        return {
            plan: {
                title: msg("Save the running mappings"),
                steps: [fileStep(snapshot, msg("Save the mappings in $0", NAT_FILE), NAT_FILE, text)],
                holds: after => natReading(after).state === "read" && after.files.state === "read"
                    && after.files.value.get(NAT_FILE)?.content === text,
            },
        };
    });
}
