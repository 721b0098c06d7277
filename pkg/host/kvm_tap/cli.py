# SPDX-License-Identifier: LGPL-2.1-or-later
"""The verbs of kvm-tap-nat."""
from __future__ import annotations

import signal
import sys
from typing import Callable, Dict, Optional, Tuple

from . import change, neighbours, table as tables
from .host import Failure, is_safe_name
from .links import Links

USAGE = f"""\
Usage: kvm-tap-nat load | restore | unload | routes | watch | announce [ADDRESS…] | probe UPLINK ADDRESS
       kvm-tap-nat apply <CHANGE | arm SECONDS <CHANGE | confirm | revert [REASON] | keep | status

load      load {change.FILE} (all or nothing), then routes
restore   load {change.FILE} if the table was lost while {change.UNIT} is active
unload    remove the table, its routes and proxies
routes    make routes, proxies, guards and forwarding agree with the table
watch     routes, now and after each change of links, addresses, routes or rules
announce  tell the neighbours on the uplinks that these addresses (without any: all) are here
probe     exit status 1 if another machine on UPLINK answers for ADDRESS
apply     run and save a change, which is JSON: see kvm_tap/change.py
arm       run it, and put it back after SECONDS unless it is confirmed; its files are written by confirm
revert    put the armed change back now
keep      run again what was put back last, for good
status    print "none", "pending SECONDS-LEFT" or "reverted"
"""


def stay() -> None:
    """A page that this very change cuts off must not take the change with it half way."""
    for name in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(name, signal.SIG_IGN)


def announce(*addresses: str) -> None:
    """Without addresses: all that the host holds."""
    table = tables.loaded() or tables.Table({})
    change.complain(neighbours.announce(table, tables.networks_of(addresses) or table.owned))


def probe(uplink: str, address: str) -> None:
    """Exit status 1, without a word, where somebody answers."""
    if not is_safe_name(uplink):
        raise Failure(f"{uplink} is no name of a link")
    sys.exit(1 if neighbours.answered(uplink, address, Links()) else 0)


def arm(seconds: str) -> None:
    """The input is complete before anything is done, and before anybody has to wait."""
    if not seconds.isascii() or not seconds.isdigit() or not 1 <= int(seconds) <= 3600:
        raise Failure("SECONDS is a number from 1 to 3600")
    text = sys.stdin.read()
    stay()
    change.arm(int(seconds), text)


def apply() -> None:
    """As `arm`, for good."""
    text = sys.stdin.read()
    stay()
    change.apply(text)


def confirm() -> None:
    """Not to be stopped half way."""
    stay()
    change.confirm()


def revert(reason: str = "it was asked for") -> None:
    """Not to be stopped half way."""
    stay()
    change.revert(reason)


def keep() -> None:
    """Not to be stopped half way."""
    stay()
    change.keep()


def status() -> None:
    """For people and scripts."""
    print(change.status())


# By verb: what to do, and the least and the most arguments.
VERBS: Dict[str, Tuple[Callable[..., None], int, Optional[int]]] = {
    "load": (change.load, 0, 0), "restore": (change.restore, 0, 0), "unload": (change.unload, 0, 0), "routes": (change.routes, 0, 0),
    "announce": (announce, 0, None), "probe": (probe, 2, 2), "apply": (apply, 0, 0), "arm": (arm, 1, 1), "confirm": (confirm, 0, 0),
    "revert": (revert, 0, 1), "keep": (keep, 0, 0), "status": (status, 0, 0),
}


def main(verb: str = "", *arguments: str) -> int:
    """Runs a verb; returns the exit status."""
    if verb not in VERBS:
        sys.stderr.write(USAGE)
        return 2
    action, least, most = VERBS[verb]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        sys.stderr.write(USAGE)
        return 2
    try:
        action(*arguments)
    except (Failure, OSError) as failure:
        print(f"kvm-tap-nat: {failure}", file=sys.stderr)
        return 1
    return 0
