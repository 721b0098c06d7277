// SPDX-License-Identifier: LGPL-2.1-or-later
// The gateways of several uplinks, in the dialog of uplinks and devices.
import { gatewayField, type Gateways } from "../../actions/nat-ways.ts";
import type { Way } from "../../model/nat.ts";
import type { Family } from "../../model/nat-address.ts";
import { defaultGateway } from "../../model/nat-ways.ts";
import type { Planned } from "../../model/plan.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { TextField } from "../../ui/fields.tsx";
import { _, format } from "../../ui/translate.ts";

/** The gateways of a state as the fields show them. */
export function typedGateways(ways: readonly Way[] = []): Gateways {
    return Object.fromEntries(ways.map(({ uplink, gateway4 = "", gateway6 = "" }) => [uplink, { gateway4, gateway6 }]));
}

function GatewayField({ uplink, family, snapshot, value, planned, onChange }: {
    uplink: string; family: Family; snapshot: Snapshot; value: string; planned: Planned; onChange(value: string): void;
}) {
    const found = defaultGateway(snapshot, uplink, family);
    return (
        <TextField
            label={format(_("IPv$0 gateway of $1"), family, uplink)} field={gatewayField(uplink, family)} code value={value} planned={planned}
            onChange={onChange}
            {...(found === undefined ? {} : { placeholder: found })}
            help={found === undefined ? _("No default route of this host leads over it. Without a gateway answers leave by the default route.")
                : format(_("If empty, that of the default route: $0."), found)}
        />
    );
}

/** Two fields for each uplink; nothing while there is only one. */
export function GatewayFields({ uplinks, gateways, snapshot, planned, onChange }: {
    uplinks: readonly string[]; gateways: Gateways; snapshot: Snapshot; planned: Planned; onChange(gateways: Gateways): void;
}) {
    if (uplinks.length < 2)
        return null;
    return (
        <>
            <p>
                {_("With several uplinks answers leave where the question came in, and what a guest begins leaves by that of its public address.")}
            </p>
            {[...uplinks].sort().map(uplink => {
                const { gateway4 = "", gateway6 = "" } = gateways[uplink] ?? {};
                const change = (typed: Gateways[string]) => onChange({ ...gateways, [uplink]: typed });
                const common = { uplink, snapshot, planned };
                return (
                    <fieldset className="kt-fieldset" key={uplink}>
                        <legend>{format(_("Uplink $0"), uplink)}</legend>
                        <GatewayField {...common} family={4} value={gateway4} onChange={text => change({ gateway4: text, gateway6 })} />
                        <GatewayField {...common} family={6} value={gateway6} onChange={text => change({ gateway4, gateway6: text })} />
                    </fieldset>
                );
            })}
        </>
    );
}
