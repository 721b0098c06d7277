# SPDX-License-Identifier: LGPL-2.1-or-later
"""What cannot be set is told, and keeps nothing else from being set; the guard comes first."""
import contextlib
import io
import os
import tempfile
import unittest
from unittest import mock

from kvm_tap import change, forwarding, guard, holding, host, return_routes, settings, table
from kvm_tap.host import Failure


class SysctlFile(unittest.TestCase):
    """The file is the administrator's, too."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = os.path.join(directory.name, "60-kvm-tap.conf")
        self.kernel = {"net/ipv4/conf/eth0/rp_filter": "1", "net/ipv6/conf/eth0/accept_ra": "1"}
        real_open = open

        def opened(path, mode="r", **more):
            if path.startswith("/proc/sys/") and mode == "w":
                return self.setting(path[len("/proc/sys/"):], more["encoding"])
            return real_open(path, mode, **more)
        for patch in (mock.patch.object(forwarding, "SYSCTL_FILE", self.file), mock.patch.object(host, "setting", self.kernel.get),
                      mock.patch.object(forwarding, "setting", self.kernel.get), mock.patch("builtins.open", opened)):
            patch.start()
            self.addCleanup(patch.stop)

    @contextlib.contextmanager
    def setting(self, key, encoding):
        """The kernel takes numbers."""
        written = io.BytesIO()
        with io.TextIOWrapper(written, encoding=encoding) as file:
            yield file
            file.flush()
            value = written.getvalue().decode()
        if not value.isdigit():
            raise OSError(22, "Invalid argument")
        self.kernel[key] = value

    def apply(self, text):
        host.replace(self.file, text)
        return forwarding.apply_file()

    def test_bad_lines_are_named_and_the_others_hold(self):
        for bad in ("x", "\u00e9", "\udcff", "2\0"):
            self.kernel["net/ipv6/conf/eth0/accept_ra"] = "1"
            told = self.apply(f"net/ipv4/conf/eth0/rp_filter = {bad}\nnet/ipv6/conf/eth0/accept_ra = 2\n")
            self.assertEqual(len(told), 1, told)
            self.assertIn("net/ipv4/conf/eth0/rp_filter could not be set", told[0])
            told[0].encode()  # it can be printed
            self.assertEqual(self.kernel, {"net/ipv4/conf/eth0/rp_filter": "1", "net/ipv6/conf/eth0/accept_ra": "2"})

    def test_where_a_manager_takes_advertisements_itself_the_kernel_is_not_told_to(self):
        key = "net/ipv6/conf/eth0/accept_ra"
        for before, line, after in (("0", "= 2", "0"), ("1", "= 2", "2"), ("2", "= 2", "2"), ("2", "= 0", "0"), ("0", "= 1", "0")):
            self.kernel[key] = before
            self.assertEqual((self.apply(f"{key} {line}\n"), self.kernel[key]), ([], after), (before, line))
        self.kernel[key] = "0"
        self.apply("net.ipv6.conf.eth0.accept_ra=2\n")
        self.assertEqual(self.kernel[key], "0")

    def test_names_that_no_file_can_have(self):
        self.assertEqual(len(self.apply("net/ipv4/conf/\0/rp_filter = 1\n")), 0)

    def test_a_file_that_cannot_be_read_is_told(self):
        os.mkdir(self.file)
        self.assertEqual(len(forwarding.apply_file()), 1)


class Agree(unittest.TestCase):
    def setUp(self):
        self.done = []
        self.failing = set()
        for module, name in ((guard, "sync"), (holding, "sync"), (return_routes, "sync"), (settings, "keep"), (forwarding, "sync")):
            patch = mock.patch.object(module, name, self.step(module.__name__))
            patch.start()
            self.addCleanup(patch.stop)
        for target, name, value in ((table, "loaded", lambda: table.Table({})), (holding, "wanted_settings", lambda *_: {}),
                                    (return_routes, "wanted_settings", lambda *_: {})):
            patch = mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def step(self, name):
        def run(*_):
            self.done.append(name)
            if name in self.failing:
                raise Failure(f"{name} failed")
            return []
        return run

    def test_the_guard_first_and_all_of_it_whatever_fails(self):
        for names in (["holding"], ["settings"], ["guard"], ["return_routes", "forwarding"]):
            self.failing = {f"kvm_tap.{name}" for name in names}
            self.done.clear()
            with self.assertRaises(Failure) as caught:
                change.agree()
            for name in self.failing:
                self.assertIn(f"{name} failed", str(caught.exception))
            self.assertEqual(self.done[0], "kvm_tap.guard")
            self.assertEqual(len(self.done), 5)


class Settings(unittest.TestCase):
    def test_one_that_cannot_be_set_keeps_no_other_from_it_and_what_was_before_is_known(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        before = os.path.join(directory.name, "nat-settings")
        kernel = {"a": "1", "b": "1", "c": "1"}

        def setter(key, value):
            if key == "a":
                raise Failure("a could not be set to 0: Read-only file system")
            kernel[key] = value
        with mock.patch.object(settings, "BEFORE", before), mock.patch.object(settings, "setting", kernel.get), \
                mock.patch.object(settings, "change_setting", setter):
            with self.assertRaisesRegex(Failure, "a could not be set"):
                settings.keep({"a": "0", "b": "0"})
            self.assertEqual(kernel, {"a": "1", "b": "0", "c": "1"})
            settings.keep({})
        self.assertEqual(kernel, {"a": "1", "b": "1", "c": "1"})


if __name__ == "__main__":
    unittest.main()
