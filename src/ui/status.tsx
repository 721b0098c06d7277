// SPDX-License-Identifier: LGPL-2.1-or-later
// How good or bad something is: always an icon *and* words, never a colour alone.
//
//     <Status kind="danger">{_("Start fails, device is deleted")}</Status>
//     <Status kind="danger" reason={translate(fate.because)} source={fate.source}>…</Status>     opens the reason on a click
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { Popover } from "@patternfly/react-core/dist/dynamic/components/Popover";
import CheckCircleIcon from "@patternfly/react-icons/dist/dynamic/icons/check-circle-icon";
import ClockIcon from "@patternfly/react-icons/dist/dynamic/icons/clock-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/dynamic/icons/exclamation-circle-icon";
import ExclamationTriangleIcon from "@patternfly/react-icons/dist/dynamic/icons/exclamation-triangle-icon";
import InfoCircleIcon from "@patternfly/react-icons/dist/dynamic/icons/info-circle-icon";
import QuestionCircleIcon from "@patternfly/react-icons/dist/dynamic/icons/question-circle-icon";
import { useRef, useState, type ReactNode } from "react";
import { overlayParent } from "./overlay.ts";
import { _ } from "./translate.ts";

export type StatusKind = "danger" | "warning" | "success" | "info" | "pending" | "unknown";

const icons = {
    danger: ExclamationCircleIcon,
    warning: ExclamationTriangleIcon,
    success: CheckCircleIcon,
    info: InfoCircleIcon,
    pending: ClockIcon,
    unknown: QuestionCircleIcon,
};

export function StatusIcon({ kind }: { kind: StatusKind }) {
    const Icon = icons[kind];
    return <Icon className={`kt-status-icon kt-${kind}`} aria-hidden />;
}

export interface StatusProps {
    kind: StatusKind;
    children: ReactNode;
    /** A sentence that names the cause, shown on demand. */
    reason?: string | undefined;
    /** Where the rule comes from: a function of libvirt, a file of the kernel, a release. */
    source?: string | undefined;
}

export function Status({ kind, children, reason, source }: StatusProps) {
    const label = <><StatusIcon kind={kind} /><span>{children}</span></>;
    if (reason === undefined)
        return <span className="kt-status">{label}</span>;
    return <Reason title={children} label={label} reason={reason} source={source} />;
}

interface ReasonProps {
    title: ReactNode;
    label: ReactNode;
    reason: string;
    source: string | undefined;
}

/** The popover exists only while it is open: closed ones listen to every key and click of the page, and a table has many. */
function Reason({ title, label, reason, source }: ReasonProps) {
    const [open, setOpen] = useState(false);
    const button = useRef<HTMLButtonElement>(null);
    // A click on the button is the button's.
    const close = ({ type, target }: MouseEvent | KeyboardEvent) => {
        if (type !== "click" || !(target instanceof Node && button.current?.contains(target)))
            setOpen(false);
    };
    return (
        <>
            <Button ref={button} variant="plain" className="kt-status kt-status-button" aria-expanded={open} onClick={() => setOpen(!open)}>
                {label}
            </Button>
            {open && (
                <Popover
                    triggerRef={button} isVisible shouldClose={close}
                    headerContent={title} headerComponent="h3" bodyContent={reason} appendTo={overlayParent}
                    footerContent={source === undefined ? null : <span className="kt-source">{_("Source:")} <span dir="ltr">{source}</span></span>}
                    aria-label={_("Reason")} closeBtnAriaLabel={_("Close")}
                />
            )}
        </>
    );
}

export type DotKind = "on" | "paused" | "off" | "bad";

/** A state dot with its word for those who do not see it; `children` is what stands beside it. */
export function Dot({ kind, word, children }: { kind: DotKind; word: string; children?: ReactNode }) {
    return (
        <span className="kt-dotted">
            <span className={`kt-dot kt-dot-${kind}`} title={word} aria-hidden />
            {children}
            <span className="kt-sr-only">, {word}</span>
        </span>
    );
}
