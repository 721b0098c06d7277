# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files written so that nothing is lost, and the names of kernel settings."""
import os
import tempfile
import unittest
from unittest import mock

from kvm_tap import forwarding, host


class Replace(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.path = os.path.join(self.directory, "nat.nft")

    def tearDown(self):
        for name in os.listdir(self.directory):
            os.unlink(os.path.join(self.directory, name))
        os.rmdir(self.directory)

    def test_the_new_text_with_the_old_mode(self):
        host.replace(self.path, "one\n")
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o644)
        os.chmod(self.path, 0o600)
        host.replace(self.path, "two\n")
        self.assertEqual((host.read(self.path), os.stat(self.path).st_mode & 0o777), ("two\n", 0o600))
        host.replace(self.path, None)
        host.replace(self.path, None)
        self.assertEqual(os.listdir(self.directory), [])

    def test_synced_before_it_takes_the_old_ones_place_and_its_folder_after(self):
        done = []
        real_sync, real_replace = os.fsync, os.replace
        with mock.patch("os.fsync", lambda each: (done.append("folder" if os.path.isdir(f"/proc/self/fd/{each}") else "file"), real_sync(each))), \
                mock.patch("os.replace", lambda *names: (done.append("rename"), real_replace(*names))):
            host.replace(self.path, "one\n")
            host.replace(self.path, None)
        self.assertEqual(done, ["file", "rename", "folder", "folder"])

    def test_a_full_disk_leaves_the_old_text_and_nothing_else(self):
        host.replace(self.path, "one\n")
        with mock.patch("os.fsync", side_effect=OSError(28, "No space left on device")), \
                self.assertRaisesRegex(host.Failure, "could not be written: No space left on device"):
            host.replace(self.path, "two\n")
        self.assertEqual((host.read(self.path), os.listdir(self.directory)), ("one\n", ["nat.nft"]))

    def test_bytes_that_are_no_text_stay(self):
        with open(self.path, "wb") as file:
            file.write(b"\xff\n")
        host.replace(self.path, host.read(self.path))
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"\xff\n")


class Settings(unittest.TestCase):
    def test_the_first_separator_decides(self):
        for key, path in (("net.ipv4.ip_forward", "net/ipv4/ip_forward"), ("net/ipv4/conf/eth0.100/rp_filter", "net/ipv4/conf/eth0.100/rp_filter"),
                          ("net.ipv4.conf.eth0/100.rp_filter", "net/ipv4/conf/eth0.100/rp_filter")):
            self.assertEqual(host.setting_path(key), f"/proc/sys/{path}")
        for key in ("kernel.core_pattern", "net/../kernel/x", "fs/protected_symlinks"):
            with self.assertRaises(host.Failure):
                host.setting_path(key)

    def test_lines_of_a_file(self):
        text = "# net.ipv4.ip_forward = 1\n;net.ipv4.ip_forward=1\n -net.ipv4.ip_forward = 0 \nkernel.panic = 1\nnet/ipv6/conf/all/forwarding=1\nnonsense\n"
        self.assertEqual(list(forwarding.settings_in(text)), [("net/ipv4/ip_forward", "0"), ("net/ipv6/conf/all/forwarding", "1")])

    def test_names(self):
        for name in ("eth0", "if", "if2x", "eth0.100", "a-b_c", "x" * 15):
            self.assertTrue(host.is_safe_name(name), name)
        for name in ("", ".", "..", "all", "default", "if2", "-a", "en*", "a b", "a/b", "x" * 16, "a\n", "ä"):
            self.assertFalse(host.is_safe_name(name), name)


if __name__ == "__main__":
    unittest.main()
