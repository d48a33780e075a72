# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Owners of what has no ACL, and of what lies in no schema.

What lies in a schema belongs to the schema's owner. For the rest the policy names no owner: nothing is changed, and
what belongs to somebody whom the policy makes no owner is told.
"""

from __future__ import annotations

import typing as t

from ..catalog.model import Cluster, Objects
from ..policy.model import Policy
from .cluster import protected_roles
from .statements import LARGE_OBJECT, Name, Skipped, Statement, shown
from .work import Work

USER_MAPPING = "USER MAPPING"


class Foreign(t.NamedTuple):
    """Something without a schema; ``noun`` as in ALTER ... OWNER TO. Of large objects ``names`` are several.

    Of a USER_MAPPING for PUBLIC, name and owner are its server's.
    """

    noun: str
    names: tuple[str, ...]
    owner: str

    @property
    def shown(self) -> str:
        """It for a person to read."""
        if self.noun == USER_MAPPING:
            return f"user mapping for PUBLIC of the foreign server {shown(self.names[0])}"
        if self.noun == LARGE_OBJECT:
            few = ", ".join(self.names[:FEW]) + (", ..." if len(self.names) > FEW else "")
            return f"large object {few}" if len(self.names) == 1 else f"{len(self.names)} large objects ({few})"
        noun = "foreign server" if self.noun == "SERVER" else self.noun.lower()
        return f"{noun} {shown(self.names[0])}"


# How many large objects are named one by one.
FEW = 3


def plan_owners(work: Work) -> None:
    """Plan the owners of what lies in the scope's schemas and has no ACL; tell of what lies in none."""
    for one in work.objects.owned:
        if one.schema is None or one.extension:
            continue
        new = work.new_owner(one.schema, one.owner)
        if new != one.owner:
            parts = (f"ALTER {one.noun} ", one.name, " OWNER TO ", Name((new,)))
            line = f"{one.noun.lower()} {one.name}{work.place} is owned by "
            work.owners.append(Statement("owner", parts, (line + shown(one.owner),), (line + shown(new),)))
    if work.policy.authoritative:
        for found in foreign(work.policy, work.cluster, work.objects):
            if found.noun == USER_MAPPING:
                why = "lends its options to everybody who may use that server: DROP USER MAPPING, or mind who that is"
            else:
                why = f"belongs to {shown(found.owner)}, which is no superuser and owns no schema of the policy"
            work.skipped.append(Skipped(f"{found.shown}{work.place}", why))


def foreign(policy: Policy, cluster: Cluster, objects: Objects) -> list[Foreign]:
    """What belongs to a role that is no superuser, that the policy names as no owner, and that isn't ignored.

    A user mapping for PUBLIC is among it, whoever owns its server.
    """
    owners = {*protected_roles(policy, cluster), *policy.owners.values()}
    owners |= {owner for name, owner in policy.database_owners.items() if name == objects.database}
    found = [Foreign("FOREIGN DATA WRAPPER", (one.name,), one.owner) for one in objects.wrappers]
    found += [Foreign("SERVER", (one.name,), one.owner) for one in objects.servers]
    found += [Foreign(one.noun, (one.name,), one.owner) for one in objects.owned if one.schema is None]
    found = [one for one in found if one.owner not in owners or one.noun == USER_MAPPING]
    large: dict[str, list[int]] = {}
    for one in objects.large_objects:
        if one.owner not in owners:
            large.setdefault(one.owner, []).append(one.oid)
    found += [Foreign(LARGE_OBJECT, tuple(map(str, sorted(oids))), owner) for owner, oids in sorted(large.items())]
    return found
