// SPDX-License-Identifier: LGPL-2.1-or-later
// What the kernel announces to nobody is read when a form opens: the page puts the host's watch here.
import { createContext, useContext, useEffect } from "react";

export const LookContext = createContext<() => void>(() => undefined);

/** Has the host looked at once, when the component appears. */
export function useLook() {
    const look = useContext(LookContext);
    useEffect(() => look(), [look]);
}
