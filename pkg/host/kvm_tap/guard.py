# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Nothing leaves by an uplink with a guest's private source address, whether the table is there or not: a classic BPF program at the
uplink's egress (tc-bpf(8)) drops it. By then whoever translates has translated, so such a source has been missed.
`nft flush ruleset` does not take it away, as it would a chain of any family.

What it costs for packets from anywhere else: two comparisons or so, in machine code (the kernel's JIT).
"""
from __future__ import annotations

import ipaddress
import json
import re
from typing import Dict, Iterable, List, NamedTuple, Sequence, Set, Tuple

from .host import Failure, read, replace, run
from .links import Links
from .table import Network, Table, by_address

PRIVATE = [ipaddress.ip_network(text) for text in
           ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")]

# Instructions of one program (linux/bpf_common.h, BPF_MAXINSNS), and how many prefixes surely fit.
MOST_INSTRUCTIONS = 4096
PREFIXES_PER_PROGRAM = {4: 550, 6: 220}

# Opcodes (linux/filter.h): load a word at a fixed offset, compare with a constant, jump, return a constant.
LOAD_HALF, LOAD_WORD = 0x28, 0x20
JUMP, JUMP_EQUAL, JUMP_GREATER, JUMP_GREATER_EQUAL, RETURN = 0x05, 0x15, 0x25, 0x35, 0x06

PROTOCOL_OFFSET = 0xFFFFF000  # SKF_AD_OFF + SKF_AD_PROTOCOL
NETWORK_OFFSET = 0xFFF00000  # SKF_NET_OFF: from the header of IP on, whatever kind of link it is
SOURCE = {4: NETWORK_OFFSET + 12, 6: NETWORK_OFFSET + 8}
ETHERTYPE = {4: 0x0800, 6: 0x86DD}

# Verdicts of a classifier with "direct-action" (linux/pkt_cls.h): drop, or go on to the next filter.
DROP, GO_ON = 2, 0xFFFFFFFF

PREFERENCE = "107"


class Span(NamedTuple):
    """Values of one word of an address, and what the words after it must be; `rest` is empty where that does not matter."""

    first: int
    last: int
    rest: Tuple[Network, ...]


Instruction = Tuple[int, int, int, int]


def is_private(network: Network) -> bool:
    """Whether it lies in a range that means nothing outside."""
    return any(network.version == other.version and network.subnet_of(other) for other in PRIVATE)  # type: ignore[arg-type]


def routed_over(devices: Set[str], links: Links) -> Set[Network]:
    """Destinations of routes over these links: the addresses of their guests."""
    return {ipaddress.ip_network(route["dst"]) for family in links.families for route in links.routes(family)
            if route["dev"] in devices and route["dst"] != "default"}


def is_outside(uplink: str, version: int, links: Links) -> bool:
    """Whether this link has a public address of the family: then no private source is ever right there."""
    return any(address.version == version and not address.is_link_local and not is_private(ipaddress.ip_network(address.ip))
               for address in links.addresses.get(uplink, []))


def guarded(uplink: str, table: Table, links: Links) -> List[Network]:
    """Private sources that must not leave by this uplink: of mapped guests, and of guests behind TAP devices."""
    of_mapped = routed_over(set(table.links("taps")), links)
    of_others = {network for network in routed_over(links.taps, links) if is_outside(uplink, network.version, links)}
    return sorted(filter(is_private, {*table.guests, *of_mapped, *of_others}), key=by_address)


# The program -------------------------------------------------------------------------------------------------------------


def word(network: Network, index: int) -> Span:
    """Word `index` (32 bits, from the left) of all addresses of a prefix."""
    first = int(network.network_address) >> (network.max_prefixlen - 32 * (index + 1)) & 0xFFFFFFFF
    bits = min(32, max(0, network.prefixlen - 32 * index))
    return Span(first, first | (0xFFFFFFFF >> bits), (network,) if network.prefixlen > 32 * (index + 1) else ())


def spans(networks: Iterable[Network], index: int) -> List[Span]:
    """The values of a word, in order and without overlaps: prefixes that end in this word take in what begins like them."""
    found: List[Span] = []
    for span in sorted((word(network, index) for network in networks), key=lambda each: (each.first, -each.last, len(each.rest))):
        last = found[-1] if found else None
        if last and last.last >= span.first and not last.rest:
            continue
        if last and last.rest and (last.first, last.last) == (span.first, span.last):
            found[-1] = last._replace(rest=last.rest + span.rest)
        elif last and not last.rest and not span.rest and last.last + 1 == span.first:
            found[-1] = last._replace(last=span.last)
        else:
            found.append(span)
    return found


def search(family: int, networks: Sequence[Network], index: int = 0) -> List[Instruction]:
    """Ends with DROP for the sources in these prefixes and with GO_ON for others: a binary search in each word."""
    return [(LOAD_WORD, 0, 0, SOURCE[family] + 4 * index), *among(family, spans(networks, index), index)]


def among(family: int, found: Sequence[Span], index: int) -> List[Instruction]:
    """The word that was loaded, looked for among these values."""
    if len(found) > 1:
        middle = len(found) // 2
        low, high = among(family, found[:middle], index), among(family, found[middle:], index)
        return [*unless(JUMP_GREATER_EQUAL, found[middle].first, low), *high]
    [span] = found
    inside = search(family, span.rest, index + 1) if span.rest else [(RETURN, 0, 0, DROP)]
    if span.first == span.last:
        return [(JUMP_EQUAL, 1, 0, span.first), (RETURN, 0, 0, GO_ON), *inside]
    return [(JUMP_GREATER_EQUAL, 1, 0, span.first), (RETURN, 0, 0, GO_ON), (JUMP_GREATER, 0, 1, span.last), (RETURN, 0, 0, GO_ON), *inside]


def unless(comparison: int, value: int, otherwise: List[Instruction]) -> List[Instruction]:
    """`otherwise` is left out where the comparison holds. A conditional jump reaches 255 instructions, a plain one any."""
    return [(comparison, 0, 1, value), (JUMP, 0, 0, len(otherwise)), *otherwise]


def program(networks: Sequence[Network]) -> str:
    """The program for prefixes of one family, as tc-bpf(8) takes it: "LENGTH,OPCODE IF ELSE CONSTANT,…"."""
    family = networks[0].version
    instructions = [
        (LOAD_HALF, 0, 0, PROTOCOL_OFFSET), (JUMP_EQUAL, 1, 0, ETHERTYPE[family]), (RETURN, 0, 0, GO_ON),
        *search(family, networks),
    ]
    if len(instructions) > MOST_INSTRUCTIONS:
        raise Failure(f"{len(networks)} prefixes are too many for one program")
    return ",".join([str(len(instructions)), *(" ".join(map(str, each)) for each in instructions)])


def programs(networks: Sequence[Network]) -> List[str]:
    """Programs for all of these."""
    found = []
    for family in (4, 6):
        of_family = [network for network in ipaddress.collapse_addresses(  # type: ignore[type-var]
            network for network in networks if network.version == family)]
        step = PREFIXES_PER_PROGRAM[family]
        found += [program(of_family[start:start + step]) for start in range(0, len(of_family), step)]
    return found


# The uplinks ------------------------------------------------------------------------------------------------------------

# Links that have programs of ours, and whether we made the place for them.
GUARDS = "/run/kvm-tap/nat-guards"


def present(link: str) -> Dict[int, str]:
    """Our programs at a link's egress, by number."""
    shown = run(["tc", "filter", "show", "dev", link, "egress", "pref", PREFERENCE])
    found = re.findall(r"handle (0x[0-9a-f]+) .*bytecode '([^']*)'", shown)
    return {int(number, 16): code for number, code in found}


def filter_of(link: str, number: int) -> List[str]:
    """Names a program to tc(8)."""
    return ["dev", link, "egress", "protocol", "all", "pref", PREFERENCE, "handle", str(number), "bpf"]


def set_programs(link: str, wanted: List[str]) -> bool:
    """Replaces the programs of a link, each at once; those that are too many go. Whether the place for them had to be made."""
    made = " clsact " not in run(["tc", "qdisc", "show", "dev", link])
    there = {} if made else present(link)
    if made and wanted:
        run(["tc", "qdisc", "add", "dev", link, "clsact"])
    for number, code in enumerate(wanted, 1):
        if there.get(number) != code:
            run(["tc", "filter", "replace", *filter_of(link, number), "direct-action", "bytecode", code])
    for number in there:
        if number > len(wanted):
            run(["tc", "filter", "del", *filter_of(link, number)])
    return made


def leave(link: str, made: bool) -> None:
    """Takes our programs away, and the place for them where we made it and nobody else uses it."""
    set_programs(link, [])
    if made and not any(run(["tc", "filter", "show", "dev", link, side]).strip() for side in ("ingress", "egress")):
        run(["tc", "qdisc", "del", "dev", link, "clsact"])


def sync(table: Table, links: Links) -> List[str]:
    """Makes the guards of all uplinks agree with the table; returns what could not be set, in sentences."""
    before: Dict[str, bool] = json.loads(read(GUARDS) or "{}")
    after: Dict[str, bool] = {}
    problems: List[str] = []
    for link in sorted({*before, *table.uplinks} & links.names):
        try:
            wanted = programs(guarded(link, table, links)) if link in table.uplinks else []
            if wanted:
                after[link] = set_programs(link, wanted) or before.get(link, False)
            elif link in before:
                leave(link, before[link])
        except Failure as failure:
            problems.append(f"{link} has no guard against private sources: {failure}")
            if link in before:
                after[link] = before[link]
    if after != before:
        replace(GUARDS, json.dumps(after) if after else None)
    return problems
