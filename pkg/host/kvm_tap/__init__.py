# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kvm-tap-nat is made of: Python 3.9 or newer, standard library only."""
