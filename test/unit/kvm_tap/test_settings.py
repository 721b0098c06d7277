# SPDX-License-Identifier: LGPL-2.1-or-later
"""Settings of links are what they were before, once nothing needs them any more."""
import os
import tempfile
import unittest
from unittest import mock

from kvm_tap import settings


class Keep(unittest.TestCase):
    def setUp(self):
        self.kernel = {"delay": "80", "ndp": "0", "loose": "2"}
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.before = os.path.join(directory.name, "nat-settings")
        for patch in (mock.patch.object(settings, "BEFORE", self.before), mock.patch.object(settings, "setting", self.kernel.get),
                      mock.patch.object(settings, "change_setting", self.change)):
            patch.start()
            self.addCleanup(patch.stop)

    def change(self, key, value):
        if key in self.kernel:
            self.kernel[key] = value

    def test_put_back_one_by_one_and_nothing_is_left(self):
        settings.keep({"delay": "0", "ndp": "1", "loose": "2"})
        self.assertEqual(self.kernel, {"delay": "0", "ndp": "1", "loose": "2"})
        settings.keep({"delay": "0", "loose": "2"})
        self.assertEqual(self.kernel, {"delay": "0", "ndp": "0", "loose": "2"})
        settings.keep({})
        self.assertEqual((self.kernel, os.path.exists(self.before)), ({"delay": "80", "ndp": "0", "loose": "2"}, False))

    def test_what_somebody_changed_meanwhile_is_set_again_and_the_first_value_remembered(self):
        settings.keep({"delay": "0"})
        self.kernel["delay"] = "50"
        settings.keep({"delay": "0"})
        self.assertEqual(self.kernel["delay"], "0")
        settings.keep({})
        self.assertEqual(self.kernel["delay"], "80")

    def test_a_link_that_went_away_has_nothing_to_put_back(self):
        settings.keep({"delay": "0", "ndp": "1"})
        del self.kernel["delay"]
        settings.keep({})
        self.assertEqual(self.kernel, {"ndp": "0", "loose": "2"})
