# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Ends tracked connections that go on as the table was before: one dump and a message for each that ends, whatever their number
(linux/netfilter/nfnetlink_conntrack.h). conntrack(8) reads all of them for each address it is asked to delete.
"""
from __future__ import annotations

import ipaddress
import os
import re
import socket
import struct
import subprocess
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from .host import ENVIRONMENT, Failure
from .links import Links
from .table import Network, Table, networks_of

GET, DELETE = 1 << 8 | 1, 1 << 8 | 2
REQUEST, DUMP = 0x1, 0x300
ERROR, DONE = 2, 3
ORIGINAL, REPLY, ZONE, IDENTITY = 1, 2, 18, 12
# A tuple begins with its addresses: nested attribute 1 with attributes 1 and 2 for IPv4, 3 and 4 for IPv6.
ADDRESSES = {socket.AF_INET: (slice(8, 12), slice(16, 20)), socket.AF_INET6: (slice(8, 24), slice(28, 44))}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Connection(NamedTuple):
    """Addresses as whoever began it sent them, and as the answers have them; `name` is what the kernel knows it by."""

    source: bytes
    destination: bytes
    answers_from: bytes
    answers_to: bytes
    name: bytes


class Pair(NamedTuple):
    """A mapping that was changed: both its sides."""

    public: Network
    guest: Network


class Side:
    """Addresses of one side of mappings, singles and prefixes, with what each becomes."""

    def __init__(self, pairs: Iterable[Tuple[Network, Network]]) -> None:
        self.by_length: Dict[Tuple[int, int], Dict[int, Network]] = {}
        for key, value in pairs:
            self.by_length.setdefault((key.max_prefixlen, key.prefixlen), {})[int(key.network_address)] = value

    def find(self, address: bytes) -> Optional[bytes]:
        """What this address becomes; None where no key contains it."""
        bits, number = 8 * len(address), int.from_bytes(address, "big")
        for (width, length), keys in self.by_length.items():
            host = number & ((1 << bits - length) - 1) if width == bits else 0
            value = keys.get(number - host) if width == bits else None
            if value is not None:
                return (int(value.network_address) + host).to_bytes(len(address), "big")
        return None


def attributes(data: bytes, start: int) -> Iterator[Tuple[int, int, int]]:
    """Kind, beginning and end of each netlink attribute, header included."""
    while start + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, start)
        if length < 4:
            return
        yield kind & 0x3FFF, start, start + length
        start += length + 3 & ~3


def connection(data: bytes, family: int) -> Optional[Connection]:
    """One message of a dump."""
    source, destination = ADDRESSES[family]  # type: ignore[index]
    original = reply = name = b""
    for kind, start, end in attributes(data, 20):
        if kind == ORIGINAL:
            original = data[start + 4:end]
        elif kind == REPLY:
            reply = data[start + 4:end]
        if kind in (ORIGINAL, ZONE, IDENTITY):
            name += data[start:end] + bytes(-(end - start) % 4)
    if not original or not reply:
        return None
    return Connection(original[source], original[destination], reply[source], reply[destination], name)


def message(kind: int, flags: int, family: int, sequence: int, payload: bytes = b"") -> bytes:
    """A netlink message with the header of nfnetlink."""
    return struct.pack("=IHHIIBBH", 20 + len(payload), kind, REQUEST | flags, sequence, 0, family, 0, 0) + payload


def messages(data: bytes) -> Iterator[Tuple[int, bytes]]:
    """The messages in what was received, by kind."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[:length]
        data = data[length + 3 & ~3:]


def error_in(data: bytes) -> int:
    """The error that the kernel answers with; 0 for none."""
    return -int(struct.unpack_from("=i", data, 16)[0])


def opened() -> socket.socket:
    """A socket to the kernel's connection tracking."""
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)  # NETLINK_NETFILTER
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    channel.settimeout(10)
    channel.bind((0, 0))
    return channel


def tracked(channel: socket.socket, family: int) -> Iterator[Connection]:
    """All connections of one family. Raises Failure where the kernel does not tell all of them."""
    channel.send(message(GET, DUMP, family, 1))
    while True:
        for kind, data in messages(channel.recv(1 << 20)):
            if kind == DONE:
                return
            if kind == ERROR:
                raise Failure(f"the tracked connections cannot be listed: {os.strerror(error_in(data))}")
            found = connection(data, family)
            if found:
                yield found


def delete(channel: socket.socket, family: int, connections: List[Connection]) -> None:
    """Ends these. Those that ended meanwhile are no failure."""
    for start in range(0, len(connections), 500):
        channel.send(b"".join(message(DELETE, 0, family, 2, each.name) for each in connections[start:start + 500]))
        # Errors alone are answered, and by now they are there.
        channel.setblocking(False)
        try:
            while True:
                for kind, data in messages(channel.recv(1 << 16)):
                    if kind == ERROR and error_in(data) not in (0, 2):
                        raise Failure(f"a connection could not be ended: {os.strerror(error_in(data))}")
        except BlockingIOError:
            channel.settimeout(10)


def leaving(addresses: Iterable[bytes], uplinks: List[str]) -> Set[bytes]:
    """Of these, the ones that the host's routes lead to by an uplink: the kernel is asked, for all at once."""
    found = set()
    for family, bits in ((4, 4), (6, 16)):
        lines = "".join(f"route get {ipaddress.ip_address(address)}\n" for address in addresses if len(address) == bits)
        if lines:
            done = subprocess.run(["ip", f"-{family}", "-o", "-force", "-batch", "-"], input=lines, capture_output=True, text=True,
                                  env=ENVIRONMENT, check=False)
            for destination, device in re.findall(r"^(?:[a-z]+ )?([0-9a-f.:]+) .*?\bdev (\S+)", done.stdout, re.MULTILINE):
                if device in uplinks:
                    found.add(ipaddress.ip_address(destination).packed)
    return found


class Stale:
    """Tells which connections of changed mappings must end, by the table as it is now."""

    def __init__(self, pairs: List[Pair], table: Table, links: Links) -> None:
        self.publics = Side((pair.public, pair.guest) for pair in pairs)
        self.guests = Side((pair.guest, pair.public) for pair in pairs)
        self.inward = Side(mapped(table, "public"))
        self.outward = Side(mapped(table, "guest"))
        self.own = {network.network_address.packed for network in links.own}
        self.uplinks = table.uplinks

    def translated(self, each: Connection) -> bool:
        """Carried by one of the changed mappings, in either direction."""
        return each.answers_from != each.destination and self.publics.find(each.destination) == each.answers_from \
            or each.answers_to != each.source and self.guests.find(each.source) == each.answers_to

    def missed_inward(self, each: Connection) -> bool:
        """It came in for a public address and was not translated as the table says. The host's own sessions stay."""
        if self.publics.find(each.destination) is None or (each.answers_from == each.destination and each.destination in self.own):
            return False
        return each.answers_from != self.inward.find(each.destination)

    def missed_outward(self, each: Connection) -> bool:
        """A guest began it before the table translated it. Whether it leaves by an uplink is still to be asked."""
        public = self.outward.find(each.source)
        return self.guests.find(each.source) is not None and public is not None and each.answers_to != public

    def among(self, connections: Iterable[Connection], also: Callable[[Connection], bool]) -> List[Connection]:
        """Those that must end."""
        found, asked = [], []
        for each in connections:
            if also(each) or self.missed_inward(each):
                found.append(each)
            elif self.missed_outward(each):
                asked.append(each)
        gone = leaving({each.destination for each in asked}, self.uplinks) if asked else set()
        return found + [each for each in asked if each.destination in gone]


def mapped(table: Table, side: str) -> Iterator[Tuple[Network, Network]]:
    """Pairs of enabled mappings, from the public side or the guest's."""
    for family in (4, 6):
        for name in (f"{side}{family}", f"{side}net{family}"):
            for key, value in table.elements(name).items():
                yield from zip(networks_of([key]), networks_of([value]))


def end(pairs: List[Pair], table: Table, links: Links, all_of_them: bool = True) -> int:
    """
    Ends the connections of these mappings that the table does not translate as it now would, and with `all_of_them` all that they
    carry. Returns how many. Raises Failure where they could not be ended: then they go on.
    """
    stale = Stale(pairs, table, links)
    count = 0
    try:
        for version in sorted({pair.public.version for pair in pairs}):
            with opened() as channel:
                family = FAMILIES[version]
                also = stale.translated if all_of_them else lambda each: False
                found = stale.among(tracked(channel, family), also)
                delete(channel, family, found)
                count += len(found)
    except OSError as error:
        raise Failure(f"the tracked connections cannot be read: {error.strerror or error}") from error
    return count
