// SPDX-License-Identifier: LGPL-2.1-or-later
// Migration between two hosts of one release: what happens to the devices here and there.
import type { Guest } from "../../lab/guest.ts";
import { makeDevice, managedValues, nic, nicXml, type Nic } from "./cells.ts";
import { run } from "./events.ts";
import type { World } from "./world.ts";

/** libvirt over TCP without authentication: on a segment that only the two hosts and the test are on. */
export function listening(number: number) {
    return {
        files: { "/etc/libvirt/libvirtd.conf": `auth_tcp = "none"\nhost_uuid = "08a3af0e-f145-54c6-30a2-efdab547850${number}"\n` },
        enable: ["libvirtd-tcp.socket"],
    };
}

function migrate(guest: Guest, to: World): Promise<boolean> {
    const address = to.host.address();
    return guest.host.run(["virsh", "migrate", "--live", guest.name, `qemu+tcp://${address}/system`, `tcp://${address}`])
        .then(() => true, () => false);
}

/** One guest with all the interfaces that can come along. */
export async function leaves(from: World, to: World): Promise<void> {
    const nics = managedValues.flatMap(managed => (["persistent", "multi-queue"] as const).map(state =>
        nic(managed, state, managed === "no" ? {} : { exchanged: true })));
    nics.push(nic("absent", "not persistent"), nic("yes", "not persistent"), nic("absent", "absent", { exchanged: true }));
    await to.host.sh(nics.filter(({ managed }) => managed === "no").map(makeDevice).join("\n"));
    const guest = await run(from, nics);
    const definition = await from.definition(guest, "live");
    const here = { event: "migrate-out" as const, when: "", nics, links: await from.links(), definition, running: true };
    const there = { event: "migrate-in" as const, when: "", nics, links: await to.links(), definition, running: false };
    const went = await migrate(guest, to);
    if (!went)
        throw new Error("fate matrix: the guest could not be migrated");
    await from.record(here, true);
    await to.record(there, true);
    await from.clear(guest, nics);
    await to.host.run(["virsh", "destroy", guest.name]);
    await to.remove(nics);
}

/** A guest for each interface that meets something on the destination, and may not be let in. */
export async function arrives(from: World, to: World): Promise<void> {
    const states = ["absent", "persistent", "multi-queue", "bridge"] as const;
    for (const managed of managedValues) {
        for (const state of states)
            await arrive(from, to, nic(managed, state));
        await arrive(from, to, nic(managed, "persistent", { queues: 2 }));
        await arrive(from, to, nic(managed, "multi-queue", { queues: 1 }));
    }
}

/** `single.device` is what stands on the destination; on the source the guest runs on what fits. */
async function arrive(from: World, to: World, single: Nic): Promise<void> {
    if (single.managed === "no")
        await from.host.sh(makeDevice({ ...single, device: single.queues > 1 ? "multi-queue" : "persistent" }));
    const guest = await from.define([], { interfaces: [nicXml(single)] });
    await guest.start();
    await to.host.sh(makeDevice(single));
    const links = await to.links();
    const definition = await from.definition(guest, "live");
    const went = await migrate(guest, to);
    await to.record({ event: "migrate-in", when: "", nics: [single], links, definition, running: false }, went);
    await from.clear(guest, [single]);
    if (went)
        await to.host.run(["virsh", "destroy", guest.name]);
    await to.remove([single]);
}
