// SPDX-License-Identifier: LGPL-2.1-or-later
// What can be done with an interface from the row of its guest.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { useState } from "react";
import type { Guest, InterfacePair } from "../../model/guest.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { _ } from "../../ui/translate.ts";
import { InsideGuestDialog } from "./inside-guest.tsx";
import { InterfaceDialog, RemoveInterfaceDialog } from "./interface-dialog.tsx";

type Open = "add" | "edit" | "remove" | "inside";

/** Without `pair` the guest has no interface: one can be added. */
export function InterfaceButtons({ guest, pair, addresses }: {
    guest: Guest; pair?: InterfacePair | undefined; addresses: readonly string[];
}) {
    const [open, setOpen] = useState<Open>();
    const close = () => setOpen(undefined);
    const iface = pair && (pair.live ?? pair.configured);
    return (
        <div className="kt-buttons">
            {pair && <ChangeButton variant="secondary" size="sm" onClick={() => setOpen("edit")}>{_("Edit interface…")}</ChangeButton>}
            <ChangeButton variant="secondary" size="sm" onClick={() => setOpen("add")}>{_("Add interface…")}</ChangeButton>
            {pair && <ChangeButton variant="secondary" size="sm" isDanger onClick={() => setOpen("remove")}>{_("Remove interface…")}</ChangeButton>}
            {iface?.mac !== undefined && (
                <Button variant="link" size="sm" onClick={() => setOpen("inside")}>{_("For the inside of the guest…")}</Button>
            )}
            {open === "add" && <InterfaceDialog guest={guest} onClose={close} />}
            {open === "edit" && pair && <InterfaceDialog guest={guest} pair={pair} onClose={close} />}
            {open === "remove" && pair && <RemoveInterfaceDialog guest={guest} pair={pair} onClose={close} />}
            {open === "inside" && iface && <InsideGuestDialog guest={guest} iface={iface} addresses={addresses} onClose={close} />}
        </div>
    );
}
