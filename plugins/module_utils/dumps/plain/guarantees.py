# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each kind of store can't promise, written once: manifests, `dump_info`, the audit and docs/stores.md say it.

A plain store keeps files and knows nothing of dumps: what the dump store's own host does, nobody does there.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..reader import Reader, names

DUMP_STORE, SSH_FILES, SFTP, S3 = "dump_store", "ssh_files", "sftp", "s3"
PLAIN = (SSH_FILES, SFTP, S3)

# What the dump store promises, and what is so where nobody does.
LOST: t.Mapping[str, str] = {
    "adds-only": "whoever has production's key can change and remove dumps that are there already",
    "archive": "no other account copies what came in to where the sender can't change it",
    "own-clock": "when a dump came is said by production's clock, not by the store's",
    "checked-there": "the store checks no digest and no signature: production reads back what it sent",
    "quota": "the store refuses neither too large dumps nor too many",
    "watched-there": "the store removes nothing that is old and raises no alarm: a trusted host has to",
    "drilled-there": "no drill restores dumps on the store: none is verified until somebody restores it",
    "reader": "the store has no key that can only list and fetch",
    "no-overwrite": "the store lets a file take the place of another of the same name",
    "on-disk": "the store does not say whether a dump is on its disk",
    "listed-there": "the store can't list its files: what is there is what a file beside them names",
    "sizes": "the store says no sizes: a dump that was cut there is seen only by who fetches it",
    "own-name": "a dump has its own name before it was read back: only its manifest says that it is one",
}
_PLAIN = ("adds-only", "archive", "own-clock", "checked-there", "quota", "watched-there", "drilled-there")
_LOSES: t.Mapping[str, tuple[str, ...]] = {
    DUMP_STORE: (),
    SFTP: (*_PLAIN, "reader"),
    S3: (*_PLAIN, "reader", "no-overwrite", "own-name"),
    SSH_FILES: (*_PLAIN, "reader", "no-overwrite", "on-disk", "listed-there", "sizes"),
}
KINDS = tuple(_LOSES)


def loses(kind: str) -> tuple[str, ...]:
    """The keys of `LOST` that a store of *kind* does not promise; ValueError for a kind that is none."""
    if kind not in _LOSES:
        raise ValueError(f"{kind!r} is no kind of store: it is {', '.join(KINDS)}")
    return _LOSES[kind]


def sentences(kind: str, *more: str) -> tuple[str, ...]:
    """The same in sentences, for people; *more* are keys that this one store does not promise either."""
    return tuple(LOST[key] for key in (*loses(kind), *more))


def told(kind: str, *more: str) -> dict[str, t.Any]:
    """The kind of a store and these sentences, for JSON."""
    return {"kind": kind, "loses": list(sentences(kind, *more))}


@dataclasses.dataclass(frozen=True)
class Kept:
    """What a manifest says of the store that it lies in: its kind, and what it did not promise when the dump came."""

    kind: str
    loses: tuple[str, ...]

    @classmethod
    def at(cls, kind: str, *more: str) -> Kept:
        """What a store of *kind* says now; *more* are keys that this one does not promise either."""
        return cls(kind, (*loses(kind), *more))

    @classmethod
    def read(cls, document: t.Mapping[str, t.Any]) -> Kept:
        """Read it from a manifest, whatever words another version has; ValueError where it is none."""
        reader = Reader(document, "manifest's store")
        kept = cls(reader.take("kind", str), tuple(names(reader.take("loses", list), "loses in the manifest's store")))
        reader.end()
        return kept

    def document(self) -> dict[str, t.Any]:
        return {"kind": self.kind, "loses": list(self.loses)}
