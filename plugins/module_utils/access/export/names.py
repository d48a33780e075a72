# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy can name, and what of an ACL it can say; the rest becomes sentences."""

from __future__ import annotations

import re
import typing as t

from ..catalog.model import Cluster
from ..plan.acl import Acl, AclItem
from ..plan.statements import shown
from ..policy.model import PREDEFINED, PUBLIC, like

# The reader refuses names with these (fields.py); a pattern's * stands for them, too.
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# (role, with the grant option): the privileges held so.
Held = dict[tuple[str, bool], frozenset[str]]


def speakable(name: str) -> bool:
    """Whether a policy can have *name* where no pattern may stand."""
    return CONTROL.search(name) is None


def single_database(name: str) -> bool:
    """Whether a policy can have the database *name* in its scope, where it takes no pattern."""
    return speakable(name) and "*" not in name


def pattern_of(name: str, others: t.Iterable[str]) -> str | None:
    """*name* where a pattern may stand, such that it means none of the *others*; None where there is no such pattern.

    A * in the name itself reads as any characters.
    """
    if "*" not in name and speakable(name):
        return name
    pattern = CONTROL.sub("*", name)
    return None if any(other != name and like(pattern, other) for other in others) else pattern


def system_schema(name: str) -> bool:
    """Whether the schema is PostgreSQL's own."""
    return name.startswith(PREDEFINED) or name == "information_schema"


class Roles:
    """The cluster's roles as far as a policy can name them; ``sentences`` gathers what is left unsaid."""

    def __init__(self, cluster: Cluster) -> None:
        self.known = frozenset(name for name in cluster.roles if speakable(name)) | {PUBLIC}
        self.sentences: dict[str, None] = {}

    def say(self, sentence: str) -> None:
        """Note what the policy can't say, once."""
        self.sentences[sentence] = None

    def held(self, what: str, owner: str, acl: Acl, upstream: Acl = ()) -> Held:
        """Who but *owner* holds what by *acl*, that of *what*.

        Who granted it isn't said: a third party's grant counts as long as its grantor holds the grant option, which is
        then said as well. *upstream* is the table's ACL where *acl* is a column's: its grant options reach here.
        """
        grantable: dict[tuple[str, str], bool] = {}
        for item in acl:
            if item.grantee == owner:
                if item.grantor != owner:
                    self.say(
                        f"{what}: {shown(item.grantor)} granted {item.privilege} to the owner, and a policy grants "
                        "owners nothing"
                    )
                continue
            if item.grantee in self.known:
                pair = (item.grantee, item.privilege)
                grantable[pair] = grantable.get(pair, False) or item.grantable
            else:
                self.say(f"{what}: the policy can't name the role {shown(item.grantee)}, which holds {item.privilege}")
        if any(item.grantor != owner for item in acl):
            for item in lost(owner, acl, upstream):
                self.say(
                    f"{what}: {shown(item.grantor)} granted {item.privilege} to {shown(item.grantee)} and has no grant "
                    "option any more, so the policy's owner grants it anew"
                )
        found: dict[tuple[str, bool], set[str]] = {}
        for (role, privilege), option in grantable.items():
            found.setdefault((role, option), set()).add(privilege)
        return {key: frozenset(privileges) for key, privileges in found.items()}


def lost(owner: str, acl: Acl, upstream: Acl = ()) -> list[AclItem]:
    """The items that no chain of grant options leads to from *owner*."""
    chains: dict[tuple[str, str], set[str]] = {}
    for item in (*acl, *upstream):
        if item.grantable:
            chains.setdefault((item.grantor, item.privilege), set()).add(item.grantee)
    reached: dict[str, set[str]] = {}
    for privilege in {item.privilege for item in acl}:
        found = {owner}
        new = [owner]
        while new:
            beyond = chains.get((new.pop(), privilege), set()) - found
            found |= beyond
            new += beyond
        reached[privilege] = found
    return [item for item in acl if item.grantor not in reached[item.privilege]]


def excess(acl: Acl, initial: Acl) -> Acl:
    """What *acl* has beyond what initdb or the extension gave."""
    given: dict[tuple[str, str], bool] = {}
    for item in initial:
        pair = (item.grantee, item.privilege)
        given[pair] = given.get(pair, False) or item.grantable
    return tuple(
        item
        for item in acl
        if (item.grantee, item.privilege) not in given or (item.grantable and not given[(item.grantee, item.privilege)])
    )
