// SPDX-License-Identifier: LGPL-2.1-or-later
import { useEffect, useState } from "react";

/** True once `waiting` has lasted for 200 ms: what comes faster needs no sign of waiting, and flicker would be worse. */
export function useSlow(waiting: boolean, milliseconds = 200): boolean {
    const [slow, setSlow] = useState(false);
    useEffect(() => {
        if (!waiting)
            return undefined;
        const timer = window.setTimeout(() => setSlow(true), milliseconds);
        return () => {
            window.clearTimeout(timer);
            setSlow(false);
        };
    }, [waiting, milliseconds]);
    return waiting && slow;
}

/** Calls back on a key pressed outside of any input, such as `/` for the search. */
export function useShortcut(key: string, pressed: () => void) {
    useEffect(() => {
        const listen = (event: KeyboardEvent) => {
            const inInput = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, [role=dialog]") !== null;
            if (event.key !== key || inInput || event.ctrlKey || event.altKey || event.metaKey)
                return;
            event.preventDefault();
            pressed();
        };
        document.addEventListener("keydown", listen);
        return () => document.removeEventListener("keydown", listen);
    }, [key, pressed]);
}
