# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Changes of the table, and what is done with them: run and saved, or run and put back unless somebody confirms. A change is a JSON
object, so that one that was cut off on its way is none:

    version   1
    nft       commands for the running table, as lines
    save      what the change leaves in files, as lines, once it is there for good: "mappings" is the new nat.nft (null: none any more),
              "sysctl" the new 60-kvm-tap.conf (null: none)
    end       mappings whose connections end: objects with "public" and "guest"
    announce  public addresses that the neighbours are told about
"""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from . import connections, forwarding, guard, holding, return_routes, settings, table as tables
from .host import Failure, noted, read, record, replace, replaced, run, succeeds, sync_directory
from .links import Links
from .table import Table, networks_of

FILE = "/etc/kvm-tap/nat.nft"
UNIT = "kvm-tap-nat.service"
ANNOUNCE_UNIT = "kvm-tap-nat-announce.service"
WATCH_UNIT = "kvm-tap-nat-watch.service"
REVERT_UNIT = "kvm-tap-nat-revert"

RUN = "/run/kvm-tap"
PENDING = f"{RUN}/nat-pending"
# Appears when an armed change is in the kernel, and not before: then a new connection proves something.
DEADLINE = f"{RUN}/nat-deadline"
REVERTED = f"{RUN}/nat-reverted"
# What a change that took effect could not do, for the page to show.
REMARK = f"{RUN}/nat-remark"

MEMBERS = {"version", "nft", "save", "end", "announce"}
FILES = {"mappings": FILE, "sysctl": forwarding.SYSCTL_FILE}


class Change(NamedTuple):
    """A change as it was read."""

    nft: str
    save: Dict[str, Optional[str]]
    pairs: List[connections.Pair]
    announce: List[tables.Network]


def lines_of(value: Any, name: str) -> str:
    """A list of lines as a text. Raises Failure for anything else."""
    if not isinstance(value, list) or not all(isinstance(line, str) and "\n" not in line for line in value):
        raise Failure(f"“{name}” is no list of lines")
    return "".join(f"{line}\n" for line in value)


def pair_of(value: Any) -> connections.Pair:
    """One mapping of “end”."""
    sides = networks_of([value.get("public"), value.get("guest")]) if isinstance(value, dict) and set(value) == {"public", "guest"} else []
    if len(sides) != 2 or (sides[0].version, sides[0].prefixlen) != (sides[1].version, sides[1].prefixlen):
        raise Failure("“end” has something that is no mapping")
    return connections.Pair(*sides)


def parse(text: str) -> Change:
    """Reads a change. Raises Failure for one that is not whole, and for anything in it that is not known."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Failure("the change is not complete, or it comes from a page of another version: update cockpit-kvm-tap, and load the "
                      "page again") from error
    if not isinstance(found, dict) or found.get("version") != 1 or not set(found) <= MEMBERS or "nft" not in found:
        raise Failure("the change is of another version than this host's kvm-tap: update kvm-tap and cockpit-kvm-tap")
    save = found.get("save", {})
    announce = found.get("announce", [])
    if not isinstance(save, dict) or not set(save) <= set(FILES) or not isinstance(announce, list) \
            or len(networks_of(announce)) != len(announce) or not isinstance(found.get("end", []), list):
        raise Failure("the change has something in it that is not understood")
    return Change(
        nft=lines_of(found["nft"], "nft"),
        save={name: None if content is None else lines_of(content, name) for name, content in save.items()},
        pairs=[pair_of(value) for value in found.get("end", [])], announce=networks_of(announce))


def parse_old(text: str) -> Change:
    """A change that version 0.1 armed: nft commands and comment lines, and after a line "# file" the new nat.nft."""
    commands, _, file = text.partition("# file\n")
    words = [line.split() for line in commands.splitlines()]
    pairs = [connections.Pair(*networks_of(each[3:5])) for each in words if each[:2] == ["#", "cut"] and len(networks_of(each[3:5])) == 2]
    announce = networks_of(each[2] for each in words if each[:2] == ["#", "announce"] and len(each) == 3)
    return Change(commands, {"mappings": file} if file else {}, pairs, announce)


# One at a time ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def lock() -> Iterator[None]:
    """
    One change at a time, whoever asks. Whoever holds the lock waits for nothing but the kernel: what comes from elsewhere is read
    before. The kernel lets go of it when its holder ends in whatever way.
    """
    os.makedirs(RUN, exist_ok=True)
    # Whoever may read a file may lock it. That of version 0.1, nat.lock, everybody could, and may have it open still.
    descriptor = os.open(f"{RUN}/nat-lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


# The host and the table ---------------------------------------------------------------------------------------------------


def pending() -> Optional[Change]:
    """The change that waits for its confirmation."""
    return stored(PENDING)


def stored(directory: str) -> Optional[Change]:
    """The change that is kept in a directory, also one of version 0.1. None where there is none that can be understood."""
    text, old = read(f"{directory}/change.json"), read(f"{directory}/change")
    with contextlib.suppress(Failure):
        return parse(text) if text is not None else None if old is None else parse_old(old)
    return None


def unit_state() -> str:
    """systemd's ActiveState of the unit that loads the table."""
    return run(["systemctl", "show", "--property=ActiveState", "--value", UNIT]).strip()


def wished() -> Optional[str]:
    """The text of the table that is to be there: what waits for its confirmation, or what is saved unless the unit is stopped."""
    waiting = pending()
    if waiting and "mappings" in waiting.save:
        return waiting.save["mappings"]
    return read(FILE) if waiting or unit_state() in ("active", "activating", "reloading", "failed") else None


def agree() -> List[str]:
    """
    Makes the host agree with the table. Where it was lost, or could not be loaded, what is held and guarded stays so by what is saved.
    Returns a sentence for each address that could not be held, and complains of the rest. Raises Failure for what failed as a whole,
    once all the rest is done.
    """
    loaded = tables.loaded()
    saved = wished() if loaded is None else None
    table = loaded or tables.written(saved or "")
    links = Links()
    unheld: List[str] = []
    failures: List[str] = []
    # First: nothing is as important. Stopped, the unit leaves guests running whose sources must not leave.
    with noted(failures):
        complain(guard.sync(loaded or tables.written(saved or read(FILE) or ""), links))
    with noted(failures):
        unheld = holding.sync(table, links)
    with noted(failures):
        complain(return_routes.sync(table, links))
    with noted(failures):
        settings.keep({**holding.wanted_settings(table, links), **return_routes.wanted_settings(table)})
    with noted(failures):
        if loaded is not None or saved is None:
            complain(forwarding.sync(table, links))
    if failures:
        raise Failure("; ".join([*failures, *unheld]))
    return unheld


def complain(problems: List[str]) -> None:
    """Tells what could not be done, and is no reason to fail."""
    for problem in problems:
        print(f"kvm-tap-nat: {problem}", file=sys.stderr)


def agree_or_complain() -> None:
    """As `agree` where something else has succeeded or failed already, and that is what is to be told."""
    try:
        complain(agree())
    except Failure as failure:
        complain([str(failure)])


def end_connections(pairs: List[connections.Pair], all_of_them: bool = True) -> None:
    """Ends what goes on as it was before. Where that fails, everybody is told: those connections go on."""
    if not pairs:
        return
    try:
        connections.end(pairs, tables.loaded() or Table({}), Links(), all_of_them)
    except Failure as failure:
        complain([f"old connections go on: {failure}"])
        record("connections-kept", f"1:1 NAT: old connections go on after a change: {failure}", 4)
        with contextlib.suppress(Failure):
            replace(REMARK, f"{failure}\n")


def announce_later(addresses: List[tables.Network]) -> None:
    """Takes seconds: not a reason to keep anybody waiting."""
    if addresses:
        succeeds(["systemd-run", "--quiet", "--collect", "--no-block", sys.argv[0], "announce", *map(str, addresses)])


class Instead(NamedTuple):
    """What runs where the table as it was cannot be loaded."""

    says: str
    taken_back: bool


class NotTakenBack(Failure):
    """A change that failed and is in the kernel all the same."""


@contextlib.contextmanager
def enacted(change: Change) -> Iterator[None]:
    """
    Runs a change before the body does. Where it could not be run, an address of it could not be held, or the body fails, all is as
    before; where even that is not so, the Failure says what there is instead.
    """
    before = tables.listing()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(REMARK)
    tables.execute(change.nft)
    try:
        hold(change)
        yield
    except Exception as failure:
        told = go_back(before)
        if told is None:
            raise
        raise (Failure if told.taken_back else NotTakenBack)(f"{failure}. {told.says}") from failure


def hold(change: Change) -> None:
    """Makes the host agree with a change that was just run. Raises Failure where an address of it could not be held."""
    own = {text for pair in change.pairs for text in (str(pair.public), str(pair.public.network_address))}
    problems = agree()
    # What others could not be held has been so before.
    if any(own & set(problem.split()) for problem in problems):
        raise Failure("; ".join(problems))
    complain(problems)


def go_back(before: str) -> Optional[Instead]:
    """Loads the table as it was, and has the host agree with it. Returns what there is instead where it cannot be loaded."""
    told = None
    try:
        tables.execute(before)
    except Failure as failure:
        told = without_before(failure)
    agree_or_complain()
    return told


def save(change: Change) -> None:
    """
    Writes what the change leaves in files, and lets the boot know. Raises Failure; the files and the boot are as they were then, as far
    as it says nothing else.
    """
    state = unit_state() if "mappings" in change.save else ""
    wanted = change.save.get("mappings") is not None
    with replaced({FILES[name]: content for name, content in change.save.items()}):
        if state and not (wanted and state == "active"):
            link_units(wanted)
    if state and not wanted:
        succeeds(["systemctl", "--quiet", "--no-block", "stop", UNIT, WATCH_UNIT])
    elif state not in ("", "active"):
        succeeds(["systemctl", "--quiet", "--no-block", "start", UNIT])


def link_units(wanted: bool) -> None:
    """Enables the units or disables them: both or none."""
    units = [UNIT, ANNOUNCE_UNIT]
    before = [unit for unit in units if is_enabled(unit)]
    try:
        run(["systemctl", "--quiet", "enable" if wanted else "disable", *units])
    except Failure:
        for verb, those in (("enable", before), ("disable", [unit for unit in units if unit not in before])):
            if those:
                succeeds(["systemctl", "--quiet", verb, *those])
        raise
    # What systemctl enables and disables are names in this directory and the one above.
    for directory in ("/etc/systemd/system", "/etc/systemd/system/multi-user.target.wants"):
        with contextlib.suppress(OSError):
            sync_directory(directory)


def is_enabled(unit: str) -> bool:
    """Whether the boot starts a unit."""
    return succeeds(["systemctl", "--quiet", "is-enabled", unit])


# Armed changes ----------------------------------------------------------------------------------------------------------


def forget(directory: str) -> None:
    """Removes a directory of ours; without one there is nothing to do."""
    shutil.rmtree(directory, ignore_errors=True)


def digests() -> Dict[str, Optional[str]]:
    """What the files that a change writes are like now."""
    contents = {name: read(path) for name, path in FILES.items()}
    return {name: None if text is None else hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()
            for name, text in contents.items()}


def check_unchanged(directory: str) -> None:
    """Raises Failure where somebody wrote into a file that the change would write."""
    text = read(f"{directory}/digests")
    before = json.loads(text) if text is not None else digests()
    for name, digest in digests().items():
        if digest != before[name]:
            raise Failure(f"{FILES[name]} was changed meanwhile: look at it, and make the change again")


def store(change_text: str) -> None:
    """Keeps what is needed to put a change back or to run it again: all of it or nothing, whatever interrupts us."""
    new = f"{PENDING}.new"
    forget(new)
    os.makedirs(new, 0o755)
    try:
        replace(f"{new}/change.json", change_text)
        replace(f"{new}/before", tables.listing())
        replace(f"{new}/digests", json.dumps(digests()))
        os.rename(new, PENDING)
    except (OSError, Failure):
        forget(new)
        raise


def is_armed() -> bool:
    """Whether systemd will put the pending change back, or is about to."""
    return any(run(["systemctl", "show", "--property=ActiveState", "--value", f"{REVERT_UNIT}.{kind}"]).strip()
               in ("active", "activating") for kind in ("timer", "service"))


def settle() -> None:
    """A change that nobody will put back any more, since whoever armed it or was to put it back was killed, is put back now."""
    if os.path.exists(PENDING) and not is_armed():
        put_back("whoever made it was ended before")


def refuse_beside_another() -> None:
    """One armed change at a time."""
    settle()
    if os.path.exists(PENDING):
        raise Failure("another change is waiting for its confirmation: confirm it or put it back first")


def track_first() -> None:
    """
    Until some table asks for connection tracking the kernel does not track: it would take the next packet of a session that is open
    now, such as the administrator's, for a new connection and translate it. So let it see the open ones first.
    """
    tables.execute(f"table {tables.TABLE} {{ chain early {{ type filter hook input priority -10; ct state established accept; }}; }}\n")
    time.sleep(2)


def arm(seconds: int, text: str) -> None:
    """Runs a change that is put back after so many seconds unless it is confirmed."""
    change = parse(text)
    mappings = change.save.get("mappings")
    if mappings is not None:
        tables.check(mappings)
    with lock():
        refuse_beside_another()
        forget(REVERTED)
        was_loaded = tables.loaded() is not None
        store(text)
        try:
            run(["systemd-run", "--quiet", "--collect", f"--unit={REVERT_UNIT}", f"--on-active={seconds}",
                 # systemd's default accuracy is a minute (systemd.timer(5), AccuracySec).
                 "--timer-property=AccuracySec=100ms", sys.argv[0], "revert", f"nobody confirmed it within {seconds} s"])
            deadline = uptime() + seconds
            if not was_loaded and change.nft.strip() != tables.REMOVE.strip():
                track_first()
            with enacted(change):
                replace(DEADLINE, f"{deadline:.0f}\n")
        except NotTakenBack as failure:
            raise Failure(f"{failure}; the host tries again after {seconds} s to take it back") from failure
        except Exception:
            disarm()
            forget(PENDING)
            with contextlib.suppress(Failure):
                if not was_loaded:
                    tables.execute(tables.REMOVE)
            agree_or_complain()
            raise
    end_connections(change.pairs)
    announce_later(change.announce)


def disarm() -> None:
    """Stops the timer."""
    succeeds(["systemctl", "stop", f"{REVERT_UNIT}.timer"])


def uptime() -> float:
    """Seconds since the host booted."""
    return float((read("/proc/uptime") or "0").split()[0])


def confirm() -> None:
    """Saves the armed change. Only then is it sure to stay: where it cannot be saved, it is still put back in time."""
    with lock():
        change = pending()
        if change is None:
            raise Failure("no change is waiting for a confirmation; it may have been put back already")
        check_unchanged(PENDING)
        save(change)
        disarm()
        forget(PENDING)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(DEADLINE)
        agree_or_complain()
    record("changed", "1:1 NAT: change confirmed")


def put_back(reason: str) -> None:
    """Takes the pending change back. What could not be done is told with the reason."""
    change = pending()
    try:
        tables.execute(read(f"{PENDING}/before") or tables.REMOVE)
    except Failure as failure:
        reason = f"{reason}. {without_before(failure).says}"
    with contextlib.suppress(OSError):
        with open(f"{PENDING}/reason", "w", encoding="utf-8") as file:
            file.write(f"{reason}\n")
    forget(REVERTED)
    os.rename(PENDING, REVERTED)
    record("nat-reverted", f"1:1 NAT: the last change was put back: {reason}", 4)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(DEADLINE)  # after the reason is there: whoever finds no deadline finds the news
    agree_or_complain()
    if change:
        end_connections(change.pairs)


def without_before(why: Failure) -> Instead:
    """Loads what is saved, or nothing, since the table as it was cannot be loaded."""
    def told(what: str, taken_back: bool = True) -> Instead:
        return Instead(f"The table as it was cannot be loaded ({why}); {what}", taken_back)

    try:
        tables.execute(read(FILE) or tables.REMOVE)
        return told(f"{FILE} was loaded instead" if os.path.exists(FILE) else "there is no table now")
    except Failure:
        with contextlib.suppress(Failure):
            tables.execute(tables.REMOVE)
        with contextlib.suppress(Failure):
            if tables.loaded() is None:
                return told("there is no table now")
        return told("the change is still there", taken_back=False)


def revert(reason: str) -> None:
    """Puts the armed change back now; without one there is nothing to do."""
    with lock():
        if os.path.exists(PENDING):
            put_back(reason)
    # Last and without waiting: when the timer itself runs us, stopping it would otherwise be our own end.
    succeeds(["systemctl", "stop", "--no-block", f"{REVERT_UNIT}.timer"])


def keep() -> None:
    """Runs again, for good, what was put back last."""
    with lock():
        change = stored(REVERTED)
        if change is None:
            raise Failure("nothing was put back")
        refuse_beside_another()
        check_unchanged(REVERTED)
        with enacted(change):
            save(change)
        forget(REVERTED)
        agree_or_complain()
    end_connections(change.pairs)
    announce_later(change.announce)
    record("changed", "1:1 NAT: the change that was put back is kept")


def apply(text: str) -> None:
    """Runs and saves a change at once."""
    change = parse(text)
    with lock():
        refuse_beside_another()
        with enacted(change):
            save(change)
        forget(REVERTED)
    end_connections(change.pairs)
    announce_later(change.announce)


def status() -> str:
    """"none", "pending SECONDS-LEFT" or "reverted"."""
    deadline = read(DEADLINE)
    if deadline is not None:
        return f"pending {max(0, round(float(deadline) - uptime()))}"
    return "reverted" if os.path.exists(REVERTED) else "none"


# The unit ---------------------------------------------------------------------------------------------------------------


def load() -> None:
    """Loads what is saved, all of it or nothing. Without a file there is nothing to load."""
    with lock():
        text = read(FILE)
        if text is None:
            remove()
            return
        lost, before = tables.loaded() is None, tables.listing()
        try:
            tables.execute(text)
            if tables.loaded() is None or not any(tables.written(text).sets.values()):
                tables.execute(before)
                raise Failure(f"{FILE} has no mappings: it is empty, or damaged")
        except Failure as failure:
            # What is saved cannot be loaded, but what it says is held and guarded.
            agree_or_complain()
            raise Failure(f"{failure}. Nothing was loaded") from failure
        if os.path.exists(PENDING):
            overtaken()
        complain(forwarding.apply_file())
        agree_or_complain()
    record("nat-loaded", f"1:1 NAT loaded from {FILE}")
    if lost:
        end_connections(all_pairs(), all_of_them=False)


def overtaken() -> None:
    """The saved mappings were loaded while a change waited for its confirmation: it is gone."""
    disarm()
    with contextlib.suppress(OSError):
        with open(f"{PENDING}/reason", "w", encoding="utf-8") as file:
            file.write("the saved mappings were loaded meanwhile\n")
    forget(REVERTED)
    os.rename(PENDING, REVERTED)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(DEADLINE)


def all_pairs() -> List[connections.Pair]:
    """Every mapping of the running table: connections that began without it are not translated."""
    return [connections.Pair(*pair) for pair in connections.mapped(tables.loaded() or Table({}), "public")]


def restore() -> None:
    """Loads what is saved where the table was lost although it is to be there."""
    with lock():
        # Whoever held the lock may have loaded it.
        if wished() is None or tables.loaded() is not None:
            return
        was_pending = os.path.exists(PENDING)
        if was_pending:
            put_back("the table was lost meanwhile")
    if was_pending:
        disarm()
    if os.path.exists(FILE):
        load()


def remove() -> None:
    """The table goes, with its routes, rules and proxies."""
    tables.execute(tables.REMOVE)
    complain(agree())


def unload() -> None:
    """As `remove`, for whoever does not hold the lock."""
    with lock():
        remove()


def routes() -> None:
    """Makes the host agree with the table as it is."""
    with lock():
        settle()
        complain(agree())
