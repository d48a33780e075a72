"""The difference of ACLs, carried out on a model of PostgreSQL's own rules: it ends in the wanted state, always."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import (
    NO_POWERS,
    NOTHING,
    Acl,
    AclItem,
    Change,
    Pair,
    Powers,
    after,
    after_owner_change,
    difference,
    missing,
)
from hypothesis import given, settings
from hypothesis import strategies as st

OWNER, A, B, C, PUBLIC = "owner", "a", "b", "c", "public"
R, W = "SELECT", "INSERT"


def item(grantee: str, privilege: str = R, grantor: str = OWNER, grantable: bool = False) -> AclItem:
    return AclItem(grantee, grantor, privilege, grantable)


class Server:
    """GRANT and REVOKE as PostgreSQL's acl.c has them: aclupdate(), recursive_revoke(), check_circularity(), ...

    ``powers`` may change between two statements, as memberships do.
    """

    def __init__(self, acl: Acl, powers: Powers = NO_POWERS) -> None:
        self.items = {(i.grantee, i.grantor, i.privilege): i.grantable for i in acl}
        self.powers = powers

    def copy(self) -> Server:
        return Server(self.acl, self.powers)

    @property
    def acl(self) -> Acl:
        return tuple(AclItem(*key, grantable) for key, grantable in self.items.items())

    def direct(self, role: str, privilege: str) -> bool:
        """aclmask_direct()"""
        return role == OWNER or any(
            grantable for (grantee, _, p), grantable in self.items.items() if (grantee, p) == (role, privilege)
        )

    def options(self, role: str, privilege: str) -> bool:
        """aclmask()"""
        others = {OWNER, *(grantee for grantee, _, _ in self.items)}
        return any(self.powers.has(role, other) and self.direct(other, privilege) for other in others)

    def acts(self, role: str, privilege: str) -> str | None:
        """select_best_grantor(): whose grant it is; None: refused."""
        if role in self.powers.superusers:
            return OWNER
        able = (one for one in (role, *sorted(self.powers.inherits.get(role, ()))) if self.direct(one, privilege))
        return next(able, None)

    def grant(self, role: str, privilege: str, by: str = OWNER, *, option: bool = False) -> bool:
        """Whether it was not refused."""
        grantor = self.acts(by, privilege)
        if grantor is None or (option and (role == PUBLIC or self.circular(role, privilege, grantor))):
            return False
        key = (role, grantor, privilege)
        self.items[key] = self.items.get(key, False) or option
        return True

    def circular(self, role: str, privilege: str, grantor: str) -> bool:
        if grantor == OWNER:
            return False
        without = self.copy()
        for key, grantable in self.items.items():
            if grantable and key[0] == role and key[2] == privilege:
                without.drop(key)
        return not without.options(grantor, privilege)

    def revoke(self, role: str, privilege: str, by: str = OWNER, *, option_only: bool = False) -> None:
        grantor = self.acts(by, privilege)
        assert grantor is not None, "PostgreSQL may refuse this with an error"
        self.drop((role, grantor, privilege), option_only=option_only)

    def drop(self, key: tuple[str, str, str], *, option_only: bool = False) -> None:
        had = self.items.get(key, False)
        if key in self.items and option_only:
            self.items[key] = False
        else:
            self.items.pop(key, None)
        role, _, privilege = key
        if had and role != OWNER and not self.options(role, privilege):
            for other in list(self.items):
                if other[1:] == (role, privilege):
                    self.drop(other)

    def run(self, change: Change) -> Acl:
        for role, privilege in sorted(change.reach):
            self.grant(role, privilege, option=True)
        for grantor, role, privilege in sorted(change.by_grantor):
            self.revoke(role, privilege, grantor)
        for role, privilege in sorted(change.options):
            self.revoke(role, privilege, option_only=True)
        for role, privilege in sorted(change.revokes):
            self.revoke(role, privilege)
        for role, privilege in sorted(change.grants):
            self.grant(role, privilege)
        for role, privilege in sorted(change.grant_options):
            assert self.grant(role, privilege, option=True)
        return self.acl


@pytest.mark.parametrize(
    ("acl", "wanted", "change"),
    [
        ((), [], NOTHING),
        ((), [(A, R)], Change(grants=frozenset({(A, R)}))),
        ((), [(OWNER, R)], NOTHING),
        ((item(A),), [(A, R)], NOTHING),
        ((item(A),), [], Change(revokes=frozenset({(A, R)}))),
        ((item(PUBLIC),), [(A, R)], Change(revokes=frozenset({(PUBLIC, R)}), grants=frozenset({(A, R)}))),
        ((item(A, grantable=True),), [(A, R)], Change(options=frozenset({(A, R)}))),
        ((item("super"),), [], NOTHING),
        ((item("super", grantable=True),), [], NOTHING),
        (
            (item("super", grantable=True), item(A, grantor="super")),
            [],
            Change(options=frozenset({("super", R)}), grant_options=frozenset({("super", R)})),
        ),
        (
            (item(A, grantable=True), item(B, grantor=A)),
            [(B, R)],
            Change(revokes=frozenset({(A, R)}), grants=frozenset({(B, R)})),
        ),
        (
            (item(B, grantor=A),),
            [],
            Change(reach=frozenset({(A, R)}), revokes=frozenset({(A, R)})),
        ),
        (
            (item(B, grantor=A),),
            [(A, R)],
            Change(reach=frozenset({(A, R)}), options=frozenset({(A, R)})),
        ),
    ],
)
def test_the_least_change(acl, wanted, change):
    assert difference(OWNER, acl, wanted, {"super"}) == change


@pytest.mark.parametrize(
    ("acl", "grantable", "change"),
    [
        ((), [(A, R)], Change(grant_options=frozenset({(A, R)}))),
        ((item(A),), [(A, R)], Change(grant_options=frozenset({(A, R)}))),
        ((item(A, grantable=True),), [(A, R)], NOTHING),
        ((item(PUBLIC),), [], NOTHING),
        # A third party's grant counts.
        ((item(A, grantable=True), item(B, grantor=A)), [(A, R)], NOTHING),
        ((item(A, grantable=True), item(B, R, A, True), item(C, grantor=B)), [(A, R), (B, R)], NOTHING),
        # B's option isn't wanted: it goes with what B granted, and the owner grants that.
        (
            (item(A, grantable=True), item(B, R, A, True), item(C, grantor=B)),
            [(A, R)],
            Change(options=frozenset({(A, R)}), grants=frozenset({(B, R), (C, R)}), grant_options=frozenset({(A, R)})),
        ),
    ],
)
def test_grant_options_are_wanted_or_not(acl, grantable, change):
    wanted = {(one.grantee, one.privilege) for one in acl} | set(grantable)
    assert difference(OWNER, acl, wanted, (), frozenset(grantable)) == change


def test_who_inherits_the_owner_is_reached_by_no_cascade_and_revokes_itself():
    powers = Powers({A: frozenset({OWNER})})
    acl = (item(A, grantable=True), item(B, grantor=A))
    change = difference(OWNER, acl, (), (), powers=powers)
    assert change == Change(revokes=frozenset({(A, R)}), by_grantor=frozenset({(A, B, R)}))
    assert Server(acl, powers).run(change) == ()
    assert Server(acl, powers).run(dataclasses.replace(change, by_grantor=frozenset())) == (item(B, grantor=A),)


def test_a_circle_of_options_that_the_owner_is_out_of_is_broken():
    acl = (item(A, R, B, True), item(B, R, A, True), item(C, R, B))
    change = difference(OWNER, acl, [(C, R)], ())
    assert Server(acl).run(change) == (item(C),)


@pytest.mark.parametrize(("first", "second"), [(A, B), (B, A)])
def test_who_revokes_as_a_grantor_has_the_option_from_the_owner_meanwhile(first, second):
    """What the first one revokes takes the second one's option, by which the second one is to revoke."""
    powers = Powers({A: frozenset({OWNER}), B: frozenset({OWNER})})
    acl = (item(second, R, first, True), item(C, R, second))
    assert Server(acl, powers).run(difference(OWNER, acl, (), (), powers=powers)) == ()


def test_what_a_superuser_granted_before_it_was_one_is_said():
    acl = (item("super", grantable=True), item(A, grantor="super"))
    powers = Powers(superusers=frozenset({"super"}))
    change = difference(OWNER, acl, (), {"super"}, powers=powers)
    assert change == Change(left=frozenset({("super", A, R)}))
    assert difference(OWNER, acl, [(A, R)], {"super"}, powers=powers) == NOTHING


NAMES = [A, B, C, "super", "other"]
ROLES = st.sampled_from([*NAMES, PUBLIC])
PRIVILEGES = st.sampled_from([R, W])
PAIRS = st.sets(st.tuples(ROLES, PRIVILEGES))
# Superusers, and roles of another tool.
PROTECTED = {"super", "other"}


@st.composite
def all_powers(draw: st.DrawFn, superuser: bool) -> Powers:
    """Memberships without circles, written out."""
    order = draw(st.permutations([*NAMES, OWNER]))
    above: dict[str, frozenset[str]] = {}
    for number, role in enumerate(order):
        chosen = draw(st.lists(st.sampled_from(order[:number]), max_size=1)) if number else []
        above[role] = frozenset(chosen).union(*(above[one] for one in chosen))
    return Powers(above, frozenset({"super"}) if superuser else frozenset())


@st.composite
def states(draw: st.DrawFn) -> tuple[Acl, Powers]:
    """ACLs as they come about: by grants of all who can, while memberships come and go."""
    some = st.one_of(st.just(NO_POWERS), all_powers(superuser=False))
    server = Server((), draw(some))
    for _ in range(draw(st.integers(0, 12))):
        role, by = draw(st.sampled_from([*NAMES, PUBLIC, OWNER])), draw(st.sampled_from([OWNER, *NAMES]))
        if role != by:
            server.grant(role, draw(PRIVILEGES), by, option=draw(st.integers(0, 2)) > 0)
        if draw(st.integers(0, 5)) == 0:
            server.powers = draw(some)
        if draw(st.integers(0, 5)) == 0:
            server.revoke(draw(ROLES), draw(PRIVILEGES), option_only=draw(st.booleans()))
    # The owner's own items are no part of a snapshot.
    acl = tuple(one for one in server.acl if not one.grantee == one.grantor == OWNER)
    return acl, draw(st.one_of(st.just(NO_POWERS), all_powers(superuser=draw(st.booleans()))))


def rightly(acl: Acl, wanted: set[Pair], grantable: set[Pair]) -> bool:
    """Whether a chain of wanted options leads from the owner to all of *acl*."""
    able, rest = {(OWNER, R), (OWNER, W)}, set(acl)
    while found := {one for one in rest if (one.grantor, one.privilege) in able}:
        able |= {(one.grantee, one.privilege) for one in found if one.grantable}
        rest -= found
    return (
        not rest
        and {(one.grantee, one.privilege) for one in acl} <= wanted
        and {(one.grantee, one.privilege) for one in acl if one.grantable} <= grantable
    )


@settings(max_examples=500)
@given(states(), PAIRS, PAIRS)
def test_one_run_makes_the_wanted_state_and_a_second_has_nothing_to_do(state, wanted, options):
    acl, powers = state
    grantable = frozenset(pair for pair in wanted & options if pair[0] != PUBLIC)
    change = difference(OWNER, acl, wanted, PROTECTED, grantable, powers)
    end = Server(acl, powers).run(change)
    # Nothing is left but what a superuser granted before it was one.
    assert {one[0] for one in change.left} <= powers.superusers
    second = difference(OWNER, end, wanted, PROTECTED, grantable, powers)
    assert dataclasses.replace(second, left=frozenset()) == NOTHING
    assert second.left == change.left
    kept = {(one.grantee, one.privilege) for one in acl if one.grantee in PROTECTED}
    kept_able = {(one.grantee, one.privilege) for one in acl if one.grantee in PROTECTED and one.grantable}
    held = {(one.grantee, one.privilege) for one in end}
    able = {(one.grantee, one.privilege) for one in end if one.grantable}
    assert held >= wanted | kept
    assert able >= grantable | kept_able
    if not change.left:
        assert rightly(end, wanted | kept, grantable | kept_able)


@given(states(), PAIRS, PAIRS)
def test_what_is_right_stays_as_it_is(state, wanted, options):
    """No statement touches an ACL that a chain of wanted options explains, whoever granted it."""
    acl, powers = state
    held = {(one.grantee, one.privilege) for one in acl if one.grantee != OWNER}
    able = frozenset((one.grantee, one.privilege) for one in acl if one.grantable and one.grantee != OWNER)
    if rightly(acl, held, set(able)):
        assert difference(OWNER, acl, held, (), able, powers) == NOTHING


@given(states(), PAIRS)
def test_after_says_what_the_statements_leave(state, wanted):
    acl, powers = state
    change = difference(OWNER, acl, wanted, PROTECTED, powers=powers)
    assert set(after(OWNER, acl, change, powers)) == set(Server(acl, powers).run(change))


@given(states(), PAIRS, PAIRS)
def test_additive_only_grants(state, wanted, options):
    acl, powers = state
    grantable = frozenset(pair for pair in wanted & options if pair[0] != PUBLIC)
    change = missing(OWNER, acl, wanted, grantable)
    assert change == Change(grants=change.grants, grant_options=change.grant_options)
    end = Server(acl, powers).run(change)
    assert {one[:3] for one in end} >= {one[:3] for one in acl}
    assert missing(OWNER, end, wanted, grantable) == NOTHING


@pytest.mark.parametrize(
    ("acl", "merged"),
    [
        ((item(A),), (item(A, grantor="new"),)),
        ((item("new"),), ()),
        (
            (item(OWNER, grantor=A), item(A, grantable=True)),
            (item("new", grantor=A), item(A, grantor="new", grantable=True)),
        ),
        ((item(A), item(A, grantor="new", grantable=True)), (item(A, grantor="new", grantable=True),)),
    ],
)
def test_a_new_owner_takes_the_old_one_s_place_and_entries_merge(acl, merged):
    assert after_owner_change(acl, OWNER, "new") == merged


def test_a_column_granted_by_the_tables_grant_option_stands_where_that_is_wanted():
    acl = (AclItem("b", "a", "SELECT"),)
    wanted = {("b", "SELECT")}
    assert difference("o", acl, wanted, (), through={("a", "SELECT")}) == NOTHING
    assert difference("o", acl, wanted, ()) != NOTHING
    assert difference("o", acl, set(), (), through={("a", "SELECT")}) != NOTHING
