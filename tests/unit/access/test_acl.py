"""The difference of ACLs, carried out on a model of PostgreSQL's own rules: it ends in the wanted state, always."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.acl import (
    NOTHING,
    Acl,
    AclItem,
    Change,
    after_owner_change,
    difference,
    missing,
)
from hypothesis import given
from hypothesis import strategies as st

OWNER, A, B, C, PUBLIC = "owner", "a", "b", "c", "public"
R, W = "SELECT", "INSERT"


def item(grantee: str, privilege: str = R, grantor: str = OWNER, grantable: bool = False) -> AclItem:
    return AclItem(grantee, grantor, privilege, grantable)


class Server:
    """GRANT and REVOKE as a superuser runs them: they act as the owner. Source: aclupdate() and recursive_revoke()."""

    def __init__(self, acl: Acl) -> None:
        self.items = {(i.grantee, i.grantor, i.privilege): i.grantable for i in acl}

    def options(self, role: str, privilege: str) -> bool:
        return role == OWNER or any(
            grantable for (grantee, _, p), grantable in self.items.items() if (grantee, p) == (role, privilege)
        )

    def grant(self, role: str, privilege: str, grantor: str = OWNER, option: bool = False) -> None:
        key = (role, grantor, privilege)
        self.items[key] = self.items.get(key, False) or option

    def revoke(self, role: str, privilege: str, grantor: str = OWNER, *, option_only: bool = False) -> None:
        key = (role, grantor, privilege)
        if key not in self.items:
            return
        had = self.options(role, privilege)
        if option_only:
            self.items[key] = False
        else:
            del self.items[key]
        if had and not self.options(role, privilege):
            for grantee, by, p in list(self.items):
                if (by, p) == (role, privilege):
                    self.revoke(grantee, privilege, role)

    def run(self, change: Change) -> Acl:
        for role, privilege in sorted(change.reach):
            self.grant(role, privilege, option=True)
        for role, privilege in sorted(change.options):
            self.revoke(role, privilege, option_only=True)
        for role, privilege in sorted(change.revokes):
            self.revoke(role, privilege)
        for role, privilege in sorted(change.grants):
            self.grant(role, privilege)
        return tuple(AclItem(*key, grantable) for key, grantable in self.items.items())


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
            Change(options=frozenset({("super", R)})),
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


ROLES = st.sampled_from([A, B, C, "super", PUBLIC])


@st.composite
def acls(draw: st.DrawFn) -> Acl:
    """ACLs as they come about, and some whose grantors have lost their grant option."""
    server = Server(())
    for _ in range(draw(st.integers(0, 8))):
        grantor = draw(st.sampled_from([OWNER, A, B, C, "super"]))
        privilege = draw(st.sampled_from([R, W]))
        role = draw(ROLES)
        able = server.options(grantor, privilege)
        if role != grantor and (able or draw(st.integers(0, 4)) == 0):
            # PostgreSQL refuses to pass on an option that isn't in this very ACL, and a circle of options.
            option = able and role != PUBLIC and draw(st.booleans())
            if not (option and (server.options(role, privilege) or role == OWNER)):
                server.grant(role, privilege, grantor, option)
    return tuple(AclItem(*key, grantable) for key, grantable in server.items.items())


@given(acls(), st.sets(st.tuples(ROLES, st.sampled_from([R, W]))))
def test_one_run_makes_the_wanted_state_and_a_second_has_nothing_to_do(acl, wanted):
    protected = {"super"}
    after = Server(acl).run(difference(OWNER, acl, wanted, protected))
    assert difference(OWNER, after, wanted, protected) == NOTHING
    assert all(one.grantor == OWNER for one in after)
    bound = {(one.grantee, one.privilege) for one in after if one.grantee not in protected}
    assert bound == {pair for pair in wanted if pair[0] not in protected}
    kept = {(one.grantee, one.privilege) for one in after}
    assert kept >= {(i.grantee, i.privilege) for i in acl if i.grantee in protected and i.grantor == OWNER} | wanted
    assert not any(one.grantable for one in after if one.grantee not in protected)


@given(acls(), st.sets(st.tuples(ROLES, st.sampled_from([R, W]))))
def test_additive_only_grants(acl, wanted):
    change = missing(OWNER, acl, wanted)
    assert (change.reach, change.options, change.revokes) == (frozenset(), frozenset(), frozenset())
    after = Server(acl).run(change)
    assert set(after) >= set(acl)
    assert missing(OWNER, after, wanted) == NOTHING


@pytest.mark.parametrize(
    ("acl", "after"),
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
def test_a_new_owner_takes_the_old_one_s_place_and_entries_merge(acl, after):
    assert after_owner_change(acl, OWNER, "new") == after
