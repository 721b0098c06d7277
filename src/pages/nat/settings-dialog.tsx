// SPDX-License-Identifier: LGPL-2.1-or-later
// What concerns all mappings: the uplinks and their gateways, and for each device anti-spoofing and the way out of
// guests without a mapping.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { useMemo, useState } from "react";
import { planNatSettings } from "../../actions/map-address.ts";
import { mergeLists } from "../../model/merge.ts";
import type { NatDevice } from "../../model/nat.ts";
import { macsOn } from "../../model/nat-host.ts";
import { isTap } from "../../model/tap.ts";
import { valueOf, type Snapshot } from "../../model/snapshot.ts";
import { PlanDialog } from "../../ui/plan-dialog.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { _, format } from "../../ui/translate.ts";
import { GatewayFields, typedGateways } from "./gateways.tsx";
import { stateOf } from "./map-dialog.tsx";

function withMacs(snapshot: Snapshot, { name, guarded, shared }: NatDevice, bound: boolean): NatDevice {
    return { name, guarded, shared, ...(bound ? { macs: macsOn(snapshot, name) } : {}) };
}

export function SettingsDialog({ onClose }: { onClose(): void }) {
    const snapshot = useSnapshot();
    const [before] = useState(() => stateOf(snapshot));
    const [uplinks, setUplinks] = useState<readonly string[]>(before.uplinks);
    const [devices, setDevices] = useState<readonly NatDevice[]>(before.devices);
    const [gateways, setGateways] = useState(() => typedGateways(before.ways));
    // What others change while this dialog is open stays, but for what is changed here.
    const merged = useMemo(() => {
        const now = stateOf(snapshot);
        return {
            uplinks: mergeLists(before.uplinks, uplinks, now.uplinks, name => name),
            devices: mergeLists(before.devices, devices, now.devices, ({ name }) => name),
        };
    }, [snapshot, before, uplinks, devices]);
    const planned = useMemo(() => planNatSettings(snapshot, { ...merged, gateways }), [snapshot, merged, gateways]);
    const links = (valueOf(snapshot.links) ?? []).filter(link => link.name !== "lo" && !isTap(link)).map(link => link.name);
    const choices = [...new Set([...links, ...before.uplinks, ...merged.uplinks])].sort();
    const replace = (changed: NatDevice) => setDevices(mine => [...mine.filter(({ name }) => name !== changed.name), changed]);
    return (
        <PlanDialog title={_("Uplinks and devices")} action={_("Change")} done={_("Settings changed")} planned={planned} onClose={onClose}>
            <fieldset className="kt-fieldset">
                <legend>{_("Uplinks: links that lead outside")}</legend>
                {choices.map(name => (
                    <Checkbox
                        key={name} id={`uplink-${name}`} label={<span dir="ltr">{name}</span>} isChecked={merged.uplinks.includes(name)}
                        onChange={(_event, checked) => setUplinks(now => checked ? [...now, name] : now.filter(other => other !== name))}
                    />
                ))}
            </fieldset>
            <GatewayFields uplinks={uplinks} gateways={gateways} snapshot={snapshot} planned={planned} onChange={setGateways} />
            {merged.devices.map(device => (
                <fieldset className="kt-fieldset" key={device.name}>
                    <legend>{format(_("Device $0"), device.name)}</legend>
                    <Checkbox
                        id={`guarded-${device.name}`} label={_("Anti-spoofing")} isChecked={device.guarded}
                        description={_("It may send only from addresses that are routed to it.")}
                        onChange={(_event, checked) => replace({ ...device, guarded: checked })}
                    />
                    <Checkbox
                        id={`bound-${device.name}`} label={_("Only the MAC address of its guest")} isChecked={device.macs !== undefined}
                        isDisabled={device.macs === undefined && macsOn(snapshot, device.name).length === 0}
                        description={<span dir="ltr">{(device.macs ?? macsOn(snapshot, device.name)).join(", ")}</span>}
                        onChange={(_event, checked) => replace(withMacs(snapshot, device, checked))}
                    />
                    <Checkbox
                        id={`shared-${device.name}`} label={_("Guests without a mapping use the host's address")} isChecked={device.shared}
                        description={_("Otherwise they reach nothing outside: no private address ever leaves by an uplink.")}
                        onChange={(_event, checked) => replace({ ...device, shared: checked })}
                    />
                </fieldset>
            ))}
        </PlanDialog>
    );
}
