// SPDX-License-Identifier: LGPL-2.1-or-later
// A change that the host puts back by itself unless it is confirmed, and the news that it was put back.
//
// The page confirms over a new connection: the one at hand goes on over a mapping that would keep every other one out. Where a
// new connection proves nothing (the browser talks to a proxy, a tunnel or another host's Cockpit), a person confirms.
import { createContext, useCallback, useContext, useEffect, useRef, useState, type ReactNode } from "react";
import {
    changeStatus, confirmChange, dismissRemark, dismissReverted, keepChange, revertChange, RUN_DIRECTORY, type ChangeStatus,
} from "../../host/nat.ts";
import type { Machine } from "../../host/run.ts";
import type { Execute } from "../../model/executed.ts";
import type { Plan } from "../../model/plan.ts";
import { useAccess } from "../../ui/access.tsx";
import { Alert, AlertActionLink } from "../../ui/alert.tsx";
import { ExecuteContext, useExecute } from "../../ui/executor.ts";
import { useToast } from "../../ui/toasts.tsx";
import { _, format, translate } from "../../ui/translate.ts";

/** Whether a new connection of this browser goes to the host over its network, as a stranger's would. */
export function provesSomething(hostname: string, managedHost: string): boolean {
    const local = /^(localhost|127\..*|\[?::1\]?)$/.test(hostname);
    return !local && managedHost === "localhost";
}

/**
 * Opens one more connection to Cockpit; true when this session was accepted there. cockpit-ws takes any connection and only then says, in
 * its first message, whether it knows who is calling (cockpithandlers.c, "no-session"): so may a guest's that answers in the host's place.
 */
function newConnection(): Promise<boolean> {
    return new Promise(resolve => {
        const scheme = window.location.protocol === "https:" ? "wss:" : "ws:";
        const socket = new WebSocket(`${scheme}//${window.location.host}/cockpit/socket`, "cockpit1");
        const end = (accepted: boolean) => { socket.close(); resolve(accepted); };
        socket.addEventListener("message", ({ data }) => end(isWelcome(data)));
        socket.addEventListener("error", () => end(false));
        window.setTimeout(() => end(false), 5000);
    });
}

/** Whether a first message lets us in: a control message, after the empty name of its channel (doc/protocol.md). */
export function isWelcome(message: unknown): boolean {
    try {
        const init: unknown = typeof message === "string" && message.startsWith("\n") ? JSON.parse(message) : undefined;
        return typeof init === "object" && init !== null && "command" in init && init.command === "init" && !("problem" in init);
    } catch {
        return false;
    }
}

/** What waits or was put back, followed through the directory where the helper notes it. */
function useChangeStatus(machine: Machine): { status: ChangeStatus; refresh(): void } {
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

const PendingContext = createContext(false);

/** While a change waits for its confirmation, kernel and file differ on purpose. */
export function usePendingChange(): boolean {
    return useContext(PendingContext);
}

/** What takes the last armed change back once it has been kept; known when its plan has ended, which may be after the confirmation. */
type Undo = Promise<Plan | undefined>;

const NO_UNDO: Undo = Promise.resolve(undefined);

/** Runs plans for everything in it, and says on every tab what waits for a confirmation or was put back. */
export function ArmedChanges({ machine, execute, children }: {
    machine: Machine; execute: Execute; children(notice: ReactNode): ReactNode;
}) {
    const { status, refresh } = useChangeStatus(machine);
    const undo = useRef(NO_UNDO);
    const run = useCallback<Execute>(async (plan, progress) => {
        if (!plan.confirm)
            return execute(plan, progress);
        const running = execute(plan, progress);
        undo.current = running.then(result => result.state === "done" ? result.undo : undefined);
        const result = await running;
        refresh();
        // Undo is offered when the change has been kept: until then "put it back" is what undoes it.
        return result.state === "done" ? { state: "done", holds: result.holds } : result;
    }, [execute, refresh]);
    const lastUndo = useCallback(() => undo.current, []);
    return (
        <ExecuteContext value={run}>
            <PendingContext value={status.state === "pending"}>
                {children(<ChangeStatusNotice machine={machine} status={status} lastUndo={lastUndo} refresh={refresh} />)}
            </PendingContext>
        </ExecuteContext>
    );
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

/** Runs a plan that takes a change back. It waits for its confirmation as any: only a failure is told here. */
function useTakeBack() {
    const execute = useExecute();
    const toast = useToast();
    return useCallback((plan: Plan) => void execute(plan, () => undefined).then(result => {
        if (result.state === "failed")
            toast({ kind: "danger", title: translate(result.says), text: result.words });
    }), [execute, toast]);
}

/**
 * Confirms the change that waits. Another page of the same host may have done so in the same moment: that is as good. False where it came
 * too late, which the page says anyway: a session that was cut off learns of a change that waits when it has been put back.
 */
async function confirmed(machine: Machine): Promise<boolean> {
    try {
        await confirmChange(machine);
        return true;
    } catch (error) {
        const { state } = await changeStatus(machine);
        if (state === "pending")
            throw error;
        return state === "none";
    }
}

/** What is known of whether the host can still be reached. */
function reachability(proves: boolean, refused: boolean): string {
    if (refused)
        return _("A new connection to this host failed, so the host will put the change back. Keep it only if you can reach the host another way.");
    return proves
        ? _("The page is opening a new connection to this host. If that succeeds, the change is kept.")
        : _("This page reaches the host through a tunnel, a proxy or another host, so it cannot find out by itself whether "
            + "the host is still reachable. Try it in another window, then decide.");
}

interface NoticeProps {
    machine: Machine;
    lastUndo(): Undo;
    refresh(): void;
}

function Pending({ seconds, machine, lastUndo, refresh }: NoticeProps & { seconds: number }) {
    const access = useAccess();
    const toast = useToast();
    const left = useCountdown(seconds, refresh);
    const takeBack = useTakeBack();
    const [proves] = useState(() => provesSomething(window.location.hostname, cockpit.transport.host));
    const failed = useCallback((error: unknown) =>
        toast({ kind: "danger", title: _("That did not work"), text: error instanceof Error ? error.message : "" }), [toast]);
    const keep = useCallback((title: string) => void confirmed(machine).then(async kept => {
        const undo = await lastUndo();
        if (kept)
            toast({ kind: "success", title, ...undo && { action: { label: _("Undo"), run: () => takeBack(undo) } } });
    }).catch(failed).finally(refresh), [machine, lastUndo, toast, takeBack, failed, refresh]);
    const putBack = () => void revertChange(machine)
            .then(() => toast({ kind: "success", title: _("Change put back") })).catch(failed).finally(refresh);
    const [refused, setRefused] = useState(false);
    // Once for each change: what is told meanwhile makes no second one.
    const began = useRef(false);
    useEffect(() => {
        if (!proves || access !== "granted" || began.current)
            return;
        began.current = true;
        void newConnection().then(accepted => {
            setRefused(!accepted);
            if (accepted)
                keep(_("The host is still reachable: change kept"));
        });
    }, [proves, access, keep]);
    return (
        <Alert
            variant="warning" isInline title={format(_("Keep this change? The host puts it back in $0 s."), left)}
            actionLinks={<>
                <AlertActionLink onClick={() => keep(_("Change kept"))}>{_("Keep it")}</AlertActionLink>
                <AlertActionLink onClick={putBack}>{_("Put it back now")}</AlertActionLink>
            </>}
        >
            {reachability(proves, refused)}
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

/** A change took effect, but connections that it was to end go on. */
function Remark({ text, machine, refresh }: { text: string; machine: Machine; refresh(): void }) {
    return (
        <Alert
            variant="warning" isInline title={_("Old connections of the last change of NAT go on")}
            actionLinks={<AlertActionLink onClick={() => void dismissRemark(machine).finally(refresh)}>{_("Dismiss")}</AlertActionLink>}
        >
            {format(_("They could not be ended ($0). They end by themselves, or with “conntrack -D”."), text)}
        </Alert>
    );
}

function ChangeStatusNotice({ status, ...rest }: NoticeProps & { status: ChangeStatus }) {
    const { machine, refresh } = rest;
    switch (status.state) {
    case "none": return status.remark === undefined ? null : <Remark text={status.remark} machine={machine} refresh={refresh} />;
    case "pending": return <Pending key={status.deadline} seconds={status.seconds} {...rest} />;
    case "reverted": return <Reverted reason={status.reason} machine={machine} refresh={refresh} />;
    }
}
