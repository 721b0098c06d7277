// SPDX-License-Identifier: LGPL-2.1-or-later
// The life of a guest as a drawing: states as boxes, events as lines between them, each with what happens to the device.
// Every event is a button that tells its reason; the same stands below as a table, which narrow screens show alone.
import { useId, useState } from "react";
import type { Fate, LifecycleEvent } from "../../model/fate.ts";
import { eventSays, eventWord, outcomeKind, outcomeWord } from "../../ui/fate-words.ts";
import { Status, StatusIcon } from "../../ui/status.tsx";
import { _, format, translate } from "../../ui/translate.ts";

type Fates = ReadonlyMap<LifecycleEvent, Fate>;

/** Where an event's chip stands (its middle), and the line through it. The drawing is 960 × 320. */
const edges: readonly { event: LifecycleEvent; x: number; y: number; line: string }[] = [
    { event: "start", x: 290, y: 92, line: "M150 138 C180 138 175 92 205 92 H375 C405 92 405 138 436 138" },
    { event: "failed-start", x: 90, y: 262, line: "M70 182 V246 M110 246 V186" },
    { event: "shutdown", x: 290, y: 170, line: "M440 154 C410 154 405 170 375 170 H205 C180 170 178 152 154 152" },
    { event: "destroy", x: 290, y: 204, line: "M440 158 C405 158 405 204 375 204 H205 C178 204 180 158 154 158" },
    { event: "crash", x: 290, y: 238, line: "M440 162 C402 162 405 238 375 238 H205 C176 238 180 164 154 164" },
    { event: "daemon-start-after-crash", x: 290, y: 272, line: "M440 166 C398 166 405 272 375 272 H205 C174 272 178 170 154 170" },
    { event: "reboot", x: 410, y: 24, line: "" },
    { event: "snapshot-revert", x: 410, y: 58, line: "" },
    { event: "reset", x: 590, y: 24, line: "" },
    { event: "daemon-restart", x: 590, y: 58, line: "" },
    { event: "hot-plug", x: 500, y: 238, line: "" },
    { event: "hot-unplug", x: 500, y: 272, line: "" },
    { event: "save", x: 690, y: 102, line: "M560 138 C595 138 590 102 610 102 H770 C800 102 800 92 826 92" },
    { event: "migrate-out", x: 690, y: 204, line: "M560 158 C595 158 590 204 610 204 H770 C800 204 800 212 826 212" },
    { event: "migrate-in", x: 690, y: 238, line: "M830 228 C805 228 800 238 770 238 H610 C588 238 592 166 564 166" },
];

/** What happens to a running guest that goes on running: out of its box and back, past the events of both groups. */
const loops = ["M485 122 C485 96 410 104 410 74 M490 41 H510 M590 74 C590 104 515 96 515 118", "M480 182 V222 M520 222 V186"];

const width = 160;

function Box({ x, y, words, active }: { x: number; y: number; words: string; active: boolean }) {
    return (
        <g className={`kt-life-box ${active ? "kt-life-active" : ""}`}>
            <rect x={x - 60} y={y - 30} width="120" height="60" rx="8" />
            <text x={x} y={y + 5} textAnchor="middle">{words}</text>
        </g>
    );
}

function Chip({ edge, fate, chosen, choose }: { edge: typeof edges[number]; fate: Fate; chosen: boolean; choose(): void }) {
    const kind = outcomeKind(fate.outcome);
    const words = eventWord(edge.event);
    return (
        <g
            className={`kt-life-chip kt-${kind} ${chosen ? "kt-life-chosen" : ""}`} role="button" tabIndex={0} aria-pressed={chosen}
            aria-label={format(_("$0: the device is $1"), words, outcomeWord(fate.outcome))}
            onClick={choose} onFocus={choose} onKeyDown={event => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); } }}
        >
            <rect x={edge.x - width / 2} y={edge.y - 14} width={width} height="28" rx="14" />
            <svg x={edge.x - width / 2 + 9} y={edge.y - 8} width="16" height="16" fontSize="14"><StatusIcon kind={kind} /></svg>
            <text x={edge.x - width / 2 + 30} y={edge.y + 4.5}>{words}</text>
        </g>
    );
}

function Drawing({ fates, running, chosen, choose }: {
    fates: Fates; running: boolean; chosen: LifecycleEvent; choose(event: LifecycleEvent): void;
}) {
    const arrow = useId();
    const drawn = edges.flatMap(edge => {
        const fate = fates.get(edge.event);
        return fate ? [{ edge, fate }] : [];
    });
    return (
        <svg viewBox="0 0 960 300" className="kt-life" role="group" aria-label={_("Life cycle of the guest")}>
            <defs>
                <marker id={arrow} viewBox="0 0 8 8" refX="6" refY="4" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="9" orient="auto">
                    <path d="M0 0 L8 4 L0 8 Z" className="kt-life-arrow" />
                </marker>
            </defs>
            {loops.map(line => <path key={line} d={line} className="kt-life-line kt-unknown" markerEnd={`url(#${arrow})`} />)}
            {drawn.filter(({ edge }) => edge.line !== "").map(({ edge, fate }) => (
                <path
                    key={edge.event} d={edge.line} markerEnd={`url(#${arrow})`}
                    className={`kt-life-line kt-${outcomeKind(fate.outcome)} ${chosen === edge.event ? "kt-life-chosen" : ""}`}
                />
            ))}
            <Box x={90} y={152} words={_("off")} active={!running} />
            <Box x={500} y={152} words={_("running")} active={running} />
            <Box x={890} y={92} words={_("saved")} active={false} />
            <Box x={890} y={220} words={_("other host")} active={false} />
            {drawn.map(({ edge, fate }) => (
                <Chip key={edge.event} edge={edge} fate={fate} chosen={chosen === edge.event} choose={() => choose(edge.event)} />
            ))}
        </svg>
    );
}

function FateTable({ fates }: { fates: Fates }) {
    return (
        <table className="kt-plain-table">
            <thead><tr><th scope="col">{_("Event")}</th><th scope="col">{_("Device")}</th><th scope="col">{_("Why")}</th></tr></thead>
            <tbody>
                {[...fates].map(([event, fate]) => (
                    <tr key={event}>
                        <th scope="row" title={eventSays(event)}>{eventWord(event)}</th>
                        <td><Status kind={outcomeKind(fate.outcome)}>{outcomeWord(fate.outcome)}</Status></td>
                        <td>{translate(fate.because)}{fate.source !== "" && <span className="kt-source" dir="ltr"> {fate.source}</span>}</td>
                    </tr>
                ))}
            </tbody>
        </table>
    );
}

/** The event to tell of first: the worst, in the order of a guest's life. */
function worst(fates: Fates): LifecycleEvent {
    const order = ["danger", "warning", "unknown"];
    for (const kind of order) {
        const found = [...fates].find(([, fate]) => outcomeKind(fate.outcome) === kind);
        if (found)
            return found[0];
    }
    return "shutdown";
}

export function Lifecycle({ fates, running }: { fates: Fates; running: boolean }) {
    const [wish, setWish] = useState<LifecycleEvent>();
    const [narrow] = useState(() => window.innerWidth < 768); // 48rem, below which page.css leaves the drawing out
    const chosen = wish !== undefined && fates.has(wish) ? wish : worst(fates);
    const fate = fates.get(chosen);
    return (
        <section className="kt-section" aria-label={_("Life cycle")}>
            <h3>{_("Life cycle")}</h3>
            <div className="kt-life-frame">
                <Drawing fates={fates} running={running} chosen={chosen} choose={setWish} />
                {fate && (
                    <p className="kt-life-reason" aria-live="polite">
                        <Status kind={outcomeKind(fate.outcome)}><strong>{eventWord(chosen)}: {outcomeWord(fate.outcome)}.</strong></Status>{" "}
                        {eventSays(chosen)} {translate(fate.because)}{" "}
                        {fate.source !== "" && <span className="kt-source">{_("Source:")} <span dir="ltr">{fate.source}</span></span>}
                    </p>
                )}
            </div>
            <details className="kt-life-table" open={narrow}><summary>{_("As a table")}</summary><FateTable fates={fates} /></details>
        </section>
    );
}
