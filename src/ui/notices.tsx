// SPDX-License-Identifier: LGPL-2.1-or-later
// What concerns the whole page: access, streams that ended. Above all else, and gone by itself when it is over.
import type { Snapshot, StreamName } from "../model/snapshot.ts";
import { accessExplained, useAccess } from "./access.tsx";
import { Alert, AlertActionLink } from "./alert.tsx";
import { Unreadable, Words } from "./states.tsx";
import { _ } from "./translate.ts";

export function AccessNotice() {
    return useAccess() === "missing"
        ? (
            <Alert variant="info" isInline title={_("Limited access: you can look, but not change anything")}>
                {accessExplained()} {_("Some of what this page shows cannot be read without it, either.")}
            </Alert>
        )
        : null;
}

function streamSays(name: StreamName): string {
    switch (name) {
    case "libvirt": return _("Changes of guests are not seen at once: the connection to libvirt ended.");
    case "network": return _("Changes of devices, addresses and routes are not seen at once: \"ip monitor\" ended.");
    case "nat": return _("Changes of the 1:1 NAT are not seen at once: \"nft monitor\" ended.");
    case "history": return _("New events are not seen at once: the journal is not followed any more.");
    }
}

/** Parts that no page stands or falls with: what is told without them is less, so that is said above it. */
export function UnreadNotices({ snapshot: { links, addresses, routes, rules } }: { snapshot: Snapshot }) {
    if (links.state !== "read")
        return null;
    const failed = [addresses, routes, rules].filter(part => part.state === "failed");
    return failed.map(({ says, words }) => <Unreadable key={says.id} says={says} words={words} />);
}

/** Parts whose reading failed say so themselves where they stand; here is what was read and now ages. */
export function StreamNotices({ snapshot, retry }: { snapshot: Snapshot; retry(): void }) {
    const parts = { libvirt: snapshot.guests, network: snapshot.links, nat: snapshot.natTable, history: snapshot.history };
    const names: readonly StreamName[] = ["libvirt", "network", "nat", "history"];
    return names.map(name => {
        const stream = snapshot.streams[name];
        if (stream.state === "live" || parts[name].state !== "read")
            return null;
        return (
            <Alert
                key={name} variant="warning" isInline title={streamSays(name)}
                actionLinks={stream.again ? undefined : <AlertActionLink onClick={retry}>{_("Try again")}</AlertActionLink>}
            >
                {stream.again && _("It is started again by itself.")}
                <Words>{stream.words}</Words>
            </Alert>
        );
    });
}
