# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel settings of links that the 1:1 NAT needs: set while it needs them, and then what they were before."""
from __future__ import annotations

import json
from typing import Dict

from .host import change_setting, read, replace, setting

# What the settings were, by their path below /proc/sys.
BEFORE = "/run/kvm-tap/nat-settings"


def keep(wanted: Dict[str, str]) -> None:
    """Sets what is wanted, and puts back what was set here earlier and is wanted no longer. Raises Failure."""
    recorded = read(BEFORE) or "{}"
    before: Dict[str, str] = json.loads(recorded)
    for key in sorted(before.keys() - wanted.keys()):
        change_setting(key, before.pop(key))
    for key, value in sorted(wanted.items()):
        present = setting(key)
        if present not in (None, value):
            before.setdefault(key, present or "")
            change_setting(key, value)
    if before != json.loads(recorded):
        replace(BEFORE, json.dumps(before) if before else None)
