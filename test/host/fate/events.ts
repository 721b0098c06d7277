// SPDX-License-Identifier: LGPL-2.1-or-later
// The events of a guest's life, really made to happen. One that ends or goes on with a guest happens to all its interfaces at once;
// one that may fail because of an interface gets a guest for each.
import type { LifecycleEvent } from "../../../src/model/fate.ts";
import { parseDefinition } from "../../../src/model/guest.ts";
import type { Guest, GuestOptions } from "../../lab/guest.ts";
import { until } from "../../lab/exec.ts";
import { all, makeDevice, managedValues, nic, nicXml, type Nic } from "./cells.ts";
import type { World } from "./world.ts";

/** Interfaces of a running guest, in every state that their device can get into meanwhile. */
function runningNics(world: World): Nic[] {
    const states = ["absent", "persistent", "multi-queue", "macvtap", "bridge"] as const;
    return [
        ...managedValues.flatMap(managed => states.map(state => {
            const stays = managed === "no" && state !== "absent" && state !== "bridge";
            return nic(managed, state, stays ? {} : { exchanged: true });
        })),
        nic("absent", "not persistent"), nic("yes", "not persistent"),
        ...world.host.release === "bookworm" ? [] : [nic("absent", "persistent", { disarmed: true })],
    ];
}

/** What has to stand before the start, so that the guest runs on the device that it shall have, or on one that is exchanged then. */
function begin(one: Nic): string {
    if (one.managed !== "no" && !one.disarmed)
        return ":";
    return makeDevice(one.device === "absent" || one.device === "bridge" ? { ...one, device: "persistent" } : one);
}

/** Brings the device of a running guest into its state. Nobody can make persistent what a guest holds, but put another in its place. */
function exchange(one: Nic): string {
    return one.exchanged ? `ip link delete ${one.name}\n${makeDevice(one)}` : ":";
}

/** A running guest with its interfaces; one that boots has booted. `first` is done before any device is exchanged. */
export async function run(
    world: World, nics: readonly Nic[], options: Partial<GuestOptions> = {}, first?: (guest: Guest) => Promise<unknown>,
): Promise<Guest> {
    await world.host.sh(nics.map(begin).join("\n"));
    const guest = await world.define(nics, options);
    await guest.start();
    await first?.(guest);
    if (options.boots)
        await boots(guest, 1);
    for (const one of nics.filter(({ disarmed }) => disarmed)) {
        const bare = nicXml({ ...one, disarmed: true }).replace(" managed='no'", "").replace("<interface ", "<interface trustGuestRxFilters='yes' ");
        await world.host.run(["virsh", "update-device", guest.name, "/dev/stdin", "--live"], bare);
    }
    await world.host.sh(nics.map(exchange).join("\n"));
    return guest;
}

/** Waits until the inside has come up so many times. */
async function boots(guest: Guest, times: number): Promise<void> {
    const log = `/var/log/libvirt/qemu/${guest.name}-console.log`;
    await until(`${guest.name} to boot`, async () => (await guest.host.run(["cat", log])).split(" is up").length > times, 120);
}

const off = (guest: Guest) => guest.reaches("shut off", 60);

const killQemu = (guest: Guest) => guest.host.sh(`kill -9 "$(cat /run/libvirt/qemu/${guest.name}.pid)"`);

async function unplugAll(guest: Guest): Promise<void> {
    const interfaces = async () => (await guest.virsh("dumpxml")).match(/<interface [^]*?<\/interface>/g) ?? [];
    for (const xml of await interfaces())
        await guest.host.run(["virsh", "detach-device", guest.name, "/dev/stdin", "--live"], xml);
    await until("the guest to let go", async () => (await interfaces()).length === 0, 60);
}

interface Happening {
    event: LifecycleEvent;
    when: string;
    /** Of the guest: those of the first event of a chain. */
    options?: Partial<GuestOptions>;
    act(guest: Guest): Promise<unknown>;
}

const booted: Partial<GuestOptions> = { boots: [] };

/**
 * Events of a running guest that happen to all its interfaces alike, in chains: those after which everything is as before share a guest
 * with what comes next.
 */
export const chains: readonly (readonly Happening[])[] = [
    [
        { event: "reset", when: "", act: guest => guest.virsh("reset") },
        { event: "daemon-restart", when: "", act: guest => guest.host.sh("systemctl restart libvirtd; virsh list") },
        { event: "destroy", when: "", act: guest => guest.virsh("destroy") },
    ],
    [{ event: "crash", when: "", act: async guest => { await killQemu(guest); await off(guest); } }],
    [{ event: "save", when: "", act: guest => guest.virsh("save", `/var/tmp/${guest.name}.save`) }],
    [{
        event: "daemon-start-after-crash", when: "",
        act: async guest => {
            await guest.host.sh("systemctl stop libvirtd.socket libvirtd-ro.socket libvirtd-admin.socket libvirtd");
            await killQemu(guest).finally(() => guest.host.sh("systemctl start libvirtd.socket libvirtd"));
            await off(guest);
        },
    }],
    [
        { event: "reboot", when: "", options: booted, act: async guest => { await guest.virsh("reboot", "--mode", "acpi"); await boots(guest, 2); } },
        { event: "shutdown", when: "", act: async guest => { await guest.virsh("shutdown"); await off(guest); } },
    ],
    [{ event: "hot-unplug", when: "", options: booted, act: unplugAll }],
];

/** With other actions in the definition. */
export const longChains: readonly (readonly Happening[])[] = [
    [{
        event: "reboot", when: "on_reboot=destroy", options: { ...booted, domain: "<on_reboot>destroy</on_reboot>" },
        act: async guest => { await guest.virsh("reboot", "--mode", "acpi"); await off(guest); },
    }],
    [{
        event: "shutdown", when: "on_poweroff=restart", options: { ...booted, domain: "<on_poweroff>restart</on_poweroff>" },
        act: async guest => { await guest.virsh("shutdown"); await boots(guest, 2); },
    }],
];

export async function happen(world: World, chain: readonly Happening[]): Promise<void> {
    const nics = runningNics(world);
    const guest = await run(world, nics, chain[0]?.options);
    for (const { event, when, act } of chain) {
        const before = { event, when, nics, links: await world.links(), definition: await world.definition(guest, "live"), running: true };
        await act(guest);
        await world.record(before, true);
    }
    await world.clear(guest, nics);
}

/** States that a start, an incoming guest or a hot-plug can meet. */
function startNics(): Nic[] {
    return managedValues.flatMap(managed => [
        nic(managed, "absent"), nic(managed, "persistent"), nic(managed, "persistent", { queues: 2 }), nic(managed, "multi-queue"),
        nic(managed, "multi-queue", { queues: 1 }), nic(managed, "macvtap"), nic(managed, "bridge"), nic(managed, "tun"),
        nic(managed, "held"), nic(managed, "in use"),
    ]).filter(({ managed, device, queues }) => all || managed !== "yes" || (device === "persistent" && queues === 1));
}

/** Has another guest sit on the devices that are to be in use. */
async function hold(world: World, nics: readonly Nic[]): Promise<{ guest: Guest; nics: Nic[] } | undefined> {
    const taken = nics.filter(({ device }) => device === "held" || device === "in use");
    if (taken.length === 0)
        return undefined;
    const holding = taken.map(({ device, name }) => nic(device === "held" ? "absent" : "no", device, { name }));
    const guest = await world.define(holding);
    await guest.start();
    return { guest, nics: holding };
}

const isTaken = ({ device }: Nic) => device === "held" || device === "in use";

/** Does something to each interface by itself, which may fail, and records it. */
async function eachAlone(
    world: World, event: LifecycleEvent, when: string, nics: readonly Nic[], running: boolean,
    one: (nic: Nic, guest: Guest) => Promise<unknown>, prepare: (nic: Nic) => Promise<Guest>,
): Promise<void> {
    await world.make(nics);
    const holder = await hold(world, nics);
    const guests = new Map<Nic, Guest>();
    for (const single of nics)
        guests.set(single, await prepare(single));
    const links = await world.links();
    const went = new Map<Nic, boolean>();
    for (const [single, guest] of guests)
        went.set(single, await one(single, guest).then(() => true, () => false));
    for (const [single, guest] of guests) {
        const definition = await world.definition(guest, "configured");
        const users = isTaken(single) ? ["holder"] : [];
        const live = went.get(single) ? await world.definition(guest, "live") : undefined;
        const used = !live || live.interfaces.some(({ mac, target }) => mac === single.mac && target === single.name);
        await world.record({ event, when, nics: [single], links, definition, running, users }, went.get(single) === true, () => used);
    }
    for (const [single, guest] of guests)
        await world.clear(guest, [single]);
    if (holder)
        await world.clear(holder.guest, holder.nics);
}

export async function starts(world: World): Promise<void> {
    const nics = [...startNics(), ...managedValues.map(managed => nic(managed, "persistent", { name: `vnet9${managed.length}` }))];
    await eachAlone(world, "start", "", nics, false, (_nic, guest) => guest.start(), single => world.define([single]));
}

/** One guest for all: it fails because of a disk that is not there. */
export async function failingStarts(world: World): Promise<void> {
    const nics = startNics();
    await world.make(nics);
    const holder = await hold(world, nics);
    const disk = "<disk type='file' device='disk'><source file='/nowhere.img'/><target dev='vda' bus='virtio'/></disk>";
    const guest = await world.define(nics, { devices: disk });
    const links = await world.links();
    const definition = await world.definition(guest, "configured");
    if (await guest.start().then(() => true, () => false))
        throw new Error("fate matrix: the guest started without its disk");
    for (const single of nics) {
        const users = isTaken(single) ? ["holder"] : [];
        await world.record({ event: "failed-start", when: "", nics: [single], links, definition, running: false, users }, true);
    }
    await world.clear(guest, nics);
    if (holder)
        await world.clear(holder.guest, holder.nics);
}

/** Into one running guest, one after another. */
export async function hotPlugs(world: World): Promise<void> {
    const nics = startNics();
    await world.make(nics);
    const holder = await hold(world, nics);
    const guest = await world.define([]);
    await guest.start();
    for (const single of nics) {
        const links = await world.links();
        const xml = `<domain type='qemu'><devices>${nicXml(single)}</devices></domain>`;
        const went = await world.host.run(["virsh", "attach-device", guest.name, "/dev/stdin", "--live"], nicXml(single)).then(() => true, () => false);
        const users = isTaken(single) ? ["holder"] : [];
        await world.record({ event: "hot-plug", when: "", nics: [single], links, definition: parseDefinition(xml), running: true, users }, went);
    }
    await world.clear(guest, nics);
    if (holder)
        await world.clear(holder.guest, holder.nics);
}
