# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host: its commands, files, kernel settings and journal."""
from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/dev/null"}

# Names that can stand in a path, a command and a rule without being taken for anything else (src/model/names.ts has the same).
SAFE_NAME = re.compile(r"(?!\.{1,2}$|(?:all|default|if[0-9]+)$)[A-Za-z0-9_.][A-Za-z0-9_.-]{0,14}")


class Failure(Exception):
    """What could not be done, as a sentence for people."""


def is_safe_name(name: str) -> bool:
    """Whether a link of this name may be named to a command or in a path."""
    return SAFE_NAME.fullmatch(name) is not None


def run(argv: Sequence[str], text: str = "") -> str:
    """Runs a command with `text` on its standard input and returns what it printed. Raises Failure with its own words."""
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, errors="replace", env=ENVIRONMENT, check=False)
    except OSError as error:
        raise Failure(f"{argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise Failure(f"{argv[0]}: {done.stderr.strip() or 'exit status ' + str(done.returncode)}")
    return done.stdout


def succeeds(argv: Sequence[str]) -> bool:
    """Whether a command ends with status 0."""
    try:
        run(argv)
    except Failure:
        return False
    return True


def listed(argv: Sequence[str]) -> List[Dict[str, Any]]:
    """The objects that `ip -j …` prints. It prints nothing at all, or empty objects, where there is nothing to tell."""
    found = json.loads(run(argv).strip() or "[]")
    return [item for item in found if isinstance(item, dict) and item]


def ip_batch(family: int, lines: Sequence[str]) -> List[str]:
    """
    Runs the lines as `ip -batch` of one family, each whatever became of those before: ip(8) cannot tell the family of
    `route del local` from its address there. Returns a sentence for each line that failed.
    """
    if not lines:
        return []
    done = subprocess.run(["ip", f"-{family}", "-force", "-batch", "-"], input="".join(f"{line}\n" for line in lines),
                          capture_output=True, text=True, errors="replace", env=ENVIRONMENT, check=False)
    if done.returncode == 0:
        return []
    # What ip says of a line comes before "Command failed -:NUMBER" (lib/utils.c, do_batch).
    found = re.findall(r"((?:.*\n)*?)Command failed -:(\d+)\n", done.stderr)
    problems = [f"ip {lines[int(number) - 1]}: {' '.join(words.split())}" for words, number in found]
    return problems or [f"ip: {done.stderr.strip()}"]


# Files ------------------------------------------------------------------------------------------------------------------


def read(path: str) -> Optional[str]:
    """A file's text; None when there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def sync_directory(path: str) -> None:
    """Makes the names in a directory durable: renamed files, links of enabled units."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def staged(path: str, content: str) -> str:
    """Writes a new file beside `path`, with the attributes of that one, and returns its name. Raises OSError."""
    descriptor, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", dir=os.path.dirname(path))
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(content)
            file.flush()
            keep_attributes(path, file.fileno())
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(temporary)
        raise
    return temporary


def replace(path: str, content: Optional[str]) -> None:
    """
    Writes a file so that a power cut leaves the old text or the new one; removes it where `content` is None. A file that is there
    keeps its mode, owner and label. Raises Failure; the old file is in its place then, and nothing else is left behind.
    """
    try:
        if content is not None:
            put(staged(path, content), path)
        elif os.path.lexists(path):
            os.unlink(path)
            sync_directory(os.path.dirname(path))
    except OSError as error:
        raise Failure(f"{path} could not be written: {error.strerror}") from error


def put(temporary: str, path: str) -> None:
    """Gives a file its name. Raises OSError; it is gone then."""
    try:
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    sync_directory(os.path.dirname(path))


@contextlib.contextmanager
def replaced(contents: Dict[str, Optional[str]]) -> Iterator[None]:
    """
    As `replace` for several files, before the body runs: where one cannot be written or the body fails, all are what they were. The old
    ones wait under other names meanwhile, so that the way back needs no room.
    """
    with contextlib.ExitStack() as undo:
        for path, content in contents.items():
            try:
                undo.push(set_aside(path))
                replace(path, content)
            except OSError as error:
                raise Failure(f"{path} could not be written: {error.strerror}") from error
        yield


def set_aside(path: str) -> Callable[..., None]:
    """Gives a file a second name, and returns what takes that name away, or after a failure puts the file back. Raises OSError."""
    aside = f"{path}.before"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(aside)
    was_there = os.path.lexists(path)
    if was_there:
        try:
            os.link(path, aside, follow_symlinks=False)
        except OSError:  # A filesystem without second names.
            shutil.copy2(path, aside, follow_symlinks=False)

    def end(_kind: object, failure: Optional[BaseException], _trace: object) -> None:
        try:
            if failure is not None:
                take_back(path, aside if was_there else None)
        except OSError as error:
            raise Failure(f"{failure}. {path} has the new text all the same: {error.strerror}") from failure
        finally:
            with contextlib.suppress(OSError):
                os.unlink(aside)

    return end


def take_back(path: str, aside: Optional[str]) -> None:
    """Makes a file the one that was set aside; without one there was none."""
    if aside is not None:
        os.replace(aside, path)
    elif os.path.lexists(path):
        os.unlink(path)
    with contextlib.suppress(FileNotFoundError):
        sync_directory(os.path.dirname(path))


def keep_attributes(path: str, descriptor: int) -> None:
    """Mode, owner and SELinux label of the file that this one replaces; without one, those of a new file of root's."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        os.fchmod(descriptor, 0o644)
        return
    os.fchmod(descriptor, there.st_mode & 0o7777)
    os.fchown(descriptor, there.st_uid, there.st_gid)
    try:
        os.setxattr(descriptor, "security.selinux", os.getxattr(path, "security.selinux"))
    except OSError:
        pass  # no SELinux here


@contextlib.contextmanager
def noted(failures: List[str]) -> Iterator[None]:
    """What fails in the body is noted, and keeps nothing after it from being done."""
    try:
        yield
    except (Failure, OSError) as failure:
        failures.append(str(failure))


# Kernel settings --------------------------------------------------------------------------------------------------------


def setting_path(key: str) -> str:
    """The file of a kernel setting. As in sysctl.d(5), the first separator decides: after a slash, dots are part of names."""
    first = re.search(r"[./]", key)
    if first is not None and first.group() == ".":
        key = key.translate(str.maketrans("./", "/."))
    if not key.startswith("net/") or ".." in key.split("/"):
        raise Failure(f"{key} is no setting of the network")
    return f"/proc/sys/{key}"


def setting(key: str) -> Optional[str]:
    """The value of a kernel setting; None where this kernel, or this link, has no such setting."""
    try:
        text = read(setting_path(key))
    except (OSError, ValueError):  # ValueError: no file can have such a name
        return None
    return None if text is None else text.strip()


def change_setting(key: str, value: str) -> None:
    """Sets a kernel setting that has another value; one that is not there is left alone."""
    if setting(key) in (None, value):
        return
    try:
        with open(setting_path(key), "w", encoding="ascii") as file:
            file.write(value)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no number"
        raise Failure(f"{key} could not be set to {value.encode('ascii', 'backslashreplace').decode()}: {reason}") from error


# Journal ----------------------------------------------------------------------------------------------------------------


def record(event: str, message: str, priority: int = 6) -> None:
    """A line of the page's history (man systemd.journal-fields). A host without journald is no reason to fail."""
    line = " ".join(message.split())
    fields = f"MESSAGE={line}\nSYSLOG_IDENTIFIER=kvm-tap\nPRIORITY={priority}\nKVM_TAP_EVENT={event}\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
            journal.sendto(fields.encode(errors="backslashreplace"), "/run/systemd/journal/socket")
    except OSError:
        pass
