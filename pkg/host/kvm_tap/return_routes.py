# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Several uplinks: the marks that the table gives to connections lead each to a routing table of its uplink, which has the uplink's default
route and what is on its link. Without a gateway in the table it is that of the main table's default route over the uplink.
"""
from __future__ import annotations

import ipaddress
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple

from .holding import differences
from .host import ip_batch, listed, setting
from .links import PROTOCOL, Links, is_up
from .table import MARK, MOST_UPLINKS, RETURN_TABLE, Table, Uplink

EVERYWHERE = {4: "0.0.0.0/0", 6: "::/0"}


class ReturnRoute(NamedTuple):
    """A route of an uplink's own table."""

    table: int
    uplink: str
    destination: str
    gateway: str = ""
    onlink: bool = False

    def words(self) -> str:
        """The route as ip(8) is told it."""
        via = f"via {self.gateway} " if self.gateway else ""
        onlink = "onlink " if self.onlink else ""
        return f"{self.destination} {via}dev {self.uplink} {onlink}table {self.table} proto {PROTOCOL}"


def wanted_rules(uplinks: List[Uplink]) -> Set[Tuple[int, str]]:
    """Priority and mark; the table has the number of the priority."""
    return {(RETURN_TABLE + uplink.number, hex(MARK + uplink.number)) for uplink in uplinks}


def present_rules(family: int) -> Set[Tuple[int, str]]:
    """Rules of ours."""
    return {(rule["priority"], rule["fwmark"]) for rule in listed(["ip", "-j", f"-{family}", "rule", "show"])
            if rule.get("protocol") == PROTOCOL and "fwmark" in rule}


def gateway_of(route: Dict[str, Any]) -> str:
    """A route's gateway in ip's words; one of the other family is named with it."""
    via = route.get("via", {})
    return route.get("gateway") or f"{via.get('family', '')} {via.get('host', '')}".strip()


def default_route(uplink: Uplink, family: int, routes: List[Dict[str, Any]]) -> Optional[Tuple[str, bool]]:
    """Gateway of the uplink and whether it lies outside of the networks on the link; None where there is no way out that is known."""
    chosen = uplink.gateways.get(family)
    if chosen is not None:
        address = ipaddress.ip_address(chosen)
        networks = [ipaddress.ip_network(route["dst"]) for route in routes if route["dst"] != "default" and not gateway_of(route)]
        return chosen, not (address.is_link_local or any(address in network for network in networks))
    found = next((route for route in routes if route["dst"] == "default"), None)
    return None if found is None else (gateway_of(found), "onlink" in found.get("flags", []))


def wanted_routes(uplink: Uplink, links: Links, family: int) -> Set[ReturnRoute]:
    """The routes of one uplink's table."""
    if not is_up(uplink.name):
        return set()
    table = RETURN_TABLE + uplink.number
    routes = [route for route in links.routes(family) if route["dev"] == uplink.name]
    on_link = {ReturnRoute(table, uplink.name, str(ipaddress.ip_network(route["dst"]))) for route in routes
               if route["dst"] != "default" and not gateway_of(route) and not route["dst"].startswith(("fe80", "ff"))}
    default = default_route(uplink, family, routes)
    return on_link if default is None else {*on_link, ReturnRoute(table, uplink.name, EVERYWHERE[family], *default)}


def present_routes(links: Links, family: int) -> Set[ReturnRoute]:
    """Routes of ours in the uplinks' tables."""
    found = set()
    for route in links.routes_of_ours(family):
        table = str(route.get("table", ""))
        if table.isdigit() and RETURN_TABLE < int(table) <= RETURN_TABLE + MOST_UPLINKS:
            destination = EVERYWHERE[family] if route["dst"] == "default" else str(ipaddress.ip_network(route["dst"]))
            found.add(ReturnRoute(int(table), route.get("dev", ""), destination, gateway_of(route), "onlink" in route.get("flags", [])))
    return found


def wanted_settings(table: Table) -> Dict[str, str]:
    """With several uplinks the strict reverse path filter would drop what comes in by one and is answered by default over another."""
    strict = setting("net/ipv4/conf/all/rp_filter") == "1"
    keys = [f"net/ipv4/conf/{uplink.name}/rp_filter" for uplink in table.several_uplinks]
    return {key: "2" for key in keys if strict or setting(key) != "0"}


def sync(table: Table, links: Links) -> List[str]:
    """Makes rules and routes agree with the table; returns what could not be set (no carrier yet, no address yet), in sentences."""
    uplinks = table.several_uplinks
    problems: List[str] = []
    for family in links.families:
        rules = differences(wanted_rules(uplinks), present_rules(family))
        present = present_routes(links, family)
        if not uplinks and not rules[1] and not present:
            continue
        routes = differences({route for uplink in uplinks for route in wanted_routes(uplink, links, family)}, present)
        problems += ip_batch(family, [
            *(f"rule del pref {number} fwmark {mark} protocol {PROTOCOL}" for number, mark in sorted(rules[1])),
            *(f"rule add pref {number} fwmark {mark} lookup {number} protocol {PROTOCOL}" for number, mark in sorted(rules[0])),
            *(f"route del {route.words()}" for route in sorted(routes[1])),
            # What is on the link first: a gateway has to be.
            *(f"route add {route.words()}" for route in sorted(routes[0], key=lambda route: (route.gateway != "", route))),
        ])
    return problems
