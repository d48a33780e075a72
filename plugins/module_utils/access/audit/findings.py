# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A finding: one thing that is not as the policy says, with the path, the evidence and what mends it."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ..plan.statements import MASK, Name, Part, Secret, Value
from ..policy.model import PUBLIC
from .reach import Link

# From the least to the worst.
SEVERITIES = ("low", "medium", "high", "critical")


@dataclasses.dataclass(frozen=True)
class Finding:
    """What is wrong: ``rule`` names the kind, ``role`` holds ``privilege`` on ``object`` (or lacks it).

    ``role`` is PUBLIC's name for everybody and "" where no role is meant; ``database`` None is the cluster. ``path``
    are the steps from the role, ``evidence`` what the catalogue says, ``remedy`` an SQL statement or a sentence.
    ``exception`` says which allowance once stood against it and has expired.
    """

    severity: str
    rule: str
    role: str
    database: str | None
    object: str
    privilege: str
    path: tuple[str, ...]
    evidence: str
    remedy: str
    exception: str | None = None

    @property
    def id(self) -> str:
        """The same for the same hole in every run: the rule, and a digest of where and whose it is."""
        text = "\0".join((self.rule, self.role, self.database or "", self.object, self.privilege, *self._route))
        return f"{self.rule}-{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    @property
    def link(self) -> Link:
        """What a path that leads through this hole rests on."""
        return (self.role, self.object, self.privilege)

    @property
    def opens(self) -> bool:
        """Whether it lets somebody do something, rather than lack it."""
        return not self.rule.startswith("missing-")

    @property
    def _route(self) -> tuple[str, ...]:
        # Two ways round one assertion are two holes; elsewhere the path is only told.
        return self.path if self.rule == "assertion" else ()

    def as_dict(self) -> dict[str, t.Any]:
        """It as JSON has it."""
        return {"id": self.id, **dataclasses.asdict(self), "path": list(self.path)}


def ordered(findings: t.Iterable[Finding]) -> list[Finding]:
    """The worst first, then by name; what two databases say of the whole cluster is said once."""
    unique = {finding.id: finding for finding in findings}
    return sorted(
        unique.values(),
        key=lambda one: (-SEVERITIES.index(one.severity), one.rule, one.database or "", one.object, one.role, one.id),
    )


def at_least(severity: str) -> tuple[str, ...]:
    """The severities that are as bad as *severity*, or worse."""
    return SEVERITIES[SEVERITIES.index(severity) :]


def summary(findings: t.Iterable[Finding]) -> dict[str, int]:
    """How many there are of each severity."""
    counts = dict.fromkeys(SEVERITIES, 0)
    for one in findings:
        counts[one.severity] += 1
    return counts


def sql_text(parts: t.Iterable[Part]) -> str:
    """A statement's SQL, quoted as the server reads it with standard_conforming_strings on or off."""
    return "".join(_quoted(part) for part in parts)


def _quoted(part: Part) -> str:
    if isinstance(part, Name):
        return ".".join('"' + one.replace('"', '""') + '"' for one in part.parts)
    if isinstance(part, Value):
        text = part.text.replace("'", "''")
        return f"'{text}'" if "\\" not in text else "E'" + text.replace("\\", "\\\\") + "'"
    return MASK if isinstance(part, Secret) else part


def grantee_sql(role: str) -> str:
    """A role in the text of a statement."""
    return "PUBLIC" if role == PUBLIC else _quoted(Name((role,)))
