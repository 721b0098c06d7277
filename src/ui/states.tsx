// SPDX-License-Identifier: LGPL-2.1-or-later
// What stands where there is nothing to show: loading, empty, failed. Each says what to do next.
import { EmptyState, EmptyStateActions, EmptyStateBody, EmptyStateFooter } from "@patternfly/react-core/dist/dynamic/components/EmptyState";
import { Skeleton } from "@patternfly/react-core/dist/dynamic/components/Skeleton";
import { createContext, useContext, type ReactNode } from "react";
import type { Message } from "../model/message.ts";
import type { Reading } from "../model/snapshot.ts";
import { Alert, AlertActionLink } from "./alert.tsx";
import { useSlow } from "./hooks.ts";
import { _, translate } from "./translate.ts";

/** Nothing here: what it would be, and how to get the first one. */
export function Empty({ title, children, actions }: { title: string; children?: ReactNode; actions?: ReactNode }) {
    return (
        <EmptyState titleText={title} headingLevel="h2" variant="sm">
            {children !== undefined && <EmptyStateBody>{children}</EmptyStateBody>}
            {actions !== undefined && <EmptyStateFooter><EmptyStateActions>{actions}</EmptyStateActions></EmptyStateFooter>}
        </EmptyState>
    );
}

/** Nothing for 200 ms, then lines where the data will stand. */
export function Loading({ lines = 5 }: { lines?: number }) {
    const slow = useSlow(true);
    return (
        <div className="kt-loading" aria-busy="true" aria-live="polite">
            {slow && <span className="kt-sr-only">{_("Reading the host")}</span>}
            {slow && Array.from({ length: lines }, (_unused, line) => <Skeleton key={line} height="1.25rem" />)}
        </div>
    );
}

/** A tool's own words, as it wrote them. */
export function Words({ children }: { children: string }) {
    return children.trim() === "" ? null : <pre className="kt-words" dir="ltr">{children.trim()}</pre>;
}

/** Reads the host again, after something could not be read; the page puts it here. */
export const RetryContext = createContext<() => void>(() => undefined);

/** Our sentence, with the tool's own words under it. */
export function Failure({ title, words, children, actions }: {
    title: string; words?: string | undefined; children?: ReactNode; actions?: ReactNode;
}) {
    return (
        <Alert variant="danger" isInline title={title} actionLinks={actions}>
            {children}
            {words !== undefined && <Words>{words}</Words>}
        </Alert>
    );
}

/** A part of the host that could not be read: why, and [Try again]. */
export function Unreadable({ says, words, actions }: { says: Message; words: string; actions?: ReactNode }) {
    const retry = useContext(RetryContext);
    return (
        <Failure
            title={translate(says)} words={words}
            actions={<>{actions}<AlertActionLink onClick={retry}>{_("Try again")}</AlertActionLink></>}
        />
    );
}

/** A part of the host as far as it has been read. */
export function Read<T>({ reading, children, lines = 3 }: { reading: Reading<T>; children: (value: T) => ReactNode; lines?: number }) {
    switch (reading.state) {
    case "reading": return <Loading lines={lines} />;
    case "failed": return <Unreadable says={reading.says} words={reading.words} />;
    case "read": return children(reading.value);
    }
}
