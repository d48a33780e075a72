# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the copy what was dumped? What came in is held against the manifest, and what the copy gives back against that."""

from __future__ import annotations

import dataclasses
import typing as t

from ..manifest import Trailer
from ..scan import Scanned, Scanner, SequenceValue, TableData

if t.TYPE_CHECKING:
    from ..ddl import Statements

# So many differences are named; who has more looks at the first.
SHOWN = 5
EQUAL = "equal"
# What each version of pg_dump makes by a statement of its own.
COUNTED = ("TABLE", "INDEX", "CONSTRAINT", "SEQUENCE")


@dataclasses.dataclass(frozen=True)
class Proof:
    """What a copy was found to hold. ``problems`` are sentences, none where it is equal.

    ``ddl`` is `EQUAL`, ``different`` or ``not compared: …`` with the reason.
    """

    tables: int
    rows: int
    problems: tuple[str, ...]
    ddl: str

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def content(trailer: Trailer, scanned: Scanned) -> list[str]:
    """Sentences about what differs between the text that came in and its manifest."""
    problems = [
        *_tables(trailer.tables, scanned.tables, (), "the dump", "the manifest"),
        *_sequences(trailer.sequences, scanned.sequences, "the dump", "the manifest"),
    ]
    if trailer.ddl is not None and trailer.ddl != scanned.ddl:
        problems.append("the statements of the dump are not those that the manifest tells of")
    if not problems and trailer.raw_bytes != scanned.raw_bytes:
        problems.append(f"the dump has {scanned.raw_bytes} bytes of text and the manifest says {trailer.raw_bytes}")
    return limited(problems)


def prove(trailer: Trailer | None, came: Scanner, copy: tuple[Scanned, Statements], *, same_major: bool) -> Proof:
    """Hold the *copy*, dumped again, against the manifest, or without one against the text that *came* in.

    *came* is finished. Statements are compared where the copy's server is of the *same_major* version as the one that
    the dump was made by: another one writes the same thing in other words, so that
    what it makes is counted, where the manifest has these counts.
    """
    scanned, statements = copy
    text = came.finish()
    tables, sequences = (text.tables, text.sequences) if trailer is None else (trailer.tables, trailer.sequences)
    problems = [
        *_tables(tables, scanned.tables, () if trailer is None else trailer.via_root, "the copy", "the dump"),
        *_sequences(sequences, scanned.sequences, "the copy", "the dump"),
        *_unordered(text, scanned),
    ]
    ddl = "not compared: the copy's server is of another major version"
    if not same_major and trailer is not None and trailer.ddl is not None:
        problems += _kinds(trailer.ddl.kinds, scanned.ddl.kinds)
    if same_major:
        differences = came.statements.differences(statements)
        if not differences and text.ddl != scanned.ddl:
            differences = ["the statements of the copy are not those of the dump"]
        problems += differences
        ddl = "different" if differences else EQUAL
    return Proof(
        tables=len(scanned.tables),
        rows=sum(table.rows for table in scanned.tables.values()),
        problems=tuple(limited(problems)),
        ddl=ddl,
    )


def limited(problems: t.Sequence[str]) -> list[str]:
    """The first `SHOWN` of the *problems*, and how many more there are."""
    rest = len(problems) - SHOWN
    return [*problems[:SHOWN], *([f"and {rest} more"] if rest > 0 else [])]


def _tables(
    wanted: t.Mapping[str, TableData],
    found: t.Mapping[str, TableData],
    unordered: t.Container[str],
    here: str,
    there: str,
) -> t.Iterator[str]:
    """A sentence for each table that differs; of the *unordered* the rows may have come back in another order."""
    for name in sorted(wanted.keys() | found.keys()):
        old, new = wanted.get(name), found.get(name)
        if new is None:
            yield f"the table {name} is in {there} and its rows are not in {here}"
        elif old is None:
            yield f"the table {name} has rows in {here} and is not in {there}"
        elif old.rows != new.rows:
            yield f"the table {name} has {new.rows} rows in {here} and {old.rows} in {there}"
        elif old.bytes != new.bytes:
            yield f"the table {name} has {new.bytes} bytes in {here} and {old.bytes} in {there}, in as many rows"
        elif old.sha256 != new.sha256 and name not in unordered:
            yield f"the table {name} has other values in {here} than in {there}, in as many rows and bytes"


def _unordered(came: Scanned, copy: Scanned) -> t.Iterator[str]:
    """A sentence for each table that was summed in any order and has other rows, in as many rows and bytes."""
    for name in sorted(came.sums.keys() & copy.sums.keys()):
        old, new = came.tables[name], copy.tables[name]
        if (old.rows, old.bytes) == (new.rows, new.bytes) and came.sums[name] != copy.sums[name]:
            yield f"the table {name} has other values in the copy than in the dump, in as many rows and bytes"


def _kinds(wanted: t.Mapping[str, int], found: t.Mapping[str, int]) -> t.Iterator[str]:
    """A sentence for each kind of which the copy has more or fewer, in whatever words."""
    for kind in COUNTED:
        if wanted.get(kind, 0) != found.get(kind, 0):
            yield (
                f"the copy has {found.get(kind, 0)} statements that make a {kind.lower()}, and the dump "
                f"{wanted.get(kind, 0)}"
            )


def _sequences(
    wanted: t.Mapping[str, SequenceValue], found: t.Mapping[str, SequenceValue], here: str, there: str
) -> t.Iterator[str]:
    """A sentence for each sequence that differs."""
    for name in sorted(wanted.keys() | found.keys()):
        old, new = wanted.get(name), found.get(name)
        if new is None:
            yield f"the sequence {name} is in {there} and not in {here}"
        elif old is None:
            yield f"the sequence {name} is in {here} and not in {there}"
        elif old != new:
            yield f"the sequence {name} stands at {_value(new)} in {here} and at {_value(old)} in {there}"


def _value(sequence: SequenceValue) -> str:
    return f"{sequence.value}{'' if sequence.called else ', not yet called'}"
