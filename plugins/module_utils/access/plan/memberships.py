# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the memberships: exact for the roles that the policy names, with their options and grantors."""

from __future__ import annotations

import dataclasses
import typing as t

from ..catalog.model import Cluster, Membership
from ..policy.model import PREDEFINED, Policy
from .statements import Access, Name, Part, Statement, shown

# Since 16 a membership has the options INHERIT and SET, and one row for each grantor.
MEMBERSHIP_OPTIONS = 160000
OPTIONS = ("ADMIN", "INHERIT", "SET")
# (role, member)
Edge = tuple[str, str]


class Options(t.NamedTuple):
    """The options of a membership; before 16 ``inherit`` is the member's own attribute and ``set`` always so."""

    admin: bool
    inherit: bool
    set: bool

    def within(self, other: Options) -> bool:
        """Whether *other* has all of them too."""
        return all(theirs or not ours for ours, theirs in zip(self, other, strict=True))

    def united(self, other: Options) -> Options:
        """What both together have."""
        return Options(*(one or two for one, two in zip(self, other, strict=True)))


NONE = Options(False, False, False)


@dataclasses.dataclass(frozen=True)
class Memberships:
    """``statements``, and which memberships there are after those of them that aren't late."""

    statements: tuple[Statement, ...]
    meanwhile: t.Mapping[Edge, Options]


def plan_memberships(
    policy: Policy, cluster: Cluster, protected: t.Collection[str], disabled: t.Collection[str]
) -> Memberships:
    """Revoke what exceeds, and grant what is missing then. ValueError where the server can't give what is wanted.

    Since 16 REVOKE of a membership with admin option takes along what its member granted by it. Whatever of that is
    not in excess is granted again, by whom a superuser's GRANT counts as: the role that initdb made.

    The revokes are late: a right that a role has as a member, and is to keep by a grant, is granted first. So are the
    grants that can only follow them.
    """
    _check(policy, cluster)
    return _Plan(policy, cluster, protected, disabled).plan()


def _check(policy: Policy, cluster: Cluster) -> None:
    if cluster.version >= MEMBERSHIP_OPTIONS:
        return
    for role in policy.roles.values():
        for member in role.memberships:
            if not member.set or role.inherits(member) != role.inherit:
                raise ValueError(
                    f"roles.{role.name}.member_of: PostgreSQL has the options inherit and set since 16, and before "
                    "them the role's own inherit holds for all: leave both out"
                )


class _Plan:
    def __init__(
        self, policy: Policy, cluster: Cluster, protected: t.Collection[str], disabled: t.Collection[str]
    ) -> None:
        self.policy = policy
        self.cluster = cluster
        self.protected = protected
        self.disabled = disabled
        self.by_grantor = cluster.version >= MEMBERSHIP_OPTIONS
        self.wanted: dict[Edge, Options] = {
            (member.role, role.name): Options(member.admin, role.inherits(member), member.set)
            for role in policy.roles.values()
            for member in role.memberships
        }
        self.rows = {row: self._options(row) for row in cluster.memberships}

    def plan(self) -> Memberships:
        rows = dict(self.rows)
        kept = {row: self._kept(row, options) for row, options in self.rows.items()}
        lessened: dict[Membership, set[Membership]] = {}
        for row, options in kept.items():
            # A CASCADE may have taken it along already.
            if row in rows and options != rows[row]:
                held = set(rows)
                self._fall(rows, row, options)
                lessened[row] = held - rows.keys() - {row}
        wanted = dict(self.wanted)
        for row, options in kept.items():
            edge = (row.role, row.member)
            if options is not None and row not in rows and edge not in self.wanted:
                wanted[edge] = wanted.get(edge, NONE).united(options)
        after: dict[Edge, Options] = {}
        for row, options in rows.items():
            edge = (row.role, row.member)
            after[edge] = after.get(edge, NONE).united(options)
        granted = {
            edge: options.united(after.get(edge, NONE))
            for edge, options in wanted.items()
            if edge not in after or not options.within(after[edge])
        }
        statements: list[Statement] = []
        for row, fallen in lessened.items():
            first, *others = self._revoke(row, kept[row], said=(row.role, row.member) in granted)
            # What goes along has no statement of its own.
            lines = sorted(self._row_line(one) for one in fallen)
            statements += [dataclasses.replace(first, before=(*first.before, *lines)), *others]
        meanwhile: dict[Edge, Options] = {}
        for row, options in self.rows.items():
            edge = (row.role, row.member)
            meanwhile[edge] = meanwhile.get(edge, NONE).united(options)
        late = [dataclasses.replace(one, late=True) for one in statements]
        early: list[Statement] = []
        for edge, options in granted.items():
            if lessened and (edge in meanwhile or _leads(meanwhile, edge)):
                late.append(dataclasses.replace(self._grant(edge, options), late=True))
            else:
                early.append(self._grant(edge, options))
                meanwhile[edge] = options.united(meanwhile.get(edge, NONE))
        return Memberships((*early, *late), meanwhile)

    def _options(self, row: Membership) -> Options:
        if row.inherit is not None and row.set is not None:
            return Options(row.admin, row.inherit, row.set)
        role = self.policy.roles.get(row.member) if self.policy.authoritative else None
        member = role or self.cluster.roles.get(row.member)
        return Options(row.admin, member is None or member.inherit, True)

    def _kept(self, row: Membership, options: Options) -> Options | None:
        """What stays of a row; None: nothing."""
        if not self.policy.authoritative or row.member in self.protected:
            return options
        if row.member in self.disabled and row.role.startswith(PREDEFINED):
            return None
        if row.role not in self.policy.roles and row.member not in self.policy.roles:
            return options
        wanted = self.wanted.get((row.role, row.member))
        if wanted is None or not self._rightly(row):
            return None
        return Options(*(one and two for one, two in zip(options, wanted, strict=True)))

    def _rightly(self, row: Membership) -> bool:
        """Whether its grantor may grant it under the policy; before 16 that makes no difference."""
        if not self.by_grantor or row.grantor == self.cluster.bootstrap:
            return True
        grantor = self.wanted.get((row.role, row.grantor))
        return grantor is not None and grantor.admin

    def _fall(self, rows: dict[Membership, Options], row: Membership, kept: Options | None) -> None:
        """Take from *rows* what REVOKE ... CASCADE takes.

        Source: plan_recursive_revoke() in PostgreSQL's src/backend/commands/user.c.
        """
        had = rows.pop(row)
        if kept is not None:
            rows[row] = kept
        if not (self.by_grantor and had.admin) or (kept is not None and kept.admin):
            return
        edge = (row.role, row.member)
        if not any(options.admin and (one.role, one.member) == edge for one, options in rows.items()):
            for one in [one for one in rows if (one.role, one.grantor) == edge]:
                if one in rows:
                    self._fall(rows, one, None)

    def _revoke(self, row: Membership, kept: Options | None, *, said: bool) -> list[Statement]:
        """Revoke the whole row, or the options beyond *kept*. *said*: a GRANT that follows says what stays."""
        options = self.rows[row]
        by: tuple[Part, ...] = (" GRANTED BY ", Name((row.grantor,))) if self.by_grantor else ()
        names: tuple[Part, ...] = (Name((row.role,)), " FROM ", Name((row.member,)), *by, " CASCADE")
        line = self._row_line(row)
        access = Access(row.member, (), "membership", (shown(row.role),))
        if kept is None:
            return [Statement("revoke", ("REVOKE ", *names), before=(line,), access=access)]
        statements = []
        before: tuple[str, ...] = (line,)
        after: tuple[str, ...] = () if said else (_line(row.role, row.member, kept),)
        for word, had, has in zip(OPTIONS, options, kept, strict=True):
            if had and not has:
                what = (
                    dataclasses.replace(access, grant_option=True)
                    if word == "ADMIN"
                    else dataclasses.replace(access, privileges=(word,))
                )
                parts = (f"REVOKE {word} OPTION FOR ", *names)
                statements.append(Statement("revoke", parts, before, after, what))
                before, after = (), ()
        return statements

    def _row_line(self, row: Membership) -> str:
        by = "" if self._rightly(row) else f" (granted by {shown(row.grantor)})"
        return _line(row.role, row.member, self.rows[row]) + by

    def _grant(self, edge: Edge, options: Options) -> Statement:
        role, member = edge
        if self.by_grantor:
            # Said in full: the defaults depend on the member's INHERIT at the time of the grant.
            words = ", ".join(f"{word} {str(has).upper()}" for word, has in zip(OPTIONS, options, strict=True))
            text = f" WITH {words}"
        else:
            text = " WITH ADMIN OPTION" if options.admin else ""
        parts: tuple[Part, ...] = ("GRANT ", Name((role,)), " TO ", Name((member,)), text)
        access = Access(member, (), "membership", (shown(role),), grant_option=options.admin)
        return Statement("grant", parts, (), (_line(role, member, options),), access)


def _leads(edges: t.Collection[Edge], edge: Edge) -> bool:
    """Whether *edge* would close a circle, its role being a member of its member already: PostgreSQL refuses that."""
    role, member = edge
    reached, new = {role}, [role]
    while new:
        below = new.pop()
        for above, one in edges:
            if one == below and above not in reached:
                reached.add(above)
                new.append(above)
    return member in reached


def _line(role: str, member: str, options: Options) -> str:
    how = "" if options.set else ", not by SET ROLE"
    if not options.inherit:
        how = " (by SET ROLE only)" if options.set else " (neither inherited nor by SET ROLE)"
    return f"role {shown(member)} is a member of {shown(role)}{how}{', with admin option' if options.admin else ''}"
