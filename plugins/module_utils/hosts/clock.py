# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the clock is kept right."""

from __future__ import annotations

import typing as t

from .parsing.systemd import shown
from .running import run


class ElsewhereError(Exception):
    """The clock is not this host's."""


def look() -> dict[str, t.Any]:
    """Whether it is synchronised; ElsewhereError in a container."""
    # 1: no container
    container = run(["/usr/bin/systemd-detect-virt", "--container"], statuses=(0, 1)).strip()
    if container not in ("", "none"):
        raise ElsewhereError(f"a container of {container} has the clock of the machine underneath")
    (said,) = shown(run(["/usr/bin/timedatectl", "show"]))
    return {"synchronised": said.get("NTPSynchronized") == "yes", "timezone": said.get("Timezone", "")}
