// SPDX-License-Identifier: LGPL-2.1-or-later
// All TAP devices of the host.
import { useMemo, useState } from "react";
import type { Reading } from "../../model/snapshot.ts";
import { isTap, type TapDevice } from "../../model/tap.ts";
import { DataTable } from "../../ui/data-table.tsx";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { Empty } from "../../ui/states.tsx";
import type { Column } from "../../ui/table-model.ts";
import { _ } from "../../ui/translate.ts";

const columns = (): readonly Column<TapDevice>[] => [
    { key: "device", title: _("TAP device"), cell: link => <span className="kt-mono" dir="ltr">{link.name}</span>, sort: link => link.name },
    { key: "state", title: _("State"), cell: link => link.up ? _("up") : _("down") },
    { key: "persistent", title: _("Persistent"), cell: link => link.tun.persistent ? _("yes") : _("no") },
];

const keyOf = (link: TapDevice) => link.name;

export function TapsPage() {
    const { links } = useSnapshot();
    const rows = useMemo((): Reading<readonly TapDevice[]> =>
        links.state === "read" ? { state: "read", value: links.value.filter(isTap) } : links, [links]);
    const [shown] = useState(columns);
    return (
        <section className="kt-card kt-table-card">
            <DataTable
                place="taps" label={_("TAP devices")} rows={rows} columns={shown} sortBy="device" keyOf={keyOf} nameOf={keyOf} textOf={keyOf}
                empty={<Empty title={_("No TAP devices on this host")} />}
            />
        </section>
    );
}
