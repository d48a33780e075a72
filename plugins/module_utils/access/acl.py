# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The difference between one object's ACL and what the policy wants it to be.

PostgreSQL facts that shape it (tried on 15, 16 and 18): a superuser's REVOKE acts as the owner, so what a third party
granted survives it; but it falls with the grant option it was made by, when that is revoked with CASCADE. Nobody but
the owner grants under the policy, so no grant option is ever wanted, and every third party's grant falls that way.
"""

from __future__ import annotations

import dataclasses
import typing as t


class AclItem(t.NamedTuple):
    """One privilege of one grantee (model.PUBLIC is everybody). A named tuple: there are a hundred thousand of them."""

    grantee: str
    grantor: str
    privilege: str
    grantable: bool = False


Acl = tuple[AclItem, ...]
# (role, privilege)
Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Change:
    """What to do with an object's ACL, in this order; each a set of (role, privilege).

    ``reach``: GRANT ... WITH GRANT OPTION to a grantor who has lost the option, so that the CASCADE that follows
    reaches what it granted. ``options``: REVOKE GRANT OPTION FOR ... CASCADE. ``revokes``: REVOKE ... CASCADE.
    ``grants``: GRANT.
    """

    reach: frozenset[Pair] = frozenset()
    options: frozenset[Pair] = frozenset()
    revokes: frozenset[Pair] = frozenset()
    grants: frozenset[Pair] = frozenset()


NOTHING = Change()


def missing(owner: str, acl: Acl, wanted: t.Collection[Pair]) -> Change:
    """Only what is to be granted: the owner needs nothing, and a third party's grant counts."""
    held = {(item.grantee, item.privilege) for item in acl}
    lacking = frozenset(pair for pair in wanted if pair not in held and pair[0] != owner)
    return Change(grants=lacking) if lacking else NOTHING


def difference(owner: str, acl: Acl, wanted: t.Collection[Pair], protected: t.Collection[str]) -> Change:
    """Make *acl* exactly *wanted*, granted by *owner* and without grant options.

    Left alone are the owner's own privileges and those of the *protected* roles (superusers: nothing binds them).
    """
    lacking = {pair for pair in wanted if pair[0] != owner}
    if not acl:
        return Change(grants=frozenset(lacking)) if lacking else NOTHING
    held: set[Pair] = set()
    grantable: set[Pair] = set()
    foreign: list[AclItem] = []
    for item in acl:
        if item.grantor != owner:
            foreign.append(item)
        elif item.grantee != owner:
            pair = (item.grantee, item.privilege)
            held.add(pair)
            if item.grantable:
                grantable.add(pair)
    reach = _unreached(owner, acl, foreign) if foreign else set()
    spread = {item.privilege for item in foreign}
    options: set[Pair] = set()
    revokes: set[Pair] = set()
    for pair in held | reach:
        role, privilege = pair
        if pair in lacking or (role in protected and pair in held):
            if pair in reach or (pair in grantable and (role not in protected or privilege in spread)):
                options.add(pair)
        else:
            revokes.add(pair)
    grants = lacking - held - (reach & options)
    if not (options or revokes or grants):
        return NOTHING
    return Change(frozenset(reach), frozenset(options), frozenset(revokes), frozenset(grants))


def _unreached(owner: str, acl: Acl, foreign: t.Iterable[AclItem]) -> set[Pair]:
    """(grantor, privilege) of third parties whose grants no chain of grant options leads to from *owner*.

    It happens with a column's privilege that was granted by means of the table's grant option.
    """
    chains: dict[Pair, list[str]] = {}
    for item in acl:
        if item.grantable:
            chains.setdefault((item.grantor, item.privilege), []).append(item.grantee)
    unreached = set()
    for privilege in {item.privilege for item in foreign}:
        reached = {owner}
        new = [owner]
        while new:
            for role in chains.get((new.pop(), privilege), ()):
                if role not in reached:
                    reached.add(role)
                    new.append(role)
        unreached |= {(i.grantor, privilege) for i in foreign if i.privilege == privilege and i.grantor not in reached}
    return unreached


def after_owner_change(acl: Acl, old: str, new: str) -> Acl:
    """What ALTER ... OWNER TO makes of *acl*: the new owner in the old one's place, on both sides, and merged.

    Source: aclnewowner() in PostgreSQL's src/backend/utils/adt/acl.c. As in a snapshot, the owner's own are left out.
    """
    merged: dict[tuple[str, str, str], bool] = {}
    for item in acl:
        grantee = new if item.grantee == old else item.grantee
        grantor = new if item.grantor == old else item.grantor
        if not grantee == grantor == new:
            key = (grantee, grantor, item.privilege)
            merged[key] = merged.get(key, False) or item.grantable
    return tuple(AclItem(*key, grantable) for key, grantable in merged.items())
