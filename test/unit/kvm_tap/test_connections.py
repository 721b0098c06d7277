# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which tracked connections end with a change."""
import ipaddress
import unittest
from unittest import mock

from kvm_tap import connections, holding
from kvm_tap.table import Table

HOST = "203.0.113.1"


def packed(text):
    return ipaddress.ip_address(text).packed


def tracked(source, destination, answers_from, answers_to):
    return connections.Connection(packed(source), packed(destination), packed(answers_from), packed(answers_to), b"")


class Links:
    own = {ipaddress.ip_network(HOST)}


def pair(public, guest):
    return connections.Pair(ipaddress.ip_network(public), ipaddress.ip_network(guest))


def ended(pairs, table, every, all_of_them=True):
    """Names of the connections that end. What goes to 192.0.2.0/24 leaves by the uplink."""
    stale = connections.Stale(pairs, Table(table), Links())
    outside = lambda addresses, _uplinks: {each for each in addresses if each.startswith(packed("192.0.2.0")[:3])}  # noqa: E731
    with mock.patch.object(connections, "leaving", outside):
        found = stale.among(every.values(), stale.translated if all_of_them else lambda each: False)
    return {name for name, each in every.items() if each in found}


EVERY = {
    "in": tracked("192.0.2.80", "203.0.113.10", "10.0.0.2", "192.0.2.80"),
    "in, untranslated": tracked("192.0.2.80", "203.0.113.10", "203.0.113.10", "192.0.2.80"),
    "out": tracked("10.0.0.2", "192.0.2.80", "192.0.2.80", "203.0.113.10"),
    "out, untranslated": tracked("10.0.0.2", "192.0.2.80", "192.0.2.80", "10.0.0.2"),
    "out, by the host's address": tracked("10.0.0.2", "192.0.2.80", "192.0.2.80", HOST),
    "to the host": tracked("10.0.0.2", "169.254.0.1", "169.254.0.1", "10.0.0.2"),
    "to another guest": tracked("10.0.0.2", "10.0.0.3", "10.0.0.3", "10.0.0.2"),
    "another guest's, in": tracked("192.0.2.80", "203.0.113.11", "10.0.0.3", "192.0.2.80"),
    "another guest's, out": tracked("10.0.0.3", "192.0.2.80", "192.0.2.80", "203.0.113.11"),
    "the host's": tracked(HOST, "192.0.2.80", "192.0.2.80", HOST),
    "to the host's own address": tracked("192.0.2.80", HOST, HOST, "192.0.2.80"),
}
MAPPED = {"public4": {"203.0.113.10": "10.0.0.2", "203.0.113.11": "10.0.0.3"}, "guest4": {"10.0.0.2": "203.0.113.10", "10.0.0.3": "203.0.113.11"}}


class Ended(unittest.TestCase):
    def test_of_a_removed_mapping(self):
        left = {"public4": {"203.0.113.11": "10.0.0.3"}, "guest4": {"10.0.0.3": "203.0.113.11"}}
        self.assertEqual(ended([pair("203.0.113.10", "10.0.0.2")], left, EVERY), {"in", "in, untranslated", "out"})

    def test_of_a_new_one(self):
        self.assertEqual(ended([pair("203.0.113.10", "10.0.0.2")], MAPPED, EVERY),
                         {"in", "in, untranslated", "out", "out, untranslated", "out, by the host's address"})

    def test_of_one_that_comes_back_after_the_table_was_lost(self):
        self.assertEqual(ended([pair("203.0.113.10", "10.0.0.2"), pair("203.0.113.11", "10.0.0.3")], MAPPED, EVERY, all_of_them=False),
                         {"in, untranslated", "out, untranslated", "out, by the host's address"})

    def test_the_hosts_own_sessions_stay_when_its_own_address_is_mapped(self):
        own = {"public4": {HOST: "10.0.0.2"}, "guest4": {"10.0.0.2": HOST}}
        self.assertEqual(ended([pair(HOST, "10.0.0.2")], own, EVERY), {"out", "out, untranslated", "out, by the host's address"})

    def test_of_prefixes_exactly_those(self):
        every = {
            "in": tracked("192.0.2.80", "203.0.113.36", "10.0.1.20", "192.0.2.80"), "out": tracked("10.0.1.21", "192.0.2.80", "192.0.2.80", "203.0.113.37"),
            "beside": tracked("192.0.2.80", "203.0.113.48", "10.0.1.32", "192.0.2.80"),
            "IPv6": tracked("2001:db8:f::1", "2001:db8::12", "fd00::12", "2001:db8:f::1"),
            "IPv6 beside": tracked("2001:db8:f::1", "2001:db8::22", "fd00::22", "2001:db8:f::1"),
        }
        self.assertEqual(ended([pair("203.0.113.32/28", "10.0.1.16/28"), pair("2001:db8::10/124", "fd00::10/124")], {}, every), {"in", "out", "IPv6"})


class Answered(unittest.TestCase):
    def test_addresses_one_by_one(self):
        link = [ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("2001:db8::/64")]
        for text, count in (("203.0.113.10", 1), ("198.51.100.7", 1), ("203.0.113.32/28", 16), ("198.51.100.0/24", 0), ("203.0.0.0/16", 0),
                            ("2001:db8::10", 1), ("2001:db8:1::/64", 0)):
            self.assertEqual(len(holding.addresses_of(ipaddress.ip_network(text), link)), count, text)


if __name__ == "__main__":
    unittest.main()
