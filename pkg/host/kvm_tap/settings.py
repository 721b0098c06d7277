# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel settings of links that the 1:1 NAT needs: set while it needs them, and then what they were before."""
from __future__ import annotations

import json
from typing import Dict, List

from .host import Failure, change_setting, noted, read, replace, setting

# What the settings were, by their path below /proc/sys.
BEFORE = "/run/kvm-tap/nat-settings"


def keep(wanted: Dict[str, str]) -> None:
    """Sets what is wanted, and puts back what was set here earlier and is wanted no longer. Raises Failure for those that cannot be set."""
    recorded = read(BEFORE) or "{}"
    before: Dict[str, str] = json.loads(recorded)
    failures: List[str] = []
    for key in sorted(before.keys() - wanted.keys()):
        with noted(failures):
            change_setting(key, before[key])
            del before[key]
    for key, value in sorted(wanted.items()):
        present = setting(key)
        if present not in (None, value):
            with noted(failures):
                change_setting(key, value)
                before.setdefault(key, present or "")
    if before != json.loads(recorded):
        replace(BEFORE, json.dumps(before) if before else None)
    if failures:
        raise Failure("; ".join(failures))
