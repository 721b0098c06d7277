// SPDX-License-Identifier: LGPL-2.1-or-later
// A question before what destroys something and needs no form: the plan stands in it, the button says what it does.
//
//     <Confirm title={_("Delete charon_pvnet1?")} action={_("Delete")} done={…} planned={planDelete(…)} onClose={…}>
//         {_("Its addresses and routes go with it.")}
//     </Confirm>
import type { ReactNode } from "react";
import type { Planned } from "../model/plan.ts";
import { PlanDialog } from "./plan-dialog.tsx";

export function Confirm({ title, action, done, planned, onClose, children, confirm }: {
    title: string; action: string; done: string; planned: Planned; onClose(): void; children?: ReactNode; confirm?: string;
}) {
    return (
        <PlanDialog
            title={title} action={action} done={done} planned={planned} danger size="small" onClose={onClose} says={children}
            confirm={confirm}
        />
    );
}
