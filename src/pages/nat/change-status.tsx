// SPDX-License-Identifier: LGPL-2.1-or-later
// A change that the host puts back by itself unless it is confirmed, and the news that it was put back.
//
// The page confirms over a new connection: the one at hand goes on over a mapping that would keep every other one out. Where a
// new connection proves nothing (the browser talks to a proxy, a tunnel or another host's Cockpit), a person confirms.
import { useCallback, useEffect, useState } from "react";
import {
    changeStatus, confirmChange, dismissReverted, keepChange, revertChange, RUN_DIRECTORY, type ChangeStatus,
} from "../../host/nat.ts";
import type { Machine } from "../../host/run.ts";
import { useAccess } from "../../ui/access.tsx";
import { Alert, AlertActionLink } from "../../ui/alert.tsx";
import { useToast } from "../../ui/toasts.tsx";
import { _, format } from "../../ui/translate.ts";

/** Whether a new connection of this browser goes to the host over its network, as a stranger's would. */
export function provesSomething(hostname: string, managedHost: string): boolean {
    const local = /^(localhost|127\..*|\[?::1\]?)$/.test(hostname);
    return !local && managedHost === "localhost";
}

/** Opens one more connection to Cockpit; true when it was accepted. */
function newConnection(): Promise<boolean> {
    return new Promise(resolve => {
        const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
        const socket = new WebSocket(`${scheme}//${window.location.host}/cockpit/socket`, "cockpit1");
        const end = (opened: boolean) => { socket.close(); resolve(opened); };
        socket.addEventListener("open", () => end(true));
        socket.addEventListener("error", () => end(false));
        window.setTimeout(() => end(false), 5000);
    });
}

/** What waits or was put back, followed through the directory where the helper notes it. */
export function useChangeStatus(machine: Machine): { status: ChangeStatus; refresh(): void } {
    const [status, setStatus] = useState<ChangeStatus>({ state: "none" });
    const refresh = useCallback(() => {
        void changeStatus(machine).then(setStatus, () => setStatus({ state: "none" }));
    }, [machine]);
    useEffect(() => {
        refresh();
        const watch = machine.watchDirectory(RUN_DIRECTORY, refresh);
        return () => watch.close();
    }, [machine, refresh]);
    return { status, refresh };
}

function useCountdown(seconds: number, ended: () => void): number {
    const [left, setLeft] = useState(seconds);
    useEffect(() => {
        if (left <= 0) {
            ended();
            return undefined;
        }
        const timer = window.setTimeout(() => setLeft(left - 1), 1000);
        return () => window.clearTimeout(timer);
    }, [left, ended]);
    return left;
}

function Pending({ seconds, machine, refresh }: { seconds: number; machine: Machine; refresh(): void }) {
    const access = useAccess();
    const toast = useToast();
    const left = useCountdown(seconds, refresh);
    const [proves] = useState(() => provesSomething(window.location.hostname, cockpit.transport.host));
    const act = useCallback((what: (machine: Machine) => Promise<void>, done: string) => {
        what(machine).then(() => toast({ kind: "success", title: done }),
            (error: unknown) => toast({ kind: "danger", title: _("That did not work"), text: error instanceof Error ? error.message : "" }))
                .finally(refresh);
    }, [machine, refresh, toast]);
    useEffect(() => {
        if (!proves || access !== "granted")
            return undefined;
        let stale = false;
        void newConnection().then(opened => { if (opened && !stale) act(confirmChange, _("The host is still reachable: change kept")); });
        return () => { stale = true; };
    }, [proves, access, act]);
    return (
        <Alert
            variant="warning" isInline title={format(_("Keep this change? The host puts it back in $0 s."), left)}
            actionLinks={<>
                <AlertActionLink onClick={() => act(confirmChange, _("Change kept"))}>{_("Keep it")}</AlertActionLink>
                <AlertActionLink onClick={() => act(revertChange, _("Change put back"))}>{_("Put it back now")}</AlertActionLink>
            </>}
        >
            {proves
                ? _("The page is opening a new connection to this host. If that succeeds, the change is kept.")
                : _("This page reaches the host through a tunnel, a proxy or another host, so it cannot find out by itself whether "
                    + "the host is still reachable. Try it in another window, then decide.")}
        </Alert>
    );
}

function Reverted({ reason, machine, refresh }: { reason: string; machine: Machine; refresh(): void }) {
    const toast = useToast();
    const act = (what: (machine: Machine) => Promise<void>) => {
        what(machine).catch((error: unknown) =>
            toast({ kind: "danger", title: _("That did not work"), text: error instanceof Error ? error.message : "" })).finally(refresh);
    };
    return (
        <Alert
            variant="danger" isInline title={_("The host put the last change of NAT back")}
            actionLinks={<>
                <AlertActionLink onClick={() => act(keepChange)}>{_("Keep it anyway")}</AlertActionLink>
                <AlertActionLink onClick={() => act(dismissReverted)}>{_("Dismiss")}</AlertActionLink>
            </>}
        >
            {format(_("Reason: $0."), reason)}
        </Alert>
    );
}

export function ChangeStatusNotice({ machine, status, refresh }: { machine: Machine; status: ChangeStatus; refresh(): void }) {
    switch (status.state) {
    case "none": return null;
    case "pending": return <Pending key={status.deadline} seconds={status.seconds} machine={machine} refresh={refresh} />;
    case "reverted": return <Reverted reason={status.reason} machine={machine} refresh={refresh} />;
    }
}
