"""The proof: a copy that is equal passes, and one that differs anywhere does not, with the name of what differs."""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.ddl import Statements
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Trailer
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import proof as proofs
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.proof import (
    EQUAL,
    Proof,
    content,
    limited,
    prove,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import RowSum, Scanned, Scanner
from hypothesis import given
from hypothesis import strategies as st

Tables = dict[str, list[str]]
Sequences = dict[str, tuple[int, bool]]
SCHEMA = ("CREATE TABLE public.ooni (x text);", "CREATE INDEX ooni_x ON public.ooni USING btree (x);")
NAME = DumpName("taaraxtak", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def scanner(
    tables: Tables, sequences: Sequences, schema: t.Sequence[str] = SCHEMA, unordered: t.Collection[str] = ()
) -> Scanner:
    """The scanner of a dump that holds that, finished."""
    parts = [f"{statement}\n" for statement in schema]
    for name, rows in tables.items():
        parts += [f"COPY public.{quoted(name)} (x) FROM stdin;\n", *(f"{row}\n" for row in rows), "\\.\n\n"]
    for name, (value, called) in sequences.items():
        literal = f"public.{quoted(name)}".replace("'", "''")
        parts.append(f"SELECT pg_catalog.setval('{literal}', {value}, {str(called).lower()});\n")
    found = Scanner(unordered)
    found.feed("".join([*parts, "-- PostgreSQL database dump complete\n"]).encode())
    found.finish()
    return found


def trailer(came: Scanner, **more: t.Any) -> Trailer:
    scanned = came.finish()
    return Trailer(
        name=NAME,
        started="2026-01-02T03:04:05Z",
        finished="2026-01-02T03:04:05Z",
        statuses={},
        bytes=1,
        sha256="0" * 64,
        raw_bytes=scanned.raw_bytes,
        tables=scanned.tables,
        sequences=scanned.sequences,
        via_root=more.get("via_root", ()),
        versions={},
        settings={},
        extensions={},
        ddl=more.get("ddl", scanned.ddl),
    )


def copied(copy: Scanner) -> tuple[Scanned, Statements]:
    return copy.finish(), copy.statements


@given(st.lists(st.text("ab", max_size=3)), st.integers(1, 7), st.randoms())
def test_a_sum_of_rows_is_the_same_in_any_order_and_pieces(rows: list[str], size: int, chance: t.Any) -> None:
    def summed(some: list[str], size: int) -> int:
        text, found = "".join(f"{row}\n" for row in some).encode(), RowSum()
        for start in range(0, len(text), size):
            found.add(text[start : start + size])
        return found.value

    other = chance.sample(rows, len(rows))
    assert summed(other, size) == summed(rows, 100)
    assert summed([*rows, "c"], size) != summed(rows, size)


@pytest.mark.parametrize("missing", SCHEMA)
def test_what_another_version_makes_is_counted(missing: str) -> None:
    came = scanner({"ooni": ["a"]}, {})
    less = scanner({"ooni": ["a"]}, {}, [statement for statement in SCHEMA if statement != missing])
    (problem,) = prove(trailer(came), came, copied(less), same_major=False).problems
    assert problem == f"the copy has 0 statements that make a {missing.split()[1].lower()}, and the dump 1"
    assert prove(trailer(came), came, copied(came), same_major=False).ok
    # An older manifest does not count them.
    assert prove(trailer(came, ddl=None), came, copied(less), same_major=False).ok


TABLES: Tables = {"ooni": ["a", "b"], "empty": [], "Odd": ["c"]}
SEQUENCES: Sequences = {"s": (7, True)}
CAME = scanner(TABLES, SEQUENCES)

DIFFERENT: dict[str, tuple[Tables, Sequences, t.Sequence[str], str, str]] = {
    "a row is missing": (
        {**TABLES, "ooni": ["a"]}, SEQUENCES, SCHEMA,
        "the table public.ooni has 1 rows in {here} and 2 in {there}", "public.ooni",
    ),
    "a row too many": (
        {**TABLES, "empty": [""]}, SEQUENCES, SCHEMA,
        "the table public.empty has 1 rows in {here} and 0 in {there}", "public.empty",
    ),
    "a value is shorter": (
        {**TABLES, "Odd": [""]}, SEQUENCES, SCHEMA,
        'the table public."Odd" has 1 bytes in {here} and 2 in {there}, in as many rows', 'public."Odd"',
    ),
    "a value differs": (
        {**TABLES, "ooni": ["a", "c"]}, SEQUENCES, SCHEMA,
        "the table public.ooni has other values in {here} than in {there}, in as many rows and bytes", "public.ooni",
    ),
    "the order differs": (
        {**TABLES, "ooni": ["b", "a"]}, SEQUENCES, SCHEMA,
        "the table public.ooni has other values in {here} than in {there}, in as many rows and bytes", "public.ooni",
    ),
    "a table is missing": (
        {"ooni": ["a", "b"], "Odd": ["c"]}, SEQUENCES, SCHEMA,
        "the table public.empty is in {there} and its rows are not in {here}", "public.empty",
    ),
    "a table too many": (
        {**TABLES, "more": []}, SEQUENCES, SCHEMA,
        "the table public.more has rows in {here} and is not in {there}", "public.more",
    ),
    "a sequence is missing": (TABLES, {}, SCHEMA, "the sequence public.s is in {there} and not in {here}", "public.s"),
    "a sequence too many": (
        TABLES, {**SEQUENCES, "z": (1, False)}, SCHEMA,
        "the sequence public.z is in {here} and not in {there}", "public.z",
    ),
    "a sequence stands elsewhere": (
        TABLES, {"s": (8, True)}, SCHEMA,
        "the sequence public.s stands at 8 in {here} and at 7 in {there}", "public.s",
    ),
    "a sequence was not called": (
        TABLES, {"s": (7, False)}, SCHEMA,
        "the sequence public.s stands at 7, not yet called in {here} and at 7 in {there}", "public.s",
    ),
}  # fmt: skip
CASES = pytest.mark.parametrize(
    ("tables", "sequences", "schema", "said", "name"), DIFFERENT.values(), ids=DIFFERENT.keys()
)


def test_an_equal_copy_is_proved() -> None:
    copy = scanner(dict(reversed(TABLES.items())), SEQUENCES, SCHEMA[::-1])
    for wanted in (trailer(CAME), trailer(CAME, ddl=None), None):
        assert prove(wanted, CAME, copied(copy), same_major=True) == Proof(3, 3, (), EQUAL)
    assert content(trailer(CAME), CAME.finish()) == []


@CASES
def test_a_copy_that_differs_is_named(
    tables: Tables, sequences: Sequences, schema: t.Sequence[str], said: str, name: str
) -> None:
    copy = scanner(tables, sequences, schema)
    for wanted in (trailer(CAME), None):
        for same_major in (True, False):
            proof = prove(wanted, CAME, copied(copy), same_major=same_major)
            assert proof.problems == (said.format(here="the copy", there="the dump"),)
            assert not proof.ok
            assert name in proof.problems[0]


@CASES
def test_a_text_that_is_not_its_manifests_is_named(
    tables: Tables, sequences: Sequences, schema: t.Sequence[str], said: str, name: str
) -> None:
    text = scanner(tables, sequences, schema).finish()
    assert content(trailer(CAME), text) == [said.format(here="the dump", there="the manifest")]


def test_the_manifest_counts_and_not_what_came() -> None:
    other = scanner({**TABLES, "ooni": ["a"]}, SEQUENCES)
    assert prove(trailer(CAME), other, copied(other), same_major=True).problems == (
        "the table public.ooni has 1 rows in the copy and 2 in the dump",
    )
    assert prove(None, other, copied(other), same_major=True).ok


def test_rows_that_went_through_a_partition_root_may_come_in_another_order_and_nothing_else() -> None:
    roots = ("public.ooni",)
    wanted, came = trailer(CAME, via_root=roots), scanner(TABLES, SEQUENCES, unordered=roots)
    for rows, right in ((["b", "a"], True), (["a"], False), (["a", "bb"], False), (["a", "c"], False)):
        copy = scanner({**TABLES, "ooni": rows}, SEQUENCES, unordered=roots)
        assert prove(wanted, came, copied(copy), same_major=True).ok is right
    other = scanner({**TABLES, "Odd": ["d"]}, SEQUENCES)
    assert not prove(wanted, CAME, copied(other), same_major=True).ok
    # The text itself is the very one that was scanned when it was made.
    assert content(wanted, scanner({**TABLES, "ooni": ["b", "a"]}, SEQUENCES).finish()) != []


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA[:1],
        (*SCHEMA, "CREATE VIEW public.v AS SELECT 1;"),
        (SCHEMA[0], SCHEMA[1].replace("btree", "hash")),
    ],
)
def test_statements_that_differ_are_named_where_the_versions_are_the_same(schema: t.Sequence[str]) -> None:
    copy = scanner(TABLES, SEQUENCES, schema)
    proof = prove(trailer(CAME), CAME, copied(copy), same_major=True)
    assert proof.ddl == "different"
    assert any("ooni_x" in problem or "public.v" in problem for problem in proof.problems)
    assert content(trailer(CAME), copy.finish()) == [
        "the statements of the dump are not those that the manifest tells of"
    ]


def test_another_version_may_say_it_in_other_words() -> None:
    copy = scanner(TABLES, SEQUENCES, (SCHEMA[0], SCHEMA[1].replace("btree", "hash")))
    proof = prove(trailer(CAME), CAME, copied(copy), same_major=False)
    assert proof == Proof(3, 3, (), "not compared: the copy's server is of another major version")


def test_a_digest_that_differs_is_a_problem_even_where_no_statement_is_found_that_does() -> None:
    scanned, statements = copied(CAME)
    other = dataclasses.replace(scanned, ddl=dataclasses.replace(scanned.ddl, sha256="f" * 64))
    proof = prove(trailer(CAME), CAME, (other, statements), same_major=True)
    assert proof.problems == ("the statements of the copy are not those of the dump",)


def test_a_text_of_another_length_is_a_problem_even_where_all_in_it_is_equal() -> None:
    longer = dataclasses.replace(CAME.finish(), raw_bytes=CAME.finish().raw_bytes + 1)
    assert len(content(trailer(CAME), longer)) == 1


@pytest.mark.parametrize(("number", "more"), [(0, None), (1, None), (5, None), (6, 1), (1000, 995)])
def test_five_are_named_and_the_rest_counted(number: int, more: int | None) -> None:
    many = {f"t{index:04}": ["a"] for index in range(number)}
    came = scanner(many, {})
    problems = prove(trailer(came), came, copied(scanner({}, {})), same_major=True).problems
    assert [*problems[:5]] == [
        f"the table public.t{index:04} is in the dump and its rows are not in the copy"
        for index in range(min(5, number))
    ]
    assert [*problems[5:]] == ([] if more is None else [f"and {more} more"])
    assert content(trailer(came), scanner({}, {}).finish())[5:] == ([] if more is None else [f"and {more} more"])


@given(st.lists(st.text(max_size=5), max_size=30))
def test_whatever_is_limited_nothing_is_forgotten(problems: list[str]) -> None:
    shown = limited(problems)
    assert len(shown) <= 6
    assert shown[:5] == problems[:5]
    assert (len(shown) == 6) == (len(problems) > 5)


NAMES = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), min_size=1, max_size=8)
ROWS = st.lists(st.text("abc", max_size=3), max_size=4)
CONTENTS = st.tuples(
    st.dictionaries(NAMES, ROWS, max_size=4),
    st.dictionaries(NAMES, st.tuples(st.integers(-9, 9), st.booleans()), max_size=3),
)


@given(first=CONTENTS, second=CONTENTS)
def test_only_what_is_equal_passes(first: tuple[Tables, Sequences], second: tuple[Tables, Sequences]) -> None:
    came, copy = scanner(*first), scanner(*second)
    for wanted in (trailer(came), None):
        proof = prove(wanted, came, copied(copy), same_major=True)
        assert proof.ok == (first == second)
        assert proof.rows == sum(map(len, second[0].values()))
    assert (content(trailer(came), copy.finish()) == []) == (first == second)


@given(first=CONTENTS, name=NAMES, rows=ROWS, changed=ROWS)
def test_the_table_that_differs_is_the_one_that_is_named(
    first: tuple[Tables, Sequences], name: str, rows: list[str], changed: list[str]
) -> None:
    tables, sequences = first
    came, copy = scanner({**tables, name: rows}, sequences), scanner({**tables, name: changed}, sequences)
    (table,) = scanner({name: rows}, {}).finish().tables
    problems = prove(trailer(came), came, copied(copy), same_major=True).problems
    assert len(problems) == (0 if rows == changed else 1)
    assert all(problem.startswith(f"the table {table} has ") for problem in problems)


def test_the_proof_does_no_io() -> None:
    tree = ast.parse(Path(proofs.__file__).read_text(encoding="utf-8"))
    modules = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    modules |= {f"{'.' * node.level}{node.module}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "dataclasses", "typing", "..ddl", "..manifest", "..scan"}
