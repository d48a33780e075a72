# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the last drill of a dump has found, as it is written beside the dump's manifest."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .manifest import Document, decode
from .names import read_utc, utc_text
from .reader import Reader


@dataclasses.dataclass(frozen=True)
class Drilled:
    """The result of a drill. ``problems`` are sentences that name the table, none where ``ok``.

    ``sha256`` is that of the dump that was drilled, as it is stored.

    ``tables`` and ``rows`` are the copy's, ``ddl`` how its statements compare, ``counts`` what it holds by kind,
    ``versions`` the servers' that made the dump and the copy, ``policy`` what became of the access policy.
    """

    ok: bool
    finished: dt.datetime
    started: str = ""
    sha256: str = ""
    seconds: float = 0.0
    tables: int = 0
    rows: int = 0
    ddl: str = ""
    problems: tuple[str, ...] = ()
    counts: t.Mapping[str, int] = dataclasses.field(default_factory=dict)
    versions: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    policy: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes) -> Drilled:
        """Read a result; ValueError where it is none. An older version has written less of it."""
        reader = Reader(decode(content, "result of the drill"), "result of the drill")
        problems = reader.take("problems", list, default=[])
        return cls(
            ok=reader.take("ok", bool),
            finished=read_utc(reader.time("finished")),
            started=reader.take("started", str, default=""),
            sha256=reader.take("sha256", str, default=""),
            seconds=float(reader.take("seconds", float, default=0.0)),
            tables=reader.take("tables", int, default=0),
            rows=reader.take("rows", int, default=0),
            ddl=reader.take("ddl", str, default=""),
            problems=tuple(str(problem) for problem in problems),
            counts={str(kind): int(count) for kind, count in reader.take("counts", dict, default={}).items()},
            versions={str(whose): str(text) for whose, text in reader.take("versions", dict, default={}).items()},
            policy=reader.take("policy", dict, default={}),
        )

    def document(self) -> Document:
        """As `dump_info` returns it."""
        return dataclasses.asdict(self) | {"finished": utc_text(self.finished), "problems": list(self.problems)}

    def sentence(self) -> str:
        """The same in some words, for a list."""
        when = utc_text(self.finished)
        if not self.ok:
            more = f", and {len(self.problems) - 1} more" if len(self.problems) > 1 else ""
            return f"its drill failed {when}: {self.problems[0] if self.problems else 'it does not say why'}{more}"
        on = f" on PostgreSQL {self.versions['sandbox']}" if self.versions.get("sandbox") else ""
        broken = "; the copy breaks the policy" if self.policy.get("problems") else ""
        return f"drilled {when}{on}, equal{broken}"
