// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether this person may change the host. What changes it explains itself instead of vanishing.
//
//     <ChangeButton variant="secondary" onClick={…}>{_("Protect")}</ChangeButton>
import { Button, type ButtonProps } from "@patternfly/react-core/dist/dynamic/components/Button";
import { Tooltip } from "@patternfly/react-core/dist/dynamic/components/Tooltip";
import { createContext, useContext } from "react";
import { _ } from "./translate.ts";

/** "unknown" until the host has answered; from Snapshot.access. */
export type Access = "granted" | "missing" | "unknown";

export const AccessContext = createContext<Access>("unknown");

export function useAccess(): Access {
    return useContext(AccessContext);
}

export function accessExplained(): string {
    return _("This needs administrative access: press \"Limited access\" at the top of the Cockpit window.");
}

/** A button for what changes the host. `why` is another reason for which it cannot be pressed now. */
export function ChangeButton({ why, ...props }: Omit<ButtonProps, "ref"> & { why?: string | undefined }) {
    const access = useAccess();
    const reason = access === "granted" ? why : accessExplained();
    if (reason === undefined)
        return <Button {...props} />;
    return <Tooltip content={reason}><Button {...props} isAriaDisabled /></Tooltip>;
}
