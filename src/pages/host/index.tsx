// SPDX-License-Identifier: LGPL-2.1-or-later
// The host as a whole: checks with their cures, what the versions imply, who else filters packets, what happened.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { useMemo, useState } from "react";
import { planHarden } from "../../actions/harden.ts";
import { planRestartLibvirt, planStartLibvirt } from "../../actions/libvirt-daemon.ts";
import { interfaceChecks, type InterfaceCheck } from "../../model/checks.ts";
import { firewalls, hostChecks, rule, type Cure } from "../../model/host-checks.ts";
import type { Libvirt } from "../../model/snapshot.ts";
import { ChangeButton } from "../../ui/access.tsx";
import { CheckItem } from "../../ui/check-item.tsx";
import { DialogBoundary } from "../../ui/error-boundary.tsx";
import { hrefTo } from "../../ui/location.ts";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Loading, Read } from "../../ui/states.tsx";
import { Status } from "../../ui/status.tsx";
import { _, plural, translate } from "../../ui/translate.ts";
import { InterfaceChecks } from "./cure.tsx";
import { HistorySection } from "./history.tsx";

type Daemon = "start-libvirt" | "restart-libvirt";
type Curing = Daemon | "harden";

function CureButton({ cure, open }: { cure: Cure; open(cure: Curing): void }) {
    switch (cure) {
    case "start-libvirt": return <ChangeButton variant="secondary" size="sm" onClick={() => open(cure)}>{_("Start libvirt…")}</ChangeButton>;
    case "restart-libvirt": return <ChangeButton variant="secondary" size="sm" onClick={() => open(cure)}>{_("Restart libvirt…")}</ChangeButton>;
    case "harden": return <ChangeButton variant="secondary" size="sm" onClick={() => open(cure)}>{_("Cure…")}</ChangeButton>;
    case "show-guests": return <a href={hrefTo(["guests"], { fate: "risk" })}>{_("Show these guests")}</a>;
    case "show-taps": return <a href={hrefTo(["taps"])}>{_("Show TAP devices")}</a>;
    case "show-nat": return <a href={hrefTo(["nat"])}>{_("Show 1:1 NAT")}</a>;
    }
}

/** Starts or restarts libvirt's daemon; also for other pages' error states. */
export function DaemonDialog({ daemon, onClose }: { daemon: Daemon; onClose(): void }) {
    const snapshot = useSnapshot();
    return daemon === "start-libvirt"
        ? <PlanDialog title={_("Start libvirt")} action={_("Start")} done={_("libvirt runs")} planned={planStartLibvirt(snapshot)} onClose={onClose} />
        : (
            <PlanDialog
                title={_("Restart libvirt")} action={_("Restart")} done={_("libvirt was restarted")} planned={planRestartLibvirt(snapshot)}
                onClose={onClose}
            />
        );
}

function HardenDialog({ onClose }: { onClose(): void }) {
    const snapshot = useSnapshot();
    const planned = useMemo(() => planHarden(snapshot), [snapshot]);
    return (
        <PlanDialog
            title={_("Keep guests from steering this host")} action={_("Cure")} done={_("Cured")} planned={planned} onClose={onClose}
            says={_("The settings are written down for each device and set at once. Settings that a file says already stay as they are.")}
        />
    );
}

/** Many guests may share one trap: more than these are shown on demand. */
const shownTraps = 12;

function worstFirst(checks: readonly InterfaceCheck[]): readonly InterfaceCheck[] {
    const order = ["danger", "warning", "info"];
    return checks.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
}

function Checks() {
    const snapshot = useSnapshot();
    const [dialog, setDialog] = useState<Curing>();
    const checks = hostChecks(snapshot);
    const traps = useMemo(() => worstFirst(interfaceChecks(snapshot)), [snapshot]);
    const [all, setAll] = useState(false);
    return (
        <section className="kt-card" aria-labelledby="host-checks">
            <h2 id="host-checks">{_("Checks")}</h2>
            {checks.length === 0
                ? <Loading lines={4} />
                : (
                    <ul className="kt-checks">
                        {checks.map(({ id, severity, says, means, words, cure }) => (
                            <CheckItem
                                key={id} kind={severity} says={translate(says)} means={translate(means)} words={words}
                                action={cure && <CureButton cure={cure} open={setDialog} />}
                            />
                        ))}
                        <InterfaceChecks checks={all ? traps : traps.slice(0, shownTraps)} named />
                    </ul>
                )}
            {!all && traps.length > shownTraps && (
                <Button variant="link" isInline onClick={() => setAll(true)}>
                    {plural("Show all of $0 finding", "Show all $0 findings", traps.length)}
                </Button>
            )}
            {dialog && (
                <DialogBoundary onClose={() => setDialog(undefined)}>
                    {dialog === "harden" ? <HardenDialog onClose={() => setDialog(undefined)} />
                        : <DaemonDialog daemon={dialog} onClose={() => setDialog(undefined)} />}
                </DialogBoundary>
            )}
        </section>
    );
}

function VersionList({ libvirt }: { libvirt: Libvirt }) {
    return (
        <dl className="kt-facts">
            <dt>libvirt</dt>
            <dd><span dir="ltr">{libvirt.packageVersion ?? libvirt.version}</span><p className="kt-subtle">{translate(rule(libvirt))}</p></dd>
            <dt>{libvirt.driver}</dt>
            <dd><span dir="ltr">{libvirt.hypervisorVersion ?? "–"}</span></dd>
            <dt>KVM TAP</dt>
            <dd><span dir="ltr">{__VERSION__}</span></dd>
        </dl>
    );
}

function Firewalls() {
    const found = firewalls(useSnapshot());
    return (
        <section className="kt-card" aria-labelledby="host-firewalls">
            <h2 id="host-firewalls">{_("Firewalls and network managers")}</h2>
            {found.length === 0 && <p className="kt-subtle">{_("None of those that are known here is installed.")}</p>}
            <dl className="kt-facts">
                {found.map(({ name, active, means }) => (
                    <div key={name} className="kt-fact">
                        <dt>{name}</dt>
                        <dd>
                            <Status kind={active ? "info" : "unknown"}>{active ? _("active") : _("not active")}</Status>
                            {active && <p className="kt-subtle">{translate(means)}</p>}
                        </dd>
                    </div>
                ))}
            </dl>
        </section>
    );
}

export function HostPage() {
    const snapshot = useSnapshot();
    return (
        <>
            <Checks />
            <div className="kt-columns kt-columns-even">
                <section className="kt-card" aria-labelledby="host-versions">
                    <h2 id="host-versions">{_("Versions")}</h2>
                    <Read reading={snapshot.libvirt}>{libvirt => <VersionList libvirt={libvirt} />}</Read>
                </section>
                <Firewalls />
            </div>
            <HistorySection />
        </>
    );
}
