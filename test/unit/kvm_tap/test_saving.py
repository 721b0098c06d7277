# SPDX-License-Identifier: LGPL-2.1-or-later
"""A change that fails anywhere is as if it had not been made, or says what is so."""
import contextlib
import io
import json
import os
import tempfile
import unittest
from unittest import mock

from kvm_tap import change, host, table
from kvm_tap.host import Failure

OLD = {"mappings": "old table\n", "sysctl": "old settings\n"}
CHANGE = {"version": 1, "nft": ["new table"], "save": {"mappings": ["new table"], "sysctl": ["new settings"]}}


class Host(unittest.TestCase):
    """The kernel has the text of the last nft commands; systemctl and files fail where a test says so."""

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.path = lambda name: os.path.join(self.directory.name, name)
        self.kernel, self.refused, self.failing, self.enabled, self.said = "old table\n", set(), set(), set(), io.StringIO()
        self.unit = "inactive"
        self.files = {"mappings": self.path("nat.nft"), "sysctl": self.path("60-kvm-tap.conf")}
        run = self.path("run")
        for target, name, value in (
                (change, "FILE", self.files["mappings"]), (change, "FILES", self.files), (change, "RUN", run),
                (change, "PENDING", f"{run}/nat-pending"), (change, "REVERTED", f"{run}/nat-reverted"), (change, "DEADLINE", f"{run}/nat-deadline"),
                (change, "REMARK", f"{run}/nat-remark"), (change, "agree", self.agree), (change, "run", self.run_command),
                (change, "succeeds", self.succeeds), (change, "record", lambda *_: None), (change, "is_armed", lambda: True), (table, "execute", self.execute),
                (change, "end_connections", lambda *_: None), (table, "listing", lambda: self.kernel), (table, "check", lambda _: None), (table, "loaded", self.loaded)):
            patch = mock.patch.object(target, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        redirected = contextlib.redirect_stderr(self.said)
        redirected.__enter__()
        self.addCleanup(redirected.__exit__, None, None, None)
        os.mkdir(run)
        for name, text in OLD.items():
            host.replace(self.files[name], text)

    def agree(self):
        if "agree" in self.failing:
            raise Failure("nothing agrees")
        return []

    def loaded(self):
        return None if self.kernel == table.REMOVE else table.Table({})

    def execute(self, text):
        if text in self.refused:
            raise Failure(f"nft refuses {text.strip()}")
        self.kernel = text

    def run_command(self, argv, text=""):
        words = " ".join(argv)
        if any(each in words for each in self.failing):
            raise Failure(f"{argv[0]}: failed")
        if " is-enabled " in words and argv[-1] not in self.enabled:
            raise Failure("disabled")
        if " enable " in words:
            self.enabled |= {each for each in argv if each.endswith(".service")}
        if " disable " in words:
            self.enabled -= set(argv)
        return f"{self.unit}\n"

    def succeeds(self, argv):
        try:
            self.run_command(argv)
        except Failure:
            return False
        return True

    def saved(self):
        return {name: host.read(path) for name, path in self.files.items()}

    def left(self):
        """What is in the directory beside the two files."""
        return sorted(set(os.listdir(self.directory.name)) - {"nat.nft", "60-kvm-tap.conf", "run"})

    def fail_writing(self, name, error="Read-only file system", back=False):
        """That file cannot be put in its place, or not back there."""
        real = os.replace

        def replace(source, target):
            if target == self.files[name] and source.endswith(".before") == back:
                raise OSError(5, error)
            real(source, target)
        return mock.patch("os.replace", replace)

    def arm(self):
        change.arm(15, json.dumps(CHANGE))


class Save(Host):
    def failing_saves(self):
        """Each way in which saving can fail."""
        for name in self.files:
            with self.subTest(name), self.fail_writing(name):
                yield
        for verb in (" enable ", "show "):
            self.failing = {verb}
            with self.subTest(verb):
                yield
            self.failing = set()

    def assert_as_before(self):
        self.assertEqual((self.saved(), self.left(), self.enabled), (OLD, [], set()))

    def test_confirm_leaves_the_files_as_they_were_and_can_be_tried_again(self):
        self.arm()
        for _ in self.failing_saves():
            with self.assertRaises(Failure):
                change.confirm()
            self.assert_as_before()
            self.assertTrue(os.path.exists(change.PENDING))
        change.confirm()
        self.assertEqual((self.saved(), self.left()), ({"mappings": "new table\n", "sysctl": "new settings\n"}, []))
        self.assertEqual(self.enabled, {change.UNIT, change.ANNOUNCE_UNIT})

    def test_keep_takes_the_table_back_too_and_can_be_tried_again(self):
        self.arm()
        change.revert("asked for")
        for _ in self.failing_saves():
            with self.assertRaises(Failure):
                change.keep()
            self.assert_as_before()
            self.assertEqual(self.kernel, "old table\n")
        change.keep()
        self.assertEqual((self.kernel, self.saved()["mappings"], os.path.exists(change.REVERTED)), ("new table\n", "new table\n", False))

    def test_apply_takes_the_table_back_too(self):
        for _ in self.failing_saves():
            with self.assertRaises(Failure):
                change.apply(json.dumps(CHANGE))
            self.assert_as_before()
            self.assertEqual(self.kernel, "old table\n")
        change.apply(json.dumps(CHANGE))
        self.assertEqual((self.kernel, self.saved()["mappings"]), ("new table\n", "new table\n"))

    def test_the_last_mapping_goes_or_stays_with_its_units(self):
        self.enabled, self.unit = {change.UNIT}, "active"
        last = json.dumps({"version": 1, "nft": ["gone"], "save": {"mappings": None, "sysctl": None}})
        self.failing = {" disable "}
        with self.assertRaises(Failure):
            change.apply(last)
        self.assertEqual((self.saved(), self.left(), self.enabled, self.kernel), (OLD, [], {change.UNIT}, "old table\n"))
        self.failing = set()
        change.apply(last)
        self.assertEqual((self.saved(), self.left(), self.enabled), ({"mappings": None, "sysctl": None}, [], set()))

    def test_files_that_were_not_there_are_not_there_again(self):
        for path in self.files.values():
            os.unlink(path)
        with self.fail_writing("sysctl"), self.assertRaises(Failure):
            change.apply(json.dumps(CHANGE))
        self.assertEqual((self.saved(), self.left()), ({"mappings": None, "sysctl": None}, []))

    def test_what_cannot_be_put_back_is_told(self):
        self.failing = {" enable "}
        with self.fail_writing("mappings", "Input/output error", back=True), \
                self.assertRaisesRegex(Failure, "nat.nft has the new text all the same: Input/output error"):
            change.apply(json.dumps(CHANGE))

    def test_a_confirmed_change_is_confirmed_whatever_follows(self):
        self.arm()
        self.failing = {"agree"}
        change.confirm()
        self.assertIn("nothing agrees", self.said.getvalue())

    def test_a_table_that_is_back_by_the_time_one_has_the_lock_is_not_restored(self):
        self.arm()
        self.kernel = table.REMOVE

        @contextlib.contextmanager
        def lock():
            self.kernel = "new table\n"
            yield
        with mock.patch.object(change, "lock", lock):
            change.restore()
        self.assertEqual((self.kernel, os.path.exists(change.PENDING)), ("new table\n", True))

    def test_the_lock_is_roots_alone_whoever_made_its_file(self):
        with change.lock():
            [name] = [each for each in os.listdir(change.RUN) if "lock" in each]
        self.assertNotEqual(name, "nat.lock")
        path = f"{change.RUN}/{name}"
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        os.chmod(path, 0o644)
        with change.lock():
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)


class NoWayBack(Host):
    """The change is in the kernel, cannot stay, and the table as it was does not load any more."""

    def setUp(self):
        super().setUp()
        host.replace(self.files["mappings"], "saved table\n")
        self.failing, self.refused = {"agree"}, {"old table\n"}

    def test_what_is_saved_is_loaded_instead(self):
        for act in (self.arm, lambda: change.apply(json.dumps(CHANGE))):
            with self.assertRaisesRegex(Failure, "nothing agrees.*cannot be loaded.*nat.nft was loaded instead"):
                act()
            self.assertEqual((self.kernel, os.path.exists(change.PENDING)), ("saved table\n", False))
            self.kernel = "old table\n"

    def test_neither_that_then_there_is_no_table(self):
        self.refused.add("saved table\n")
        with self.assertRaisesRegex(Failure, "there is no table now"):
            self.arm()
        self.assertEqual((self.kernel, os.path.exists(change.PENDING)), (table.REMOVE, False))

    def test_and_where_nothing_can_be_loaded_the_host_tries_again(self):
        self.refused |= {"saved table\n", table.REMOVE}
        with self.assertRaisesRegex(Failure, "the change is still there; the host tries again after 15 s"):
            self.arm()
        self.assertEqual((self.kernel, os.path.exists(change.PENDING)), ("new table\n", True))


if __name__ == "__main__":
    unittest.main()
