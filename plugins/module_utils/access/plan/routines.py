# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the routines and types of one database: their owners and ACLs, and PostgreSQL's own routines."""

from __future__ import annotations

import re

from ..catalog.model import Routine, Type
from ..policy.model import PUBLIC
from .acl import AclItem
from .statements import Target
from .wanted import Lying
from .work import Work, predefined, with_initial

# Since then a multirange has its range's owner and ACL, and none of its own.
MULTIRANGE_FOLLOWS = 170000
# Where the arguments that an ordered-set aggregate sorts by begin, but for a name in quotes.
ORDER_BY = re.compile(r'(?:^|\s)ORDER BY (?=[^"]*(?:"[^"]*"[^"]*)*$)')


def routine_target(routine: Routine) -> Target:
    """*routine* as GRANT and ALTER ROUTINE name it."""
    return Target("ROUTINE", (routine.schema, routine.name), arguments=_as_function(routine))


def _as_function(routine: Routine) -> str:
    """Its arguments as those of a function: GRANT and ALTER ROUTINE know no ORDER BY.

    A VARIADIC that is on both sides counts once. Source: makeOrderedSetArgs() in PostgreSQL's gram.y.
    """
    if routine.kind != "a":
        return routine.arguments
    direct, *ordered = ORDER_BY.split(routine.arguments, maxsplit=1)
    if not ordered:
        return routine.arguments
    last = re.search(r"VARIADIC .*$", direct)
    if last is not None and last.group() == ordered[0]:
        return direct
    return ", ".join(part for part in (direct, ordered[0]) if part)


def plan_routines(work: Work) -> None:
    """Plan the routines of the scope, those that ``revoke_execute`` names, and PostgreSQL's own."""
    routines = work.objects.routines
    wanted = work.lying("routines", [(one.schema, one.name, one.arguments) for one in routines])
    for routine in sorted(routines, key=lambda one: (one.schema, one.name, one.arguments)):
        _routine(work, routine, wanted)


def _routine(work: Work, routine: Routine, lying: Lying) -> None:
    target = routine_target(routine)
    revoked = work.policy.authoritative and any(
        pattern.matches(routine.schema, routine.name, routine.arguments) for pattern in work.policy.revoke_execute
    )
    wanted = lying.wants(routine.schema, routine.name, routine.arguments)
    owner, acl = routine.owner, routine.acl
    if routine.system or (routine.extension and revoked):
        # initdb grants some to predefined roles: those stay, where PUBLIC's go.
        wanted = with_initial(wanted, acl, predefined(routine.initial) if revoked else routine.initial)
    elif routine.extension:
        work.leave_extension(target, owner, acl, routine.initial)
        return
    elif work.policy.in_scope(routine.schema):
        owner, acl = work.owned("ROUTINE", target, owner, acl)
    elif revoked:
        wanted = with_initial(wanted, acl, predefined(acl))
    else:
        return
    # What revoke_execute names is taken from PUBLIC even where the policy leaves PUBLIC alone.
    work.change(target, (work.exact if revoked else work.difference)(owner, acl, wanted))


def plan_types(work: Work) -> None:
    """Plan the types of the scope, domains among them."""
    wanted = work.lying("types", [(one.schema, one.name, "") for one in work.objects.types])
    for one in sorted(work.objects.types, key=lambda one: (one.schema, one.name)):
        target = Target("TYPE", (one.schema, one.name))
        if one.extension:
            work.leave_extension(target, one.owner, one.acl, (AclItem(PUBLIC, one.owner, "USAGE"),))
        elif not follows_its_range(work, one):
            # A composite type is a relation as well, and that is what is locked.
            noun, relation = "DOMAIN" if one.kind == "d" else "TYPE", one.kind == "c"
            owner, acl = work.owned(noun, target, one.owner, one.acl, relation=relation)
            work.compare(target, owner, acl, wanted.wants(one.schema, one.name))


def follows_its_range(work: Work, one: Type) -> bool:
    """Whether the type is a multirange that has no owner and ACL of its own."""
    return one.kind == "m" and work.cluster.version >= MULTIRANGE_FOLLOWS
