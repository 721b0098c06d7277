# SPDX-License-Identifier: LGPL-2.1-or-later
"""The device that swallows packets is one that does."""
import types
import unittest
from unittest import mock

from kvm_tap import holding, table
from kvm_tap.host import Failure
from kvm_tap.links import HOLD

DUMMY = {"info_kind": "dummy"}
OURS = {"info_kind": "tun", "info_data": {"type": "tap", "persist": True, "user": "root"}}
OTHERS = {
    "a guest's TAP device": {"info_kind": "tun", "info_data": {"type": "tap", "persist": True, "user": "1000"}},
    "one of a group": {"info_kind": "tun", "info_data": {"type": "tap", "persist": True, "user": "root", "group": "kvm"}},
    "one of everybody": {"info_kind": "tun", "info_data": {"type": "tap", "persist": True}},
    "one that somebody has open": {"info_kind": "tun", "info_data": {"type": "tap", "persist": False, "user": "root"}},
    "a TUN device": {"info_kind": "tun", "info_data": {"type": "tun", "persist": True, "user": "root"}},
    "a bridge": {"info_kind": "bridge"}, "hardware": None,
}


class HoldDevice(unittest.TestCase):
    def setUp(self):
        self.called = []
        for name, value in (("run", lambda argv: self.called.append(" ".join(argv))), ("ip_batch", lambda *_: []),
                            ("present_routes", lambda *_: set()), ("local_routes", lambda *_: set()), ("present_proxies", lambda *_: set()),
                            ("is_up", lambda _: True), ("listed", lambda _: [{"ifname": HOLD, **({"linkinfo": self.info} if self.info else {})}])):
            patch = mock.patch.object(holding, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def sync(self, info, owned):
        self.called.clear()
        self.info = info
        links = types.SimpleNamespace(names={HOLD, "eth0"}, families=[4], own=set(), addresses={})
        holding.sync(table.Table({"owned4": {"203.0.113.10": None}} if owned else {}), links)
        return self.called

    def test_ours_is_used_and_goes_when_nothing_is_held(self):
        for info in (DUMMY, OURS):
            self.assertEqual(self.sync(info, True), [])
            self.assertEqual(self.sync(info, False), [f"ip link del dev {HOLD}"])

    def test_any_other_is_refused_and_left_alone(self):
        for what, info in OTHERS.items():
            with self.subTest(what):
                with self.assertRaisesRegex(Failure, f"{HOLD} .*rename it or delete it"):
                    self.sync(info, True)
                self.assertEqual(self.sync(info, False), [])


if __name__ == "__main__":
    unittest.main()
