# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a document apart by type, and refuse what is left over."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .names import read_utc

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Reader:
    """Takes typed values out of a document and, at the end, refuses what is left; ValueError says which is wrong."""

    def __init__(self, document: t.Mapping[str, t.Any], what: str) -> None:
        self._rest = dict(document)
        self._what = what

    def take(self, key: str, kind: type, *, default: t.Any = dataclasses.MISSING) -> t.Any:
        value = self._rest.pop(key, default)
        if value is dataclasses.MISSING:
            raise ValueError(f"the {self._what} lacks {key}")
        # bool is an int to Python and not to us.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{key} in the {self._what} is not of type {kind.__name__}")
        return value

    def count(self, key: str) -> int:
        value: int = self.take(key, int)
        if value < 0:
            raise ValueError(f"{key} in the {self._what} is below zero")
        return value

    def sha256(self, key: str) -> str:
        value: str = self.take(key, str)
        if _SHA256.fullmatch(value) is None:
            raise ValueError(f"{key} in the {self._what} is not a SHA-256 in hexadecimal")
        return value

    def time(self, key: str) -> str:
        value: str = self.take(key, str)
        try:
            read_utc(value)
        except ValueError:
            raise ValueError(f"{key} in the {self._what} is not a time such as 2026-11-22T03:00:00Z") from None
        return value

    def texts(self, key: str) -> dict[str, str]:
        return self._values(key, str)

    def numbers(self, key: str) -> dict[str, int]:
        return self._values(key, int)

    def counts(self, key: str) -> dict[str, int]:
        values = self.take(key, dict)
        inner = Reader(values, f"{self._what}'s {key}")
        return {name: inner.count(name) for name in values}

    def _values(self, key: str, kind: type) -> dict[str, t.Any]:
        values = self.take(key, dict)
        inner = Reader(values, f"{self._what}'s {key}")
        return {name: inner.take(name, kind) for name in values}

    def end(self) -> None:
        if self._rest:
            raise ValueError(f"the {self._what} holds what is not known here: {', '.join(sorted(self._rest))}")


def names(values: list[t.Any], what: str) -> list[str]:
    """The same list, of texts alone; ValueError where *what* it is holds anything else."""
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{what} holds what is not a name")
    return values
