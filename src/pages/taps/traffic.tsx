// SPDX-License-Identifier: LGPL-2.1-or-later
// Traffic of the last minute: the kernel tells counters only, so rates come from what was read while the page is on the screen.
import { createContext, useContext, useEffect, useState, useSyncExternalStore } from "react";
import type { Reading } from "../../model/snapshot.ts";
import type { Link } from "../../model/tap.ts";
import { _, format } from "../../ui/translate.ts";
import { formatBytes, formatRate } from "../../ui/units.ts";

export interface Sample {
    time: number;
    /** Bytes to the guest and from it: what the host sends into a TAP device, the guest receives. */
    toGuest: number;
    fromGuest: number;
}

const MINUTE = 60_000;

/** The counters of each device in the last minute. */
export class TrafficStore {
    #samples = new Map<string, readonly Sample[]>();
    #listeners = new Set<() => void>();

    /** Takes what was read at `now`; readings closer than half a second apart tell no rate. */
    add(links: readonly Link[], now: number): void {
        const before = this.#samples;
        const samples = new Map<string, readonly Sample[]>();
        for (const { name, traffic } of links) {
            const old = before.get(name) ?? [];
            const last = old.at(-1);
            const kept = old.filter(({ time }) => now - time <= MINUTE);
            const skip = !traffic || (last && now - last.time < 500);
            samples.set(name, skip ? old : [...kept, { time: now, toGuest: traffic.txBytes, fromGuest: traffic.rxBytes }]);
        }
        this.#samples = samples;
        for (const listener of this.#listeners)
            listener();
    }

    of(name: string): readonly Sample[] | undefined {
        return this.#samples.get(name);
    }

    subscribe = (listener: () => void) => {
        this.#listeners.add(listener);
        return () => { this.#listeners.delete(listener); };
    };
}

/** Bytes per second between each two samples. A counter that went back belongs to a new device. */
export function ratesOf(samples: readonly Sample[]): { toGuest: number; fromGuest: number; time: number }[] {
    return samples.slice(1).flatMap((sample, index) => {
        const before = samples[index];
        if (!before || sample.toGuest < before.toGuest || sample.fromGuest < before.fromGuest)
            return [];
        const seconds = (sample.time - before.time) / 1000;
        const rate = (key: "toGuest" | "fromGuest") => (sample[key] - before[key]) / seconds;
        return [{ time: sample.time, toGuest: rate("toGuest"), fromGuest: rate("fromGuest") }];
    });
}

export const TrafficContext = createContext(new TrafficStore());

function useSamples(name: string): readonly Sample[] {
    const store = useContext(TrafficContext);
    return useSyncExternalStore(store.subscribe, () => store.of(name)) ?? [];
}

/** Bytes per second now; undefined where fewer than two readings tell. */
export function useRate(name: string): { toGuest: number; fromGuest: number } | undefined {
    return ratesOf(useSamples(name).slice(-2)).at(-1);
}

/** Collects what was read of the links while the page is there. */
export function useTraffic(links: Reading<readonly Link[]>): TrafficStore {
    const [traffic] = useState(() => new TrafficStore());
    useEffect(() => {
        if (links.state === "read")
            traffic.add(links.value, Date.now());
    }, [links, traffic]);
    return traffic;
}

const WIDTH = 96;
const HEIGHT = 22;

/** The sum of both directions as a small plot; the numbers beside it say the same to those who do not see it. */
function Plot({ rates }: { rates: ReturnType<typeof ratesOf> }) {
    const sums = rates.map(({ toGuest, fromGuest }) => toGuest + fromGuest);
    const most = Math.max(...sums, 1);
    const end = rates.at(-1)?.time ?? 0;
    const points = rates.map(({ time }, index) => {
        const x = WIDTH - (end - time) / MINUTE * WIDTH;
        return `${x.toFixed(1)},${(HEIGHT - 1 - (sums[index] ?? 0) / most * (HEIGHT - 2)).toFixed(1)}`;
    });
    return (
        <svg className="kt-plot" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT} aria-hidden>
            <polyline points={points.join(" ")} />
        </svg>
    );
}

export function TrafficCell({ name }: { name: string }) {
    const rates = ratesOf(useSamples(name));
    const now = rates.at(-1);
    if (!now)
        return <span className="kt-subtle">–</span>;
    return (
        <div className="kt-lines">
            <Plot rates={rates} />
            <span className="kt-subtle kt-nowrap" title={_("to the guest")}>{format(_("in $0"), formatRate(now.toGuest))}</span>
            <span className="kt-subtle kt-nowrap" title={_("from the guest")}>{format(_("out $0"), formatRate(now.fromGuest))}</span>
        </div>
    );
}

/** All bytes since the device was made. */
export function TrafficTotals({ link }: { link: Link }) {
    return link.traffic
        ? <>{format(_("$0 to the guest, $1 from it"), formatBytes(link.traffic.txBytes), formatBytes(link.traffic.rxBytes))}</>
        : <>{_("not read")}</>;
}
