// SPDX-License-Identifier: LGPL-2.1-or-later
// The kebab menu of a row, and the menu of what can be done with several selected rows.
import { Divider } from "@patternfly/react-core/dist/dynamic/components/Divider";
import { Dropdown, DropdownItem, DropdownList } from "@patternfly/react-core/dist/dynamic/components/Dropdown";
import { MenuToggle } from "@patternfly/react-core/dist/dynamic/components/MenuToggle";
import EllipsisVIcon from "@patternfly/react-icons/dist/dynamic/icons/ellipsis-v-icon";
import { useRef, useState } from "react";
import { accessExplained, useAccess } from "./access.tsx";
import { overlayParent } from "./overlay.ts";

export interface Action {
    label: string;
    run(): void;
    /** Needs administrative access: explained instead of run when that is missing. */
    changes?: boolean;
    danger?: boolean;
    /** Why it cannot be done now; shown under the label. */
    why?: string | undefined;
    /** A line above it. */
    apart?: boolean;
}

function Item({ action }: { action: Action }) {
    const access = useAccess();
    const why = action.changes && access !== "granted" ? accessExplained() : action.why;
    return (
        <>
            {action.apart && <Divider component="li" />}
            <DropdownItem
                isAriaDisabled={why !== undefined} isDanger={action.danger ?? false}
                {...(why === undefined ? { onClick: action.run } : { description: why })}
            >
                {action.label}
            </DropdownItem>
        </>
    );
}

/**
 * `label` names what the menu is for: "Actions for charon". With `text` it is a button, without a kebab.
 * The menu exists only while it is open: a closed one listens to every key and click of the page and looks at its styles, which a
 * table of them feels.
 */
export function ActionMenu({ label, text, actions }: { label: string; text?: string; actions: readonly Action[] }) {
    const [open, setOpen] = useState(false);
    const toggle = useRef<HTMLButtonElement>(null);
    if (actions.length === 0)
        return null;
    return (
        <>
            <MenuToggle
                ref={toggle} isExpanded={open} onClick={() => setOpen(!open)} aria-label={label}
                variant={text === undefined ? "plain" : "secondary"} {...(text === undefined ? { icon: <EllipsisVIcon /> } : {})}
            >
                {text}
            </MenuToggle>
            {open && (
                <Dropdown
                    isOpen onOpenChange={setOpen} onSelect={() => setOpen(false)} toggle={{ toggleNode: null, toggleRef: toggle }}
                    popperProps={{ position: "right", appendTo: overlayParent }}
                    // Before the action runs: the dialog that it opens gives the focus back to where it was.
                    shouldFocusToggleOnSelect
                >
                    <DropdownList>{actions.map(action => <Item key={action.label} action={action} />)}</DropdownList>
                </Dropdown>
            )}
        </>
    );
}
