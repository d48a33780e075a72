# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings that a plan closes: one for each role, object and privilege that its statements would change."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t

from ..plan.statements import Name, Part, Statement, role_shown, shown
from ..policy.model import PUBLIC, Policy
from .findings import Finding, sql_text
from .held import Held
from .reach import Link

# Settings by which a session runs somebody else's code, or past what guards the data.
ATTACKS = frozenset(
    {
        "session_preload_libraries",
        "local_preload_libraries",
        "shared_preload_libraries",
        "dynamic_library_path",
        "search_path",
        "session_replication_role",
        "row_security",
        "role",
        "lo_compat_privileges",
    }
)
WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "CREATE", "MAINTAIN", "SET", "ALTER SYSTEM"})
ATTRIBUTES = frozenset({"BYPASSRLS", "CREATEROLE", "REPLICATION", "CREATEDB", "LOGIN"})
# Memberships that are as good as the operating system's user, or all data.
MIGHTY = frozenset(
    {
        "pg_execute_server_program",
        "pg_write_server_files",
        "pg_read_server_files",
        "pg_write_all_data",
        "pg_read_all_data",
        "pg_database_owner",
        "pg_maintain",
    }
)


def findings(policy: Policy, held: Held, statements: t.Iterable[Statement], database: str | None) -> list[Finding]:
    """One for each thing that *statements*, an authoritative plan's, would change; *database* None: the cluster's."""
    reader = _Reader(policy, held, database)
    found = [finding for statement in statements for finding in reader.read(statement)]
    # A membership that another grantor's row gives is revoked and granted again: one hole.
    excess = {(one.role, one.object) for one in found if one.rule == "excess-membership"}
    granted = ("missing-membership", "membership-option")
    found = [one for one in found if one.rule not in granted or (one.role, one.object) not in excess]
    # So is what only falls to take along what was granted by it.
    again = {one.link for one in found if one.rule.startswith("missing-")} | reader.again
    both = {one.link for one in found if one.rule.startswith("excess-") and one.link in again}
    return [one for one in (*found, *reader.fallen(found)) if one.link not in both]


class _Reader:
    def __init__(self, policy: Policy, held: Held, database: str | None) -> None:
        self.policy = policy
        self.held = held
        self.database = database
        # (object, privilege): who loses it with CASCADE, and a finding to tell of whoever falls with that.
        self.roots: dict[tuple[str, str], tuple[set[str], Finding]] = {}
        self.again: set[Link] = set()

    def fallen(self, found: t.Iterable[Finding]) -> t.Iterator[Finding]:
        """What CASCADE takes along: no statement of its own, and an excess all the same."""
        known = {one.link for one in found} | self.again
        for (where, privilege), (roots, finding) in self.roots.items():
            for place in (where, *self.held.columns(where)):
                fallen = self.held.fallen(place, privilege, roots)
                if place != where:
                    # A table's REVOKE takes the privilege on each of its columns along.
                    fallen |= {role for role in roots if self.held.granted(role, place, privilege)}
                # Whoever becomes the owner needs no grant, and has no excess.
                fallen.discard(self.policy.owner_of(self.held.schemas.get(place, "")) or "")
                for role in sorted(fallen):
                    if (role, place, privilege) in known or self.held.superuser(role) or self.policy.ignores(role):
                        continue
                    known.add((role, place, privilege))
                    yield dataclasses.replace(
                        finding,
                        severity=self._severity(role, place, privilege, place.partition(" ")[0]),
                        rule="excess-privilege",
                        role=role,
                        object=place,
                        privilege=privilege,
                        path=(role_shown(role), f"{privilege} on {place}"),
                        evidence=f"{role_shown(role)} may {privilege} on {place}, granted by no owner but by way of "
                        f"{', '.join(map(role_shown, sorted(roots)))}",
                    )

    def read(self, statement: Statement) -> t.Iterator[Finding]:
        if statement.access is not None:
            yield from self._access(statement)
        elif statement.kind == "owner":
            yield self._owner(statement)
        elif statement.kind == "create":
            yield self._create(statement)
        elif statement.kind == "alter":
            yield from self._alter(statement)
        elif statement.kind == "setting":
            yield self._setting(statement)

    def _access(self, statement: Statement) -> t.Iterator[Finding]:
        access = statement.access
        if access is None or not (statement.before or statement.after):
            return  # granted for a moment, to revoke all that hangs on it
        given = statement.kind == "grant"
        if access.on == "membership":
            yield self._membership(statement, access.role, access.names[0], access.grant_option)
            return
        future = access.on.startswith("new ")
        option = access.grant_option
        rule = (
            ("missing" if given else "excess")
            + ("-default" if future else "")
            + ("-grant-option" if option else "-privilege")
        )
        creator = f" of {shown(names_of(statement.parts)[0][0])}" if future else ""
        lines = statement.after if given else statement.before
        remedies = of_each(statement.parts, len(access.names))
        for number, name in enumerate(access.names):
            remedy = sql_text(remedies[number])
            where = f"{access.on} {name}{creator}"
            line = lines[number] if len(lines) == len(access.names) else "; ".join(lines)
            for privilege in access.privileges:
                holds = self.held.has(access.role, where, privilege)
                # One that isn't held at all is missing; one that is, but can't be granted on, lacks the option.
                lacks = given and option and not holds
                finding = Finding(
                    severity="medium" if given else self._severity(access.role, where, privilege, access.on),
                    rule=rule.replace("grant-option", "privilege") if lacks else rule,
                    role=access.role,
                    database=access.database if access.database is not None else self.database,
                    object=where,
                    privilege=f"{privilege} WITH GRANT OPTION" if option and not lacks else privilege,
                    path=(role_shown(access.role), f"{privilege} on {where}"),
                    evidence=f"missing: {line}" if given else line,
                    remedy=remedy,
                )
                if not given and not future:
                    self.roots.setdefault((where, privilege), (set(), finding))[0].add(access.role)
                if given and holds and not option:
                    self.again.add((access.role, where, privilege))
                elif given or future or holds or not self.held.knows(where):
                    yield finding

    def _severity(self, role: str, where: str, privilege: str, noun: str) -> str:
        public = role == PUBLIC
        if privilege == "EXECUTE":
            if where in self.held.definers:
                return "critical" if public else "high"
            return "high" if where in self.held.systems else "low" if public else "medium"
        if privilege in WRITING:
            return "critical" if public and noun != "schema" else "high"
        if privilege == "SELECT":
            return "high" if public else "medium"
        return "low" if noun in ("type", "language", "new types", "new functions") else "medium"

    def _membership(self, statement: Statement, member: str, role: str, admin: bool) -> Finding:
        given = statement.kind == "grant"
        name = self.held.names.get(role, role)
        above = self.held.cluster.roles.get(name)
        mighty = name in MIGHTY or name in self.policy.owners.values() or (above is not None and above.superuser)
        rule = "missing-membership" if given else "excess-membership"
        if given and any((row.role, row.member) == (name, member) for row in self.held.cluster.memberships):
            rule = "membership-option"
        option = str(statement.parts[0]).removeprefix("REVOKE ").partition(" ")[0] if not given else ""
        return Finding(
            severity="medium" if given else "critical" if mighty else "high",
            rule=rule,
            role=member,
            database=None,
            object=f"role {role}",
            privilege=option or ("ADMIN" if admin and not given else "MEMBER"),
            path=(shown(member), f"member of {role}"),
            evidence="; ".join(statement.before) or f"missing: {'; '.join(statement.after)}",
            remedy=sql_text(statement.parts),
        )

    def _owner(self, statement: Statement) -> Finding:
        line = statement.before[0]
        said, _by, owner = line.rpartition(" is owned by ")
        noun = noun_of(str(statement.parts[0]))
        place = f" in {shown(self.database)}" if self.database is not None else ""
        # As the planner words it: the noun, the name, the database.
        name = said[len(str(statement.parts[0]).removeprefix("ALTER ")) :].removesuffix(place)
        return Finding(
            severity="high",
            rule="wrong-owner",
            role=self.held.names.get(owner, owner),
            database=self.database,
            object=f"{noun} {name}",
            privilege="OWNER",
            path=(owner, f"owner of {noun} {name}"),
            evidence=line,
            remedy=sql_text(statement.parts),
        )

    def _create(self, statement: Statement) -> Finding:
        noun = str(statement.parts[0]).removeprefix("CREATE ").strip().lower()
        name = names_of(statement.parts)[0]
        return Finding(
            severity="medium",
            rule=f"missing-{noun}",
            role=name[0] if noun == "role" else "",
            database=self.database,
            object=f"{noun} {shown(*name)}",
            privilege="",
            path=(),
            evidence=f"there is no {noun} {shown(*name)}",
            remedy=sql_text(statement.parts),
        )

    def _alter(self, statement: Statement) -> t.Iterator[Finding]:
        role = names_of(statement.parts)[0][0]
        evidence = "; ".join(statement.before) or f"missing: {'; '.join(statement.after)}"
        if any("PASSWORD" in part for part in statement.parts if isinstance(part, str)):
            yield self._attribute(statement, role, "PASSWORD", "password", evidence)
            return
        # "role NAME: WORD WORD CONNECTION LIMIT 5": one finding for each word.
        words = evidence.rpartition(": ")[2].replace("CONNECTION LIMIT ", "CONNECTION_LIMIT=")
        words = words.replace("VALID UNTIL ", "VALID_UNTIL=")
        for word in words.split():
            yield self._attribute(statement, role, word.partition("=")[0].replace("_", " "), "role-attribute", evidence)

    def _attribute(self, statement: Statement, role: str, word: str, rule: str, evidence: str) -> Finding:
        severity = "critical" if word == "SUPERUSER" else "high" if word in ATTRIBUTES else "medium"
        severity = "low" if word == "CONNECTION LIMIT" else severity
        return Finding(
            severity=severity,
            rule=rule,
            role=role,
            database=None,
            object=f"role {shown(role)}",
            privilege=word,
            path=(shown(role), word),
            evidence=evidence,
            remedy=sql_text(statement.parts),
        )

    def _setting(self, statement: Statement) -> Finding:
        names = names_of(statement.parts)
        head = str(statement.parts[0])
        everybody = not isinstance(statement.parts[1], Name) if len(statement.parts) > 1 else True
        everybody = everybody or head.startswith("ALTER ROLE ALL")
        setting = ".".join(names[-1])
        of_database = head.startswith("ALTER DATABASE")
        role = "" if everybody or of_database else names[0][0]
        within = names[0][0] if of_database else self._database_of(statement.parts, names)
        return Finding(
            severity="high" if setting in ATTACKS and statement.before else "medium",
            rule="database-setting" if of_database or not role else "role-setting",
            role=role,
            database=within,
            object=f"role {shown(role)}" if role else f"database {'*' if within is None else shown(within)}",
            privilege=setting,
            path=(shown(role), f"session starts with {setting}") if role else (f"session starts with {setting}",),
            evidence="; ".join(statement.before) or f"missing: {'; '.join(statement.after)}",
            remedy=sql_text(statement.parts),
        )

    def _database_of(self, parts: t.Sequence[Part], names: t.Sequence[tuple[str, ...]]) -> str | None:
        for before, part in itertools.pairwise(parts):
            if isinstance(before, str) and before.endswith("IN DATABASE ") and isinstance(part, Name):
                return part.parts[0]
        return None


def names_of(parts: t.Iterable[Part]) -> list[tuple[str, ...]]:
    """The identifiers of a statement."""
    return [part.parts for part in parts if isinstance(part, Name)]


def noun_of(head: str) -> str:
    """The word of a finding for what ALTER ... OWNER calls a view or a domain."""
    noun = head.removeprefix("ALTER ").strip().lower()
    return {
        "view": "table",
        "materialized view": "table",
        "foreign table": "table",
        "domain": "type",
        "function": "routine",
        "procedure": "routine",
    }.get(noun, noun)


def of_each(parts: tuple[Part, ...], count: int) -> list[tuple[Part, ...]]:
    """A GRANT or REVOKE on *count* objects as so many on one; the whole each time where they can't be told."""
    plain = [part if isinstance(part, str) else "" for part in parts]
    start = next((at for at, part in enumerate(plain) if part.startswith((" ON ", " IN SCHEMA "))), None)
    if count < 2 or start is None:
        return [parts] * count
    after = (" TO", " FROM", " GRANT", " REVOKE")
    end = next((at for at in range(start + 1, len(plain)) if plain[at].startswith(after)), len(parts))
    items: list[list[Part]] = [[]]
    for part in parts[start + 1 : end]:
        if part == ", ":
            items.append([])
        else:
            items[-1].append(part)
    if len(items) != count:
        return [parts] * count
    return [(*parts[: start + 1], *item, *parts[end:]) for item in items]
