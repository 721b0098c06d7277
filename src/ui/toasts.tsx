// SPDX-License-Identifier: LGPL-2.1-or-later
// Short news at the edge of the page, read out by screen readers; with an action such as Undo.
//
//     const toast = useToast();    toast({ kind: "success", title: _("…"), action: { label: _("Undo"), run } })
import { createContext, useCallback, useContext, useState, type ReactNode } from "react";
import { Alert, AlertActionCloseButton, AlertActionLink, AlertGroup } from "./alert.tsx";
import { _ } from "./translate.ts";

export interface Toast {
    kind: "success" | "warning" | "danger" | "info";
    title: string;
    text?: string;
    action?: { label: string; run(): void };
}

const ToastContext = createContext<(toast: Toast) => void>(() => undefined);

export function useToast() {
    return useContext(ToastContext);
}

/** Those with an action stay until they are closed; the others leave after eight seconds, unless one points at them. */
function ToastAlert({ toast, close }: { toast: Toast; close(): void }) {
    const { action } = toast;
    return (
        <Alert
            variant={toast.kind}
            title={toast.title}
            timeout={action === undefined && toast.kind === "success" ? 8000 : false}
            onTimeout={close}
            actionClose={<AlertActionCloseButton onClose={close} aria-label={_("Close")} />}
            actionLinks={action && <AlertActionLink onClick={() => { close(); action.run(); }}>{action.label}</AlertActionLink>}
        >
            {toast.text}
        </Alert>
    );
}

export function Toasts({ children }: { children: ReactNode }) {
    const [toasts, setToasts] = useState<readonly (Toast & { id: number })[]>([]);
    // News of a success replaces the one before, whose Undo would not be the inverse of the host's last change any more.
    const add = useCallback((toast: Toast) => setToasts(now =>
        [...now.filter(({ kind }) => kind !== "success"), { ...toast, id: (now.at(-1)?.id ?? 0) + 1 }].slice(-4)), []);
    return (
        <ToastContext value={add}>
            {children}
            <AlertGroup isToast isLiveRegion aria-label={_("News")}>
                {toasts.map(toast =>
                    <ToastAlert key={toast.id} toast={toast} close={() => setToasts(now => now.filter(({ id }) => id !== toast.id))} />)}
            </AlertGroup>
        </ToastContext>
    );
}
