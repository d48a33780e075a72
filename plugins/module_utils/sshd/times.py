# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a key ends, as OpenSSH 9.1 and later writes it: ``20261201000000Z``."""

from __future__ import annotations

import datetime as dt
import re

# YAML gives a time without quotation marks as one of its own.
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(?:Z|\+00:00))?", re.ASCII)


def ssh_time(value: object) -> str:
    """``2026-12-01T00:00:00Z`` or ``2026-12-01``, in UTC, as OpenSSH has it; ValueError where it is neither."""
    text = str(value).strip()
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        numbers = [int(number or 0) for number in match.groups()]
        return f"{dt.datetime(*numbers, tzinfo=dt.UTC):%Y%m%d%H%M%SZ}"  # type: ignore[arg-type,misc]
    except ValueError:
        raise ValueError(f"{text!r} is no time in UTC: write it as 2026-12-01T00:00:00Z, or as 2026-12-01") from None
