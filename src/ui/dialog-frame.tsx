// SPDX-License-Identifier: LGPL-2.1-or-later
// PatternFly's modal dialog with a close button that speaks the person's language (its own says "Close" in every one) and with the focus
// in a sensible place afterwards.
//
//     <DialogFrame titleId={id} onClose={onClose}><ModalHeader labelId={id} … /><ModalBody>…</ModalBody></DialogFrame>
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { Modal } from "@patternfly/react-core/dist/dynamic/components/Modal";
import TimesIcon from "@patternfly/react-icons/dist/dynamic/icons/times-icon";
import { useEffect, type ReactNode } from "react";
import { _ } from "./translate.ts";

/** A dialog gives the focus back to what opened it. Where that is gone with the change, the page's main part takes it, not the window. */
function useFocusAfterwards() {
    useEffect(() => () => {
        window.setTimeout(() => {
            if (document.activeElement === document.body)
                document.querySelector("main")?.focus();
        });
    }, []);
}

/** `titleId`: of the header inside, which names the dialog. */
export function DialogFrame({ titleId, size = "medium", onClose, children }: {
    titleId: string; size?: "small" | "medium" | "large"; onClose(): void; children: ReactNode;
}) {
    useFocusAfterwards();
    return (
        <Modal isOpen variant={size} position="top" onEscapePress={onClose} aria-labelledby={titleId}>
            <div className="pf-v6-c-modal-box__close">
                <Button variant="plain" onClick={onClose} aria-label={_("Close")} icon={<TimesIcon />} />
            </div>
            {children}
        </Modal>
    );
}
