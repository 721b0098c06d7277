# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Waits until the kernel says that links, addresses, routes or rules changed, and has the host made to agree with the table again. A link
that is set down loses the addresses that are answered for on it, its routes and IPv6 addresses, and nobody sets them again when it
comes up.

Nothing depends on it: what is set stays set without it, and the boot sets the same.
"""
from __future__ import annotations

import os
import select
import socket
import time

# linux/rtnetlink.h: RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV4_RULE, _IPV6_IFADDR, _IPV6_ROUTE, and RTNLGRP_IPV6_RULE (19).
GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 1 << 18

# A burst has ended when nothing came for so long; one without an end is looked at so often. In seconds.
QUIET, AT_MOST = 0.2, 2.0


def opened() -> socket.socket:
    """A socket that hears what changes."""
    channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE if hasattr(socket, "NETLINK_ROUTE") else 0)
    channel.bind((0, GROUPS))
    channel.setblocking(False)
    return channel


def drain(channel: socket.socket) -> None:
    """Takes what has come. What got lost because it was too much (ENOBUFS) is no loss: all of it means the same."""
    while True:
        try:
            channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            pass


def routes(helper: str) -> None:
    """Has a process of its own do the work, so that this one stays small. A package that is being removed takes the helper with it."""
    if os.path.exists(helper):
        os.waitpid(os.posix_spawn(helper, [helper, "routes"], dict(os.environ)), 0)


def watch(helper: str) -> None:
    """Once now, and once after each burst of changes; those that this causes itself cause one more, which changes nothing."""
    channel = opened()
    while True:
        routes(helper)
        select.select([channel], [], [])
        began = time.monotonic()
        while select.select([channel], [], [], QUIET)[0] and time.monotonic() - began < AT_MOST:
            drain(channel)
        drain(channel)
