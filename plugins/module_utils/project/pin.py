# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the version that a project has written down, or that is installed, is one that is asked for."""

from __future__ import annotations

import operator
import re
import typing as t

COLLECTION = "taaraxtak.production"
# What is said of a pin: it is this version; it is another; it can't be compared, so that people decide.
FITS, DIFFERS, UNKNOWN = "fits", "differs", "unknown"

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
_NUMBERS = re.compile(r"([0-9]+(?:\.[0-9]+)*)(?:-([0-9A-Za-z.-]+))?")
# v: as git's tags have it.
_ONE = re.compile(rf"(==|!=|>=|<=|=|>|<|)\s*v?({_NUMBERS.pattern})")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")
# A branch has a word in its name; O.2.0, with a letter in the place of 0, has none.
_BRANCH = re.compile(r"(?=.*[A-Za-z]{2})[A-Za-z0-9][A-Za-z0-9._/-]*")

_Key = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...]]


def numbers(version: str) -> _Key:
    """What *version* is compared by: 1.2 is 1.2.0, and 1.2.0-rc.1 is before it; ValueError where it has no numbers.

    https://semver.org/#spec-item-11
    """
    found = _NUMBERS.match(version)
    if found is None:
        raise ValueError(f"{version} is no version: write numbers with points between them")
    read = tuple(int(part) for part in found[1].split("."))
    before = tuple(
        (not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in (found[2] or "").split(".")
    )
    return read + (0,) * (3 - len(read)), found[2] is None, before


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
    return str(_asked(requirements, collection)["version"])


def judged(requirements: object, version: str, collection: str = COLLECTION) -> tuple[str, str]:
    """FITS, DIFFERS or UNKNOWN, and a sentence, of what requirements.yml holds beside the *version* that is here."""
    try:
        one = _asked(requirements, collection)
    except ValueError as error:
        return DIFFERS, f"requirements.yml: {error}"
    asked = str(one["version"]).strip()
    try:
        well = fits(asked, version)
    except ValueError as error:
        known = _COMMIT.fullmatch(asked) or (one.get("type") == "git" and _BRANCH.fullmatch(asked))
        return UNKNOWN if known else DIFFERS, f"requirements.yml: {error}"
    said = f"requirements.yml asks for {asked}, and this is {version}"
    return (FITS, said) if well else (DIFFERS, f"{said}: change the one, or take the other")


def _asked(requirements: object, collection: str) -> t.Mapping[str, t.Any]:
    held = requirements.get("collections") if isinstance(requirements, dict) else None
    for one in held if isinstance(held, list) else []:
        if isinstance(one, dict) and one.get("name") == collection:
            if str(one.get("version") or "*").strip() in ("", "*"):
                raise ValueError(f"{collection} has no version there: write the one that you have tried")
            return one
    raise ValueError(f"{collection} is not there: write its name and version below collections")
