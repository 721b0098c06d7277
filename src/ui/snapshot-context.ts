// SPDX-License-Identifier: LGPL-2.1-or-later
// The host as it was read last, for dialogs and details; tables get rows derived from it.
import { createContext, useContext } from "react";
import type { Snapshot } from "../model/snapshot.ts";

export const SnapshotContext = createContext<Snapshot | undefined>(undefined);

export function useSnapshot(): Snapshot {
    const snapshot = useContext(SnapshotContext);
    if (snapshot === undefined)
        throw new Error("useSnapshot outside of the page");
    return snapshot;
}
