// SPDX-License-Identifier: LGPL-2.1-or-later
// The frame of the page: tabs, versions, and what concerns all of it. `App` connects it to the host, `Page` draws it.
import { Alert } from "@patternfly/react-core/dist/dynamic/components/Alert";
import type { ReactNode } from "react";
import { NOTHING_READ, type Libvirt, type Reading, type Snapshot } from "./model/snapshot.ts";
import { AccessContext, accessExplained, useAccess, useCockpitAccess, type Access } from "./ui/access.tsx";
import { ExecuteContext, type Execute } from "./ui/executor.ts";
import { hrefTo, useLocation } from "./ui/location.ts";
import { SnapshotContext } from "./ui/snapshot-context.ts";
import { Toasts } from "./ui/toasts.tsx";
import { _, format } from "./ui/translate.ts";

interface Tab {
    place: string;
    title: string;
    content: ReactNode;
}

function tabs(): readonly Tab[] {
    return [
        { place: "guests", title: _("Guests"), content: null },
        { place: "taps", title: _("TAP devices"), content: null },
        { place: "nat", title: _("1:1 NAT"), content: null },
        { place: "host", title: _("Host"), content: null },
    ];
}

function Versions({ libvirt }: { libvirt: Reading<Libvirt> }) {
    if (libvirt.state !== "read")
        return null;
    const { version, driver, hypervisorVersion } = libvirt.value;
    return (
        <span className="kt-versions">
            {hypervisorVersion === undefined ? format("libvirt $0", version) : format("libvirt $0 · $1 $2", version, driver, hypervisorVersion)}
        </span>
    );
}

function Header({ all, current, libvirt }: { all: readonly Tab[]; current: Tab | undefined; libvirt: Reading<Libvirt> }) {
    return (
        <header className="kt-header">
            <h1>KVM TAP</h1>
            <nav aria-label={_("Pages")}>
                <ul className="kt-tabs">
                    {all.map(tab => (
                        <li key={tab.place}>
                            <a className="kt-tab" href={hrefTo([tab.place])} aria-current={tab === current ? "page" : undefined}>{tab.title}</a>
                        </li>
                    ))}
                </ul>
            </nav>
            <Versions libvirt={libvirt} />
        </header>
    );
}

function AccessNotice() {
    return useAccess() === "missing"
        ? (
            <Alert variant="info" isInline title={_("Limited access: you can look, but not change anything")}>
                {accessExplained()} {_("Some of what this page shows cannot be read without it, either.")}
            </Alert>
        )
        : null;
}

export interface PageProps {
    snapshot: Snapshot;
    access: Access;
    execute: Execute;
}

export function Page({ snapshot, access, execute }: PageProps) {
    const { path } = useLocation();
    const all = tabs();
    const current = all.find(tab => tab.place === (path[0] ?? "guests")) ?? all[0];
    return (
        <AccessContext value={access}>
            <ExecuteContext value={execute}>
                <SnapshotContext value={snapshot}>
                    <Toasts>
                        <Header all={all} current={current} libvirt={snapshot.libvirt} />
                        <main className="kt-main">
                            <AccessNotice />
                            {current?.content}
                        </main>
                    </Toasts>
                </SnapshotContext>
            </ExecuteContext>
        </AccessContext>
    );
}

export function App() {
    return <Page snapshot={NOTHING_READ} access={useCockpitAccess()} execute={() => Promise.reject(new Error("not yet"))} />;
}
