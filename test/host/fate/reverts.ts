// SPDX-License-Identifier: LGPL-2.1-or-later
// Reverting to a snapshot of the running guest, from a running guest and from one that is off. One guest for each interface, since
// one that cannot be opened fails the whole.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Guest } from "../../lab/guest.ts";
import { makeDevice, managedValues, nic, type Nic } from "./cells.ts";
import { run } from "./events.ts";
import type { World } from "./world.ts";

/** An empty qcow2 image of 1 MiB: internal snapshots need one (docs/interop/qcow2.rst; qemu-img is not on the hosts). */
function emptyImage(): Buffer {
    const cluster = 0x10000;
    const image = Buffer.alloc(4 * cluster);
    image.write("QFI\xfb", 0, "latin1");
    image.writeUInt32BE(3, 4); // version
    image.writeUInt32BE(16, 20); // cluster bits
    image.writeBigUInt64BE(0x100000n, 24); // size
    image.writeUInt32BE(1, 36); // entries of the L1 table
    image.writeBigUInt64BE(BigInt(3 * cluster), 40); // L1 table
    image.writeBigUInt64BE(BigInt(cluster), 48); // refcount table
    image.writeUInt32BE(1, 56); // clusters of the refcount table
    image.writeUInt32BE(4, 96); // 16-bit refcounts
    image.writeUInt32BE(104, 100); // header length
    image.writeBigUInt64BE(BigInt(2 * cluster), cluster);
    for (let used = 0; used < 4; used++)
        image.writeUInt16BE(1, 2 * cluster + 2 * used);
    return image;
}

function disk(world: World, name: string): string {
    const path = `/var/lib/libvirt/images/${name}.qcow2`;
    mkdirSync(dirname(join(world.host.root, path)), { recursive: true });
    writeFileSync(join(world.host.root, path), emptyImage());
    return "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>" +
        `<source file='${path}'/><target dev='vda' bus='virtio'/></disk>`;
}

const states = ["absent", "persistent", "multi-queue", "bridge"] as const;

export async function reverts(world: World): Promise<void> {
    for (const running of [true, false]) {
        for (const managed of managedValues) {
            for (const state of states)
                await revert(world, exchangedNic(managed, state), running);
        }
    }
    for (const managed of ["absent", "yes"] as const)
        await revert(world, nic(managed, "not persistent"), true);
}

function exchangedNic(managed: typeof managedValues[number], state: typeof states[number]): Nic {
    const stays = managed === "no" && (state === "persistent" || state === "multi-queue");
    return nic(managed, state, stays ? {} : { exchanged: true });
}

async function revert(world: World, single: Nic, running: boolean): Promise<void> {
    const nics = [single];
    const guest = await run(world, nics, { devices: disk(world, single.name) },
        one => world.host.run(["virsh", "snapshot-create-as", one.name, "s1"]));
    if (!running)
        await turnOff(world, guest, single);
    const links = await world.links();
    const definition = await world.definition(guest, running ? "live" : "configured");
    const went = await guest.virsh("snapshot-revert", "s1").then(() => true, () => false);
    await world.record({ event: "snapshot-revert", when: running ? "" : "guest off", nics, links, definition, running }, went);
    await world.clear(guest, nics);
}

/** Off, and the device in its state, whatever the stop did to it. */
async function turnOff(world: World, guest: Guest, single: Nic): Promise<void> {
    await guest.virsh("destroy");
    await world.remove([single]);
    await world.host.sh(makeDevice(single));
}
