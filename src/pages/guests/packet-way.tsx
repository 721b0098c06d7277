// SPDX-License-Identifier: LGPL-2.1-or-later
// The way of a packet, drawn as a list of hops with their states: a list, so that it reads the same aloud.
import { wayOf, type Hop } from "../../model/packet-way.ts";
import type { Subject } from "../../model/glance.ts";
import { useSnapshot } from "../../ui/snapshot-context.ts";
import { StatusIcon, type StatusKind } from "../../ui/status.tsx";
import { _, translate } from "../../ui/translate.ts";

const kinds: Record<Hop["state"], StatusKind> = { ok: "success", bad: "danger", none: "info", unknown: "unknown" };

function hopTitle(kind: Hop["kind"]): string {
    switch (kind) {
    case "internet": return _("Internet");
    case "uplink": return _("Uplink");
    case "public": return _("Public address");
    case "guest-address": return _("Guest address");
    case "device": return _("TAP device");
    case "guest": return _("Guest");
    }
}

function HopBox({ hop }: { hop: Hop }) {
    return (
        <li className={`kt-hop kt-hop-${hop.state}`}>
            <span className="kt-subtle">{hopTitle(hop.kind)}</span>
            <span className="kt-hop-name">
                {hop.kind !== "internet" && <StatusIcon kind={kinds[hop.state]} />}
                {hop.kind === "internet" ? _("any address") : <span className="kt-mono" dir="ltr">{hop.name || "–"}</span>}
            </span>
            {hop.kind !== "internet" && <span className="kt-hop-says">{translate(hop.says)}</span>}
        </li>
    );
}

export function PacketWay({ subject, address }: { subject: Subject; address: string | undefined }) {
    const snapshot = useSnapshot();
    return (
        <section className="kt-section" aria-label={_("Way of a packet")}>
            <h3>{_("Way of a packet")}</h3>
            <ol className="kt-way">
                {wayOf(subject, snapshot, address).map(hop => <HopBox key={hop.kind} hop={hop} />)}
            </ol>
        </section>
    );
}
