// SPDX-License-Identifier: LGPL-2.1-or-later
// What to write inside a guest whose interface hangs on a routed TAP device: its addresses as single hosts and a default
// route over a gateway that no prefix covers ("on-link"), in the words of the tools that guests use.
import ipaddr from "ipaddr.js";
import { msg } from "./message.ts";
import type { Message } from "./message.ts";

/** The gateway that every TAP device has (see make-tap): the same on all of them, since none shares a subnet. */
export const GATEWAY4 = "169.254.0.1";
/** For IPv6 a link-local gateway: an on-link one needs no route of its own. */
export const GATEWAY6 = "fe80::1";

export interface GuestNetwork {
    /** Of the guest's interface: how all tools but ifupdown find it, whatever it is called inside. */
    mac: string;
    /** What the interface is called inside, or shall be: ifupdown knows it by name only. */
    name: string;
    /** Guest addresses without prefix, IPv4 and IPv6; each is one host. */
    addresses: readonly string[];
    gateway4?: string;
    gateway6?: string;
    nameServers?: readonly string[];
    mtu?: number;
}

export type GuestTool = "networkd" | "netplan" | "ifupdown" | "networkmanager" | "cloud-init";

export interface GuestFile {
    tool: GuestTool;
    /** The tool's own name: not translated. */
    title: string;
    /** Where the text belongs inside the guest. */
    path: string;
    text: string;
    /** What makes it take effect, and what else one has to know. */
    says: Message;
}

/** The facts of one family, filled in. */
interface Family {
    addresses: readonly string[];
    gateway: string;
    prefix: 32 | 128;
}

interface Filled extends GuestNetwork {
    v4?: Family;
    v6?: Family;
    dns: readonly string[];
}

/** The same network in the words of each tool, most used first. Addresses that are none are left out. */
export function guestFiles(network: GuestNetwork): GuestFile[] {
    const filled = fill(network);
    return [networkd(filled), netplan(filled), ifupdown(filled), networkManager(filled), cloudInit(filled)];
}

function fill(network: GuestNetwork): Filled {
    const of = (kind: "ipv4" | "ipv6") => network.addresses.filter(address => kindOf(address) === kind);
    const [four, six] = [of("ipv4"), of("ipv6")];
    return {
        ...network,
        dns: network.nameServers ?? [],
        ...four.length > 0 && { v4: { addresses: four, gateway: network.gateway4 ?? GATEWAY4, prefix: 32 } },
        ...six.length > 0 && { v6: { addresses: six, gateway: network.gateway6 ?? GATEWAY6, prefix: 128 } },
    };
}

function kindOf(address: string): "ipv4" | "ipv6" | undefined {
    return ipaddr.isValid(address) ? ipaddr.parse(address).kind() : undefined;
}

/** The lines that are there, each ended. */
function lines(...parts: readonly (string | false | undefined | readonly string[])[]): string {
    return parts.flat().filter(line => typeof line === "string").map(line => `${line}\n`).join("");
}

function prefixed(family: Family | undefined): string[] {
    return family?.addresses.map(address => `${address}/${family.prefix}`) ?? [];
}

/** systemd.network(5): GatewayOnLink= since 246; a link-local gateway needs no such word but takes it. */
function networkd(network: Filled): GuestFile {
    const route = (family: Family | undefined) => family
        ? ["", "[Route]", `Gateway=${family.gateway}`, "GatewayOnLink=yes"]
        : [];
    const text = lines(
        "[Match]", `MACAddress=${network.mac}`,
        network.mtu !== undefined && ["", "[Link]", `MTUBytes=${network.mtu}`],
        "", "[Network]", [...prefixed(network.v4), ...prefixed(network.v6)].map(address => `Address=${address}`),
        network.dns.map(server => `DNS=${server}`), "IPv6AcceptRA=no",
        route(network.v4), route(network.v6),
    );
    return {
        tool: "networkd", title: "systemd-networkd", path: `/etc/systemd/network/10-${network.name}.network`, text,
        says: msg("Then run: $0", "networkctl reload"),
    };
}

/** netplan(5): `0.0.0.0/0` rather than `default`, which only knows netplan from 0.104 on. */
function netplanBody(network: Filled, indent: string): string[] {
    const route = (family: Family | undefined, to: string) => family
        ? [`    - to: "${to}"`, `      via: "${family.gateway}"`, "      on-link: true"]
        : [];
    const body = [
        "version: 2", "ethernets:", `  ${network.name}:`,
        "    match:", `      macaddress: "${network.mac}"`, `    set-name: ${network.name}`,
        "    dhcp4: false", "    dhcp6: false", "    accept-ra: false",
        ...network.mtu !== undefined ? [`    mtu: ${network.mtu}`] : [],
        "    addresses:", ...[...prefixed(network.v4), ...prefixed(network.v6)].map(address => `    - "${address}"`),
        "    routes:", ...route(network.v4, "0.0.0.0/0"), ...route(network.v6, "::/0"),
        ...network.dns.length > 0
            ? ["    nameservers:", "      addresses:", ...network.dns.map(server => `      - "${server}"`)]
            : [],
    ];
    return body.map(line => indent + line);
}

function netplan(network: Filled): GuestFile {
    return {
        tool: "netplan", title: "netplan", path: "/etc/netplan/60-kvm-tap.yaml",
        text: lines("network:", netplanBody(network, "  ")),
        says: msg("Make the file readable by root only, then run: $0", "netplan apply"),
    };
}

/** NoCloud's `network-config`: no `network:` around it. */
function cloudInit(network: Filled): GuestFile {
    return {
        tool: "cloud-init", title: "cloud-init", path: "network-config",
        text: lines(netplanBody(network, "")),
        says: msg("Belongs into the guest's seed and is read at its first boot. Only where cloud-init writes for netplan does it hand on-link routes on (as in Ubuntu and Debian 12 and later)."),
    };
}

/** interfaces(5): `pointopoint` makes the gateway reachable, in Debian's ifupdown as in busybox'. */
function ifupdown(network: Filled): GuestFile {
    const { v4, v6, name } = network;
    const first = (family: Family) => `    address ${family.addresses[0] ?? ""}/${family.prefix}`;
    const more = (family: Family) => family.addresses.slice(1)
        .map(address => `    up ip address add ${address}/${family.prefix} dev $IFACE`);
    const mtu = network.mtu !== undefined && `    mtu ${network.mtu}`;
    const text = lines(
        `# The interface with MAC address ${network.mac}`, `auto ${name}`,
        v4 && [`iface ${name} inet static`, first(v4), `    pointopoint ${v4.gateway}`, `    gateway ${v4.gateway}`, ...more(v4)],
        v4 && mtu,
        v4 && network.dns.length > 0 && `    dns-nameservers ${network.dns.join(" ")}`,
        v6 && [...v4 ? [""] : [], `iface ${name} inet6 static`, first(v6), `    gateway ${v6.gateway}`, "    accept_ra 0", ...more(v6)],
        v6 && !v4 && mtu,
        v6 && !v4 && network.dns.length > 0 && `    dns-nameservers ${network.dns.join(" ")}`,
    );
    return {
        tool: "ifupdown", title: "ifupdown", path: `/etc/network/interfaces.d/${name}`, text,
        says: msg("Then run: $0", `ifup ${name}`),
    };
}

/** nm-settings-keyfile(5). NetworkManager itself adds the route to a gateway outside of all prefixes. */
function networkManager(network: Filled): GuestFile {
    const section = (name: "ipv4" | "ipv6", family: Family | undefined) => family
        ? [
            "", `[${name}]`, "method=manual",
            ...prefixed(family).map((address, index) => `address${index + 1}=${address}`),
            `gateway=${family.gateway}`,
            ...dnsOf(name, network.dns),
        ]
        : ["", `[${name}]`, `method=${name === "ipv6" ? "link-local" : "disabled"}`];
    const text = lines(
        "[connection]", `id=${network.name}`, "type=ethernet", "autoconnect-priority=10",
        "", "[ethernet]", `mac-address=${network.mac}`, network.mtu !== undefined && `mtu=${network.mtu}`,
        section("ipv4", network.v4), section("ipv6", network.v6),
    );
    return {
        tool: "networkmanager", title: "NetworkManager",
        path: `/etc/NetworkManager/system-connections/${network.name}.nmconnection`, text,
        says: msg("Make the file readable by root only, then run: $0", `nmcli connection reload; nmcli connection up ${network.name}`),
    };
}

function dnsOf(name: "ipv4" | "ipv6", servers: readonly string[]): string[] {
    const mine = servers.filter(server => kindOf(server) === name);
    return mine.length > 0 ? [`dns=${mine.join(";")};`] : [];
}
