// SPDX-License-Identifier: LGPL-2.1-or-later
// What makes the page connect to libvirt again: its socket, and nothing else that changes beside it, before and after access was gained.
import { jest } from "@jest/globals";
import { CommandError, type Machine, type StreamHandlers } from "../../../src/host/run.ts";
import { GuestWatch } from "../../../src/host/watch-guests.ts";

beforeEach(() => { jest.useFakeTimers(); });
afterEach(() => { jest.useRealTimers(); });

/** A host whose libvirt is stopped; `open` are the directories that are watched, each with its number of watches. */
function stopped() {
    const listeners = new Map<string, Set<(path: string) => void>>();
    let connected = 0, events: StreamHandlers | undefined;
    const machine: Machine = {
        run: () => Promise.resolve(""), read: () => Promise.resolve(null), replace: () => Promise.resolve(),
        stream(argv, handlers) {
            if (argv.includes("event")) {
                connected++;
                events = handlers;
            }
            return { write: () => undefined, close: () => undefined };
        },
        watchDirectory(path, changed) {
            const all = listeners.get(path) ?? new Set();
            listeners.set(path, all.add(changed));
            return { close: () => { all.delete(changed); } };
        },
    };
    const watch = new GuestWatch(machine, () => undefined);
    return {
        watch, connections: () => connected,
        open: () => Object.fromEntries([...listeners].map(([path, all]) => [path, all.size])),
        appears: (path: string) => listeners.get("/run/libvirt")?.forEach(changed => changed(path)),
        /** The connection ends until it is not tried again any more. */
        async ends() {
            for (let attempt = 0; attempt < 10; attempt++) {
                events?.end(new CommandError(["virsh"], null, 1, ""));
                events = undefined;
                await jest.advanceTimersByTimeAsync(5000);
            }
        },
    };
}

test.each([["at first", false], ["after access was gained", true]])("%s: only libvirt's own socket", async (_when, gained) => {
    const host = stopped();
    const watched = host.open();
    expect(Object.values(watched)).toEqual(Array(5).fill(1));
    if (gained)
        host.watch.restart();
    expect(host.open()).toEqual(watched);
    await host.ends();
    const before = host.connections();
    for (const name of ["qemu", "network", "libvirt-sock-ro", "virtlogd-sock", "libvirt-admin-sock", "virtqemud-sock.tmp"])
        host.appears(`/run/libvirt/${name}`);
    expect(host.connections()).toBe(before);
    host.appears("/run/libvirt/virtqemud-sock");
    expect(host.connections()).toBe(before + 1);
    host.watch.close();
});
