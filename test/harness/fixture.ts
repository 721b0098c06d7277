// SPDX-License-Identifier: LGPL-2.1-or-later
// A host as a page may find it: guests in every state, made up, for looking at pages without a machine.
import { guestOf, type Guest, type GuestState } from "../../src/model/guest.ts";
import { msg } from "../../src/model/message.ts";
import { NOTHING_READ, type HistoryEntry, type HostNeeds, type Reading, type Snapshot } from "../../src/model/snapshot.ts";
import type { Link, Route } from "../../src/model/tap.ts";

interface Wish {
    name: string;
    state: GuestState;
    target?: string;
    type?: string;
    liveManaged?: boolean;
    managed?: boolean;
    queues?: number;
    device?: { persistent: boolean; up: boolean; multiQueue?: boolean };
    address?: string;
    extra?: string;
}

const read = <T>(value: T): Reading<T> => ({ state: "read", value });

const wishes: readonly Wish[] = [
    {
        name: "charon", state: "off", target: "charon_pvnet1", device: { persistent: true, up: false }, address: "10.0.0.2",
        extra: "      <script path='/bin/true'/>\n",
    },
    { name: "styx", state: "running", target: "styx0", managed: true, liveManaged: true, queues: 4, device: { persistent: true, up: true, multiQueue: true }, address: "10.0.0.3" },
    { name: "lethe", state: "running", target: "lethe0", managed: true, liveManaged: false, device: { persistent: true, up: true }, address: "10.0.0.4" },
    { name: "acheron", state: "running", target: "acheron0", device: { persistent: true, up: true }, address: "10.0.0.5" },
    { name: "cocytus", state: "off", target: "cocytus0", managed: true, address: "10.0.0.6" },
    { name: "phlegethon", state: "paused", target: "vnet3", type: "network", device: { persistent: false, up: true } },
    { name: "elysium", state: "off", target: "vnet7" },
    { name: "tartarus", state: "running", target: "tartarus0", device: { persistent: false, up: true } },
    { name: "asphodel", state: "running", target: "asphodel0", managed: true, liveManaged: true, device: { persistent: true, up: true }, address: "10.0.0.9" },
    { name: "a-guest-with-quite-a-long-name.example.org", state: "off", target: "long_name_0", managed: true, device: { persistent: true, up: true }, address: "2001:db8:77:1:5054:ff:feaa:b" },
];

function xml(wish: Wish, index: number, managed: boolean): string {
    const mac = `52:54:00:${(index >> 8).toString(16).padStart(2, "0")}:${(index & 255).toString(16).padStart(2, "0")}:3f`;
    const target = wish.target === undefined ? "" : `      <target dev='${wish.target}'${managed ? " managed='no'" : ""}/>\n`;
    const source = wish.type === "network" ? "      <source network='default'/>\n" : "";
    return `<domain type='kvm'>\n  <name>${wish.name}</name>\n  <uuid>08a3af0e-f145-54c6-30a2-${index.toString(16).padStart(12, "0")}</uuid>
  <on_poweroff>destroy</on_poweroff>\n  <on_reboot>restart</on_reboot>\n  <on_crash>restart</on_crash>\n  <devices>
    <interface type='${wish.type ?? "ethernet"}'>\n      <mac address='${mac}'/>\n${wish.extra ?? ""}${source}${target}      <model type='virtio'/>
${wish.queues === undefined ? "" : `      <driver queues='${wish.queues}'/>\n`}      <address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/>
    </interface>\n  </devices>\n</domain>\n`;
}

function guest(wish: Wish, index: number): Guest {
    const runs = wish.state !== "off";
    return guestOf({
        uuid: `08a3af0e-f145-54c6-30a2-${index.toString(16).padStart(12, "0")}`, name: wish.name, state: wish.state, persistent: true,
        autostart: false, managedSave: false, configured: xml(wish, index, wish.managed ?? false),
        ...runs && { live: xml(wish, index, wish.liveManaged ?? false) },
    });
}

function link(wish: Wish, index: number): Link[] {
    const { target, device } = wish;
    if (target === undefined || device === undefined)
        return [];
    const runs = wish.state !== "off";
    return [{
        index: index + 10, name: target, kind: "tun", mac: "fe:54:00:25:6f:3f", mtu: 1500, up: device.up, carrier: runs, addrGenMode: "none",
        tun: { type: "tap", persistent: device.persistent, multiQueue: device.multiQueue ?? false, vnetHdr: true },
    }];
}

function manyWishes(count: number): Wish[] {
    return Array.from({ length: count }, (_unused, index) => ({
        name: `guest${index + 1}`, state: index % 3 === 0 ? "off" as const : "running" as const, target: `tap${index + 1}`, managed: index % 4 !== 0,
        liveManaged: index % 4 !== 0, device: { persistent: true, up: true }, address: `10.1.${index >> 8}.${index & 255}`,
    }));
}

function history(now: number): HistoryEntry[] {
    const at = (minutes: number, entry: Omit<HistoryEntry, "time">): HistoryEntry => ({ time: now - minutes * 60_000, ...entry });
    return [
        at(2, { text: "charon_pvnet1 was deleted when charon stopped (shutdown)", device: "charon_pvnet1", guest: "charon", event: "deleted" }),
        at(3, { text: "charon_pvnet1 was made again", device: "charon_pvnet1", guest: "charon", event: "restored" }),
        at(14, { text: "styx: managed='no' was set", device: "styx0", guest: "styx", event: "changed", user: "admin" }),
        at(3000, { text: "1:1 NAT was loaded", event: "nat-loaded" }),
    ];
}

/** A host that is connected with nobody, for tests that ask for something else. */
export const NOTHING_NEEDED: HostNeeds = {
    nameServers: [], neighbours: [], peers: [], ways: new Map(), tables: { 4: undefined, 6: undefined }, unknown: [],
};

export function fixture(count = 0): Snapshot {
    const all = count > 0 ? manyWishes(count) : wishes;
    const eth0: Link = { index: 2, name: "eth0", mac: "02:00:00:00:00:01", mtu: 1500, up: true, carrier: true };
    const routed = all.filter(({ target, address, device }) => target !== undefined && address !== undefined && device !== undefined);
    const routes: Route[] = routed.flatMap(({ target = "", address = "" }) => [{
        family: address.includes(":") ? "inet6" as const : "inet" as const, destination: address, type: "unicast", table: "main", device: target,
        protocol: "boot",
    }]);
    return {
        ...NOTHING_READ, access: "admin",
        libvirt: read({ version: "11.3.0", packageVersion: "11.3.0-3", driver: "QEMU", hypervisorVersion: "10.0.2" }),
        guests: read(all.map(guest)),
        links: read([eth0, ...all.flatMap(link)]),
        addresses: read(new Map()),
        routes: read([{ family: "inet", destination: "default", type: "unicast", table: "main", device: "eth0", gateway: "198.51.100.1" }, ...routes]),
        units: read(new Map([["lethe0", { name: "lethe0", enabled: true, active: "active" }]])),
        files: read(new Map()), needs: read(NOTHING_NEEDED), natTable: read(null), hook: read({ installed: true, inEffect: true }),
        history: read(history(Date.now())),
    };
}

export function failing(): Snapshot {
    const failed = { state: "failed" as const, says: msg("libvirt does not answer"), words: "error: failed to connect to the hypervisor\nerror: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory" };
    return { ...fixture(), guests: failed, libvirt: failed };
}
