// SPDX-License-Identifier: LGPL-2.1-or-later
// React takes everything off the screen when a component throws, unless a boundary stands above it (react.dev, getDerivedStateFromError).
//
//     <ErrorBoundary key={place}>{content}</ErrorBoundary>                     in place of what threw: its words, [Reload]
//     {open && <DialogBoundary onClose={close}><SomeDialog … /></DialogBoundary>}   the same as a dialog that can be closed
//
// Around the element of a dialog, not inside: a dialog plans before it draws its frame.
import { Button } from "@patternfly/react-core/dist/dynamic/components/Button";
import { ModalBody, ModalFooter, ModalHeader } from "@patternfly/react-core/dist/dynamic/components/Modal";
import { Component, type ReactNode } from "react";
import { AlertActionLink } from "./alert.tsx";
import { DialogFrame } from "./dialog-frame.tsx";
import { Failure, Words } from "./states.tsx";
import { _ } from "./translate.ts";

interface Caught {
    words?: string;
}

class Boundary extends Component<{ children: ReactNode; instead(words: string): ReactNode }, Caught> {
    override state: Caught = {};

    static getDerivedStateFromError(error: unknown): Caught {
        return { words: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
    }

    override render() {
        const { words } = this.state;
        return words === undefined ? this.props.children : this.props.instead(words);
    }
}

const reload = () => window.location.reload();

/** Around a part of the page. */
export function ErrorBoundary({ children }: { children: ReactNode }) {
    const instead = (words: string) => (
        <Failure title={_("This part of the page has a fault")} words={words} actions={<AlertActionLink onClick={reload}>{_("Reload")}</AlertActionLink>}>
            <p>{_("It could not show what it read of the host. Reload the page; if the fault stays, report it with these words.")}</p>
        </Failure>
    );
    return <Boundary instead={instead}>{children}</Boundary>;
}

/** Around a dialog. */
export function DialogBoundary({ children, onClose }: { children: ReactNode; onClose(): void }) {
    const instead = (words: string) => (
        <DialogFrame titleId="fault-title" size="small" onClose={onClose}>
            <ModalHeader title={_("This dialog has a fault")} labelId="fault-title" />
            <ModalBody>
                <p>{_("A change that was running goes on: wait until the page shows it before you reload. If the fault stays, report it with these words.")}</p>
                <Words>{words}</Words>
            </ModalBody>
            <ModalFooter><Button variant="secondary" onClick={reload}>{_("Reload")}</Button></ModalFooter>
        </DialogFrame>
    );
    return <Boundary instead={instead}>{children}</Boundary>;
}
