// SPDX-License-Identifier: LGPL-2.1-or-later
// "Something does not work": a packet is followed through every rule of the host, and the dialog says which one of whom drops it.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { Form } from "@patternfly/react-core/dist/dynamic/components/Form";
import { ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core/dist/dynamic/components/Modal";
import { useEffect, useRef, useState } from "react";
import { likelySender, packetTestProblems } from "../../actions/packet-test.ts";
import { startPacketTest, type PacketTest } from "../../host/packet-test.ts";
import type { Machine } from "../../host/run.ts";
import { nothingSeen, stories, type Hop, type Outcome, type Story } from "../../model/packet-test.ts";
import { wayIn, type Around } from "../../model/nat-works.ts";
import { mappingKey, type Mapping } from "../../model/nat.ts";
import { formatPrefix } from "../../model/nat-address.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { DialogFrame } from "../../ui/dialog-frame.tsx";
import { SelectField, TextField } from "../../ui/fields.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Failure } from "../../ui/states.tsx";
import { Status, StatusIcon } from "../../ui/status.tsx";
import { _, format, translate } from "../../ui/translate.ts";
import { stateOf } from "./map-dialog.tsx";

/** Lines that are kept; more come only where somebody waits at a busy address. */
const KEPT = 4000;
/** Connections that are shown. */
const SHOWN = 5;

type Run = { lines: readonly string[] } & ({ state: "running" | "ended" } | { state: "failed"; words: string });

/** One test at a time; it ends with the dialog. */
function useTest(machine: Machine) {
    const [run, setRun] = useState<Run>();
    const current = useRef<{ close(): void }>(undefined);
    const stop = () => {
        current.current?.close();
        setRun(now => now && { lines: now.lines, state: "ended" });
    };
    useEffect(() => () => current.current?.close(), []);
    const start = (test: PacketTest) => {
        current.current?.close();
        setRun({ lines: [], state: "running" });
        current.current = startPacketTest(machine, test, {
            lines: more => setRun(now => now && { ...now, lines: [...now.lines, ...more].slice(-KEPT) }),
            end: error => setRun(now => now && (error
                ? { lines: now.lines, state: "failed", words: error.words || error.message } : { lines: now.lines, state: "ended" })),
        });
    };
    return { run, start, stop };
}

function HopLine({ hop }: { hop: Hop }) {
    return (
        <li>
            <StatusIcon kind={hop.state === "ok" ? "success" : "danger"} />
            {"says" in hop ? <span>{translate(hop.says)}</span>
                : <span>{hop.program !== "" && <>{hop.program}: </>}<code dir="ltr">{hop.rule}</code></span>}
        </li>
    );
}

function OutcomeLine({ outcome: { severity, says, cure } }: { outcome: Outcome }) {
    return (
        <>
            <p><Status kind={severity}>{translate(says)}</Status></p>
            {cure && <p>{translate(cure)}</p>}
        </>
    );
}

function StoryView({ story }: { story: Story }) {
    return (
        <section className="kt-trace">
            <h2 dir="auto">{translate(story.title)}</h2>
            <OutcomeLine outcome={story.result} />
            <ol>{story.hops.map((hop, index) => <HopLine key={index} hop={hop} />)}</ol>
        </section>
    );
}

function Results({ run, kind, told, uplink }: { run: Run; kind: PacketTest["kind"]; told: readonly Story[]; uplink: string }) {
    return (
        <div aria-live="polite" className="kt-traces">
            {run.state === "failed" && <Failure title={_("The test could not run")} words={run.words} />}
            {run.state === "running" && (
                <Status kind="pending">
                    {kind === "wait" ? _("Waiting for packets, for a minute. Try to reach the public address from outside now.") : _("Sending…")}
                </Status>
            )}
            {told.slice(0, SHOWN).map(story => <StoryView key={story.key} story={story} />)}
            {run.state === "ended" && told.length === 0 && <OutcomeLine outcome={nothingSeen(kind, uplink)} />}
        </div>
    );
}

export interface TestDialogProps {
    rowKey: string;
    machine: Machine;
    around: Around | undefined;
    onClose(): void;
}

export function TestDialog({ rowKey, ...rest }: TestDialogProps) {
    const snapshot = useSnapshot();
    const [mapping] = useState(() => stateOf(snapshot).mappings.find(each => mappingKey(each) === rowKey));
    return mapping ? <TestMapping mapping={mapping} {...rest} /> : null;
}

function TestMapping({ mapping, machine, around, onClose }: Omit<TestDialogProps, "rowKey"> & { mapping: Mapping }) {
    const snapshot = useSnapshot();
    const { uplinks } = stateOf(snapshot);
    const [kind, setKind] = useState<PacketTest["kind"]>("ping");
    const [port, setPort] = useState("80");
    const [uplink = "", setUplink] = useState(uplinks[0]);
    const [typed, setTyped] = useState<string>();
    const { run, start, stop } = useTest(machine);
    const from = typed ?? (kind === "wait" ? "" : likelySender(snapshot, uplink, mapping.public.family));
    const planned = { problems: packetTestProblems(snapshot, mapping, { kind, from, port, uplink }) };
    const test: PacketTest = {
        public: formatPrefix(mapping.public), guest: formatPrefix(mapping.guest), uplink, kind, from: from.trim(), port,
    };
    const running = run?.state === "running";
    const runnable = planned.problems.length === 0 && uplink !== "" && !running;
    const { device } = wayIn(snapshot, mapping.guest, uplinks);
    const told = stories(run?.lines ?? [], { public: test.public, guest: test.guest, device, uplink, firewalls: around?.firewalls ?? [] });
    return (
        <DialogFrame titleId="test-dialog-title" size="large" onClose={onClose}>
            <ModalHeader title={format(_("Test $0"), mappingKey(mapping))} labelId="test-dialog-title" />
            <ModalBody tabIndex={0} aria-label={_("Test")}>
                <div className="kt-dialog-says">
                    {_("A packet comes in by the uplink as if somebody outside had sent it, and is followed through every rule of nftables, whoever "
                        + "wrote it. The answer is taken off the way before it leaves. What the provider does before and after is not tested.")}
                </div>
                <Form className="kt-dialog-form" isHorizontal onSubmit={event => { event.preventDefault(); if (runnable) start(test); }}>
                    <fieldset disabled={running} className="kt-fieldset">
                        <SelectField
                            label={_("Packet")} field="kind" value={kind} onChange={value => setKind(value === "tcp" || value === "wait" ? value : "ping")}
                            choices={[
                                { value: "ping", label: _("Ping") }, { value: "tcp", label: _("Connection over TCP") },
                                { value: "wait", label: _("None: wait for one from outside") },
                            ]}
                        />
                        {kind === "tcp" && <TextField label={_("Port")} field="port" required code value={port} onChange={setPort} planned={planned} />}
                        {uplinks.length > 1 && (
                            <SelectField
                                label={_("Uplink")} field="uplink" value={uplink} onChange={setUplink}
                                choices={uplinks.map(name => ({ value: name, label: name }))}
                            />
                        )}
                        <TextField
                            label={_("Sender")} field="from" required={kind !== "wait"} code value={from} onChange={setTyped} planned={planned}
                            help={kind === "wait" ? _("Empty: anybody.") : _("The packet says that it comes from here. Nothing is sent there.")}
                        />
                    </fieldset>
                    {run && <Results run={run} kind={kind} told={told} uplink={uplink} />}
                    <button type="submit" hidden disabled={!runnable} />
                </Form>
            </ModalBody>
            <ModalFooter>
                {running ? <Button variant="secondary" onClick={stop}>{_("Stop")}</Button>
                    : <ChangeButton isDisabled={!runnable} onClick={() => start(test)}>{run ? _("Test again") : _("Test")}</ChangeButton>}
                <Button variant="link" onClick={onClose}>{_("Close")}</Button>
            </ModalFooter>
        </DialogFrame>
    );
}
