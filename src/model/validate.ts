// SPDX-License-Identifier: LGPL-2.1-or-later
// What is wrong with what a person typed, in a sentence that says what to do. Before anything runs.
import ipaddr from "ipaddr.js";
import type { Guest } from "./guest.ts";
import { msg, type Message } from "./message.ts";
import { deviceNameProblem } from "./names.ts";
import { formatPrefix, networkOf, overlaps, parseAddress, parsePrefix, type Prefix } from "./nat-address.ts";
import { valueOf, type Snapshot } from "./snapshot.ts";
import type { Link } from "./tap.ts";
import { isTap } from "./tap.ts";
import { tapFilePath } from "./tap-file.ts";
import { withLength } from "./tap-settings.ts";

/** The name of a device that is to be made. */
export function newDeviceProblem(name: string, snapshot: Snapshot): Message | undefined {
    const problem = deviceNameProblem(name);
    if (problem)
        return problem;
    if (valueOf(snapshot.links)?.some(link => link.name === name))
        return msg("$0 exists already. Choose another name, or take over the device as it is.", name);
    if (valueOf(snapshot.files)?.has(tapFilePath(name)))
        return msg("$0 describes a device of this name already. Bring it back, or choose another name.", tapFilePath(name));
    return undefined;
}

/** What no address of a guest or gateway can be, by ipaddr.js's names of ranges. */
function rangeProblem(address: string): Message | undefined {
    if (/^(24\d|25[0-4])\./.test(address)) // 240.0.0.0/4; ipaddr.js calls the addresses for documentation reserved, too
        return msg("$0 cannot be the address of a machine. Enter another one.", address);
    switch (ipaddr.parse(address).range()) {
        case "multicast":
            return msg("$0 is a multicast address. Enter the address of one machine.", address);
        case "loopback":
            return msg("$0 is a loopback address, which never leaves a machine. Enter another one.", address);
        case "unspecified": case "broadcast":
            return msg("$0 cannot be the address of a machine. Enter another one.", address);
        default:
            return undefined;
    }
}

const notAnAddress = () => msg("Enter an IP address, for example $0 or $1.", "10.0.0.2", "2001:db8::2");

/** Networks of the host's links that are no TAP devices: what lies in them is reached there. */
function hostNetworks(snapshot: Snapshot): { link: string; prefix: Prefix }[] {
    const taps = new Set((valueOf(snapshot.links) ?? []).filter(isTap).map(link => link.name));
    return [...valueOf(snapshot.addresses) ?? []].flatMap(([link, addresses]) => taps.has(link) ? [] : addresses.flatMap(item => {
        const prefix = parsePrefix(`${item.address}/${item.prefix}`);
        return prefix ? [{ link, prefix }] : [];
    }));
}

/** Which device has this address as the host's own; undefined for none. */
function ownerOf(address: string, snapshot: Snapshot): string | undefined {
    for (const [link, addresses] of valueOf(snapshot.addresses) ?? []) {
        if (addresses.some(item => parseAddress(item.address)?.address === address))
            return link;
    }
    return undefined;
}

/** An address of a guest, routed to it over `device`: without a length, or with that of a single address. */
export function guestAddressProblem(text: string, snapshot: Snapshot, device: string): Message | undefined {
    const prefix = parsePrefix(text);
    const parsed = prefix && parseAddress(prefix.address);
    if (!prefix || !parsed)
        return notAnAddress();
    const { address } = parsed;
    if (prefix.length !== (parsed.family === 4 ? 32 : 128))
        return msg("Enter a single address, without a prefix length. Networks behind the guest are further routes.");
    const problem = rangeProblem(address);
    if (problem)
        return problem;
    if (ipaddr.parse(address).range() === "linkLocal")
        return msg("$0 is a link-local address, which cannot be routed. Enter another one.", address);
    const own = ownerOf(address, snapshot);
    if (own !== undefined)
        return msg("$0 is the host's own address on $1. Enter another one.", address, own);
    const elsewhere = (valueOf(snapshot.routes) ?? []).filter(route => route.device !== device);
    const routed = elsewhere.find(route => withLength(route.destination) === withLength(address));
    if (routed)
        return msg("$0 is routed to $1 already. Enter another one.", address, routed.device ?? routed.type);
    const network = hostNetworks(snapshot).find(item => overlaps(item.prefix, prefix));
    if (network)
        return msg("$0 lies in the network $1 of $2: the host looks for it there. Enter an address of another network.",
            address, formatPrefix(networkOf(network.prefix)), network.link);
    return undefined;
}

/** The host's address on a TAP device: the guest's gateway. The same one on every TAP device is fine. */
export function gatewayProblem(text: string, snapshot: Snapshot): Message | undefined {
    const prefix = parsePrefix(text);
    if (!prefix)
        return notAnAddress();
    const problem = rangeProblem(prefix.address);
    if (problem)
        return problem;
    const network = hostNetworks(snapshot).find(item => item.prefix.address === prefix.address && item.prefix.family === prefix.family);
    if (network)
        return msg("$0 is the host's own address on $1. $2 is a good gateway.", prefix.address, network.link, "169.254.0.1");
    return undefined;
}

/** The destination of a further route: `default`, an address or a network. */
export function destinationProblem(text: string): Message | undefined {
    if (text === "default")
        return undefined;
    const prefix = parsePrefix(text);
    if (!prefix)
        return msg("Enter a network, for example $0 or $1.", "192.168.7.0/24", "2001:db8:7::/64");
    return rangeProblem(prefix.address);
}

/** @param link the device, if it exists: the kernel tells its limits; else those of tun.c (MIN_MTU, MAX_MTU) */
export function mtuProblem(mtu: number, link: Link | undefined, ipv6: boolean): Message | undefined {
    const least = link?.minMtu || 68, most = link?.maxMtu || 65521;
    if (!Number.isInteger(mtu) || mtu < least || mtu > most)
        return msg("The kernel takes an MTU from $0 to $1 for this device.", String(least), String(most));
    return ipv6 && mtu < 1280 ? msg("IPv6 needs an MTU of at least $0.", "1280") : undefined;
}

/** A user or group, by name (useradd's and systemd's rule) or number. */
export function accountProblem(name: string): Message | undefined {
    return /^([a-z_][a-z0-9_-]{0,31}\$?|\d{1,10})$/i.test(name)
        ? undefined
        : msg("Enter the name or the number of an account, for example $0.", "libvirt-qemu");
}

/** Guests of which a definition names this device. */
export function guestsNaming(snapshot: Snapshot, device: string): Guest[] {
    const names = (definition: Guest["live"]) => definition?.interfaces.some(item => item.target === device) === true;
    return (valueOf(snapshot.guests) ?? []).filter(guest => names(guest.live) || names(guest.configured));
}

/** Guests that run with this device. */
export function guestsRunningOn(snapshot: Snapshot, device: string): Guest[] {
    return guestsNaming(snapshot, device).filter(guest => guest.live?.interfaces.some(item => item.target === device) === true);
}
