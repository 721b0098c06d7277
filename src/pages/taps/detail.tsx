// SPDX-License-Identifier: LGPL-2.1-or-later
// What opens under a device: all that the kernel says of it, its file and unit, how the two differ, what happened.
import type { ReactNode } from "react";
import { fileOf, isEnabled, tapOf } from "../../actions/tap-steps.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { sysctlFilePath } from "../../model/sysctl-file.ts";
import { tapFilePath } from "../../model/tap-file.ts";
import type { TapDevice } from "../../model/tap.ts";
import { Code } from "../../ui/copy.tsx";
import { HistoryList } from "../../ui/history.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Read } from "../../ui/states.tsx";
import { _, format, formatNumber } from "../../ui/translate.ts";
import { DriftView } from "./dialogs.tsx";
import { hasDrift, holderWords } from "./rows.ts";
import { TrafficTotals } from "./traffic.tsx";

type Fact = [name: string, value: ReactNode];

const yes = (value: boolean) => value ? _("yes") : _("no");

function listed(items: readonly string[] | undefined): string {
    return items === undefined ? _("not known") : items.join(", ") || _("none");
}

function kernelFacts(device: TapDevice, snapshot: Snapshot): Fact[] {
    const { tun } = device;
    const holders = valueOf(snapshot.holders)?.get(device.name);
    const addresses = valueOf(snapshot.addresses) && (valueOf(snapshot.addresses)?.get(device.name) ?? []);
    const routes = valueOf(snapshot.routes)?.filter(route => route.device === device.name && route.table !== "local");
    return [
        [_("State"), device.up ? _("up") : _("down")],
        [_("Attached"), device.carrier ? _("yes: a program has it open") : _("no: nothing has it open")],
        [_("Opened by"), snapshot.holders.state === "read" ? (holders ?? []).map(holderWords).join(", ") || _("nobody") : _("not known")],
        [_("Persistent"), tun.persistent ? _("yes: it stays when nobody has it open") : _("no: it goes with the program that has it open")],
        [_("Multi-queue"), yes(tun.multiQueue) + (tun.queues === undefined ? "" : `, ${format(_("$0 open"), tun.queues)}`)],
        [_("Owner and group"), [tun.owner, tun.group].filter(Boolean).join(", ") || _("none: any user may open it while it is free")],
        [_("MAC address"), device.mac],
        [_("MTU"), device.maxMtu ? format(_("$0 (the kernel takes $1 to $2)"), device.mtu, device.minMtu ?? 0, device.maxMtu) : formatNumber(device.mtu)],
        [_("Link-local addresses"), device.addrGenMode === "none" ? _("none are made") : device.addrGenMode],
        [_("Part of"), device.master],
        [_("Addresses"), listed(addresses?.map(({ address, prefix }) => `${address}/${prefix}`))],
        [_("Routes"), listed(routes?.map(({ destination, gateway }) => gateway ? `${destination} via ${gateway}` : destination))],
        [_("Traffic since it was made"), <TrafficTotals key="traffic" link={device} />],
    ];
}

function Facts({ facts, label }: { facts: readonly Fact[]; label: string }) {
    return (
        <dl className="kt-tap-facts" aria-label={label}>
            {facts.filter(([, value]) => value !== undefined).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
        </dl>
    );
}

/** systemd's ActiveState; the rarer ones in its own word. */
function activeWord(state: string): string {
    switch (state) {
    case "active": return _("active");
    case "inactive": return _("not active");
    case "failed": return _("failed");
    default: return state;
    }
}

function unitWords(snapshot: Snapshot, name: string): string {
    if (snapshot.enabled.state !== "read")
        return _("not known");
    const enabled = isEnabled(snapshot, name);
    const active = valueOf(snapshot.units)?.get(name)?.active;
    return [enabled ? _("enabled") : _("not enabled"), active === undefined ? _("not loaded") : activeWord(active)].join(", ");
}

function Written({ name, snapshot }: { name: string; snapshot: Snapshot }) {
    const files = valueOf(snapshot.files);
    const file = files?.get(tapFilePath(name));
    const sysctl = files?.get(sysctlFilePath(name));
    const foreign = fileOf(snapshot, name)?.foreign ?? [];
    return (
        <section className="kt-section" aria-label={_("Written down")}>
            <h3>{_("Written down")}</h3>
            <p className="kt-subtle"><span dir="ltr">kvm-tap@{name}.service</span>: {unitWords(snapshot, name)}</p>
            {[file, sysctl].map(each => each && (
                <div key={each.path}>
                    <p><span className="kt-path" dir="ltr">{each.path}</span></p>
                    <Code text={each.content.trimEnd()} label={each.path} />
                </div>
            ))}
            {!file && <p>{_("Nowhere. After the next reboot the device is gone, unless something else makes it.")}</p>}
            {foreign.length > 0 && (
                <p className="kt-subtle">{_("Lines of the file that this page does not understand stay as they are; the unit runs them.")}</p>
            )}
        </section>
    );
}

export function TapDetail({ name }: { name: string }) {
    const snapshot = useSnapshot();
    const device = tapOf(snapshot, name);
    return (
        <>
            {hasDrift(snapshot, name) && (
                <section className="kt-section" aria-label={_("Device and file")}>
                    <h3>{_("Device and file differ")}</h3>
                    <DriftView name={name} />
                </section>
            )}
            <div className="kt-columns">
                <section className="kt-section" aria-label={_("The device")}>
                    <h3>{_("The device")}</h3>
                    {device ? <Facts facts={kernelFacts(device, snapshot)} label={name} /> : <p>{_("The host does not have it now.")}</p>}
                </section>
                <Written name={name} snapshot={snapshot} />
            </div>
            <section className="kt-section" aria-label={_("History")}>
                <h3>{_("History")}</h3>
                <Read reading={snapshot.history}>
                    {entries => <HistoryList entries={entries.filter(entry => entry.device === name)} />}
                </Read>
            </section>
        </>
    );
}
