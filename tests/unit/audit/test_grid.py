"""The access matrix: alike objects share a row; too much is what its privilege, path and object say."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.grid import grids
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import access, broken, effective, finding

TABLES = ("public.a", "public.b", "public.c")


def grid(
    *rows: dict[str, t.Any], findings: t.Sequence[t.Any] = (), assertions: t.Sequence[t.Any] = ()
) -> dict[str, t.Any]:
    (found,) = grids({"effective": list(rows), "findings": list(findings), "assertions": list(assertions)})
    return found


def cells(one: dict[str, t.Any]) -> dict[tuple[str, str], list[tuple[tuple[str, ...], dict[str, list[str]]]]]:
    """By object and role: privileges and what of them is too much."""
    found: dict[tuple[str, str], list[tuple[tuple[str, ...], dict[str, list[str]]]]] = {}
    for row in one["rows"]:
        for number in row["ways"]:
            way = one["ways"][number]
            for name in row["objects"]:
                found.setdefault((name, way["role"]), []).append((tuple(way["privileges"]), way["excess"]))
    return found


def red(one: dict[str, t.Any]) -> set[tuple[str, str, str]]:
    return {
        (name, role, word) for (name, role), held in cells(one).items() for _said, excess in held for word in excess
    }


def test_objects_that_all_roles_reach_alike_share_a_row():
    one = grid(effective("r", ["SELECT"], TABLES), effective("w", ["INSERT"], TABLES[:2]))
    assert [row["objects"] for row in one["rows"]] == [["public.a", "public.b"], ["public.c"]]
    assert one["roles"] == ["r", "w"]


def test_nothing_is_lost_and_nothing_is_invented():
    answer = access()
    (one,) = grids(answer)
    told = {
        (element["role"], element["kind"], name, tuple(element["privileges"]), tuple(element["path"]))
        for element in answer["effective"]
        for name in element["objects"]
    }
    drawn = {
        (way["role"], row["kind"], name, tuple(way["privileges"]), tuple(way["path"]))
        for row in one["rows"]
        for way in (one["ways"][number] for number in row["ways"])
        for name in row["objects"]
    }
    assert drawn == told
    assert red(one) == set()


def test_the_order_of_the_answer_does_not_matter():
    answer = broken()
    shuffled = {**answer, "effective": list(reversed(answer["effective"]))}
    assert grids(shuffled) == grids(answer)


def test_a_grant_to_public_is_red_for_whoever_has_it_by_public_and_for_nobody_else():
    hole = finding("excess-privilege", "public", "table public.a", "INSERT")
    one = grid(
        effective("r", ["INSERT"], ["public.a"], "PUBLIC"),
        effective("w", ["INSERT"], TABLES),
        effective("q", ["INSERT", "SELECT"], TABLES, "PUBLIC"),
        findings=[hole],
    )
    assert red(one) == {("public.a", "r", "INSERT"), ("public.a", "q", "INSERT")}


@pytest.mark.parametrize(
    ("rule", "who", "about", "privilege", "path", "wrong"),
    [
        ("excess-privilege", "r", "table public.a", "SELECT", (), True),
        ("excess-privilege", "r", "table public.a", "DELETE", (), False),
        ("excess-privilege", "r", "table public.b", "SELECT", (), False),
        ("excess-privilege", "r", "sequence public.a", "SELECT", (), False),
        ("excess-privilege", "other", "table public.a", "SELECT", (), False),
        ("excess-privilege", "g", "table public.a", "SELECT", ("member of g",), True),
        ("excess-privilege", "g", "table public.a", "SELECT", ("SET ROLE g",), True),
        ("excess-privilege", "r", "table public.a", "SELECT", ("member of g",), False),
        ("excess-privilege", "Odd one", "table public.a", "SELECT", ('member of "Odd one"',), True),
        ("excess-membership", "r", "role g", "MEMBER", ("member of g",), True),
        ("excess-membership", "g", "role h", "MEMBER", ("member of g", "member of h"), True),
        ("excess-membership", "g", "role h", "SET", ("SET ROLE h (by g)",), True),
        ("excess-membership", "r", "role h", "MEMBER", ("member of g",), False),
        ("unlisted-membership", "r", "role g", "MEMBER", ("member of g",), True),
        ("role-attribute", "r", "role r", "SUPERUSER", ("superuser",), True),
        ("role-attribute", "r", "role r", "CREATEDB", ("superuser",), False),
        ("missing-privilege", "r", "table public.a", "SELECT", (), False),
    ],
)
def test_what_a_finding_is_about_is_red(rule, who, about, privilege, path, wrong):
    one = grid(effective("r", ["SELECT"], ["public.a"], *path), findings=[finding(rule, who, about, privilege)])
    assert red(one) == ({("public.a", "r", "SELECT")} if wrong else set())


def test_a_finding_on_a_column_is_red_at_the_table():
    one = grid(
        effective("r", ["INSERT", "SELECT (columns)"], ["public.a"]),
        findings=[finding("excess-privilege", "r", "column public.a.id", "SELECT")],
    )
    assert red(one) == {("public.a", "r", "SELECT (columns)")}


def test_of_another_database_a_finding_says_nothing():
    hole = finding("excess-privilege", "r", "table public.a", "SELECT", database="other")
    assert red(grid(effective("r", ["SELECT"], ["public.a"]), findings=[hole])) == set()


def test_a_broken_assertion_is_red_on_its_path_its_objects_and_its_privileges():
    violation = {
        "role": "r", "database": "taaraxtak", "what": "writers", "privileges": ["INSERT"], "exception": None,
        "objects": ["table public.a"], "path": ["r", "runs f as o"], "findings": ["assertion-0"],
    }  # fmt: skip
    one = grid(
        effective("r", ["INSERT", "SELECT"], TABLES, "runs f as o"),
        effective("r", ["INSERT"], TABLES),
        assertions=[{"id": "x", "passed": False, "violations": [violation]}],
    )
    assert red(one) == {("public.a", "r", "INSERT")}
    assert sum(bool(excess) for _said, excess in cells(one)["public.a", "r"]) == 1


def test_each_database_has_a_matrix_of_its_own():
    rows = [{**effective("r", ["SELECT"], ["public.a"]), "database": name} for name in ("b", "a")]
    assert [one["database"] for one in grids({"effective": rows})] == ["a", "b"]
