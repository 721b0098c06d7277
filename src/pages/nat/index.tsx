// SPDX-License-Identifier: LGPL-2.1-or-later
// The 1:1 NAT of the host.
import { useMemo, useState } from "react";
import { formatPrefix } from "../../model/nat-address.ts";
import { currentState, natReading } from "../../model/nat-reading.ts";
import { mappingKey, type Mapping } from "../../model/nat.ts";
import type { Reading } from "../../model/snapshot.ts";
import { DataTable } from "../../ui/data-table.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Empty } from "../../ui/states.tsx";
import type { Column } from "../../ui/table-model.ts";
import { _ } from "../../ui/translate.ts";

const columns = (): readonly Column<Mapping>[] => [
    { key: "public", title: _("Public address"), cell: mapping => formatPrefix(mapping.public), sort: mapping => formatPrefix(mapping.public) },
    { key: "guest", title: _("Guest address"), cell: mapping => formatPrefix(mapping.guest), sort: mapping => formatPrefix(mapping.guest) },
];

export function NatPage() {
    const { natTable, files } = useSnapshot();
    const rows = useMemo((): Reading<readonly Mapping[]> => {
        const reading = natReading({ natTable, files });
        return reading.state === "read" ? { state: "read", value: currentState(reading.value).mappings } : reading;
    }, [natTable, files]);
    const [shown] = useState(columns);
    return (
        <section className="kt-card kt-table-card">
            <DataTable
                place="nat" label={_("1:1 NAT")} rows={rows} columns={shown} sortBy="public" keyOf={mappingKey} nameOf={mappingKey} textOf={mappingKey}
                empty={<Empty title={_("No public addresses are mapped")} />}
            />
        </section>
    );
}
