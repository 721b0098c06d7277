// SPDX-License-Identifier: LGPL-2.1-or-later
// How dialogs run plans, without knowing the machine: the page puts host/execute.ts here.
import { createContext, useContext } from "react";
import type { Execute } from "../model/executed.ts";

export const ExecuteContext = createContext<Execute>(() => Promise.reject(new Error("no executor")));

export function useExecute(): Execute {
    return useContext(ExecuteContext);
}
