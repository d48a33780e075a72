# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of somebody's crontab that run no more: their lines stay, as remarks."""

from __future__ import annotations

import typing as t

MARK = "# retired by taaraxtak.production: "


def retired(text: str, lines: t.Iterable[str]) -> str:
    """*text* with each of these *lines* as a remark; ValueError where one is not there, or is there already as one."""
    rows = text.splitlines()
    for line in lines:
        wanted = line.strip()
        found = [number for number, row in enumerate(rows) if row.strip() == wanted]
        # An interrupted run has done it before.
        if not wanted or wanted.startswith("#") or not (found or MARK + wanted in map(str.strip, rows)):
            raise ValueError(f"the crontab has no job {line!r}: write it as `crontab -l` shows it")
        for number in found:
            rows[number] = MARK + rows[number]
    return "".join(f"{row}\n" for row in rows)


def restored(text: str) -> str:
    """*text* with the remarks of `retired` as jobs again; whatever else it has become stays."""
    return "".join(f"{row.replace(MARK, '', 1) if row.startswith(MARK) else row}\n" for row in text.splitlines())
