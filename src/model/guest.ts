// SPDX-License-Identifier: LGPL-2.1-or-later
// Guests as libvirt describes them. Every element of a domain definition is optional to us: what cannot be read
// leaves a `problem` on its guest and never hides the others.
import type { Message } from "./message.ts";

export type GuestState = "running" | "paused" | "off" | "other";

/** `<address type='pci' …>` of a device: with the MAC it is how libvirt finds an interface (virDomainNetFindIdx). */
export interface PciAddress {
    domain: number;
    bus: number;
    slot: number;
    function: number;
}

/** One `<interface>` of one definition. */
export interface Interface {
    /** Position among the interfaces of its definition. */
    index: number;
    /** The element's own text, byte for byte as libvirt printed it. */
    xml: string;
    /** `ethernet`, `bridge`, `network`, `direct` … */
    type: string;
    mac?: string;
    /** `<target dev>`: the TAP device. */
    target?: string;
    /** `<target managed>`: absent means yes (virDomainNetDef.managed_tap). */
    managed?: "yes" | "no";
    model?: string;
    /** `<driver queues>`: multi-queue only from 2 on. */
    queues?: number;
    /** `<source dev|bridge|network>`, by type. */
    source?: string;
    script?: string;
    downscript?: string;
    mtu?: number;
    linkState?: "up" | "down";
    /** `<source><ip>`: addresses that libvirt would put on the host's side. */
    sourceIps: readonly string[];
    pci?: PciAddress;
    alias?: string;
}

/** What happens to the guest when the inside asks for it: `<on_poweroff>` and its siblings. */
export interface LifecycleActions {
    poweroff: string;
    reboot: string;
    crash: string;
}

/** A definition: the live one (`dumpxml`) or the configured one (`dumpxml --inactive`). */
export interface Definition {
    xml: string;
    interfaces: readonly Interface[];
    on: LifecycleActions;
}

export interface Guest {
    uuid: string;
    name: string;
    /** `<domain type>`: kvm, qemu, lxc, xen … */
    type: string;
    state: GuestState;
    persistent: boolean;
    autostart: boolean;
    managedSave: boolean;
    /** Only while the guest runs. */
    live?: Definition;
    /** Only of a persistent guest. */
    configured?: Definition;
    problem?: Message;
}
