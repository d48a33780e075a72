# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a copy of a dump was made without."""

from __future__ import annotations

import dataclasses
import typing as t

from .reader import Reader, names


@dataclasses.dataclass(frozen=True)
class Without:
    """What a copy for developers leaves out: the rows of the tables ``excludes``, and of those that ``role`` can't read
    ("" for none) under the access policy whose SHA-256 is ``policy``, "" for none.
    """

    excludes: tuple[str, ...] = ()
    role: str = ""
    policy: str = ""

    @classmethod
    def read(cls, document: t.Mapping[str, t.Any]) -> Without:
        """Read it from a manifest; ValueError where it is none."""
        reader = Reader(document, "manifest's without")
        excludes = names(reader.take("excludes", list), "excludes in the manifest's without")
        without = cls(tuple(excludes), reader.take("role", str), reader.take("policy", str))
        reader.end()
        return without

    def covers(self, wanted: Without) -> bool:
        """Whether what was made so lacks all that is *wanted* to be left out."""
        same_role = wanted.role == "" or (self.role, self.policy) == (wanted.role, wanted.policy)
        return same_role and set(self.excludes) >= set(wanted.excludes)
