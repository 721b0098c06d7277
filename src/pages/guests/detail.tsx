// SPDX-License-Identifier: LGPL-2.1-or-later
// What opens under a row: the life cycle, the way of a packet, both definitions, what happened.
import { useMemo } from "react";
import type { Machine } from "../../host/run.ts";
import { lifecycle, type Subject } from "../../model/glance.ts";
import type { HistoryEntry, Reading } from "../../model/snapshot.ts";
import { Alert } from "../../ui/alert.tsx";
import { HistoryList } from "../../ui/history.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Read } from "../../ui/states.tsx";
import { _, translate } from "../../ui/translate.ts";
import { InterfaceChecks } from "../host/cure.tsx";
import { DefinitionView } from "./definition.tsx";
import { InterfaceButtons } from "./interface-buttons.tsx";
import { Lifecycle } from "./lifecycle.tsx";
import { PacketWay } from "./packet-way.tsx";
import { checksByInterface, guestAddresses, subjectsByKey } from "./rows.ts";

function concerns(entry: HistoryEntry, { guest, pair }: Subject): boolean {
    return entry.guest === guest.name
        || (entry.device !== undefined && [pair.live?.target, pair.configured?.target].includes(entry.device));
}

function HistorySection({ subject, history }: { subject: Subject; history: Reading<readonly HistoryEntry[]> }) {
    return (
        <section className="kt-section" aria-label={_("History")}>
            <h3>{_("History")}</h3>
            <Read reading={history}>{entries => <HistoryList entries={entries.filter(entry => concerns(entry, subject))} />}</Read>
        </section>
    );
}

/** Traps on this interface, with their cures. */
function Findings({ subject: { pair } }: { subject: Subject }) {
    const snapshot = useSnapshot();
    const checks = useMemo(() => checksByInterface(snapshot), [snapshot]);
    const iface = pair.configured ?? pair.live;
    const found = iface ? checks.get(iface) ?? [] : [];
    return found.length === 0 ? null : (
        <section className="kt-section" aria-label={_("Findings")}>
            <h3>{_("Findings")}</h3>
            <ul className="kt-checks kt-box"><InterfaceChecks checks={found} /></ul>
        </section>
    );
}

export function GuestDetail({ rowKey, machine }: { rowKey: string; machine: Machine }) {
    const snapshot = useSnapshot();
    const subject = subjectsByKey(snapshot).get(rowKey);
    if (subject === undefined) {
        return (
            <>
                <p>{_("This guest has no network interface.")}</p>
                <InterfaceButtons rowKey={rowKey} hasInterface={false} machine={machine} />
            </>
        );
    }
    const { guest, pair } = subject;
    const target = (pair.live ?? pair.configured)?.target ?? "";
    const [address] = guestAddresses(snapshot.routes.state === "read" ? snapshot.routes.value : []).get(target) ?? [];
    return (
        <>
            {guest.problem && <Alert variant="warning" isInline title={translate(guest.problem)} />}
            <Findings subject={subject} />
            <Lifecycle fates={lifecycle(subject)} running={guest.state === "running" || guest.state === "paused"} />
            <PacketWay subject={subject} address={address} />
            <InterfaceButtons rowKey={rowKey} hasInterface machine={machine} />
            <div className="kt-columns">
                <DefinitionView pair={pair} />
                <HistorySection subject={subject} history={snapshot.history} />
            </div>
        </>
    );
}
