# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the version that a project has written down, or that is installed, is one that is asked for."""

from __future__ import annotations

import operator
import re
import typing as t

_COMPARED: dict[str, t.Callable[[t.Any, t.Any], bool]] = {
    "": operator.eq,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
# v: as git's tags have it.
_ONE = re.compile(r"(==|!=|>=|<=|=|>|<|)\s*v?([0-9]+(?:\.[0-9]+)*)")


def numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of *version*, three at least, so that 1.2 is 1.2.0; ValueError where there are none."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    if found is None:
        raise ValueError(f"{version} is no version: write numbers with points between them")
    read = tuple(int(part) for part in found[0].split("."))
    return read + (0,) * (3 - len(read))


def fits(wanted: str, version: str) -> bool:
    """Whether *version* is what *wanted* asks for, in Galaxy's words (``1.2.0``, ``>=1.2,<2``, ``*``); else ValueError.

    Of git's names only tags that are versions can be compared.
    """
    if wanted.strip() == "*":
        return True
    here = numbers(version)
    for part in wanted.split(","):
        found = _ONE.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{wanted} can't be compared with a version: write it as {version}")
        if not _COMPARED[found[1]](here, numbers(found[2])):
            return False
    return True


def pinned(requirements: object, collection: str) -> str:
    """The version of *collection* in what requirements.yml holds; ValueError where it is not pinned there."""
    held = requirements.get("collections") if isinstance(requirements, dict) else None
    for one in held if isinstance(held, list) else []:
        if isinstance(one, dict) and one.get("name") == collection:
            version = one.get("version")
            if version is None or str(version).strip() in ("", "*"):
                raise ValueError(f"{collection} has no version there: write the one that you have tried")
            return str(version)
    raise ValueError(f"{collection} is not there: write its name and version below collections")
