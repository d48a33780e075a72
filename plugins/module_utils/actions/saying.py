# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of a server's error: it is for reports and logs, which are nowhere for people's rows."""

from __future__ import annotations

import re

# By the first two letters of SQLSTATE: in details that are about the schema, locks and the server no row stands.
_DETAILED = ("0A", "2B", "40", "42", "53", "55", "57")
# A message of this class has the value in it.
_OF_VALUES = "22"
_MOST = 1000


def said(error: Exception) -> str:
    """The server's sentence, and its detail where no row can stand in it; of other errors what they say."""
    diagnosis = getattr(error, "diag", None)
    sentence = getattr(diagnosis, "message_primary", None)
    if not sentence:
        return " ".join(line.strip() for line in str(error).splitlines() if line.strip())[:_MOST] or _kind(error)
    state = str(getattr(diagnosis, "sqlstate", None) or "")
    if state.startswith(_OF_VALUES):
        sentence = _kind(error)
    detail = getattr(diagnosis, "message_detail", None) if state.startswith(_DETAILED) else None
    return " ".join(f"{sentence} {f'DETAIL: {detail}' if detail else ''}".split())[:_MOST]


def _kind(error: Exception) -> str:
    """InvalidTextRepresentation is an invalid text representation."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
