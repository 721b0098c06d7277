// SPDX-License-Identifier: LGPL-2.1-or-later
// Text to take along: a command, an address, the configuration for the inside of a guest.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import CheckIcon from "@patternfly/react-icons/dist/dynamic/icons/check-icon";
import CopyIcon from "@patternfly/react-icons/dist/dynamic/icons/copy-icon";
import { useEffect, useState } from "react";
import { _ } from "./translate.ts";

/** navigator.clipboard exists on https and localhost only, and Cockpit may be served without: then the old way. */
async function copy(text: string): Promise<boolean> {
    try {
        await navigator.clipboard.writeText(text);
        return true;
    } catch {
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        const done = document.execCommand("copy");
        area.remove();
        return done;
    }
}

export function CopyButton({ text, label }: { text: string; label?: string }) {
    const [result, setResult] = useState<"copied" | "failed">();
    useEffect(() => {
        const timer = window.setTimeout(() => setResult(undefined), 2000);
        return () => window.clearTimeout(timer);
    }, [result]);
    const says = result === "copied" ? _("Copied") : result === "failed" ? _("Not copied: select the text and copy it by hand") : label ?? _("Copy");
    return (
        <Button
            variant="plain" size="sm" className="kt-copy" aria-label={says} title={says}
            icon={result === "copied" ? <CheckIcon /> : <CopyIcon />}
            onClick={() => void copy(text).then(done => setResult(done ? "copied" : "failed"))}
        />
    );
}

/** A block of code with its copy button; code reads left to right in every language. */
export function Code({ text, label }: { text: string; label?: string }) {
    return (
        <div className="kt-code" dir="ltr">
            {/* A scrolling block must be reachable by keyboard (axe: scrollable-region-focusable). */}
            {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
            <pre tabIndex={0} role="group" aria-label={label ?? _("Text")}>{text}</pre>
            <CopyButton text={text} />
        </div>
    );
}
