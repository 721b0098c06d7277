# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Forwarding follows the table: on while it has mappings, and off again after it where it was off before and nobody else needs it. A
table that is not there shields nobody, so a host without one does not route because of us.
"""
from __future__ import annotations

import glob
import json
import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .host import Failure, change_setting, is_safe_name, noted, read, replace, run, setting, setting_path
from .links import Links
from .table import FAMILY, NAME, Table

# Settings of links, for udev and the boot, which apply them before a link is up. Written with the mappings.
SYSCTL_FILE = "/etc/sysctl.d/60-kvm-tap.conf"

# What we switched on since the host booted: {"on": [4, 6], "accept_ra": {"eth0": "1"}}.
SWITCHED = "/run/kvm-tap/nat-forwarding"

SWITCH = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
FAMILIES_OF_TABLES = {4: ("ip", "inet"), 6: ("ip6", "inet")}
SYSCTL_PLACES = ("/etc/sysctl.d/*.conf", "/run/sysctl.d/*.conf", "/usr/local/lib/sysctl.d/*.conf", "/usr/lib/sysctl.d/*.conf",
                 "/lib/sysctl.d/*.conf", "/etc/sysctl.conf")


def settings_in(text: str) -> Iterator[Tuple[str, str]]:
    """The settings of a sysctl.d(5) text, by their path below /proc/sys."""
    for line in text.splitlines():
        match = re.match(r"\s*-?\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$", line)
        if match:
            try:
                yield setting_path(match[1])[len("/proc/sys/"):], match[2]
            except Failure:
                pass


def advertised_links(links: Links) -> List[str]:
    """Links of default routes that routers advertise."""
    return sorted({route["dev"] for route in links.routes(6) if route["dst"] == "default" and route.get("protocol") == "ra"
                   and is_safe_name(route["dev"])})


def is_taken_over(key: str) -> bool:
    """Whether this is `accept_ra` of a link where the kernel takes no advertisements: a network manager may do it in its place."""
    return re.fullmatch(r"net/ipv6/conf/[^/]+/accept_ra", key) is not None and setting(key) == "0"


def keep_advertisements(table: Table, links: Links, switched: Dict[str, Any]) -> None:
    """
    A kernel that forwards drops the default routes of links whose accept_ra is 1, and takes no new ones (net/ipv6/ndisc.c,
    ipv6_accept_ra): with 2 it does. With 0 the kernel takes none anyway, or a network manager does it in its place.
    """
    for link in sorted({*advertised_links(links), *table.uplinks}):
        key = f"net/ipv6/conf/{link}/accept_ra"
        if setting(key) == "1":
            change_setting(key, "2")
            switched["accept_ra"][link] = "1"


def wanted_elsewhere(family: int) -> Optional[str]:
    """Who else lets this host forward: a sysctl file, or somebody who translates what passes (Docker, libvirt's networks, …)."""
    keys = (SWITCH[family], f"net/ipv{family}/conf/all/forwarding")
    for path in (path for place in SYSCTL_PLACES for path in sorted(glob.glob(place)) if path != SYSCTL_FILE):
        if any(key in keys and value not in ("0", "") for key, value in settings_in(read(path) or "")):
            return path
    for item in json.loads(run(["nft", "-j", "list", "chains"]))["nftables"]:
        chain = item.get("chain", {})
        if chain.get("type") == "nat" and chain.get("hook") == "postrouting" and chain["family"] in FAMILIES_OF_TABLES[family] \
                and (chain["family"], chain["table"]) != (FAMILY, NAME):
            return f"nftables' {chain['family']} {chain['table']}"
    legacy = read("/proc/net/ip_tables_names" if family == 4 else "/proc/net/ip6_tables_names") or ""
    return "iptables" if "nat" in legacy.split() else None


def switch_on(family: int, table: Table, links: Links, switched: Dict[str, Any]) -> None:
    """Lets the kernel forward, without losing a default route by it."""
    if family == 6:
        keep_advertisements(table, links, switched)
    if setting(SWITCH[family]) == "0":
        change_setting(SWITCH[family], "1")
        switched["on"].append(family)


def switch_off(family: int, switched: Dict[str, Any]) -> List[str]:
    """Takes back what was switched on, unless somebody else needs it by now: then says who."""
    other = wanted_elsewhere(family)
    if not other:
        change_setting(SWITCH[family], "0")
    switched["on"].remove(family)
    if other:
        return [f"IPv{family} forwarding stays on: {other} needs it"]
    if family == 6:
        for link, value in switched.pop("accept_ra").items():
            change_setting(f"net/ipv6/conf/{link}/accept_ra", value)
        switched["accept_ra"] = {}
    return []


def sync(table: Table, links: Links) -> List[str]:
    """Makes the kernel's settings agree with the table; returns what is to be told, in sentences. Raises Failure for what cannot be set."""
    switched: Dict[str, Any] = {"on": [], "accept_ra": {}, **json.loads(read(SWITCHED) or "{}")}
    before = json.dumps(switched)
    told: List[str] = []
    failures: List[str] = []
    for family in links.families:
        with noted(failures):
            if table.uses(family):
                switch_on(family, table, links, switched)
            elif family in switched["on"]:
                told += switch_off(family, switched)
    if json.dumps(switched) != before:
        replace(SWITCHED, json.dumps(switched))
    if failures:
        raise Failure("; ".join(failures))
    return told


def apply_file() -> List[str]:
    """Sets what the sysctl file says, for links that are there already; returns a sentence for each line that cannot be set."""
    failures: List[str] = []
    with noted(failures):
        for key, value in settings_in(read(SYSCTL_FILE) or ""):
            with noted(failures):
                if not is_taken_over(key):
                    change_setting(key, value)
    return failures
