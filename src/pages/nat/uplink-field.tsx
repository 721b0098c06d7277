// SPDX-License-Identifier: LGPL-2.1-or-later
// With several uplinks: by which one a mapping's own connections leave. Nothing to choose where the address is in the network of one.
import { uplinkOf } from "../../actions/nat-ways.ts";
import type { Mapping, NatState } from "../../model/nat.ts";
import { parsePrefix } from "../../model/nat-address.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { SelectField } from "../../ui/fields.tsx";
import { _ } from "../../ui/translate.ts";

/** The name of the uplink that a mapping has chosen; empty for the default route. */
export function chosenUplink(state: NatState, mapping: Mapping | undefined): string {
    return state.ways?.find(({ number }) => number === mapping?.way)?.uplink ?? "";
}

export function UplinkField({ snapshot, state, address, value, onChange }: {
    snapshot: Snapshot; state: NatState; address: string; value: string; onChange(uplink: string): void;
}) {
    const names = (state.ways ?? []).map(({ uplink }) => uplink);
    const prefix = parsePrefix(address);
    if (names.length === 0 || (prefix && uplinkOf(snapshot, prefix, names) !== undefined))
        return null;
    return (
        <SelectField
            label={_("What the guest begins leaves by")} field="uplink" value={value} onChange={onChange}
            choices={[{ value: "", label: _("the default route") }, ...names.map(name => ({ value: name, label: name }))]}
            help={_("Answers always leave by the uplink that the question came in by.")}
        />
    );
}
