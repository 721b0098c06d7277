// SPDX-License-Identifier: LGPL-2.1-or-later
// Fields of a form. What is wrong with one is said under it while typing, but not before it was touched.
//
//     <TextField label={_("Device")} value={name} onChange={setName} field="name" planned={planned} help={_("…")} />
import { FormGroup, FormHelperText } from "@patternfly/react-core/dist/dynamic/components/Form";
import { FormSelect, FormSelectOption } from "@patternfly/react-core/dist/dynamic/components/FormSelect";
import { HelperText, HelperTextItem } from "@patternfly/react-core/dist/dynamic/components/HelperText";
import { TextArea } from "@patternfly/react-core/dist/dynamic/components/TextArea";
import { TextInput } from "@patternfly/react-core/dist/dynamic/components/TextInput";
import { createContext, useContext, useId, useState, type ReactNode } from "react";
import type { Planned } from "../model/plan.ts";
import { _, translate } from "./translate.ts";

/** While a plan runs the host becomes what the form wishes for: that the name or address is taken by then is no problem. */
export const RunningContext = createContext(false);

/** What is wrong with one field, in the person's language. */
export function problemOf(planned: Planned | undefined, field: string): string | undefined {
    const problem = planned && "problems" in planned ? planned.problems.find(({ field: at }) => at === field) : undefined;
    return problem && translate(problem.says);
}

export interface FieldProps {
    label: string;
    /** Under which name the planner speaks of it (Problem.field). */
    field: string;
    planned?: Planned | undefined;
    help?: ReactNode;
    required?: boolean;
}

/** Label, help and error around any control. */
export function Field({ id, label, help, problem, required = false, children }: {
    id: string; label: string; help?: ReactNode; problem?: string | undefined; required?: boolean; children: ReactNode;
}) {
    return (
        <FormGroup label={label} fieldId={id} isRequired={required}>
            {children}
            {(problem !== undefined || help !== undefined) && (
                <FormHelperText>
                    <HelperText id={`${id}-help`} isLiveRegion={problem !== undefined}>
                        <HelperTextItem variant={problem === undefined ? "default" : "error"} screenReaderText={_("error")}>{problem ?? help}</HelperTextItem>
                    </HelperText>
                </FormHelperText>
            )}
        </FormGroup>
    );
}

export interface TextFieldProps extends FieldProps {
    value: string;
    onChange(value: string): void;
    placeholder?: string;
    /** Names, addresses and code read left to right in every language. */
    code?: boolean;
    lines?: number;
    /** Offered while typing. */
    suggestions?: readonly string[];
    autoFocus?: boolean;
}

export function TextField(props: TextFieldProps) {
    const { label, field, planned, help, required = false, value, onChange, placeholder, code, lines, suggestions, autoFocus } = props;
    const id = useId();
    const [touched, setTouched] = useState(false);
    const running = useContext(RunningContext);
    const problem = !running && (touched || value !== "") ? problemOf(planned, field) : undefined;
    const common = {
        id, value, isRequired: required, validated: problem === undefined ? "default" as const : "error" as const,
        "aria-describedby": `${id}-help`, onBlur: () => setTouched(true),
        ...(placeholder === undefined ? {} : { placeholder }),
        ...(code ? { dir: "ltr", spellCheck: false, autoCapitalize: "off", autoComplete: "off" } : {}),
    };
    const list = suggestions ? { list: `${id}-list` } : {};
    const change = (text: string) => { setTouched(true); onChange(text); };
    return (
        <Field id={id} label={label} help={help} problem={problem} required={required}>
            {lines === undefined
                // eslint-disable-next-line jsx-a11y/no-autofocus -- the first field of a dialog that was just opened
                ? <TextInput {...common} {...list} autoFocus={autoFocus ?? false} onChange={(_event, text) => change(text)} />
                : <TextArea {...common} rows={lines} resizeOrientation="vertical" onChange={(_event, text) => change(text)} />}
            {suggestions && <datalist id={`${id}-list`}>{suggestions.map(text => <option key={text} value={text} />)}</datalist>}
        </Field>
    );
}

export interface SelectFieldProps extends FieldProps {
    value: string;
    choices: readonly { value: string; label: string; disabled?: boolean }[];
    onChange(value: string): void;
}

export function SelectField({ label, field, planned, help, required = false, value, choices, onChange }: SelectFieldProps) {
    const id = useId();
    const problem = problemOf(planned, field);
    return (
        <Field id={id} label={label} help={help} problem={problem} required={required}>
            <FormSelect
                id={id} value={value} onChange={(_event, choice) => onChange(choice)} aria-describedby={`${id}-help`}
                validated={problem === undefined ? "default" : "error"}
            >
                {choices.map(({ value: key, label: text, disabled = false }) =>
                    <FormSelectOption key={key} value={key} label={text} isDisabled={disabled} />)}
            </FormSelect>
        </Field>
    );
}
