# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is taken for a change, and what a text of nft commands is understood to say."""
import json
import unittest

from kvm_tap import change, table
from kvm_tap.host import Failure

WHOLE = {
    "version": 1, "nft": ["add element inet kvm_tap public4 { 203.0.113.10 : 10.0.0.2 }"], "save": {"mappings": ["a", ""], "sysctl": None},
    "end": [{"public": "203.0.113.10", "guest": "10.0.0.2"}], "announce": ["203.0.113.10"],
}


class Parse(unittest.TestCase):
    def test_a_whole_one(self):
        found = change.parse(json.dumps(WHOLE))
        self.assertEqual(found.nft, WHOLE["nft"][0] + "\n")
        self.assertEqual(found.save, {"mappings": "a\n\n", "sysctl": None})
        self.assertEqual([(str(pair.public), str(pair.guest)) for pair in found.pairs], [("203.0.113.10/32", "10.0.0.2/32")])
        self.assertEqual([str(address) for address in found.announce], ["203.0.113.10/32"])

    def test_cut_anywhere_it_is_refused(self):
        text = json.dumps(WHOLE)
        for length in range(len(text)):
            with self.assertRaises(Failure, msg=text[:length]):
                change.parse(text[:length])

    def test_what_is_not_understood_is_refused(self):
        for what, members in {
            "no object": None, "another version": {"version": 2}, "no version": {"version": None}, "an unknown member": {"more": 1},
            "nft as text": {"nft": "flush ruleset"}, "a line with two": {"nft": ["a\nb"]}, "a number for a line": {"nft": [1]},
            "an unknown file": {"save": {"/etc/passwd": []}}, "a file as text": {"save": {"mappings": "a"}}, "save as a list": {"save": []},
            "no address": {"announce": ["eth0"]}, "announce as text": {"announce": "203.0.113.10"}, "half a mapping": {"end": [{"public": "203.0.113.10"}]},
            "two families": {"end": [{"public": "203.0.113.10", "guest": "fd00::2"}]}, "two sizes": {"end": [{"public": "203.0.113.0/28", "guest": "10.0.0.2"}]},
            "more than a mapping": {"end": [{"public": "203.0.113.10", "guest": "10.0.0.2", "kind": "own"}]}, "end as an object": {"end": {}},
        }.items():
            with self.subTest(what), self.assertRaises(Failure):
                change.parse(json.dumps({**WHOLE, **members} if members else [WHOLE]))

    def test_the_text_of_an_older_page_is_refused_in_words(self):
        with self.assertRaisesRegex(Failure, "update cockpit-kvm-tap"):
            change.parse("add element inet kvm_tap public4 { 203.0.113.10 : 10.0.0.2 }\n# cut added 203.0.113.10 10.0.0.2\n")

    def test_what_version_0_1_armed_can_be_kept(self):
        found = change.parse_old("add element …\n# cut own 203.0.113.1 10.0.0.2\n# announce 203.0.113.1\n# file\ntable inet kvm_tap\n# file\nx\n")
        self.assertEqual(found.save, {"mappings": "table inet kvm_tap\n# file\nx\n"})
        self.assertEqual([(str(pair.public), str(pair.guest)) for pair in found.pairs], [("203.0.113.1/32", "10.0.0.2/32")])


class Written(unittest.TestCase):
    TEXT = """
# add element inet kvm_tap owned4 … is how it is written
add element inet kvm_tap uplinks { "eth0", "up-1.2" }
add element inet kvm_tap ways { "eth0" : 0x6b740001 }; add element inet kvm_tap gateways4 { "eth0" : 203.0.113.254 }
add element inet kvm_tap public4 { 203.0.113.10 comment "a { b } : c, 1" : 10.0.0.2 }; add element inet kvm_tap guest4 { 10.0.0.2 : 203.0.113.10 }; add element inet kvm_tap owned4 { 203.0.113.10 }
add element inet kvm_tap ownednet6 { 2001:db8::/64 }
"""

    def test_elements_are_found_as_far_as_they_are_written_our_way(self):
        found = table.written(self.TEXT)
        self.assertEqual(found.uplinks, ["eth0", "up-1.2"])
        self.assertEqual([str(network) for network in found.owned], ["203.0.113.10/32", "2001:db8::/64"])
        self.assertEqual([str(network) for network in found.guests], ["10.0.0.2/32"])
        self.assertEqual(found.several_uplinks, [table.Uplink("eth0", 1, {4: "203.0.113.254"})])
        self.assertTrue(found.uses(4))
        self.assertFalse(found.uses(6))

    def test_links_with_names_that_mean_something_else_are_left_out(self):
        self.assertEqual(table.Table({"uplinks": {"eth0": None, "all": None, "en*": None, "..": None, "a/b": None, "x" * 16: None}}).uplinks, ["eth0"])


if __name__ == "__main__":
    unittest.main()
