// SPDX-License-Identifier: LGPL-2.1-or-later
// A test host on which events are made to happen to guests with many interfaces at once.
import { fate } from "../../../src/model/fate.ts";
import type { Circumstances, LifecycleEvent } from "../../../src/model/fate.ts";
import { parseDefinition } from "../../../src/model/guest.ts";
import type { Definition } from "../../../src/model/guest.ts";
import { linkOf, objectsIn } from "../../../src/host/ip.ts";
import { inEnglish } from "../../../src/model/message.ts";
import type { Link } from "../../../src/model/tap.ts";
import type { TestHost } from "../../lab/host.ts";
import { defineGuest, type Guest, type GuestOptions } from "../../lab/guest.ts";
import { makeDevice, nicXml, outcome, type Cell, type Nic } from "./cells.ts";

export type Links = ReadonlyMap<string, Link>;

/** What was there when the event came: for the prediction, and for comparing. */
export interface Before {
    event: LifecycleEvent;
    when: string;
    nics: readonly Nic[];
    links: Links;
    definition: Definition;
    running: boolean;
    users?: readonly string[];
}

let guests = 0;

export class World {
    readonly cells: Cell[] = [];
    private libvirt: Circumstances["libvirt"] | undefined;

    constructor(readonly host: TestHost) {}

    static async on(host: TestHost): Promise<World> {
        const world = new World(host);
        const version = /daemon: (\S+)/.exec(await host.run(["virsh", "version", "--daemon"]))?.[1] ?? "";
        const packageVersion = (await host.run(["dpkg-query", "-f", "${Version}", "-W", "libvirt0"])).trim();
        world.libvirt = { version, packageVersion, driver: "QEMU" };
        return world;
    }

    get version(): string {
        return this.libvirt?.packageVersion ?? "";
    }

    /** A guest with these interfaces, off. Without anything to boot unless `options` say so. */
    define(nics: readonly Nic[], options: Partial<GuestOptions> = {}): Promise<Guest> {
        return defineGuest(this.host, { name: `g${++guests}`, interfaces: nics.map(nic => nicXml(nic)), ...options });
    }

    async links(): Promise<Links> {
        const links = objectsIn(await this.host.run(["ip", "-details", "-json", "link"])).flatMap(item => linkOf(item) ?? []);
        return new Map(links.map(link => [link.name, link]));
    }

    async definition(guest: Guest, which: "live" | "configured"): Promise<Definition> {
        return parseDefinition(await guest.virsh("dumpxml", ...which === "configured" ? ["--inactive"] : []));
    }

    /** Makes the devices that stand before a start. */
    async make(nics: readonly Nic[]): Promise<void> {
        await this.host.sh(nics.map(makeDevice).join("\n"));
    }

    async remove(nics: readonly Nic[]): Promise<void> {
        await this.host.sh(nics.map(({ name }) => `ip link delete ${name} 2>/dev/null || :`).join("\n"));
    }

    /** Ends and forgets a guest, whatever its state, and the devices of its interfaces. */
    async clear(guest: Guest, nics: readonly Nic[]): Promise<void> {
        await this.host.sh(`virsh destroy ${guest.name} || :
            virsh undefine ${guest.name} --managed-save --snapshots-metadata || :`).catch(() => "");
        await this.remove(nics);
    }

    /** Compares what the event did with what fate() says it would do, and keeps the cells. */
    async record(before: Before, went: boolean, used: (nic: Nic) => boolean = () => true): Promise<void> {
        const after = await this.links();
        for (const nic of before.nics)
            this.add(before, nic, outcome(before.links.get(nic.name), after.get(nic.name), went, used(nic)));
    }

    add({ event, when, links, definition, running, users = [] }: Before, nic: Nic, observed: Cell["observed"]): void {
        const iface = definition.interfaces.find(({ mac }) => mac === nic.mac);
        if (!iface || !this.libvirt)
            throw new Error(`fate matrix: ${nic.name} is not in the definition`);
        const predicted = fate(event, iface.target === undefined ? { ...iface, target: nic.name } : iface, links.get(nic.name), {
            libvirt: this.libvirt, guestType: definition.type ?? "", running, savedState: false, on: definition.on, users, unitEnabled: false,
            hookInEffect: false,
        });
        this.cells.push({ event, when, nic, observed, predicted: predicted.outcome, because: inEnglish(predicted.because) });
    }
}
