# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs against private sources, run as the kernel would run them."""
import ipaddress
import random
import unittest

from kvm_tap import guard


def verdict(code, source):
    """What a program says of a packet from this address (linux/filter.h)."""
    instructions = [tuple(map(int, each.split())) for each in code.split(",")[1:]]
    at, loaded = 0, 0
    while True:
        opcode, yes, no, constant = instructions[at]
        at += 1
        if opcode == guard.LOAD_HALF:
            loaded = guard.ETHERTYPE[source.version]
        elif opcode == guard.LOAD_WORD:
            offset = constant - guard.SOURCE[source.version]
            loaded = int.from_bytes(source.packed[offset:offset + 4], "big")
        elif opcode == guard.JUMP:
            at += constant
        elif opcode == guard.RETURN:
            return constant
        else:
            holds = {guard.JUMP_EQUAL: loaded == constant, guard.JUMP_GREATER: loaded > constant,
                     guard.JUMP_GREATER_EQUAL: loaded >= constant}[opcode]
            at += yes if holds else no


def dropped(codes, source):
    """Whether one of these programs drops it; the kernel goes on to the next while they say so."""
    return any(verdict(code, source) == guard.DROP for code in codes)


class Programs(unittest.TestCase):
    def test_one_guest(self):
        codes = guard.programs([ipaddress.ip_network("10.0.0.2")])
        self.assertTrue(dropped(codes, ipaddress.ip_address("10.0.0.2")))
        for other in ("10.0.0.1", "10.0.0.3", "203.0.113.10", "::ffff:10.0.0.2", "fd00::2"):
            self.assertFalse(dropped(codes, ipaddress.ip_address(other)), other)

    def test_words_that_differ_late(self):
        codes = guard.programs([ipaddress.ip_network(text) for text in ("fd00::2", "fd00::1:0:0:2", "fd00:0:0:1::/64", "fd01::/16")])
        for text, expected in (("fd00::2", True), ("fd00::3", False), ("fd00::1:0:0:2", True), ("fd00::1:0:0:3", False),
                               ("fd00:0:0:1:ffff::", True), ("fd00:0:0:2::", False), ("fd01:2:3::4", True), ("fd02::", False)):
            self.assertEqual(dropped(codes, ipaddress.ip_address(text)), expected, text)

    def test_ten_thousand_guests_fit(self):
        for family, base, step in ((4, int(ipaddress.ip_address("10.0.0.0")), 7), (6, int(ipaddress.ip_address("fd00::")), 1 << 70)):
            networks = [ipaddress.ip_network(ipaddress.ip_address(base + number * step)) for number in range(10_000)]
            codes = guard.programs(networks)
            self.assertTrue(all(int(code.partition(",")[0]) <= guard.MOST_INSTRUCTIONS for code in codes))
            self.assertTrue(dropped(codes, ipaddress.ip_address(base + 9_999 * step)), family)
            self.assertFalse(dropped(codes, ipaddress.ip_address(base + 9_999 * step + 1)), family)

    def test_any_networks_and_sources(self):
        chance = random.Random(1)
        for _ in range(150):
            family = chance.choice((4, 6))
            width, kind = (32, ipaddress.IPv4Address) if family == 4 else (128, ipaddress.IPv6Address)
            networks = []
            for _ in range(chance.choice((1, 2, 5, 60))):
                start = chance.getrandbits(width) if chance.random() < 0.5 else (10 << width - 8) | chance.getrandbits(16)
                length = chance.choice((width, width, width - 4, width - 8, width // 2, 9, 1 + width // 4))
                networks.append(ipaddress.ip_network((start, length) if family == 4 else (kind(start).packed, length), strict=False))
            codes = guard.programs(sorted(networks, key=guard.by_address))
            for _ in range(60):
                near = chance.choice(networks)
                number = chance.choice((chance.getrandbits(width), int(near.network_address) + chance.choice((-1, 0, 1, 255)),
                                        int(near.broadcast_address) + chance.choice((-1, 0, 1)))) % (1 << width)
                source = kind(number)
                self.assertEqual(dropped(codes, source), any(source in network for network in networks), (source, networks))


if __name__ == "__main__":
    unittest.main()
