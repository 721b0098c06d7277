# SPDX-License-Identifier: LGPL-2.1-or-later
"""Table `inet kvm_tap`: what it says about addresses and links, read from the kernel or from nat.nft."""
from __future__ import annotations

import ipaddress
import json
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple, Union

from .host import Failure, is_safe_name, run

FAMILY, NAME = "inet", "kvm_tap"
TABLE = f"{FAMILY} {NAME}"
REMOVE = f"table {TABLE}\ndelete table {TABLE}\n"

# Of uplink number N: the mark of its connections is MARK + N, its rule and its routing table are RETURN_TABLE + N
# (src/model/nat-frame.ts has the same numbers).
MARK = 0x6B740000
RETURN_TABLE = 10700
MOST_UPLINKS = 255

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

# What an element's key maps to; None in a set.
Elements = Dict[str, Optional[str]]


class Uplink(NamedTuple):
    """One of several uplinks: its number, and the gateways that were chosen for it."""

    name: str
    number: int
    gateways: Dict[int, str]


class Table:
    """The elements of the table's sets."""

    def __init__(self, sets: Dict[str, Elements]) -> None:
        self.sets = sets

    def elements(self, name: str) -> Elements:
        """Elements of a set or map, which may be missing: tables of other versions have fewer sets."""
        return self.sets.get(name, {})

    def links(self, name: str) -> List[str]:
        """Names of links in a set. Those that could mean something else to a command are left out."""
        return sorted(filter(is_safe_name, self.elements(name)))

    def networks(self, *names: str) -> List[Network]:
        """Addresses and prefixes that are keys of these sets, in both families."""
        return sorted((network for name in names for family in (4, 6)
                       for network in networks_of(self.elements(f"{name}{family}"))), key=by_address)

    @property
    def uplinks(self) -> List[str]:
        return self.links("uplinks")

    @property
    def owned(self) -> List[Network]:
        """Public addresses that the host answers for."""
        return self.networks("owned", "ownednet")

    @property
    def guests(self) -> List[Network]:
        """Guest addresses that are translated when they leave, and those of disabled mappings."""
        disabled = [value for name in ("disabled", "disablednet") for family in (4, 6)
                    for value in self.elements(f"{name}{family}").values()]
        return sorted({*self.networks("guest", "guestnet"), *networks_of(disabled)}, key=by_address)

    @property
    def several_uplinks(self) -> List[Uplink]:
        """Uplinks with a number of their own; none where there is only one."""
        found = []
        for name, mark in sorted(self.elements("ways").items()):
            number = int(mark or "0", 0) - MARK
            if is_safe_name(name) and 0 < number <= MOST_UPLINKS:
                gateways = {family: self.elements(f"gateways{family}").get(name) for family in (4, 6)}
                found.append(Uplink(name, number, {family: gateway for family, gateway in gateways.items() if gateway}))
        return found

    def uses(self, family: int) -> bool:
        """Whether packets of this family are to be forwarded."""
        names = (f"{kind}{net}{family}" for kind in ("public", "disabled") for net in ("", "net"))
        return any(self.elements(name) for name in names) or bool(family == 4 and self.elements("shared"))


def by_address(network: Network) -> Tuple[int, int, int]:
    """Sorts networks of both families."""
    return (network.version, int(network.network_address), network.prefixlen)


def networks_of(texts: Iterable[Optional[str]]) -> List[Network]:
    """The addresses and prefixes among these texts."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text or "", strict=False))
        except ValueError:
            pass
    return found


def loaded() -> Optional[Table]:
    """The table in the kernel; None when there is none. Raises Failure where nft cannot tell."""
    tables = json.loads(run(["nft", "-j", "list", "tables"]))["nftables"]
    if not any(item.get("table", {}).get("family") == FAMILY and item["table"]["name"] == NAME for item in tables):
        return None
    listing = json.loads(run(["nft", "-j", "list", "table", FAMILY, NAME]))["nftables"]
    sets: Dict[str, Elements] = {}
    for item in listing:
        described = item.get("set") or item.get("map")
        if described:
            sets[described["name"]] = dict(map(element, described.get("elem", [])))
    return Table(sets)


def element(item: Any) -> Tuple[str, Optional[str]]:
    """One element of a listing (man libnftables-json): its key, and its value where it is a map's."""
    if isinstance(item, list):
        key, value = item
        return text_of(key), text_of(value)
    return text_of(item), None


def text_of(expression: Any) -> str:
    """An expression as text: an address, a prefix, a name, a mark. Concatenations are of no interest here."""
    if isinstance(expression, dict):
        if "elem" in expression:
            return text_of(expression["elem"]["val"])
        if "prefix" in expression:
            return f"{expression['prefix']['addr']}/{expression['prefix']['len']}"
        return json.dumps(expression)
    return str(expression)


# An element: a quoted name or an address, and after a colon what it maps to. Comments are strings without quotes inside.
ELEMENT = re.compile(r'(?:"([^"\n]*)"|([0-9a-fA-F:./]+))(?:\s+comment\s+"[^"\n]*")?(?:\s+:\s+([0-9a-fA-Fx:./]+))?\s*(?:,|$)')


def written(text: str) -> Table:
    """
    What a text of nft commands says about our sets, as far as it is written as the page writes it: enough to keep packets from going
    astray when nft refuses the text itself.
    """
    sets: Dict[str, Elements] = {}
    for name, elements in re.findall(rf"add element {TABLE} (\w+) \{{((?:\"[^\"\n]*\"|[^\"{{}}])*)\}}", text):
        for match in ELEMENT.finditer(elements.strip()):
            sets.setdefault(name, {})[match[1] if match[1] is not None else match[2]] = match[3]
    return Table(sets)


def check(text: str) -> None:
    """Raises Failure with nft's own words unless nft would take this text as it is."""
    run(["nft", "-c", "-f", "-"], text)


def execute(text: str) -> None:
    """Runs nft commands, all of them or none."""
    run(["nft", "-f", "-"], text)


def listing() -> str:
    """Commands that make the table what it is now, whatever it is then; without a table, commands that remove it."""
    try:
        return REMOVE + run(["nft", "list", "table", FAMILY, NAME])
    except Failure:
        if loaded() is not None:
            raise
        return REMOVE
