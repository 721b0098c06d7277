// SPDX-License-Identifier: LGPL-2.1-or-later
// The frame of the page: tabs, versions, and what concerns all of it. `App` connects it to the host, `Page` draws it.
import { useEffect, useState, useSyncExternalStore, type ReactNode } from "react";
import { machine as host } from "./host/cockpit.ts";
import { executor } from "./host/execute.ts";
import type { Machine } from "./host/run.ts";
import { watchHost, type Shown } from "./host/watch.ts";
import type { Execute } from "./model/executed.ts";
import { NOTHING_READ, type Libvirt, type Reading, type Snapshot } from "./model/snapshot.ts";
import { GuestsPage } from "./pages/guests/index.tsx";
import { HostPage } from "./pages/host/index.tsx";
import { ArmedChanges } from "./pages/nat/change-status.tsx";
import { NatPage } from "./pages/nat/index.tsx";
import { TapsPage } from "./pages/taps/index.tsx";
import { AccessContext } from "./ui/access.tsx";
import { ErrorBoundary } from "./ui/error-boundary.tsx";
import { hrefTo, useLocation } from "./ui/location.ts";
import { LookContext } from "./ui/look.ts";
import { AccessNotice, StreamNotices, UnreadNotices } from "./ui/notices.tsx";
import { SnapshotContext } from "./ui/snapshot-context.ts";
import { RetryContext } from "./ui/states.tsx";
import { Toasts } from "./ui/toasts.tsx";
import { _, format } from "./ui/translate.ts";

interface Tab {
    place: string;
    title: string;
    content: ReactNode;
    /** What has to be read again and again while this page is on the screen. */
    shows: Shown;
}

function tabs(): readonly Tab[] {
    return [
        { place: "guests", title: _("Guests"), content: <GuestsPage />, shows: { sysctls: true } },
        { place: "taps", title: _("TAP devices"), content: <TapsPage />, shows: { traffic: true, holders: true } },
        { place: "nat", title: _("1:1 NAT"), content: <NatPage />, shows: { traffic: true, hits: true, sysctls: true } },
        { place: "host", title: _("Host"), content: <HostPage />, shows: { sysctls: true } },
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
            <nav aria-label="KVM TAP">
                <ul className="kt-tabs">
                    {all.map(tab => (
                        <li key={tab.place}>
                            <a className="kt-tab" href={hrefTo([tab.place])} aria-current={tab.place === current?.place ? "page" : undefined}>{tab.title}</a>
                        </li>
                    ))}
                </ul>
            </nav>
            <Versions libvirt={libvirt} />
        </header>
    );
}

export interface PageProps {
    snapshot: Snapshot;
    execute: Execute;
    show(shown: Shown): void;
    /** Reads what forms depend on and nobody announces. */
    look?(): void;
    retry(): void;
    machine?: Machine;
}

const nothing = () => undefined;
const accessOf = { admin: "granted", limited: "missing", unknown: "unknown" } as const;

export function Page({ snapshot, execute, show, look = nothing, retry, machine = host }: PageProps) {
    const { path } = useLocation();
    const [all] = useState(tabs);
    const current = all.find(tab => tab.place === (path[0] ?? "guests")) ?? all[0];
    useEffect(() => {
        const tell = () => show(cockpit.hidden ? {} : current?.shows ?? {});
        tell();
        cockpit.addEventListener("visibilitychange", tell);
        return () => cockpit.removeEventListener("visibilitychange", tell);
    }, [current, show]);
    return (
        <AccessContext value={accessOf[snapshot.access]}>
            <SnapshotContext value={snapshot}>
                <RetryContext value={retry}><LookContext value={look}><Toasts>
                    <Header all={all} current={current} libvirt={snapshot.libvirt} />
                    <ArmedChanges machine={machine} execute={execute}>{notice => (
                        <main className="kt-main" tabIndex={-1}>
                            <h2 className="kt-sr-only">{current?.title}</h2>
                            <AccessNotice />
                            <StreamNotices snapshot={snapshot} retry={retry} />
                            <UnreadNotices snapshot={snapshot} />
                            {notice}
                            <ErrorBoundary key={current?.place}>{current?.content}</ErrorBoundary>
                        </main>
                    )}</ArmedChanges>
                </Toasts></LookContext></RetryContext>
            </SnapshotContext>
        </AccessContext>
    );
}

/** The host of this page: watched from the start to the end of the page. */
export function openHost() {
    let snapshot = NOTHING_READ;
    const listeners = new Set<() => void>();
    const watch = watchHost(host, next => {
        snapshot = next;
        listeners.forEach(changed => changed());
    });
    return {
        snapshot: () => snapshot,
        subscribe(changed: () => void) {
            listeners.add(changed);
            return () => { listeners.delete(changed); };
        },
        show: (shown: Shown) => watch.show(shown),
        // Where it cannot be read, the snapshot says so.
        look: () => void watch.look().catch(() => undefined),
        retry: () => watch.retry(),
        execute: executor(host, watch, async () => (await cockpit.user()).name),
    };
}

export function App({ host: { subscribe, snapshot: current, execute, show, look, retry } }: { host: ReturnType<typeof openHost> }) {
    const snapshot = useSyncExternalStore(subscribe, current);
    return <Page snapshot={snapshot} execute={execute} show={show} look={look} retry={retry} />;
}
