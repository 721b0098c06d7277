// SPDX-License-Identifier: LGPL-2.1-or-later
// Real guests in test hosts: QEMU in software emulation. One that only has to start takes 0.3 s; one that boots answers after 5 s.
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { until } from "./exec.ts";
import type { TestHost } from "./host.ts";
import { kernel } from "./kernel.ts";

/** What a guest's kernel sets on one interface: a host route address and a gateway that is no neighbour by prefix. */
export interface GuestAddress {
    address: string;
    /** Default 169.254.0.1; fe80::1 for IPv6. */
    gateway?: string;
}

export interface GuestOptions {
    name: string;
    uuid?: string;
    /** `<interface>` elements. See `ethernet`. */
    interfaces: readonly string[];
    /** MiB. Default 128 for a guest that boots, 32 for others. */
    memory?: number;
    /** Boots a kernel with these addresses, by interface; several on one interface as a list, or from DHCP. Without: nothing to boot. */
    boots?: readonly (GuestAddress | readonly GuestAddress[] | "dhcp")[];
    /** Further XML for `<devices>`. */
    devices?: string;
    /** Further XML for `<domain>`: `<on_reboot>destroy</on_reboot>`, `<metadata>` … */
    domain?: string;
}

/** An `<interface type='ethernet'>`; `inside` is further XML. */
export function ethernet(target: string, { mac, managed, inside = "" }: { mac?: string; managed?: "yes" | "no"; inside?: string } = {}): string {
    return `<interface type='ethernet'>${mac ? `<mac address='${mac}'/>` : ""}` +
        `<target dev='${target}'${managed ? ` managed='${managed}'` : ""}/><model type='virtio'/>${inside}</interface>`;
}

/** Defines a guest; it is off. */
export async function defineGuest(host: TestHost, options: GuestOptions): Promise<Guest> {
    if (options.boots)
        await installKernel(host);
    await host.run(["virsh", "define", "/dev/stdin"], guestXml(options));
    const uuid = (await host.run(["virsh", "domuuid", options.name])).trim();
    const [first] = [options.boots?.[0] ?? []].flat();
    return new Guest(host, options.name, uuid, first === undefined || first === "dhcp" ? "" : first.address);
}

export class Guest {
    constructor(
        readonly host: TestHost,
        readonly name: string,
        readonly uuid: string,
        /** The first address it boots with. */
        readonly address: string,
    ) {}

    virsh(command: string, ...args: string[]): Promise<string> {
        return this.host.run(["virsh", command, this.uuid, ...args]);
    }

    start(): Promise<string> {
        return this.virsh("start");
    }

    async state(): Promise<string> {
        return (await this.virsh("domstate")).trim();
    }

    /** Waits until the inside answers over its TAP device. */
    answers(seconds = 60): Promise<string> {
        return until(`${this.name} to answer`, () => this.host.run(["curl", "-sS", "-m", "2", url(this.address)]), seconds);
    }

    /** Waits for a state, such as "shut off". */
    async reaches(state: string, seconds = 30): Promise<void> {
        await until(`${this.name} to be ${state}`, async () => await this.state() === state, seconds);
    }

    /**
     * Runs a shell script inside the guest (busybox; asked for by the host over the TAP device). Rejects unless it succeeds.
     * What it starts in the background must let go of its output: `(sleep 1; reboot -f) > /dev/null 2>&1 &`.
     */
    async sh(script: string): Promise<string> {
        const said = await this.host.run(["curl", "-sS", "-m", "30", "--data-binary", "@-", `${url(this.address)}cgi-bin/sh`], script);
        const [, output = "", status] = /^([^]*?)status (\d+)\n$/.exec(said) ?? [];
        if (status !== "0")
            throw new Error(`lab: in ${this.name}: ${script}: ${output}status ${status ?? "unknown"}`);
        return output;
    }
}

const url = (address: string) => `http://${address.includes(":") ? `[${address}]` : address}/`;

/** Where the kernel lies inside a host. */
const place = "/var/lib/lab-guest";

export function guestXml({ name, uuid, interfaces, memory, boots, devices = "", domain = "" }: GuestOptions): string {
    return `<domain type='qemu'>
<name>${name}</name>${uuid ? `<uuid>${uuid}</uuid>` : ""}
<memory unit='MiB'>${memory ?? (boots ? 128 : 32)}</memory>
<os><type arch='x86_64' machine='pc'>hvm</type>${boots ? bootXml(name, boots) : ""}</os>
<features><acpi/></features>
${domain}
<devices>
<emulator>/usr/bin/qemu-system-x86_64</emulator>
${interfaces.join("\n")}
<serial type='pty'><log file='/var/log/libvirt/qemu/${name}-console.log'/></serial>
<memballoon model='none'/>
${devices}
</devices>
</domain>`;
}

function bootXml(name: string, boots: NonNullable<GuestOptions["boots"]>): string {
    const links = boots.map((addresses, index) => `lab.eth${index}=${addresses === "dhcp" ? "dhcp" : [addresses].flat()
        .map(({ address, gateway }) => `${address}@${gateway ?? (address.includes(":") ? "fe80::1" : "169.254.0.1")}`).join(",")}`);
    return `<kernel>${place}/vmlinuz</kernel><initrd>${place}/initrd</initrd>` +
        `<cmdline>console=ttyS0 quiet panic=-1 lab.name=${name} ${links.join(" ")}</cmdline>`;
}

/** Puts the kernel where definitions of this file look for it. */
export async function installKernel(host: TestHost): Promise<void> {
    const directory = join(host.root, place);
    if (existsSync(directory))
        return;
    const from = await kernel();
    mkdirSync(directory, { recursive: true });
    for (const file of ["vmlinuz", "initrd"])
        copyFileSync(join(from, file), join(directory, file));
}
