"""Rows of the catalogue's queries become dataclasses: joined by oid, named last, with nothing lost on the way."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import (
    audited,
    links,
    outside,
    queries,
    snapshot,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.access.catalog import model as catalog
from ansible_collections.taaraxtak.production.plugins.module_utils.access.plan.acl import AclItem
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.model import Grant, Pattern, Policy

NAMES = snapshot.names_of([(10, "postgres"), (11, "owner"), (12, "reader")])
SCHEMAS = [
    (1, "app", 11),
    (2, "app_old", 11),
    (11, "pg_catalog", 10),
    (13, "information_schema", 10),
    (14, "pg_toast", 10),
    (15, "pg_temp_3", 10),
    (16, "pg_toast_temp_3", 10),
]


def policy(*schemas: str, **parts: t.Any) -> Policy:
    held: dict[str, t.Any] = {
        **{"mode": "authoritative", "databases": ("app",), "public": True, "roles": {}, "owners": {}},
        **{"revoke_connect": True, "revoke_execute": (), "grants": (), "assertions": ()},
    }
    return Policy(schemas=schemas, **{**held, **parts})


def objects(**rows: t.Any) -> catalog.Objects:
    """What *rows* say, where all other queries came back empty."""
    asked = (*queries.members(180000), *queries.ACLS, *audited.members(180000), *outside.LAST)
    all_rows = {**{key: [] for key in asked}, "lo_compat": [(False,)], **rows}
    return audited.added(snapshot.objects("app", NAMES, SCHEMAS, [1], all_rows), NAMES, all_rows)


def granted(kind: str, schema: str, name: str) -> Grant:
    return Grant(("reader",), kind, frozenset({"SELECT"}), patterns=(Pattern(schema, name),))


@pytest.mark.parametrize(
    ("schemas", "ignored", "oids"),
    [
        (("app",), (), [1]),
        (("app*",), (), [1, 2]),
        (("*",), (), [1, 2]),
        (("app*",), ("app_*",), [1]),
        (("pg_*", "information_schema"), (), []),
    ],
)
def test_the_scope_is_chosen_by_the_policy_and_never_postgresqls_own(
    schemas: tuple[str, ...], ignored: tuple[str, ...], oids: list[int]
) -> None:
    values = snapshot.scope(policy(*schemas, ignore_schemas=ignored), SCHEMAS)
    assert values["schemas"] == oids
    assert values["system"] == [11, 13]


def test_patterns_are_asked_for_by_schema_and_like() -> None:
    one = policy(
        "app",
        revoke_execute=(Pattern("pg_catalog", "lo_*"), Pattern("*_schema", "100%\\"), Pattern("pg_t*", "*")),
        grants=(
            granted("routines", "pg_catalog", "pg_ls_dir"),
            granted("routines", "app", "f"),
            granted("tables", "information_schema", "*"),
            granted("tables", "app", "*"),
        ),
    )
    values = snapshot.scope(one, SCHEMAS)
    named = list(zip(values["named_schemas"], values["named_routines"], strict=True))
    assert named == [(11, "lo\\_%"), (13, "100\\%\\\\"), (11, "pg\\_ls\\_dir")]
    assert list(zip(values["relation_schemas"], values["named_relations"], strict=True)) == [(13, "%")]


def test_items_of_an_acl_are_sorted_and_oids_are_of_one_catalogue_each() -> None:
    found = objects(
        acls=[
            ("pg_class", 12, 11, "UPDATE", False, [5, 6]),
            ("pg_class", 0, 11, "SELECT", True, [5]),
            ("pg_proc", 0, 11, "EXECUTE", False, [5]),
        ],
        relations=[
            (5, 1, "a", "r", 11, False, False, False, None),
            (6, 1, "b", "S", 11, False, False, False, 5),
            (7, 1, "c", "v", 11, False, False, False, None),
        ],
        routines=[(5, 1, "f", "", 11, "f", False, None, "sql")],
    )
    update = AclItem("reader", "owner", "UPDATE")
    everybody = AclItem("public", "owner", "SELECT", True)
    assert [(one.name, one.follows, one.acl) for one in found.relations] == [
        ("a", None, (everybody, update)),
        ("b", 5, (update,)),
        ("c", None, ()),
    ]
    assert found.routines[0].acl == (AclItem("public", "owner", "EXECUTE"),)


def test_who_is_gone_has_a_number() -> None:
    found = objects(
        relations=[(5, 1, "a", "r", 99, False, False, False, None)],
        acls=[("pg_class", 98, 99, "SELECT", False, [5])],
        column_acls=[(5, "id", 97, 99, "SELECT", False)],
    )
    (table,) = found.relations
    assert (table.owner, table.acl) == ("99", (AclItem("98", "99", "SELECT"),))
    assert table.columns == {"id": (AclItem("97", "99", "SELECT"),)}


def test_an_empty_default_acl_is_a_row_all_the_same() -> None:
    rows = [
        (50, 11, 0, "f", None, None, None, None),
        (51, 11, 1, "r", 12, 11, "SELECT", False),
        (51, 11, 1, "r", 0, 11, "SELECT", False),
    ]
    assert objects(default_acls=rows).defaults == (
        catalog.DefaultAcl("owner", None, "f", ()),
        catalog.DefaultAcl(
            *("owner", "app", "r", (AclItem("public", "owner", "SELECT"), AclItem("reader", "owner", "SELECT")))
        ),
    )


def test_only_what_initdb_or_an_extension_made_has_an_initial_acl() -> None:
    everybody = ("pg_proc", 0, 10, "EXECUTE", False, [5, 20000, 20001])
    found = objects(
        routines=[(oid, 11, f"f{oid}", "", 10, "f", False, None, "c") for oid in (5, 20000, 20001)],
        extensions=[("pg_proc", [20000]), ("pg_class", [20001])],
        acls=[everybody],
        initial=[everybody],
    )
    item = (AclItem("public", "postgres", "EXECUTE"),)
    assert [(one.oid, one.system, one.extension, one.initial) for one in found.routines] == [
        (5, True, False, item),
        (20000, False, True, item),
        (20001, False, False, ()),
    ]


@pytest.mark.parametrize(
    ("bits", "writes"),
    [
        (0, set()),
        (4 | 8 | 16, {"INSERT", "UPDATE", "DELETE"}),
        (4, {"UPDATE"}),
        (8, {"INSERT"}),
        (16, {"DELETE"}),
    ],
)
def test_a_view_has_what_it_reads_and_what_it_writes(bits: int, writes: set[str]) -> None:
    found = objects(
        views=[(7, False, bits)],
        rules=[(7, "_RETURN", "1", [5]), (7, "also", "3", None), (8, "moved", "2", [9, 10])],
    )
    assert found.views == (catalog.View(7, False, (5,), frozenset(writes)),)
    assert found.rules == (catalog.Rule(7, "also", "INSERT", ()), catalog.Rule(8, "moved", "UPDATE", (9, 10)))


def test_what_leads_into_the_scope_from_elsewhere_is_asked_for_however_far_it_is() -> None:
    relations = [(5, 1, "t5", "r", 11, False, False, False, None)]
    rows = {
        # 20 reads 21 reads the scope's 5, which reads 22: that leads nowhere. Nor does 29.
        "rules": [(20, "_RETURN", "1", [21]), (21, "r", "4", [5]), (5, "s", "4", [22]), (29, "s", "4", None)],
        "inheritance": [(23, 5, True), (5, 24, True), (30, 31, False)],
        "foreign_keys": [("k", 25, 24, "c", "a"), ("k", 32, 33, "c", "a")],
        "triggers": [
            (26, "t", "s", "f", True, 11, True, 1),
            (27, "t", "s", "f", False, 11, True, 1),
            (28, "t", "s", "f", True, 11, False, 1),
        ],
        "definers": [(40, "elsewhere", "f", "", 11, "f", False, None)],
    }
    assert outside.reached(objects(relations=relations), rows) == {
        "outside": [20, 21, 23, 24, 25, 26],
        "definers": [40],
    }


def test_what_is_elsewhere_has_its_acl() -> None:
    found = objects(
        outside=[(6, "elsewhere", "t", "r", 11)],
        outside_schemas=[(2, "elsewhere", 11)],
        definers=[(40, "elsewhere", "f", "integer", 11, "f", True, ["search_path=x"])],
        outside_acls=[
            ("pg_class", 6, None, 12, 11, "SELECT", False),
            ("pg_class", 6, "a", 12, 11, "UPDATE", True),
            ("pg_namespace", 2, None, 0, 11, "USAGE", False),
            ("pg_proc", 40, None, 0, 11, "EXECUTE", False),
        ],
        inheritance=[(6, 5, True)],
        foreign_keys=[("k", 6, 5, "c", "a"), ("l", 6, 5, "n", "d"), ("m", 6, 5, "r", "c")],
        calls=[(5, "DEFAULT", "Else", "f", "text", 12)],
    )
    (relation,) = found.outside_relations
    assert (relation.oid, relation.schema, relation.name, relation.owner) == (6, "elsewhere", "t", "owner")
    assert relation.acl == (AclItem("reader", "owner", "SELECT"),)
    assert relation.columns == {"a": (AclItem("reader", "owner", "UPDATE", True),)}
    assert found.outside_schemas == (catalog.Schema("elsewhere", "owner", (AclItem("public", "owner", "USAGE"),)),)
    (routine,) = found.outside_routines
    assert (routine.schema, routine.name, routine.arguments, routine.oid) == ("elsewhere", "f", "integer", 40)
    assert (routine.extension, routine.definer, routine.settings) == (True, True, ("search_path=x",))
    assert routine.acl == (AclItem("public", "owner", "EXECUTE"),)
    assert found.inheritance == (links.Inheritance(6, 5, True),)
    assert found.foreign_keys == (
        links.ForeignKey("k", 6, 5, "DELETE", None),
        links.ForeignKey("l", 6, 5, "UPDATE", "UPDATE"),
        links.ForeignKey("m", 6, 5, None, "UPDATE"),
    )
    assert found.calls == (links.Call(5, "DEFAULT", '"Else".f(text)', "reader"),)


def test_other_schemas_are_neither_the_scope_s_nor_postgresql_s_nor_ignored() -> None:
    assert snapshot.scope(policy("app"), SCHEMAS)["others"] == [2]
    assert snapshot.scope(policy("app", ignore_schemas=("app_*",)), SCHEMAS)["others"] == []


def test_publications_name_tables_and_whole_schemas() -> None:
    rows = [
        (1, "all", 11, True, None, None),
        (2, "part", 99, False, "Odd.name", None),
        (2, "part", 99, False, "app", "t"),
    ]
    assert objects(publications=rows).publications == (
        catalog.Publication("all", "owner", True),
        catalog.Publication("part", "99", False, ('"Odd.name".*', "app.t")),
    )


@pytest.mark.parametrize("version", [140000, 150000, 160000, 170000, 180000])
def test_every_version_is_asked_as_often(version: int) -> None:
    assert queries.count(version) == queries.count(180000)
    assert audited.count(version) == audited.count(180000)
    assert queries.cluster(version).keys() == queries.cluster(180000).keys()


def test_before_15_nothing_newer_is_asked_for() -> None:
    asked = " ".join(
        query for part in (queries.cluster, queries.members, audited.members) for query in part(140000).values()
    )
    for newer in ("pg_parameter_acl", "pg_publication_namespace", "inherit_option", "set_option"):
        assert newer not in asked


def test_a_password_is_its_kind_and_a_digest_that_is_not_shown() -> None:
    rows = {key: [] for key in queries.cluster(180000)}
    flags = (True,) * 7
    role = (11, "owner", *flags, -1, "scram-sha-256", "d1635t")
    found = snapshot.cluster((180000, "postgres", True, "postgres", True), {**rows, "roles": [role]})
    assert (found.standby, found.roles["owner"].password) == (True, "scram-sha-256")
    assert found.roles["owner"].password_digest == "d1635t"
    assert "d1635t" not in repr(found)
