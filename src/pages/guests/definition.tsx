// SPDX-License-Identifier: LGPL-2.1-or-later
// The `<interface>` as configured, as it runs, and how the two differ.
import { useId, useState } from "react";
import type { InterfacePair } from "../../model/guest.ts";
import { Code } from "../../ui/copy.tsx";
import { Difference } from "../../ui/difference.tsx";
import { outdented } from "../../ui/shell-words.ts";
import { _ } from "../../ui/translate.ts";

type View = "configured" | "live" | "difference";

function views({ live, configured }: InterfacePair): readonly { view: View; title: string }[] {
    return [
        ...configured ? [{ view: "configured" as const, title: _("Configured") }] : [],
        ...live ? [{ view: "live" as const, title: _("Running") }] : [],
        ...live && configured ? [{ view: "difference" as const, title: _("Difference") }] : [],
    ];
}

export function DefinitionView({ pair }: { pair: InterfacePair }) {
    const all = views(pair);
    const [wish, setWish] = useState<View>();
    const chosen = all.find(({ view }) => view === wish) ?? all[0];
    const id = useId();
    const { live, configured } = pair;
    return (
        <section className="kt-section" aria-label={_("Definition")}>
            <h3>{_("Definition")}</h3>
            <div className="kt-switch" role="tablist" aria-label={_("Definition")}>
                {all.map(({ view, title }) => (
                    <button
                        key={view} type="button" role="tab" aria-selected={view === chosen?.view} aria-controls={id} id={`${id}-${view}`}
                        onClick={() => setWish(view)}
                    >
                        {title}
                    </button>
                ))}
            </div>
            <div id={id} role="tabpanel" aria-labelledby={`${id}-${chosen?.view ?? ""}`}>
                {chosen?.view === "configured" && configured && <Code text={outdented(configured.xml)} label={chosen.title} />}
                {chosen?.view === "live" && live && <Code text={outdented(live.xml)} label={chosen.title} />}
                {chosen?.view === "difference" && live && configured && (
                    <Difference before={configured.xml} after={live.xml} label={chosen.title} />
                )}
            </div>
        </section>
    );
}
