// SPDX-License-Identifier: LGPL-2.1-or-later
// The connections of all mappings, looked at again and again while the page is on the screen: the kernel tells their changes only one
// by one, which on a busy host is a flood that no page should be under.
import { useEffect, useRef, useState } from "react";
import { translatedConnections } from "../../host/conntrack.ts";
import type { Machine } from "../../host/run.ts";
import { currentState, natReading } from "../../model/nat-reading.ts";
import { look, type Watched } from "../../model/nat-seen.ts";
import { mappingKey, setsOf, type Mapping } from "../../model/nat.ts";
import { formatPrefix } from "../../model/nat-address.ts";
import type { Reading, Snapshot } from "../../model/snapshot.ts";
import { useSnapshot } from "../../ui/snapshot-context.ts";

const FAMILIES = [4, 6] as const;
/** The shortest pause between two looks, in milliseconds. */
const PAUSE = 5000;
/** A look is followed by a pause so many times as long: it takes 5 % of the time at most. */
const SHARE = 20;

/** What was seen goes on when one looks at another page and comes back. */
const seen = new WeakMap<Machine, Watched>();

/** Mappings, and the connections that the table counted for each, in and out. */
function countersOf(snapshot: Snapshot): { mappings: readonly Mapping[]; counted: ReadonlyMap<string, number> } {
    const reading = natReading(snapshot);
    if (reading.state !== "read")
        return { mappings: [], counted: new Map() };
    const { running } = reading.value;
    const { mappings } = currentState(reading.value);
    const counted = new Map(mappings.flatMap((mapping): [string, number][] => {
        const sets = setsOf(mapping.public);
        const into = running?.hits.get(sets.public)?.get(mappingKey(mapping));
        const out = running?.hits.get(sets.guest)?.get(formatPrefix(mapping.guest));
        return into && out ? [[mappingKey(mapping), into.packets + out.packets]] : [];
    }));
    return { mappings, counted };
}

export function useUse(machine: Machine): Reading<Watched> {
    const snapshot = useSnapshot();
    const latest = useRef(snapshot);
    useEffect(() => { latest.current = snapshot; });
    const [use, setUse] = useState<Reading<Watched>>(() => {
        const before = seen.get(machine);
        return before ? { state: "read", value: before } : { state: "reading" };
    });
    const { mappings } = countersOf(snapshot);
    const families = FAMILIES.filter(family => mappings.some(({ public: outside }) => outside.family === family)).join("");
    useEffect(() => {
        let timer = 0;
        let ended = families === "";
        // What happened while nobody looked has no time.
        let continues = false;
        // The page may be hidden and shown again during a look: the later one goes on.
        let looks = 0;
        const again = async () => {
            if (ended || cockpit.hidden)
                return;
            const mine = ++looks;
            const began = performance.now();
            const connections = await translatedConnections(machine, FAMILIES.filter(family => families.includes(String(family))));
            if (ended || mine !== looks)
                return;
            if (connections.state !== "read") {
                setUse(connections);
                return;
            }
            const now = countersOf(latest.current);
            const watched = look(seen.get(machine), { ...now, connections: connections.value, now: Date.now(), continues });
            continues = true;
            seen.set(machine, watched);
            setUse({ state: "read", value: watched });
            timer = window.setTimeout(() => void again(), Math.max(PAUSE, SHARE * (performance.now() - began)));
        };
        const changed = () => {
            window.clearTimeout(timer);
            continues &&= !cockpit.hidden;
            void again();
        };
        cockpit.addEventListener("visibilitychange", changed);
        void again();
        return () => {
            ended = true;
            window.clearTimeout(timer);
            cockpit.removeEventListener("visibilitychange", changed);
        };
    }, [machine, families, snapshot.access]);
    return use;
}
