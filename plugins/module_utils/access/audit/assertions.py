# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy's assertions, checked against effective access: by any path, not only by ACLs.

Superusers don't count, unless the policy says that they are none. Roles that can't log in don't count by themselves:
whoever can become them does.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ..plan.statements import shown
from ..policy.model import PUBLIC, Allowance, Assertion
from .effective import WRITE, Group
from .facts import Facts
from .findings import Finding
from .reach import Link
from .things import BITS, COLUMNS, EVERYTHING, OWNER, words

READ = BITS["SELECT"]
DELETE = BITS["DELETE"] | BITS["TRUNCATE"] | OWNER
ASSERTED = {
    "writers": WRITE | WRITE << COLUMNS | OWNER,
    "readers": READ | READ << COLUMNS | OWNER,
    "deleters": DELETE,
}
# Functions of pg_catalog that write large objects, and that PUBLIC may run where nobody has changed it.
LARGE_WRITERS = (*("lo_creat", "lo_create", "lo_from_bytea", "lo_put", "lo_truncate", "lo_truncate64", "lo_unlink"),)
# initdb takes this one from PUBLIC.
LARGE_IMPORT = "lo_import"
# Findings on a membership, or on one of its options.
MEMBERSHIPS = ("MEMBER", "ADMIN", "INHERIT", "SET")
# An evidence names so many objects, and counts the others.
NAMED = 5


@dataclasses.dataclass(frozen=True)
class Violation:
    """What a role can do against an assertion, by one path; ``findings`` are the ids of the holes it leads through."""

    role: str
    database: str
    what: str
    privileges: tuple[str, ...]
    objects: tuple[str, ...]
    path: tuple[str, ...]
    findings: tuple[str, ...] = ()
    exception: str | None = None


@dataclasses.dataclass
class Checked:
    """An assertion, checked in every database: it holds where there is no violation."""

    id: str
    violations: list[Violation] = dataclasses.field(default_factory=list)
    # Allowances that stood against a violation, and those whose last day is over.
    used: list[Allowance] = dataclasses.field(default_factory=list)
    expired: list[Allowance] = dataclasses.field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether it holds."""
        return not self.violations

    def as_dict(self) -> dict[str, t.Any]:
        """It as JSON has it."""
        return {
            "id": self.id,
            "passed": self.passed,
            "violations": [
                {**dataclasses.asdict(one), **{key: list(getattr(one, key)) for key in LISTS}}
                for one in self.violations
            ],
            "exceptions": [_allowance(one) for one in self.used],
            "expired": [_allowance(one) for one in self.expired],
        }


LISTS = ("privileges", "objects", "path", "findings")


def _allowance(one: Allowance) -> dict[str, t.Any]:
    return {
        "role": one.role,
        "reason": one.reason,
        "expires": one.expires.isoformat() if one.expires is not None else None,
    }


class Checker:
    """Checks assertions in one database; ``known`` are the findings there are already, by what they are links of."""

    def __init__(self, facts: Facts, known: t.Iterable[Finding], today: datetime.date) -> None:
        self.facts = facts
        self.today = today
        self.known: dict[Link, str] = {}
        self.on_columns: dict[Link, str] = {}
        for finding in known:
            if not finding.opens:
                continue
            self.known.setdefault(finding.link, finding.id)
            if finding.object.startswith("column "):
                table = "table " + finding.object.removeprefix("column ").rpartition(".")[0]
                self.on_columns.setdefault((finding.role, table, finding.privilege), finding.id)
        self.by_path: dict[tuple[str, tuple[str, ...]], str] = {}
        self.findings: list[Finding] = []

    def check(self, assertion: Assertion, checked: Checked) -> None:
        """Add to *checked* what *assertion* finds in this database."""
        for allowance in assertion.allow:
            if _over(allowance, self.today) and allowance not in checked.expired:
                checked.expired.append(allowance)
        if assertion.role is not None:
            if self._counts(assertion.role):
                for what in assertion.may_not:
                    self._refuse(assertion, checked, assertion.role, what, self._may_not(assertion.role, what))
            return
        effective = self.facts.effective
        tables = [
            effective.things.relations[one.schema, one.name]
            for one in self.facts.objects.relations
            if one.kind != "S" and any(pattern.matches(one.schema, one.name) for pattern in assertion.tables)
        ]
        for key, bits in ASSERTED.items():
            roles = getattr(assertion, key)
            if roles is None:
                continue
            targets = dict.fromkeys(tables, bits)
            if key == "deleters":
                # The owner of its schema, or of the database, can drop a table too.
                places = {effective.things.all[number].place for number in tables}
                targets.update(dict.fromkeys(effective.schemas(places), OWNER))
                targets.update(dict.fromkeys(effective.things.find("database"), OWNER))
            for role in effective.roles:
                if self._counts(role) and not self._named(role, roles):
                    self._refuse(assertion, checked, role, key, self._reached(role, targets))

    def _counts(self, role: str) -> bool:
        """Whether the role can do anything here that an assertion is about."""
        facts = self.facts
        held = facts.cluster.roles.get(role)
        if held is None or not held.login or facts.policy.ignores(role) or not facts.effective.connects(role):
            return False
        wanted = facts.policy.roles.get(role)
        return not held.superuser or (wanted is not None and not wanted.superuser)

    def _named(self, role: str, names: t.Collection[str]) -> bool:
        """Whether *role* is among *names*, or the policy makes it a member of one that is and can't log in."""
        seen: set[str] = set()
        new = [role]
        while new:
            name = new.pop()
            wanted = self.facts.policy.roles.get(name)
            if name in names and (name == role or wanted is None or not wanted.login):
                return True
            if name not in seen and wanted is not None:
                seen.add(name)
                new += wanted.member_of
        return False

    def _refuse(
        self, assertion: Assertion, checked: Checked, role: str, what: str, found: t.Iterable[Violation]
    ) -> None:
        violations = list(found)
        if not violations:
            return
        allowed = [one for one in assertion.allow if self._named(role, (one.role,))]
        standing = next((one for one in allowed if not _over(one, self.today)), None)
        if standing is not None:
            if standing not in checked.used:
                checked.used.append(standing)
            return
        over = next(iter(allowed), None)
        exception = None if over is None else f"expired on {over.expires}: {over.reason}"
        for one in violations:
            violation = dataclasses.replace(one, what=what, exception=exception)
            if not violation.findings:
                key = (role, violation.path)
                if key not in self.by_path:
                    finding = _finding(assertion, violation)
                    self.findings.append(finding)
                    self.by_path[key] = finding.id
                violation = dataclasses.replace(violation, findings=(self.by_path[key],))
            checked.violations.append(violation)

    # What a role may not.

    def _may_not(self, role: str, what: str) -> t.Iterable[Violation]:
        things = self.facts.things
        if what == "set_role":
            return self._set_role(role)
        targets: dict[int, int] = {}
        if what == "write":
            targets = dict.fromkeys(things.relations_in_scope, WRITE | WRITE << COLUMNS | OWNER)
        elif what == "create":
            targets = dict.fromkeys((*things.find("database"), *things.find("schema")), BITS["CREATE"] | OWNER)
        elif what == "temp":
            targets = dict.fromkeys(things.find("database"), BITS["TEMPORARY"] | OWNER)
        elif what == "large_objects":
            bits = BITS["SELECT"] | BITS["UPDATE"] | OWNER
            targets = dict.fromkeys(things.find("large object"), bits)
            for one in self.facts.objects.routines:
                if one.schema == "pg_catalog" and one.name in (*LARGE_WRITERS, LARGE_IMPORT):
                    targets[things.routines[one.schema, one.name, one.arguments]] = BITS["EXECUTE"]
            return (*self._untouched(role), *self._reached(role, targets))
        elif what == "security_definer":
            for one in self.facts.objects.routines:
                if one.definer and self.facts.policy.in_scope(one.schema):
                    targets[things.routines[one.schema, one.name, one.arguments]] = BITS["EXECUTE"]
            return self._reached(role, targets, granted=False)
        return self._reached(role, targets)

    def _set_role(self, role: str) -> t.Iterator[Violation]:
        reach = self.facts.effective.reach
        if self.facts.superuser(role):
            yield self._violation(role, (), (), (shown(role), "superuser"), self._superuser(role))
        for way in self.facts.effective.reach.ways(role)[1:]:
            if way.code:
                continue
            covered = self._covering((*way.links,))
            if reach.implicit is not None and way.acting.startswith("pg_database_owner"):
                covered = covered or self._covering(reach.links(role, (way.acting,)))
            yield self._violation(role, ("SET ROLE",), (f"role {shown(way.acting)}",), way.path, covered)

    def _untouched(self, role: str) -> t.Iterator[Violation]:
        """Large objects without checks, and the functions that have initdb's ACL: the snapshot leaves them out."""
        there = {one.name for one in self.facts.objects.routines if one.schema == "pg_catalog"}
        if self.facts.objects.lo_compat:
            where = f"database {shown(self.facts.database)}"
            links = ((one, where, "lo_compat_privileges") for one in ("", PUBLIC))
            path = (shown(role), "lo_compat_privileges is on")
            yield self._violation(role, ("SELECT", "UPDATE"), ("every large object",), path, self._covering(links))
        names = tuple(f"routine pg_catalog.{name}" for name in LARGE_WRITERS if name not in there)
        if names and not self.facts.superuser(role):
            yield self._violation(role, ("EXECUTE",), names, (shown(role), "PUBLIC"), ())

    # What a role can reach.

    def _reached(self, role: str, targets: t.Mapping[int, int], *, granted: bool = True) -> t.Iterator[Violation]:
        """By path, what of *targets* (number: mask) *role* can do; *granted* False: but for what the policy grants."""
        found: dict[tuple[tuple[str, ...], tuple[str, ...]], tuple[dict[str, None], dict[str, None]]] = {}
        for group in self.facts.effective.groups((role,)):
            if not group.usable:
                continue
            base: tuple[str, ...] | None = None
            path = (*group.path, "owner") if group.bits & OWNER and group.holder != EVERYTHING else group.path
            for number in group.numbers:
                bits = group.bits & targets.get(number, 0)
                if not bits or (not granted and self._intended(group, number)):
                    continue
                if base is None:
                    base = self._covering((*self.facts.effective.links(group.way, group.holder), *group.via))
                for word, ids in self._by_word(group, number, bits, base):
                    said, objects = found.setdefault((path, ids), ({}, {}))
                    said[word] = objects[str(self.facts.things.all[number])] = None
        for (path, ids), (said, objects) in found.items():
            yield self._violation(role, tuple(said), tuple(objects), path, ids)

    def _by_word(
        self, group: Group, number: int, bits: int, base: tuple[str, ...]
    ) -> t.Iterator[tuple[str, tuple[str, ...]]]:
        if base or group.via or group.holder == EVERYTHING:
            yield from ((word, base) for word in words(bits))
            return
        table = str(self.facts.things.all[number])
        if group.bits & OWNER:
            yield "OWNER", self._covering(((group.holder, table, "OWNER"),))
            return
        for word in words(bits):
            plain = word.removesuffix(" (columns)")
            ids = self._covering(((group.holder, table, word),))
            if not ids and plain != word and (group.holder, table, plain) in self.on_columns:
                ids = (self.on_columns[group.holder, table, plain],)
            yield word, ids

    def _covering(self, links: t.Iterable[Link]) -> tuple[str, ...]:
        """The ids of the findings that a path with these links leads through."""
        found: dict[str, None] = {}
        for role, where, privilege in links:
            for word in MEMBERSHIPS if privilege in MEMBERSHIPS else (privilege,):
                if (role, where, word) in self.known:
                    found[self.known[role, where, word]] = None
            plain = privilege.removesuffix(" (columns)")
            if plain != privilege and (role, where, plain) in self.on_columns:
                found[self.on_columns[role, where, plain]] = None
        return tuple(found)

    def _superuser(self, role: str) -> tuple[str, ...]:
        return self._covering(((role, f"role {shown(role)}", "SUPERUSER"),))

    def _intended(self, group: Group, number: int) -> bool:
        """Whether it is the role's own routine, or the policy grants it to whose privilege it is."""
        if group.bits & OWNER or group.way.code:
            return True
        key = self.facts.things.routine_keys[number]
        return self.facts.granted_routine(group.holder, *key)

    def _violation(
        self,
        role: str,
        privileges: tuple[str, ...],
        objects: tuple[str, ...],
        path: tuple[str, ...],
        ids: tuple[str, ...],
    ) -> Violation:
        return Violation(role, self.facts.database, "", privileges, objects, path, ids)


def _over(allowance: Allowance, today: datetime.date) -> bool:
    return allowance.expires is not None and today > allowance.expires


def _finding(assertion: Assertion, violation: Violation) -> Finding:
    named = ", ".join(violation.objects[:NAMED])
    more = f" and {len(violation.objects) - NAMED} more" if len(violation.objects) > NAMED else ""
    can = f"{', '.join(violation.privileges)} on {named}{more}" if violation.objects else ", ".join(violation.path[1:])
    expired = f" (an exception {violation.exception})" if violation.exception else ""
    return Finding(
        severity="medium" if violation.what in ("readers", "temp", "set_role") else "high",
        rule="assertion",
        role=violation.role,
        database=violation.database,
        object=f"assertion {assertion.id}",
        privilege=violation.what,
        path=violation.path,
        evidence=f"{shown(violation.role)} has {can}{expired}",
        remedy="take away what the path rests on, or allow it with a reason in the assertion",
        exception=violation.exception,
    )
