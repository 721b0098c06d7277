# SPDX-License-Identifier: LGPL-2.1-or-later
"""What neighbours on the uplinks are told and asked: who has an address."""
from __future__ import annotations

import ipaddress
import select
import socket
import struct
import time
from typing import List, Optional

from .host import Failure, listed, read
from .links import Links, is_up
from .table import Network, Table

EVERYBODY = b"\xff" * 6
ETHERTYPE_ARP = 0x0806
ETHERNET = "1"  # linux/if_arp.h: ARPHRD_ETHER
ICMPV6, ADVERTISEMENT = 58, 136

# Linux ignores an ARP update within a second of the last (arp(7), locktime).
ROUNDS, BETWEEN_ROUNDS = 3, 1.2

# How long an answer may take. A proxy delays its own by up to 0.8 s (arp(7), proxy_delay).
PATIENCE = 1.2


def ethernet_address(link: str) -> Optional[bytes]:
    """The link's own address; None for one without, such as a tunnel."""
    address = (read(f"/sys/class/net/{link}/address") or "").strip()
    kind = (read(f"/sys/class/net/{link}/type") or "").strip()
    return bytes.fromhex(address.replace(":", "")) if kind == ETHERNET and len(address) == 17 else None


def arp(mac: bytes, sender: bytes, target: bytes) -> bytes:
    """A frame that asks everybody who has an address (RFC 826)."""
    return EVERYBODY + mac + struct.pack("!HHHBBH", ETHERTYPE_ARP, 1, 0x0800, 6, 4, 1) + mac + sender + bytes(6) + target


def announce_ipv4(link: str, mac: bytes, addresses: List[bytes]) -> None:
    """Asks for our own addresses, which tells everybody where they are (RFC 5227, 3)."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((link, 0))
        for address in addresses:
            wire.send(arp(mac, address, address))


def announce_ipv6(link: str, mac: bytes, addresses: List[bytes]) -> None:
    """
    Unsolicited neighbour advertisements (RFC 4861, 7.2.6) as the kernel sends them for proxied addresses, but with the override flag:
    whoever knows another owner is to forget it.
    """
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, ICMPV6) as wire:
        index = socket.if_nametoindex(link)
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        # Receivers drop what passed a router.
        wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        for address in addresses:
            advertisement = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, 0xA0000000) + address + struct.pack("BB", 2, 1) + mac
            wire.sendto(advertisement, ("ff02::1", 0, 0, index))


def announce(table: Table, addresses: List[Network]) -> List[str]:
    """
    Tells the neighbours on the uplinks that these addresses are here. Of a prefix nobody can tell which addresses are in use. Returns
    what went wrong, in sentences.
    """
    singles = [network.network_address for network in addresses if network.num_addresses == 1]
    packed = {version: [address.packed for address in singles if address.version == version] for version in (4, 6)}
    problems: List[str] = []
    for number in range(ROUNDS if singles else 0):
        time.sleep(BETWEEN_ROUNDS if number > 0 else 0)
        problems = []
        for link in table.uplinks:
            mac = ethernet_address(link)
            if mac is None or not is_up(link):
                continue
            for send, family in ((announce_ipv4, 4), (announce_ipv6, 6)):
                try:
                    if packed[family]:
                        send(link, mac, packed[family])
                except OSError as error:
                    problems.append(f"IPv{family} addresses were not announced on {link}: {error.strerror}")
    return problems


def answered(link: str, address: str, links: Links) -> bool:
    """Whether another machine on a link answers for an address. Raises Failure where that cannot be found out."""
    try:
        parsed = ipaddress.ip_address(address)
        return answered_ipv4(link, parsed.packed, links) if parsed.version == 4 else answered_ipv6(link, address)
    except (OSError, ValueError) as error:
        raise Failure(f"{address} cannot be asked for on {link}: {error}") from error


def answered_ipv4(link: str, address: bytes, links: Links) -> bool:
    """
    Asks in nobody's name, as whoever wants to take an address has to (RFC 5227, 2.1), and in the host's own: an address for which a
    proxy answers is found only by the second question (net/ipv4/arp.c, arp_process).
    """
    mac = ethernet_address(link)
    if mac is None:
        return False
    own = [each.ip.packed for each in links.addresses.get(link, []) if each.version == 4]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP)) as wire:
        wire.bind((link, ETHERTYPE_ARP))
        for sender in [bytes(4), *own[:1]] * 2:
            wire.send(arp(mac, sender, address))
            if replied(wire, address, mac):
                return True
    return False


def replied(wire: socket.socket, address: bytes, mac: bytes) -> bool:
    """Whether somebody else says, within a while, that the address is his."""
    until = time.monotonic() + PATIENCE / 2
    while select.select([wire], [], [], max(0.0, until - time.monotonic()))[0]:
        frame = wire.recv(2048)
        if len(frame) >= 42 and frame[22:28] != mac and frame[28:32] == address:
            return True
    return False


def answered_ipv6(link: str, address: str) -> bool:
    """A datagram makes the kernel look for the neighbour; what it finds is in its table."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as datagram:
        datagram.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
        datagram.sendto(b"", (address, 9))
    until = time.monotonic() + 2 * PATIENCE
    while time.monotonic() < until:
        entries = listed(["ip", "-j", "-6", "neigh", "show", "to", address, "dev", link])
        if any("lladdr" in entry for entry in entries):
            return True
        if any("FAILED" in entry.get("state", []) for entry in entries):
            return False
        time.sleep(0.1)
    return False
