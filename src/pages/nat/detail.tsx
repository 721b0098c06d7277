// SPDX-License-Identifier: LGPL-2.1-or-later
// All about one mapping: what speaks against it, its connections, its line of the file.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { useState } from "react";
import { connections } from "../../host/nat.ts";
import type { Machine } from "../../host/run.ts";
import { ofMapping, type Connection } from "../../model/nat-connections.ts";
import { addLine } from "../../model/nat-file.ts";
import { formatLimits, NOTHING } from "../../model/nat-limits.ts";
import { currentState, natReading } from "../../model/nat-reading.ts";
import { findings, ownership, wayIn, type Around } from "../../model/nat-works.ts";
import { mappingElements, mappingKey, type Mapping } from "../../model/nat.ts";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Status } from "../../ui/status.tsx";
import { _, format, plural, translate } from "../../ui/translate.ts";

function Ownership({ mapping }: { mapping: Mapping }) {
    switch (ownership(useSnapshot(), mapping.public)) {
    case "own": return _("The host's own address.");
    case "on-link": return _("In a network of this host, which answers for it there.");
    case "routed": return _("In no network of this host: the provider sends it here.");
    }
}

/** How many connections are shown. */
const SHOWN = 20;

function Connections({ mapping, machine }: { mapping: Mapping; machine: Machine }) {
    const [found, setFound] = useState<readonly Connection[] | "unknown">();
    const read = () => {
        void connections(machine, mapping.public.family).then(all => setFound(all ? ofMapping(mapping, all) : "unknown"));
    };
    return (
        <div>
            <Button variant="link" isInline onClick={read}>{found === undefined ? _("Show open connections") : _("Read again")}</Button>
            {found === "unknown" && <p>{_("They could not be read. Is conntrack installed, and do you have administrative access?")}</p>}
            {Array.isArray(found) && (
                <>
                    <p>{plural("$0 open connection", "$0 open connections", found.length)}</p>
                    <ul className="kt-mono" dir="ltr">
                        {found.slice(0, SHOWN).map((connection: Connection, index) => (
                            <li key={index}>{connection.protocol} {connection.source} → {connection.destination}</li>
                        ))}
                    </ul>
                    {found.length > SHOWN && <p>{format(_("and $0 more"), found.length - SHOWN)}</p>}
                </>
            )}
        </div>
    );
}

function letIn({ limits }: Mapping): string {
    if (!limits)
        return _("everything");
    const text = formatLimits(limits);
    return text === NOTHING ? _("nothing: only answers to the guest's own connections") : text;
}

export function NatDetail({ rowKey, machine, around }: { rowKey: string; machine: Machine; around: Around | undefined }) {
    const snapshot = useSnapshot();
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        return null;
    const state = currentState(reading.value);
    const mapping = state.mappings.find(candidate => mappingKey(candidate) === rowKey);
    if (!mapping)
        return null;
    const found = findings(snapshot, reading.value, mapping, around);
    const { device } = wayIn(snapshot, mapping.guest, state.uplinks);
    const nat = state.devices.find(({ name }) => name === device);
    const facts: readonly [string, string][] = [
        [_("Only let in"), letIn(mapping)],
        [_("Logging"), mapping.log ? _("new incoming connections") : _("off")],
        [_("Anti-spoofing"), nat?.guarded ? format(_("on $0"), nat.name) : _("off")],
    ];
    return (
        <div className="kt-detail kt-nat-detail">
            <section>
                <h3>{_("Will it work?")}</h3>
                {found.length === 0 && <Status kind="success">{_("This page finds no obstacle in what it can read.")}</Status>}
                <ul>
                    {found.map(({ severity, says, cure }) => (
                        <li key={translate(says)}>
                            <Status kind={severity}>{translate(says)}</Status>
                            {cure && <p>{translate(cure)}</p>}
                        </li>
                    ))}
                </ul>
                <p><Ownership mapping={mapping} /></p>
            </section>
            <section>
                <h3>{_("Settings")}</h3>
                <dl>
                    {facts.map(([term, text]) => <div key={term}><dt>{term}</dt><dd>{text}</dd></div>)}
                </dl>
            </section>
            <section>
                <h3>{_("Connections")}</h3>
                <Connections mapping={mapping} machine={machine} />
            </section>
            <section>
                <h3>{_("In the file")}</h3>
                <pre className="kt-words" dir="ltr">{addLine(mappingElements(mapping))}</pre>
            </section>
        </div>
    );
}
