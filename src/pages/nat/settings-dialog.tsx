// SPDX-License-Identifier: LGPL-2.1-or-later
// What concerns all mappings: the uplinks and their gateways, and for each device anti-spoofing and the way out of
// guests without a mapping.
import { Checkbox } from "@patternfly/react-core/dist/dynamic/components/Checkbox";
import { useMemo, useState } from "react";
import { planNatSettings } from "../../actions/map-address.ts";
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
    const planned = useMemo(() => planNatSettings(snapshot, { uplinks, gateways, devices }), [snapshot, uplinks, gateways, devices]);
    const links = (valueOf(snapshot.links) ?? []).filter(link => link.name !== "lo" && !isTap(link)).map(link => link.name);
    const choices = [...new Set([...links, ...before.uplinks])].sort();
    const change = (name: string, part: Partial<NatDevice>) =>
        setDevices(now => now.map(device => device.name === name ? { ...device, ...part } : device));
    return (
        <PlanDialog title={_("Uplinks and devices")} action={_("Change")} done={_("Settings changed")} planned={planned} onClose={onClose}>
            <fieldset className="kt-fieldset">
                <legend>{_("Uplinks: links that lead outside")}</legend>
                {choices.map(name => (
                    <Checkbox
                        key={name} id={`uplink-${name}`} label={<span dir="ltr">{name}</span>} isChecked={uplinks.includes(name)}
                        onChange={(_event, checked) => setUplinks(now => checked ? [...now, name] : now.filter(other => other !== name))}
                    />
                ))}
            </fieldset>
            <GatewayFields uplinks={uplinks} gateways={gateways} snapshot={snapshot} planned={planned} onChange={setGateways} />
            {devices.map(({ name, guarded, shared, macs }) => (
                <fieldset className="kt-fieldset" key={name}>
                    <legend>{format(_("Device $0"), name)}</legend>
                    <Checkbox
                        id={`guarded-${name}`} label={_("Anti-spoofing")} isChecked={guarded}
                        description={_("It may send only from addresses that are routed to it.")}
                        onChange={(_event, checked) => change(name, { guarded: checked })}
                    />
                    <Checkbox
                        id={`bound-${name}`} label={_("Only the MAC address of its guest")} isChecked={macs !== undefined}
                        isDisabled={macs === undefined && macsOn(snapshot, name).length === 0}
                        description={<span dir="ltr">{(macs ?? macsOn(snapshot, name)).join(", ")}</span>}
                        onChange={(_event, checked) =>
                            setDevices(now => now.map(device => device.name === name ? withMacs(snapshot, device, checked) : device))}
                    />
                    <Checkbox
                        id={`shared-${name}`} label={_("Guests without a mapping use the host's address")} isChecked={shared}
                        description={_("Otherwise they reach nothing outside: no private address ever leaves by an uplink.")}
                        onChange={(_event, checked) => change(name, { shared: checked })}
                    />
                </fieldset>
            ))}
        </PlanDialog>
    );
}
