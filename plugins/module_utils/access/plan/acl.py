# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The difference between one object's ACL and what the policy wants it to be.

PostgreSQL facts that shape it (aclupdate(), recursive_revoke(), select_best_grantor() in src/backend/utils/adt/acl.c;
tried on 15 to 18): a superuser's REVOKE acts as the owner, so what a third party granted survives it; but it falls with
the grant option it was made by, when that is revoked with CASCADE and the third party has the option from nowhere else,
nor from a role whose privileges it inherits. What no CASCADE reaches is revoked by its grantor, with SET ROLE.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ..policy.model import PUBLIC


class AclItem(t.NamedTuple):
    """One privilege of one grantee (model.PUBLIC is everybody). A named tuple: there are a hundred thousand of them."""

    grantee: str
    grantor: str
    privilege: str
    grantable: bool = False


Acl = tuple[AclItem, ...]
# (role, privilege)
Pair = tuple[str, str]
# (grantor, role, privilege)
ByGrantor = tuple[str, str, str]
_State = dict[tuple[str, str, str], bool]  # (grantee, grantor, privilege): with the grant option


@dataclasses.dataclass(frozen=True)
class Powers:
    """Whose privileges a role has besides its own: by INHERIT, or as a superuser everybody's. They stop a CASCADE."""

    inherits: t.Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    superusers: frozenset[str] = frozenset()

    def has(self, role: str, other: str) -> bool:
        """Whether *role* has the privileges of *other*. Source: has_privs_of_role()."""
        return role == other or role in self.superusers or other in self.inherits.get(role, ())


NO_POWERS = Powers()


@dataclasses.dataclass(frozen=True)
class Change:
    """What to do with an object's ACL, in this order; each a set of (role, privilege) where nothing else is said.

    ``reach``: GRANT ... WITH GRANT OPTION to a grantor who has lost the option, so that what follows reaches what it
    granted. ``by_grantor``: (grantor, role, privilege), REVOKE ... CASCADE under SET ROLE grantor. ``options``: REVOKE
    GRANT OPTION FOR ... CASCADE. ``revokes``: REVOKE ... CASCADE. ``grants``: GRANT. ``grant_options``: GRANT ... WITH
    GRANT OPTION. ``left``, (grantor, role, privilege), is what no statement takes away: its grantor is a superuser now,
    whose REVOKE acts as the owner. ``falls``, (grantor, role, privilege), goes by CASCADE: to be told, not to be done.
    """

    reach: frozenset[Pair] = frozenset()
    options: frozenset[Pair] = frozenset()
    revokes: frozenset[Pair] = frozenset()
    grants: frozenset[Pair] = frozenset()
    grant_options: frozenset[Pair] = frozenset()
    by_grantor: frozenset[ByGrantor] = frozenset()
    left: frozenset[ByGrantor] = frozenset()
    falls: frozenset[ByGrantor] = dataclasses.field(default=frozenset(), compare=False)


NOTHING = Change()


def missing(owner: str, acl: Acl, wanted: t.Collection[Pair], grantable: t.Collection[Pair] = frozenset()) -> Change:
    """Only what is to be granted: the owner needs nothing, and a third party's grant counts."""
    held = {(item.grantee, item.privilege) for item in acl}
    able = {(item.grantee, item.privilege) for item in acl if item.grantable}
    return _lacking({pair for pair in wanted if pair[0] != owner}, _able(owner, grantable), held, able)


def difference(
    owner: str,
    acl: Acl,
    wanted: t.Collection[Pair],
    protected: t.Collection[str],
    grantable: t.Collection[Pair] = frozenset(),
    powers: Powers = NO_POWERS,
    through: t.Collection[Pair] = frozenset(),
) -> Change:
    """Make *acl* exactly *wanted*, of which *grantable* is with the grant option.

    A third party's grant stands where its grantor's option is wanted and the owner gave it, by whatever chain of wanted
    options; any other goes, and what is wanted of it the owner grants. Left alone are the owner's own privileges and
    all that the *protected* roles hold. *powers* count where there are third parties' grants.
    *through* are grant options on a column's table, which reach the column too.
    """
    held: set[Pair] = set()
    able: set[Pair] = set()
    for grantee, grantor, privilege, can_grant in acl:
        if grantor != owner:
            lacking = {pair for pair in wanted if pair[0] != owner}
            return _among_third_parties(owner, acl, lacking, protected, _able(owner, grantable), powers, through)
        held.add((grantee, privilege))
        if can_grant:
            able.add((grantee, privilege))
    if held == wanted and able == grantable:
        return NOTHING
    lacking = {pair for pair in wanted if pair[0] != owner}
    options_wanted = _able(owner, grantable)
    options = {pair for pair in able if pair in lacking and pair not in options_wanted and pair[0] not in protected}
    revokes = {pair for pair in held - lacking if pair[0] != owner and pair[0] not in protected}
    return _change(options, revokes, _lacking(lacking, options_wanted, held, able))


def after(owner: str, acl: Acl, change: Change, powers: Powers = NO_POWERS) -> Acl:
    """*acl* as the statements of *change* leave it.

    A table's REVOKE takes the same privileges of its columns along: give a column's ACL and the table's ``revokes`` and
    ``options``.
    """
    state = _carried_out(owner, acl, change, powers)
    _grant(state, owner, change.grants, option=False)
    _grant(state, owner, change.grant_options, option=True)
    return tuple(AclItem(*key, grantable) for key, grantable in state.items())


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


def _able(owner: str, grantable: t.Collection[Pair]) -> frozenset[Pair]:
    """Neither everybody can have a grant option, nor does the owner need one."""
    return frozenset(pair for pair in grantable if pair[0] not in (owner, PUBLIC))


def _lacking(
    wanted: t.Collection[Pair], options: t.Collection[Pair], held: t.Collection[Pair], able: t.Collection[Pair]
) -> Change:
    """What the owner is to grant."""
    grants = frozenset(pair for pair in wanted if pair not in held and pair not in options)
    grant_options = frozenset(pair for pair in options if pair not in able)
    return Change(grants=grants, grant_options=grant_options) if grants or grant_options else NOTHING


def _change(options: t.Collection[Pair], revokes: t.Collection[Pair], lacking: Change) -> Change:
    if not (options or revokes):
        return lacking
    return dataclasses.replace(lacking, options=frozenset(options), revokes=frozenset(revokes))


def _among_third_parties(
    owner: str,
    acl: Acl,
    wanted: set[Pair],
    protected: t.Collection[str],
    options_wanted: frozenset[Pair],
    powers: Powers,
    through: t.Collection[Pair],
) -> Change:
    """As ``difference``, where not all of *acl* was granted by the owner."""
    kept = [item for item in acl if item.grantee in protected and item.grantee != owner]
    wanted = wanted | {(item.grantee, item.privilege) for item in kept}
    options_wanted |= {(item.grantee, item.privilege) for item in kept if item.grantable}
    wrong = _wrongly_granted(owner, acl, wanted, options_wanted, through)
    falls = {item for item in wrong if item.grantor not in powers.superusers}
    by_grantor: set[ByGrantor] = set()
    while True:
        change = _cut(owner, acl, falls, (wanted, options_wanted), by_grantor, powers)
        state = _carried_out(owner, acl, change, powers)
        # What survives the CASCADE is revoked by its grantor; that is rare, and one round more at most for each.
        survivors = {item for item in falls if (item.grantee, item.grantor, item.privilege) in state}
        if not survivors:
            break
        by_grantor |= {(item.grantor, item.grantee, item.privilege) for item in survivors}
    held = {(grantee, privilege) for grantee, _grantor, privilege in state}
    able = {(grantee, privilege) for (grantee, _grantor, privilege), grantable in state.items() if grantable}
    lacking = _lacking(wanted, options_wanted, held, able)
    done = dataclasses.replace(change, grants=lacking.grants, grant_options=lacking.grant_options)
    left = _wrongly_granted(owner, after(owner, acl, done, powers), wanted, options_wanted, through)
    if not left and done == NOTHING:
        return NOTHING
    gone = {i for i in acl if i.grantor != owner and (i.grantee, i.grantor, i.privilege) not in state}
    return dataclasses.replace(
        done,
        left=frozenset((item.grantor, item.grantee, item.privilege) for item in left),
        falls=frozenset((item.grantor, item.grantee, item.privilege) for item in gone) - by_grantor,
    )


def _wrongly_granted(
    owner: str, acl: Acl, wanted: t.Collection[Pair], options: t.Collection[Pair], through: t.Collection[Pair]
) -> set[AclItem]:
    """Third parties' items that are not wanted, or that no chain of wanted options leads to from *owner*.

    Options that somebody has *through* the table count.
    """
    candidates = [
        item
        for item in acl
        if (item.grantee, item.privilege) in wanted
        and (not item.grantable or (item.grantee, item.privilege) in options)
    ]
    reached = _reached(owner, candidates, through)
    rightly = {item for item in candidates if (item.grantor, item.privilege) in reached}
    return {item for item in acl if item.grantor != owner and item not in rightly}


def _reached(owner: str, items: t.Sequence[AclItem], through: t.Collection[Pair] = frozenset()) -> set[Pair]:
    """Who has the grant option by a chain of *items* that begins with *owner*: (role, privilege), the owner's too."""
    chains: dict[Pair, list[str]] = {}
    for item in items:
        if item.grantable:
            chains.setdefault((item.grantor, item.privilege), []).append(item.grantee)
    reached = {(owner, item.privilege) for item in items}.union(through)
    new = list(reached)
    while new:
        pair = new.pop()
        for role in chains.get(pair, ()):
            if (role, pair[1]) not in reached:
                reached.add((role, pair[1]))
                new.append((role, pair[1]))
    return reached


def _cut(
    owner: str,
    acl: Acl,
    falls: t.Collection[AclItem],
    wanted: tuple[t.Collection[Pair], t.Collection[Pair]],
    by_grantor: t.Collection[ByGrantor],
    powers: Powers,
) -> Change:
    """Revoke what the owner granted in excess, and the options of all who granted *falls*, whoever gave them.

    *wanted*: all pairs, and those with the option. Whoever revokes *by_grantor* needs the option from the owner itself.
    """
    cut: set[Pair] = set()
    new = [(item.grantor, item.privilege) for item in falls]
    while new:
        pair = new.pop()
        # No CASCADE passes one who has the owner's own privileges.
        if pair not in cut and not powers.has(pair[0], owner):
            cut.add(pair)
            new += [(i.grantor, i.privilege) for i in acl if i.grantable and (i.grantee, i.privilege) == pair]
    direct = {(i.grantee, i.privilege): i.grantable for i in acl if i.grantor == owner and i.grantee != owner}
    reach = cut - _reached(owner, acl)
    reach |= {pair for grantor, _role, privilege in by_grantor if not direct.get(pair := (grantor, privilege))}
    options: set[Pair] = set()
    revokes: set[Pair] = set()
    for pair, grantable in {**direct, **dict.fromkeys(reach, True)}.items():
        if pair not in wanted[0]:
            revokes.add(pair)
        elif grantable and (pair not in wanted[1] or pair in cut or pair in reach):
            options.add(pair)
    sets = (frozenset(reach), frozenset(options), frozenset(revokes))
    return Change(*sets, by_grantor=frozenset(by_grantor))


def _carried_out(owner: str, acl: Acl, change: Change, powers: Powers) -> _State:
    """The ACL after the statements of *change* up to its revokes, each verb's in the order of their roles."""
    state = {(item.grantee, item.grantor, item.privilege): item.grantable for item in acl}
    _grant(state, owner, change.reach, option=True)
    for grantor, role, privilege in sorted(change.by_grantor):
        _revoke(state, owner, (role, grantor, privilege), powers)
    for role, privilege in sorted(change.options):
        _revoke(state, owner, (role, owner, privilege), powers, option_only=True)
    for role, privilege in sorted(change.revokes):
        _revoke(state, owner, (role, owner, privilege), powers)
    return state


def _grant(state: _State, owner: str, pairs: t.Iterable[Pair], *, option: bool) -> None:
    for role, privilege in pairs:
        key = (role, owner, privilege)
        state[key] = state.get(key, False) or option


def _revoke(state: _State, owner: str, key: tuple[str, str, str], powers: Powers, *, option_only: bool = False) -> None:
    """REVOKE ... CASCADE. Source: aclupdate() and recursive_revoke()."""
    if key not in state:
        return
    had = state[key]
    if option_only:
        state[key] = False
    else:
        del state[key]
    role, _grantor, privilege = key
    if not had or role == owner or powers.has(role, owner):
        return
    if any(
        grantable and one == privilege and powers.has(role, grantee) for (grantee, _by, one), grantable in state.items()
    ):
        return
    for other in [other for other in state if other[1:] == (role, privilege)]:
        _revoke(state, owner, other, powers)
