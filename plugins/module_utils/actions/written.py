# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a file of an incident says, and on which line: the data between YAML's edge and the readers of the files."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import typing as t

from ..access.policy.fields import Fields, as_read
from ..dumps.names import read_utc

_UNITS = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclasses.dataclass(frozen=True)
class Written:
    """The *data* of a file (mappings, lists, texts, int, Decimal, bool, None) and the line of each key.

    Keys are like ``steps[0].sql``, the lines count from 1.
    """

    data: t.Any
    lines: t.Mapping[str, int]


class LinedFields(Fields):
    """As Fields; each problem begins with its line."""

    def __init__(self, lines: t.Mapping[str, int]) -> None:
        super().__init__()
        self._lines = lines

    def say(self, where: str, sentence: str) -> None:
        """Note a problem at the key *where*, or where that is not there, at what it would be in."""
        self.problems.append(f"line {self._line(where)}: {where}: {sentence}")

    def say_of_key(self, where: str, key: str, sentence: str) -> None:
        """Note a problem with *key* itself in the mapping at *where*."""
        line = self._line(f"{where}.{key}" if where in self._lines else key)
        self.problems.append(f"line {line}: {where}: {sentence}")

    def _line(self, where: str) -> int:
        while where and where not in self._lines:
            where = re.sub(r"(?:^|[.\[])[^.\[]*$", "", where)
        return self._lines.get(where, 1)

    def text(self, where: str, value: object) -> str:
        """A text that says something; "" where it is none."""
        if not isinstance(value, str) or not value.strip():
            self.say(where, "write a text" + ("" if value is None or value == "" else f", not {as_read(value)}"))
            return ""
        return value

    def matching(self, where: str, value: object, pattern: str, like: str) -> str:
        """A text that is wholly of *pattern*; *like* is an example."""
        if not isinstance(value, str) or re.fullmatch(pattern, value, re.ASCII) is None:
            self.say(where, f"write {like}, not {as_read(value)}")
            return ""
        return value

    def count(self, where: str, value: object, least: int, most: int) -> int:
        """A whole number from *least* to *most*."""
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.say(where, f"write a whole number from {least} to {most}, not {as_read(value)}")
            return least
        return value

    def duration(self, where: str, value: object, longest: str) -> int:
        """Milliseconds of ``500ms``, ``5s``, ``2min``, ``24h`` or ``7d``; above zero, at most *longest*."""
        found = re.fullmatch(r"([1-9][0-9]{0,6})(ms|s|min|h|d)", value, re.ASCII) if isinstance(value, str) else None
        read = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 0 < read <= milliseconds(longest):
            self.say(where, f"write a time such as 500ms, 5s, 2min or 24h, at most {longest}, not {as_read(value)}")
            return 1
        return read

    def time(self, where: str, value: object) -> dt.datetime:
        """A moment, in UTC."""
        try:
            return read_utc(t.cast("str", value))
        except (TypeError, ValueError):
            self.say(where, f"write a time such as 2026-11-22T14:00:00Z, not {as_read(value)}")
            return dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def milliseconds(duration: str) -> int:
    """Milliseconds of a duration that is one."""
    found = re.fullmatch(r"([0-9]+)([a-z]+)", duration, re.ASCII)
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"{duration} is no time such as 5s")
    return int(found[1]) * _UNITS[found[2]]


def duration_text(length: int) -> str:
    """*length*, milliseconds, in the largest unit that it is whole in."""
    unit = max((unit for unit in _UNITS if length % _UNITS[unit] == 0), key=_UNITS.__getitem__)
    return f"{length // _UNITS[unit]}{unit}"
