// SPDX-License-Identifier: LGPL-2.1-or-later
// The one dialog for every change: form, plan, progress, error. It stays open with the input when something fails.
//
//     function RenameDialog({ onClose }) {
//         const [name, setName] = useState("");
//         const planned = useMemo(() => planRename(snapshot, { name }), [snapshot, name]);
//         return (
//             <PlanDialog title={_("Rename")} action={_("Rename")} done={_("Renamed")} planned={planned} onClose={onClose}>
//                 <TextField label={_("Name")} value={name} onChange={setName} field="name" planned={planned} />
//             </PlanDialog>
//         );
//     }
//
// Mount it when it is to be open, unmount it in onClose. The plan that runs is the one shown when the button was pressed.
// A change that destroys something: `danger`, and `confirm` where one tick more is asked for (see also confirm.tsx).
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { Form } from "@patternfly/react-core/dist/dynamic/components/Form";
import { ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core/dist/dynamic/components/Modal";
import { useState, type ReactNode } from "react";
import type { Executed, StepState } from "../model/executed.ts";
import type { Plan, Planned } from "../model/plan.ts";
import { ChangeButton } from "./access.tsx";
import { DialogFrame } from "./dialog-frame.tsx";
import { Alert } from "./alert.tsx";
import { useExecute } from "./executor.ts";
import { RunningContext } from "./fields.tsx";
import { useLook } from "./look.ts";
import { PlanSteps } from "./plan-steps.tsx";
import { Failure, Words } from "./states.tsx";
import { StatusIcon } from "./status.tsx";
import { useToast, type Toast } from "./toasts.tsx";
import { _, translate } from "./translate.ts";

export interface PlanDialogProps {
    title: string;
    /** What is wrong now or what this is for, in one sentence. */
    says?: ReactNode;
    /** The verb on the button. */
    action: string;
    /** The toast after success. */
    done: string;
    planned: Planned;
    children?: ReactNode;
    danger?: boolean;
    /** A sentence to tick before it may run: "I know that … is lost". */
    confirm?: string | undefined;
    size?: "small" | "medium" | "large";
    onClose(): void;
    /** After success, with the plan that ran. */
    onDone?(plan: Plan): void;
}

interface Run {
    plan: Plan;
    states: readonly StepState[];
    result?: Executed;
}

/** Runs plans and keeps how far they are. */
function useRun(done: string, onDone: (plan: Plan) => void) {
    const execute = useExecute();
    const toast = useToast();
    const [run, setRun] = useState<Run>();
    const undo = (plan: Plan) => void execute(plan, () => undefined).then(result => toast(undone(result)));
    const start = async (plan: Plan) => {
        setRun({ plan, states: plan.steps.map(() => "waiting") });
        const result = await execute(plan, (step, state) =>
            setRun(now => now && { ...now, states: now.states.map((old, index) => index === step ? state : old) }));
        setRun(now => now && { ...now, result });
        if (result.state !== "done" || !result.holds)
            return;
        const undoPlan = result.undo;
        // Of a change that waits for its confirmation the page itself tells, and what became of it.
        if (!plan.confirm)
            toast({ kind: "success", title: done, ...(undoPlan && { action: { label: _("Undo"), run: () => undo(undoPlan) } }) });
        onDone(plan);
    };
    return { run, start };
}

function undone(result: Executed): Toast {
    if (result.state === "failed")
        return { kind: "danger", title: translate(result.says), text: [result.words, ...result.left.map(translate)].filter(Boolean).join(" ") };
    // That a plan's promise does not hold any more is no proof: of some changes it held before, too.
    return result.unknown ? { kind: "warning", title: doubtOf(result), text: translate(result.unknown.says) } : { kind: "success", title: _("Undone") };
}

function doubtOf({ unknown }: Extract<Executed, { state: "done" }>): string {
    return unknown ? _("All steps ran, but whether the host is as promised is not known") : _("All steps ran, but the host does not read as promised");
}

function Result({ result }: { result: Executed }) {
    if (result.state === "failed") {
        return (
            <Failure title={translate(result.says)}>
                <Words>{result.words}</Words>
                {result.left.length === 0
                    ? <p>{_("What had been done before was undone: the host is as it was. Your input is kept.")}</p>
                    : <ul>{result.left.map(message => <li key={translate(message)}>{translate(message)}</li>)}</ul>}
            </Failure>
        );
    }
    return (
        <Alert variant="warning" isInline title={doubtOf(result)}>
            {result.unknown
                ? <><p>{translate(result.unknown.says)}</p><Words>{result.unknown.words}</Words></>
                : _("Close this dialog and look at what the page shows now: something else may have changed the host at the same time.")}
        </Alert>
    );
}

/** Problems that no field of the form shows: those without a field, and all where there is no form. */
function Problems({ planned, hasForm }: { planned: Planned; hasForm: boolean }) {
    const problems = "problems" in planned ? planned.problems.filter(problem => !hasForm || problem.field === undefined) : [];
    return problems.map(problem =>
        <Alert key={translate(problem.says)} variant="danger" isInline isPlain title={translate(problem.says)} />);
}

function Preview({ plan, states }: { plan: Plan; states: readonly StepState[] | undefined }) {
    return (
        <section className="kt-preview" aria-label={_("What will be done")}>
            {plan.steps.length === 0
                ? <p>{_("Nothing has to be done: the host is like this already.")}</p>
                : <><h2>{_("What will be done")}</h2><PlanSteps steps={plan.steps} states={states} /></>}
            {plan.notes?.map(note => <Alert key={translate(note)} variant="info" isInline isPlain title={translate(note)} />)}
        </section>
    );
}

/** PatternFly's own "warning" says "Warning alert:" in every language. */
const DangerIcon = () => <StatusIcon kind="warning" />;

export function PlanDialog(props: PlanDialogProps) {
    const { title, says, action, done, planned, children, danger = false, confirm, size = "medium", onClose, onDone } = props;
    const { run, start } = useRun(done, plan => { onDone?.(plan); onClose(); });
    const [confirmed, setConfirmed] = useState(false);
    useLook();
    const running = run !== undefined && run.result === undefined;
    const finished = run?.result?.state === "done";
    const plan = running || finished ? run?.plan : "plan" in planned ? planned.plan : undefined;
    const runnable = plan !== undefined && plan.steps.length > 0 && !running && (confirm === undefined || confirmed);
    const close = () => { if (!running) onClose(); };
    return (
        <DialogFrame titleId="plan-dialog-title" size={size} onClose={close}>
            <ModalHeader title={title} labelId="plan-dialog-title" {...(danger ? { titleIconVariant: DangerIcon } : {})} />
            <ModalBody tabIndex={0} aria-label={title}>
                {run?.result && <Result result={run.result} />}
                {says !== undefined && <div className="kt-dialog-says">{says}</div>}
                <Form
                    className="kt-dialog-form" isHorizontal
                    onSubmit={event => { event.preventDefault(); if (runnable) void start(plan); }}
                >
                    {children !== undefined && (
                        <RunningContext value={running}><fieldset disabled={running} className="kt-fieldset">{children}</fieldset></RunningContext>
                    )}
                    {!running && <Problems planned={planned} hasForm={children !== undefined} />}
                    {plan && <Preview plan={plan} states={run?.plan === plan || running ? run?.states : undefined} />}
                    {confirm !== undefined && (
                        <Checkbox
                            id="plan-dialog-confirm" label={confirm} isChecked={confirmed} isDisabled={running}
                            onChange={(_event, checked) => setConfirmed(checked)}
                        />
                    )}
                    {/* Enter in a field submits the form. */}
                    <button type="submit" hidden disabled={!runnable} />
                </Form>
            </ModalBody>
            <ModalFooter>
                {!finished && (
                    <ChangeButton
                        variant={danger ? "danger" : "primary"} isDisabled={!runnable} isLoading={running}
                        onClick={() => { if (plan) void start(plan); }}
                    >
                        {run?.result?.state === "failed" ? _("Try again") : action}
                    </ChangeButton>
                )}
                <Button variant="link" onClick={close} isDisabled={running}>{finished ? _("Close") : _("Cancel")}</Button>
            </ModalFooter>
        </DialogFrame>
    );
}
