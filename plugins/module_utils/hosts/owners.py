# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the numbers that files and sockets have."""

from __future__ import annotations

import grp
import pwd


def user(number: int) -> str:
    """The account's name, or its number where it has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group(number: int) -> str:
    """The group's name, or its number."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
