// SPDX-License-Identifier: LGPL-2.1-or-later
// Names of devices and MAC addresses: what the kernel and libvirt take, with the sentence for what they do not.
import { msg } from "./message.ts";
import type { Message } from "./message.ts";

/**
 * Whether a device's name may become a file's or unit's name, a pattern, an element of a set, a word of a command or of a regular
 * expression. The kernel (dev_valid_name) and libvirt take nearly anything: `en*`, which systemd-networkd reads as all of the host's links,
 * `a"}`, `all`, and `if2`, which ip takes for link number 2 while none has that name (iproute2, ll_name_to_index). Devices with other names
 * than these are shown, and nothing is planned for them.
 */
export function isSafeName(name: string): boolean {
    return /^[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}$/.test(name) && !MEANS_ELSE.test(name);
}

const MEANS_ELSE = /^(\.{1,2}|all|default|if\d+)$/;

/** Links that the host's part makes itself: what holds public addresses, and the packet test's end (pkg/host). */
const OURS = ["kvm-tap-hold", "kvm-tap-probe"];

/** Why nothing is planned for a device that has such a name already. */
export function unsafeNameProblem(name: string): Message | undefined {
    return isSafeName(name)
        ? undefined
        : msg("“$0” has a name that files, units and commands would take for something else: this page leaves it alone. Give the device another name first.", name);
}

/** A path or unit with a device's name in it; none for a name that is not safe, and so nothing to read, write or start. */
export function named(name: string, text: string): string {
    return isSafeName(name) ? text : "";
}

/**
 * What is wrong with the name of a device that we are to make or to name in a definition. The kernel's dev_valid_name takes
 * more (any byte but `/`, `:` and white space), but such names need quoting everywhere.
 */
export function deviceNameProblem(name: string): Message | undefined {
    if (name === "")
        return msg("Enter the name of the device.");
    if (!/^[A-Za-z0-9_.-]+$/.test(name))
        return msg("Use only letters without accents, digits, and the characters _ . -");
    if (name.length > 15)
        return msg("The name is too long: the kernel takes 15 characters at most.");
    if (name.startsWith("-") || MEANS_ELSE.test(name))
        return msg("$0 cannot be a device's name: it means something else to the kernel or to commands.", name);
    return OURS.includes(name) ? msg("$0 is a link that KVM TAP makes for itself. Choose another name.", name) : reservedPrefixProblem(name);
}

/** libvirt drops such names from definitions without managed='no', and gives them to its own devices (virnetdev.h). */
function reservedPrefixProblem(name: string): Message | undefined {
    const prefix = /^(vnet|macvtap|macvlan)/.exec(name)?.[0];
    return prefix === undefined
        ? undefined
        : msg("Names that begin with $0 belong to libvirt, which uses them for devices of its own. Choose another one.", prefix);
}

/** What is wrong with the MAC address of a network interface. */
export function macProblem(mac: string): Message | undefined {
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac))
        return msg("A MAC address is six pairs of hexadecimal digits with colons between them, for example $0.", "52:54:00:12:34:56");
    if (/^(00:){5}00$/.test(mac))
        return msg("The MAC address of all zeros is no address. Choose another one.");
    if (parseInt(mac.slice(0, 2), 16) % 2 === 1)
        return msg("This MAC address is a multicast address: the second digit must be even.");
    return undefined;
}

/** A MAC address as libvirt makes one for QEMU: 52:54:00 and three random bytes (virMacAddrGenerate). */
export function randomMac(random: () => number = Math.random): string {
    const byte = () => Math.floor(random() * 256).toString(16).padStart(2, "0");
    return `52:54:00:${byte()}:${byte()}:${byte()}`;
}
