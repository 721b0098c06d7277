// SPDX-License-Identifier: LGPL-2.1-or-later
// What can be done with an interface: from the menu of its row, and from what opens under the row.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { useState } from "react";
import type { Machine } from "../../host/run.ts";
import type { Guest, InterfacePair } from "../../model/guest.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import type { Action } from "../../ui/row-actions.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _ } from "../../ui/translate.ts";
import { InsideGuestDialog } from "./inside-guest.tsx";
import { InterfaceDialog, RemoveInterfaceDialog } from "./interface-dialog.tsx";
import { guestAddresses, subjectsByKey, type GuestRow } from "./rows.ts";

export type InterfaceAct = "add" | "edit" | "remove" | "inside";

/** A guest and one of its interfaces; a guest without any can be given one. */
interface Place {
    guest: Guest;
    pair?: InterfacePair | undefined;
}

function placeOf(snapshot: Snapshot, key: string): Place | undefined {
    const subject = subjectsByKey(snapshot).get(key);
    const guest = subject?.guest ?? valueOf(snapshot.guests)?.find(({ name }) => name === key);
    return guest && { guest, pair: subject?.pair };
}

/** The dialog on the interface as it was when it was opened; of the guest it knows the newest. */
export function InterfaceActDialog({ act, rowKey, machine, onClose }: {
    act: InterfaceAct; rowKey: string; machine: Machine; onClose(): void;
}) {
    const snapshot = useSnapshot();
    const [place] = useState(() => placeOf(snapshot, rowKey));
    if (!place)
        return null;
    const { pair } = place;
    const guest = valueOf(snapshot.guests)?.find(({ uuid }) => uuid === place.guest.uuid) ?? place.guest;
    const iface = pair && (pair.live ?? pair.configured);
    switch (act) {
    case "add": return <InterfaceDialog guest={guest} machine={machine} onClose={onClose} />;
    case "edit": return pair ? <InterfaceDialog guest={guest} pair={pair} machine={machine} onClose={onClose} /> : null;
    case "remove": return pair ? <RemoveInterfaceDialog guest={guest} pair={pair} onClose={onClose} /> : null;
    case "inside": {
        const routed = guestAddresses(valueOf(snapshot.routes) ?? []).get(iface?.target ?? "") ?? [];
        return iface ? <InsideGuestDialog guest={guest} iface={iface} addresses={routed} onClose={onClose} /> : null;
    }
    }
}

/** For the menu of a row. */
export function interfaceActions(row: GuestRow, open: (act: InterfaceAct) => void): readonly Action[] {
    const none = row.hasInterface ? undefined : _("This guest has no network interface.");
    return [
        { label: _("Edit interface…"), changes: true, why: none, apart: true, run: () => open("edit") },
        { label: _("Add interface…"), changes: true, run: () => open("add") },
        { label: _("For the inside of the guest…"), why: none, run: () => open("inside") },
        { label: _("Remove interface…"), changes: true, danger: true, why: none, run: () => open("remove") },
    ];
}

/** For what opens under the row. */
export function InterfaceButtons({ rowKey, hasInterface, machine }: { rowKey: string; hasInterface: boolean; machine: Machine }) {
    const [open, setOpen] = useState<InterfaceAct>();
    return (
        <div className="kt-buttons">
            {hasInterface && <ChangeButton variant="secondary" size="sm" onClick={() => setOpen("edit")}>{_("Edit interface…")}</ChangeButton>}
            <ChangeButton variant="secondary" size="sm" onClick={() => setOpen("add")}>{_("Add interface…")}</ChangeButton>
            {hasInterface && (
                <>
                    <ChangeButton variant="secondary" size="sm" isDanger onClick={() => setOpen("remove")}>{_("Remove interface…")}</ChangeButton>
                    <Button variant="link" size="sm" onClick={() => setOpen("inside")}>{_("For the inside of the guest…")}</Button>
                </>
            )}
            {open && (
                <DialogBoundary onClose={() => setOpen(undefined)}>
                    <InterfaceActDialog act={open} rowKey={rowKey} machine={machine} onClose={() => setOpen(undefined)} />
                </DialogBoundary>
            )}
        </div>
    );
}
