// SPDX-License-Identifier: LGPL-2.1-or-later
// Plans for the cures that checks offer.
import type { Cure } from "../model/checks.ts";
import { msg } from "../model/message.ts";
import type { Planned } from "../model/plan.ts";
import { valueOf } from "../model/snapshot.ts";
import type { Snapshot } from "../model/snapshot.ts";
import { planInterface } from "./edit-interface.ts";
import { planSetUp } from "./edit-tap.ts";
import { planRestartLibvirt } from "./libvirt-daemon.ts";

export function planCure(snapshot: Snapshot, cure: Cure): Planned {
    switch (cure.type) {
        case "set-up":
            return planSetUp(snapshot, cure.device, true);
        case "restart-libvirt":
            return planRestartLibvirt(snapshot);
        case "interface": {
            const configured = valueOf(snapshot.guests)?.find(({ uuid }) => uuid === cure.uuid)?.configured?.interfaces[cure.index];
            if (configured?.xml !== cure.before)
                return { problems: [{ says: msg("The interface was changed by somebody else meanwhile.") }] };
            return planInterface(snapshot, { uuid: cure.uuid, opened: { configured }, xml: cure.after, config: true, live: "no" });
        }
    }
}
