# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Statements as data: what to run, what it changes for whom, and the lines of the diff. running.py makes them SQL."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ..policy.model import PUBLIC

# A GRANT takes a list of objects; beyond this its text is no longer read in a log.
OBJECTS_A_STATEMENT = 200
# The noun of what has no name but a number.
LARGE_OBJECT = "LARGE OBJECT"
# What stands in the place of a secret.
MASK = "********"


class Name(t.NamedTuple):
    """An identifier, each of its parts to be quoted."""

    parts: tuple[str, ...]


class Value(t.NamedTuple):
    """A text literal."""

    text: str


class Secret(t.NamedTuple):
    """A text literal that nobody is to see: shown as MASK wherever a statement is."""

    text: str

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"


Part = t.Union[str, Name, Value, Secret]  # noqa: UP007 (evaluated at run time)


@dataclasses.dataclass(frozen=True)
class Access:
    """Privileges given to or taken from a role; ``on`` is the kind of object in PostgreSQL's words."""

    role: str
    privileges: tuple[str, ...]
    on: str
    names: tuple[str, ...]
    database: str | None = None
    grant_option: bool = False


@dataclasses.dataclass(frozen=True)
class Statement:
    """One SQL statement. ``parts`` are its text: plain strings are SQL of ours, never a name.

    ``kind`` is create, alter, owner, setting, grant, revoke or role (who acts in what follows). ``before`` and
    ``after`` are lines of the diff. ``relation`` is the (schema, name) that it locks, to name who holds it. A ``late``
    one waits until every database is as wanted.
    """

    kind: str
    parts: tuple[Part, ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    access: Access | None = None
    relation: tuple[str, str] | None = None
    late: bool = False


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something that was not done, and why; ``warn``: a person has to hear of it even where the run goes well."""

    what: str
    why: str
    warn: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """Statements in the order to run them; none where the state is the wanted one."""

    statements: tuple[Statement, ...] = ()
    skipped: tuple[Skipped, ...] = ()


@dataclasses.dataclass(frozen=True)
class Target:
    """An object of a GRANT: ``noun`` as in GRANT ... ON noun; ``arguments`` is a routine's SQL as the server has it.

    A large object's name is its number.
    """

    noun: str
    name: tuple[str, ...]
    arguments: str | None = None
    column: str | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """Its name in a statement."""
        if self.noun == LARGE_OBJECT:
            return (str(int(self.name[0])),)
        return (Name(self.name),) if self.arguments is None else (Name(self.name), f"({self.arguments})")

    def __str__(self) -> str:
        text = self.name[0] if self.noun == LARGE_OBJECT else shown(*self.name)
        return f"{text}({self.arguments})" if self.arguments is not None else text


def shown(*parts: str) -> str:
    """A name for a person to read: quoted where SQL would want it."""
    return ".".join(
        part if re.fullmatch(r"[a-z_][a-z0-9_]*", part) else '"' + part.replace('"', '""') + '"' for part in parts
    )


def role_part(role: str) -> Part:
    """A grantee in a statement."""
    return "PUBLIC" if role == PUBLIC else Name((role,))


def role_shown(role: str) -> str:
    """A grantee for a person to read."""
    return "PUBLIC" if role == PUBLIC else shown(role)


def joined(items: t.Iterable[t.Iterable[Part]], separator: str = ", ") -> tuple[Part, ...]:
    """Parts with *separator* between the items."""
    parts: list[Part] = []
    for number, item in enumerate(items):
        parts += [separator] if number else []
        parts += item
    return tuple(parts)


def line(role: str, privileges: tuple[str, ...], target: Target, database: str | None, *, option: bool = False) -> str:
    """A line of the diff: what *role* may do with *target*; *option*: and grant to others."""
    column = "" if target.column is None else f", column {shown(target.column)}"
    place = "" if database is None else f" in {shown(database)}"
    may = f"{role_shown(role)} may {', '.join(privileges)}{', and grant it' if option else ''}"
    return f"{may} on {target.noun.lower()} {target}{column}{place}"


def acl_statement(
    verb: str, role: str, privileges: tuple[str, ...], targets: t.Sequence[Target], database: str | None
) -> Statement:
    """GRANT or REVOKE of *privileges* on *targets*, which share their noun and their column, if any.

    *verb* is grant, grant_option (with it), reach (with it too, for a moment), revoke, or option (revoke that alone).
    """
    first = targets[0]
    if first.column is None:
        what: tuple[Part, ...] = (", ".join(privileges),)
    else:
        what = joined([f"{privilege} (", Name((first.column,)), ")"] for privilege in privileges)
    on = (f" ON {first.noun} ", *joined(target.parts for target in targets))
    grantee = role_part(role)
    given = verb in ("grant", "grant_option", "reach")
    with_option = verb in ("grant_option", "reach", "option")
    if given:
        parts = ("GRANT ", *what, *on, " TO ", grantee, " WITH GRANT OPTION" if with_option else "")
    else:
        option = "GRANT OPTION FOR " if verb == "option" else ""
        parts = ("REVOKE ", option, *what, *on, " FROM ", grantee, " CASCADE")
    noun = first.noun.lower()
    lines = tuple(line(role, privileges, target, database, option=with_option) for target in targets)
    return Statement(
        kind="grant" if given else "revoke",
        parts=parts,
        # What is granted only to revoke it with all that hangs on it is no line of the wanted state.
        before=() if given else lines,
        after=lines if given and verb != "reach" else (),
        access=Access(
            role=role,
            privileges=privileges,
            on="column" if first.column is not None else noun,
            names=tuple(f"{target}{'.' + shown(target.column) if target.column else ''}" for target in targets),
            database=database,
            grant_option=with_option,
        ),
    )
