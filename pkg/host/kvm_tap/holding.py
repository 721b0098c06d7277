# SPDX-License-Identifier: LGPL-2.1-or-later
"""
How the host holds public addresses: by a route to a device that swallows whatever the table did not translate, and by answering for
them on the uplinks (proxy ARP, proxy neighbour discovery).

A local route on `lo` (AnyIP) needs less, but makes the address one of the host's own: while the table is away, the host's own services
answer there, and their resets end the sessions of guests. Nothing that is held in this way ever reaches the host's own stack, whatever
becomes of the table.
"""
from __future__ import annotations

import ipaddress
from typing import Any, Dict, Iterable, List, NamedTuple, Set, Tuple, TypeVar

from .host import Failure, ip_batch, listed, run, succeeds
from .links import HOLD, PROTOCOL, Links, is_up
from .table import Network, Table

# Addresses of one prefix that are answered for one by one. The kernel keeps proxied addresses in 16 lists (PNEIGH_HASHMASK).
MOST_ANSWERED = 4096

T = TypeVar("T")


class Proxy(NamedTuple):
    """An address that the host answers for on a link."""

    address: str
    link: str


def held(table: Table, links: Links) -> Set[Network]:
    """Addresses and prefixes to hold: those of mappings that are not the host's own by now."""
    return {network for network in table.owned if network.version in links.families} - links.own


def is_ours(links: Links) -> bool:
    """Whether the device of this name is there and swallows packets: one that somebody may open hands them to him."""
    if HOLD not in links.names:
        return False
    info: Dict[str, Any] = next((link.get("linkinfo", {}) for link in listed(["ip", "-j", "-d", "link", "show", "dev", HOLD])), {})
    data = info.get("info_data", {})
    return info.get("info_kind") == "dummy" or (
        info.get("info_kind") == "tun" and data.get("type") == "tap" and data.get("persist") is True
        and str(data.get("user")) in ("root", "0") and "group" not in data)


def make_hold_device(links: Links) -> None:
    """
    A device that swallows packets. Without ARP: a neighbour that does not answer would be told to whoever asked. Raises Failure where
    the name is another device's.
    """
    if HOLD in links.names and not is_ours(links):
        raise Failure(f"{HOLD} is a device that somebody else made, so public addresses cannot be held: rename it or delete it")
    if is_up(HOLD):
        return  # set up again, it would be announced as changed, and kvm-tap-nat-watch would see to it
    # A kernel without "dummy" has TAP devices all the same: one that nobody opens swallows packets, too.
    if HOLD not in links.names and not succeeds(["ip", "link", "add", HOLD, "type", "dummy"]):
        run(["ip", "tuntap", "add", "dev", HOLD, "mode", "tap", "user", "root"])
    # A packet that is larger than the device would be answered, too.
    run(["ip", "link", "set", "dev", HOLD, "addrgenmode", "none", "mtu", "65521", "arp", "off", "up"])


def present_routes(links: Links, family: int) -> Set[Network]:
    """Addresses that a route of ours holds."""
    return {ipaddress.ip_network(route["dst"]) for route in links.routes_of_ours(family) if route.get("dev") == HOLD}


def local_routes(links: Links, family: int) -> Set[Network]:
    """Addresses that a local route of ours holds: versions up to 0.1 did it so."""
    return {ipaddress.ip_network(route["dst"]) for route in links.routes_of_ours(family) if route.get("type") == "local"}


def addresses_of(network: Network, on_link: Iterable[Network]) -> List[str]:
    """
    The addresses to answer for, one by one. Nobody asks for those of a prefix that is routed here; of one that is on the link, anybody
    may ask for any.
    """
    if network.num_addresses == 1:
        return [str(network.network_address)]
    asked = any(network.version == other.version and network.overlaps(other) for other in on_link)
    return [str(address) for address in network] if asked and network.num_addresses <= MOST_ANSWERED else []


def wanted_proxies(holding: Iterable[Network], table: Table, links: Links) -> Set[Proxy]:
    """Who is to be answered for on which uplink."""
    return {Proxy(address, uplink) for network in holding for uplink in table.uplinks if uplink in links.names
            for address in addresses_of(network, [each.network for each in links.addresses.get(uplink, [])])}


def present_proxies(family: int) -> Set[Proxy]:
    """What the host answers for by proxies of ours."""
    return {Proxy(entry["dst"], entry["dev"]) for entry in listed(["ip", "-j", f"-{family}", "neigh", "show", "proxy"])
            if entry.get("protocol") == PROTOCOL and "dev" in entry}


def wanted_settings(table: Table, links: Links) -> Dict[str, str]:
    """
    Kernel settings of the uplinks. Proxied answers are delayed by up to 0.8 s (neigh/…/proxy_delay). The kernel answers a question to
    everybody by the link's own `proxy_ndp`; one to the address itself, which it would forward, by that of `all`.
    """
    settings: Dict[str, str] = {}
    for link, of_ipv6 in {(link, ":" in address) for address, link in wanted_proxies(held(table, links), table, links)}:
        settings[f"net/ipv4/neigh/{link}/proxy_delay"] = "0"
        if of_ipv6:
            settings.update({f"net/ipv6/neigh/{link}/proxy_delay": "0", f"net/ipv6/conf/{link}/proxy_ndp": "1",
                             "net/ipv6/conf/all/proxy_ndp": "1"})
    return settings


def differences(wanted: Set[T], present: Set[T]) -> Tuple[Set[T], Set[T]]:
    """What to add, and what to remove."""
    return wanted - present, present - wanted


def sync(table: Table, links: Links) -> List[str]:
    """Makes routes and proxies agree with the table; returns what could not be set, in sentences."""
    holding = held(table, links)
    proxies = wanted_proxies(holding, table, links)
    problems: List[str] = []
    if holding:
        make_hold_device(links)
    for family in links.families:
        add, remove = differences({network for network in holding if network.version == family}, present_routes(links, family))
        ask, forget = differences({proxy for proxy in proxies if (":" in proxy.address) == (family == 6)}, present_proxies(family))
        problems += ip_batch(family, [
            *(f"route add {network} dev {HOLD} proto {PROTOCOL}" for network in add),
            *(f"neigh add proxy {address} dev {link} protocol {PROTOCOL}" for address, link in sorted(ask)),
            *(f"neigh del proxy {address} dev {link}" for address, link in sorted(forget)),
            *(f"route del {network} dev {HOLD} proto {PROTOCOL}" for network in remove),
            # Last: until then the address was held by these.
            *(f"route del local {network} dev lo table local proto {PROTOCOL}" for network in local_routes(links, family)),
        ])
    if not holding and is_ours(links):
        run(["ip", "link", "del", "dev", HOLD])
    return problems
