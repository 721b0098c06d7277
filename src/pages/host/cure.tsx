// SPDX-License-Identifier: LGPL-2.1-or-later
// Findings about interfaces of guests, with the button that opens their cure; on the host's page and under a guest's row.
import { useMemo, useState } from "react";
import { planCure } from "../../actions/cure.ts";
import type { Cure, InterfaceCheck } from "../../model/checks.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { CheckItem } from "../../ui/check-item.tsx";
import { hrefTo } from "../../ui/location.ts";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, translate } from "../../ui/translate.ts";

function CureDialog({ cure, says, onClose }: { cure: Cure; says: string; onClose(): void }) {
    const snapshot = useSnapshot();
    const planned = useMemo(() => planCure(snapshot, cure), [snapshot, cure]);
    return <PlanDialog title={_("Cure")} says={says} action={_("Cure")} done={_("Cured")} planned={planned} onClose={onClose} />;
}

/** `named`: with the guest's name, where it does not stand above already. */
export function InterfaceChecks({ checks, named = false }: { checks: readonly InterfaceCheck[]; named?: boolean }) {
    const [open, setOpen] = useState<{ cure: Cure; says: string }>();
    return (
        <>
            {checks.map(check => {
                const { cure, guest } = check;
                const says = translate(check.says);
                return (
                    <CheckItem
                        key={`${guest.uuid} ${check.iface.index} ${check.id}`} kind={check.severity} means={translate(check.advice)}
                        says={named ? <><a href={hrefTo(["guests", guest.name])}>{guest.name}</a>: {says}</> : says}
                        action={cure && (
                            <ChangeButton variant="secondary" size="sm" onClick={() => setOpen({ cure, says })}>{_("Cure…")}</ChangeButton>
                        )}
                    />
                );
            })}
            {open && <CureDialog {...open} onClose={() => setOpen(undefined)} />}
        </>
    );
}
