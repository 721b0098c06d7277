// SPDX-License-Identifier: LGPL-2.1-or-later
// Findings about interfaces of guests, with the button that opens their cure; on the host's page and under a guest's row.
import { useMemo, useState } from "react";
import { planCure } from "../../actions/cure.ts";
import type { Cure, InterfaceCheck } from "../../model/checks.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { deviceOfPath } from "../../model/tap-file.ts";
import { freeName } from "../../model/tap-text.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { CheckItem } from "../../ui/check-item.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import { TextField } from "../../ui/fields.tsx";
import { hrefTo } from "../../ui/location.ts";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format, translate } from "../../ui/translate.ts";

interface CureProps<T extends Cure = Cure> { cure: T; says: string; onClose(): void }

function CureDialog({ cure, says, onClose }: CureProps) {
    const snapshot = useSnapshot();
    const planned = useMemo(() => planCure(snapshot, cure), [snapshot, cure]);
    return <PlanDialog title={_("Cure")} says={says} action={_("Cure")} done={_("Cured")} planned={planned} onClose={onClose} />;
}

/** A name that is free, after the guest's. */
function suggestedName(snapshot: Snapshot, uuid: string): string {
    const guest = valueOf(snapshot.guests)?.find(candidate => candidate.uuid === uuid);
    const links = (valueOf(snapshot.links) ?? []).map(({ name }) => name);
    const written = [...valueOf(snapshot.files)?.keys() ?? []].flatMap(path => deviceOfPath(path) ?? []);
    return guest ? freeName(guest, new Set([...links, ...written])) : "";
}

/** A new device for one interface: its name and the guest's address are a person's to choose. */
function OwnDeviceDialog({ cure, says, onClose }: CureProps<Extract<Cure, { type: "own-device" }>>) {
    const snapshot = useSnapshot();
    const [device, setDevice] = useState(() => suggestedName(snapshot, cure.uuid));
    const [guestAddress, setGuestAddress] = useState("");
    const planned = useMemo(() => planCure(snapshot, cure, { device: device.trim(), guestAddress: guestAddress.trim() }),
        [snapshot, cure, device, guestAddress]);
    return (
        <PlanDialog
            title={_("A device of its own")} says={says} action={_("Make and use it")} done={format(_("$0 was made"), device)} planned={planned}
            onClose={onClose}
        >
            <TextField
                label={_("Name")} field="device" planned={planned} value={device} onChange={setDevice} code required
                help={_("At most 15 letters, digits and _ . -")}
            />
            <TextField
                label={_("Guest address")} field="address" planned={planned} value={guestAddress} onChange={setGuestAddress} code placeholder="10.0.0.2"
                help={_("The host sends what goes to it into this device. Empty: a device without addresses.")}
            />
        </PlanDialog>
    );
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
            {open && (
                <DialogBoundary onClose={() => setOpen(undefined)}>
                    {open.cure.type === "own-device"
                        ? <OwnDeviceDialog cure={open.cure} says={open.says} onClose={() => setOpen(undefined)} />
                        : <CureDialog {...open} onClose={() => setOpen(undefined)} />}
                </DialogBoundary>
            )}
        </>
    );
}
