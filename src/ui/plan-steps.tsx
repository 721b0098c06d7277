// SPDX-License-Identifier: LGPL-2.1-or-later
// The steps of a plan: each opens to the exact command, file or difference; while it runs, each shows how far it is.
import { Spinner } from "@patternfly/react-core/dist/dynamic/components/Spinner";
import AngleRightIcon from "@patternfly/react-icons/dist/dynamic/icons/angle-right-icon";
import CheckCircleIcon from "@patternfly/react-icons/dist/dynamic/icons/check-circle-icon";
import CircleIcon from "@patternfly/react-icons/dist/dynamic/icons/circle-icon";
import ExclamationCircleIcon from "@patternfly/react-icons/dist/dynamic/icons/exclamation-circle-icon";
import ExclamationTriangleIcon from "@patternfly/react-icons/dist/dynamic/icons/exclamation-triangle-icon";
import UndoIcon from "@patternfly/react-icons/dist/dynamic/icons/undo-icon";
import type { StepState } from "../model/executed.ts";
import type { Command, FileChange, Step } from "../model/plan.ts";
import { Code } from "./copy.tsx";
import { Difference } from "./difference.tsx";
import { shellWords } from "./shell-words.ts";
import { _, format, translate } from "./translate.ts";

function stateWord(state: StepState): string {
    switch (state) {
    case "waiting": return _("not run yet");
    case "running": return _("running");
    case "done": return _("done");
    case "failed": return _("failed");
    case "undone": return _("undone");
    case "undo-failed": return _("could not be undone");
    }
}

function StepIcon({ state }: { state: StepState }) {
    switch (state) {
    case "waiting": return <CircleIcon className="kt-step-waiting" aria-hidden />;
    case "running": return <Spinner size="sm" aria-hidden />;
    case "done": return <CheckCircleIcon className="kt-success" aria-hidden />;
    case "failed": return <ExclamationCircleIcon className="kt-danger" aria-hidden />;
    case "undone": return <UndoIcon className="kt-unknown" aria-hidden />;
    case "undo-failed": return <ExclamationTriangleIcon className="kt-warning" aria-hidden />;
    }
}

/** The file as it was, where the step expects it, is what the difference starts from. */
function FileContent({ does, expects }: { does: FileChange; expects: Step["expects"] }) {
    const before = expects?.type === "file" && expects.path === does.path ? expects.content : null;
    if (does.content === null)
        return <p>{format(_("The file $0 is removed."), does.path)}</p>;
    return (
        <>
            <p className="kt-path" dir="ltr">{does.path}</p>
            {before === null
                ? <Code text={does.content} label={does.path} />
                : <Difference before={before} after={does.content} label={does.path} />}
        </>
    );
}

function CommandText({ does }: { does: Command }) {
    return (
        <>
            <Code text={shellWords(does.argv)} label={_("Command")} />
            {does.input !== undefined && <><p>{_("with this on standard input:")}</p><Code text={does.input} label={_("Standard input")} /></>}
        </>
    );
}

function StepLine({ step, state, number }: { step: Step; state: StepState | undefined; number: number }) {
    return (
        <li className="kt-step">
            <details>
                <summary>
                    <AngleRightIcon className="kt-toggle-icon" aria-hidden />
                    {state === undefined
                        ? <span className="kt-step-number" aria-hidden>{number}</span>
                        : <span className="kt-step-state"><StepIcon state={state} /><span className="kt-sr-only">{stateWord(state)}:</span></span>}
                    <span>{translate(step.says)}</span>
                </summary>
                <div className="kt-step-body">
                    {step.shows && <Difference before={step.shows.before} after={step.shows.after} />}
                    {step.does.type === "command" ? <CommandText does={step.does} /> : <FileContent does={step.does} expects={step.expects} />}
                </div>
            </details>
        </li>
    );
}

/** `states` only once the plan has been started. */
export function PlanSteps({ steps, states }: { steps: readonly Step[]; states?: readonly StepState[] | undefined }) {
    return (
        <ol className="kt-steps" aria-label={_("What will be done")}>
            {steps.map((step, index) => <StepLine key={index} step={step} number={index + 1} state={states?.[index]} />)}
        </ol>
    );
}
