// SPDX-License-Identifier: LGPL-2.1-or-later
// Whether somebody else's rule uses a public address already: a DNAT rule, a published port of a container.
import { useEffect, useState } from "react";
import { readSide } from "../../actions/nat-conflicts.ts";
import { readFirewalls, type Firewalls } from "../../host/firewall.ts";
import type { Machine } from "../../host/run.ts";
import { conflictFindings } from "../../model/nat-works.ts";
import type { Snapshot } from "../../model/snapshot.ts";
import { Status } from "../../ui/status.tsx";
import { translate } from "../../ui/translate.ts";

/** Says so under the field; nothing where nobody does. Read once, when the dialog opens. */
export function ForeignUse({ text, snapshot, uplinks, machine }: {
    text: string; snapshot: Snapshot; uplinks: readonly string[]; machine: Machine;
}) {
    const [found, setFound] = useState<Firewalls>();
    useEffect(() => {
        let stale = false;
        void readFirewalls(machine).then(now => { if (!stale) setFound(now); });
        return () => { stale = true; };
    }, [machine]);
    const side = readSide("public", text);
    if (!found || !("prefix" in side))
        return null;
    const said = [...found.unread, ...conflictFindings(snapshot, side.prefix, uplinks, found).map(({ says }) => says)];
    return said.map(says => <Status key={translate(says)} kind="warning">{translate(says)}</Status>);
}
