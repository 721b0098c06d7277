# SPDX-License-Identifier: LGPL-2.1-or-later
"""Links, addresses and routes of the host: each is asked for once, however often it is needed."""
from __future__ import annotations

import functools
import ipaddress
import os
from typing import Any, Dict, List, Set, Union

from .host import listed, read, setting
from .table import Network

# The routing protocol number of all that we set, so that nobody else's is ever removed.
PROTOCOL = "107"

# The device that swallows what the table did not translate. Named in src/model/tap.ts and pkg/host/00-kvm-tap-hold.network, too.
HOLD = "kvm-tap-hold"

IFF_UP = 1


# An address with the network that it is in.
Address = Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]


class Links:
    """What the kernel says about its links, at the time of the first question."""

    @functools.cached_property
    def names(self) -> Set[str]:
        return set(os.listdir("/sys/class/net"))

    @functools.cached_property
    def families(self) -> List[int]:
        """IPv6 is left out where the kernel lacks it or somebody switched it off."""
        return [4, 6] if setting("net/ipv6/conf/all/disable_ipv6") == "0" else [4]

    @functools.cached_property
    def addresses(self) -> Dict[str, List[Address]]:
        """The host's own addresses, by link."""
        return {link["ifname"]: [ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}")
                                 for entry in link.get("addr_info", []) if "local" in entry]
                for link in listed(["ip", "-j", "address", "show"]) if "ifname" in link}

    @property
    def own(self) -> Set[Network]:
        """The host's own addresses."""
        return {ipaddress.ip_network(address.ip) for addresses in self.addresses.values() for address in addresses}

    @functools.cached_property
    def taps(self) -> Set[str]:
        """TAP devices, of whomever."""
        return {link["ifname"] for link in listed(["ip", "-j", "-d", "link", "show", "type", "tun"])
                if link.get("linkinfo", {}).get("info_data", {}).get("type") == "tap"} - {HOLD}

    @functools.lru_cache(maxsize=None)  # noqa: B019 - one object a process
    def routes(self, family: int) -> List[Dict[str, Any]]:
        """Unicast routes of the main table over a link."""
        return [route for route in listed(["ip", "-j", f"-{family}", "route", "show", "table", "main"])
                if "dev" in route and route.get("type", "unicast") == "unicast"]

    @functools.lru_cache(maxsize=None)  # noqa: B019 - one object a process
    def routes_of_ours(self, family: int) -> List[Dict[str, Any]]:
        """Routes of ours, in all tables."""
        return listed(["ip", "-j", f"-{family}", "route", "show", "table", "all", "proto", PROTOCOL])


def is_up(link: str) -> bool:
    """Whether a link is there and up: one that is down takes no routes."""
    return bool(int(read(f"/sys/class/net/{link}/flags") or "0", 16) & IFF_UP)
