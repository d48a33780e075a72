# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing that is not as it should be with the dumps: how bad it is, and how it is said."""

from __future__ import annotations

import dataclasses
import enum

# What a finding is about. OLD and UNVERIFIED are of a database or of globals, LOST of a dump against the one before.
MISSING, OLD, UNVERIFIED, LOST = "missing", "old", "unverified", "lost"
# AHEAD and REPLAYED: a time of a dump's does not fit. ROOM: quota and reserve. EXCUSE: an incident's file.
AHEAD, REPLAYED, ROOM, WAITING, EXCUSE = "ahead", "replayed", "room", "waiting", "excuse"
# A file that should not be there, or not like this.
FILE = "file"


class Level(enum.IntEnum):
    """How bad it is; the number is the exit status."""

    OK = 0
    WARNING = 1
    CRITICAL = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be. ``key``: what it is about, without what changes by itself (ages).

    ``about`` is one of the words above, ``where`` what it is found at, and ``steady`` the sentence without what changes
    by itself; "" where it has nothing of that.
    """

    level: Level
    sentence: str
    key: str = ""
    about: str = FILE
    where: str = "dump store"
    steady: str = ""

    @property
    def gist(self) -> str:
        """The same as long as nothing else went wrong: a sentence without an age is its own."""
        return self.key or self.sentence

    def document(self) -> dict[str, str]:
        """It for JSON."""
        return {
            "level": str(self.level),
            "sentence": self.sentence,
            "about": self.about,
            "where": self.where,
            "steady": self.steady or self.sentence,
        }
