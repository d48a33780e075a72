"""A schema's statements: what PostgreSQL writes in other words after a restore is the same, what differs is named."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.ddl import Ddl, Statements
from hypothesis import given
from hypothesis import strategies as st


def taken(*statements: str) -> Statements:
    found = Statements()
    for statement in statements:
        found.add(statement.encode())
    return found


def ddl(*statements: str) -> Ddl:
    return taken(*statements).ddl()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # What pg_dump writes of a constraint, and of the same one in the copy.
        (
            "CHECK (((x)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])))",
            "CHECK (((x)::text = ANY (ARRAY[('a'::character varying)::text, ('b'::character varying)::text])))",
        ),
        ("CREATE TABLE a (\n    b integer\n);\n", "CREATE TABLE a (b integer);"),
        ("DEFAULT 'x'::character varying(255)[]", "DEFAULT 'x'"),
        ('DEFAULT \'x\'::public."Odd "" :: type"', "DEFAULT 'x'::\"char\""),
        ("DEFAULT ('1'::numeric(10,2))", "DEFAULT '1'"),
        ("DEFAULT '1'::timestamp(3) without time zone, b", "DEFAULT ('1')::timestamp with time zone, b"),
        ("DEFAULT '1'::interval day to second(3)", "DEFAULT '1'::double precision"),
        ("DEFAULT x::text AS y", "DEFAULT (x) AS y"),
        ("((a AND b) AND c)", "(a AND b AND c)"),
        ("SELECT a -- a comment", "SELECT a"),
    ],
)
def test_what_postgresql_writes_in_other_words_is_the_same(one: str, other: str) -> None:
    assert ddl(one) == ddl(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DEFAULT 1", "DEFAULT 2"),
        ("DEFAULT 'a b'", "DEFAULT 'a  b'"),
        ("DEFAULT 'a'", "DEFAULT 'A'"),
        ("DEFAULT '(a)'", "DEFAULT 'a'"),
        ("DEFAULT 'x::text'", "DEFAULT 'x'"),
        ("DEFAULT E'\\\\' || 'a  b'", "DEFAULT E'\\\\' || 'a b'"),
        ("DEFAULT E'\\'(' || ('b')", "DEFAULT E'\\'' || ('b')"),
        ("DEFAULT name'a (b)'", "DEFAULT name'a b'"),
        ("CREATE TABLE a (b integer)", "CREATE TABLE a (bi nteger)"),
        ('CREATE TABLE "a  b" ()', 'CREATE TABLE "a b" ()'),
        ('CREATE TABLE "a""(b" ()', 'CREATE TABLE "a""b" ()'),
        ('CREATE TABLE "a::text" ()', 'CREATE TABLE "a" ()'),
        ("CREATE TABLE \"a'b\" (), c 'd'", "CREATE TABLE \"a'b\" (), c '(d'"),
        ("AS $$a  b$$", "AS $$a b$$"),
        ("AS $x$a $$ (b$x$", "AS $x$a $$ b$x$"),
        ("AS $é$ ' ( $é$", "AS $é$ ' $é$"),
        ("SELECT a$b$, 'x(', c$b$", "SELECT a$b$, 'x', c$b$"),
        ("CHECK (a = 1)", "CHECK (a <> 1)"),
        ("CHECK ('a' = b)", "CHECK (b = 'a')"),
        ("CREATE INDEX a ON b (c)", "CREATE UNIQUE INDEX a ON b (c)"),
    ],
)
def test_what_differs_is_not_the_same(one: str, other: str) -> None:
    assert ddl(one).sha256 != ddl(other).sha256


@given(st.permutations(["CREATE TABLE a ()", "CREATE TABLE b ()", "GRANT x TO y", "GRANT x TO y"]))
def test_the_order_of_statements_does_not_count_and_their_number_does(statements: list[str]) -> None:
    assert ddl(*statements) == ddl("CREATE TABLE a ()", "CREATE TABLE b ()", "GRANT x TO y", "GRANT x TO y")
    assert ddl(*statements) != ddl(*statements, "GRANT x TO y")


PIECES = [
    "CREATE ",
    "ALTER TABLE ",
    "INDEX ",
    "OWNER TO ",
    "ADD CONSTRAINT ",
    "\x01",
    '"a"',
    "'b'",
    "::",
    "(",
    ";",
    " ON ",
    "x",
]


@given(
    st.lists(st.binary() | st.lists(st.sampled_from(PIECES)).map(lambda pieces: "".join(pieces).encode()), max_size=4)
)
def test_noise_is_taken_as_it_is(noise: list[bytes]) -> None:
    one, other = Statements(), Statements()
    for statement in noise:
        one.add(statement)
    for statement in noise:
        other.add(statement)
    assert one.ddl() == other.ddl()
    assert one.differences(other) == []


KINDS = [
    ("CREATE TABLE public.a (\n    b integer\n);", "TABLE", "table public.a"),
    ("CREATE UNLOGGED TABLE public.a ();", "TABLE", "table public.a"),
    ("CREATE FOREIGN TABLE public.a (b int) SERVER s;", "FOREIGN TABLE", "foreign table public.a"),
    ('CREATE TABLE "S.x"."t ""(q"" ;" ();', "TABLE", 'table "S.x"."t ""(q"" ;"'),
    ('CREATE TABLE public."two\nlines" ();', "TABLE", 'table public."two\\nlines"'),
    ("CREATE INDEX x_idx ON public.x USING btree (lower(a));", "INDEX", "index public.x_idx"),
    ('CREATE UNIQUE INDEX "X.i" ON ONLY "S.x".x USING gin (a);', "INDEX", 'index "S.x"."X.i"'),
    (
        "ALTER TABLE ONLY public.x\n    ADD CONSTRAINT c CHECK (a > 1) NOT VALID;",
        "CONSTRAINT",
        "constraint c of public.x",
    ),
    ("CREATE FUNCTION public.f(a integer) RETURNS int AS $$1$$;", "FUNCTION", "function public.f"),
    ("CREATE OR REPLACE VIEW public.v AS SELECT 1;", "VIEW", "view public.v"),
    ("CREATE MATERIALIZED VIEW public.v AS SELECT 1;", "MATERIALIZED VIEW", "materialized view public.v"),
    ("CREATE PROCEDURE public.p()\n AS $$1$$;", "PROCEDURE", "procedure public.p"),
    ("CREATE TRIGGER t BEFORE INSERT OR UPDATE OF a ON public.x FOR EACH ROW;", "TRIGGER", "trigger t of public.x"),
    ("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON public.x;", "TRIGGER", "trigger t of public.x"),
    ("CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE f();", "EVENT TRIGGER", "event trigger t"),
    ("CREATE RULE r AS\n    ON INSERT TO public.v DO NOTHING;", "RULE", "rule r of public.v"),
    ('CREATE POLICY p ON public."O.n" USING (true);', "POLICY", 'policy p of public."O.n"'),
    ("CREATE SEQUENCE public.s START WITH 1;", "SEQUENCE", "sequence public.s"),
    (
        "ALTER TABLE public.x ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\n SEQUENCE NAME public.s\n);",
        "SEQUENCE",
        "sequence of public.x",
    ),
    ("CREATE DOMAIN public.d AS text;", "DOMAIN", "domain public.d"),
    ("CREATE TYPE public.e AS ENUM (\n    'a'\n);", "TYPE", "type public.e"),
    ("CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;", "EXTENSION", "extension pg_trgm"),
    (
        "CREATE TEXT SEARCH DICTIONARY public.d (TEMPLATE = x);",
        "TEXT SEARCH DICTIONARY",
        "text search dictionary public.d",
    ),
    ("CREATE OPERATOR public.=== (FUNCTION = f);", "OPERATOR", "operator public.==="),
    ("GRANT SELECT ON TABLE public.x TO r;", "ACL", "statement GRANT SELECT ON TABLE public.x TO r"),
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE o GRANT SELECT ON TABLES TO r;",
        "ACL",
        "statement ALTER DEFAULT PRIVILEGES FOR ROLE o GRANT SELECT ON TABLES TO r",
    ),
    ("ALTER FUNCTION public.f(a integer) OWNER TO o;", "OWNER", "owner of function public.f"),
    ('ALTER TABLE public."x OWNER TO y" OWNER TO "o p";', "OWNER", 'owner of table public."x OWNER TO y"'),
    ("COMMENT ON TABLE public.x IS 'a';", "OTHER", "statement COMMENT ON TABLE public.x IS 'a'"),
    (
        "ALTER TABLE public.x ENABLE ROW LEVEL SECURITY;",
        "OTHER",
        "statement ALTER TABLE public.x ENABLE ROW LEVEL SECURITY",
    ),
]


@pytest.mark.parametrize(("statement", "kind", "label"), KINDS)
def test_a_statement_has_a_kind_and_a_name(statement: str, kind: str, label: str) -> None:
    one = taken(f"{statement}\n")
    assert one.ddl().kinds == {kind: 1}
    assert one.differences(Statements()) == [f"the {label} is missing in the copy"]
    assert Statements().differences(one) == [f"the {label} is only in the copy"]


def test_what_differs_is_named_once() -> None:
    here = taken("CREATE VIEW a AS SELECT 1;", "CREATE TABLE b ();", "CREATE TABLE c ();")
    there = taken("CREATE TABLE c ();", "CREATE VIEW a AS SELECT 2;", "CREATE TABLE d ();")
    assert here.differences(there) == [
        "the table b is missing in the copy",
        "the table d is only in the copy",
        "the view a differs",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "SET default_tablespace = '';",
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SELECT pg_catalog.setval('public.s', 1, true);",
        "COPY public.a (b) FROM stdin;",
        "\\restrict abc",
        "-- a comment",
        "\n",
    ],
)
def test_settings_data_and_comments_are_no_schema(statement: str) -> None:
    assert ddl(f"{statement}\n") == ddl()


BODY = ("CREATE FUNCTION f() RETURNS int\nBEGIN ATOMIC\n SELECT 1;\n", " SELECT 2;\n", "END;\n")
RULE = ("CREATE RULE r AS\n    ON INSERT TO v DO INSTEAD ( INSERT INTO a VALUES (1);\n", " DELETE FROM b;\n", ");\n")


@pytest.mark.parametrize(("pieces", "kind"), [(BODY, "FUNCTION"), (RULE, "RULE")])
def test_a_statement_with_semicolons_of_its_own_is_one(pieces: tuple[str, ...], kind: str) -> None:
    after = "CREATE TABLE x ();\n"
    assert ddl(*pieces, after).kinds == {kind: 1, "TABLE": 1}
    assert ddl(*pieces) == ddl("".join(pieces))
    assert ddl(pieces[0], pieces[2], pieces[1]) != ddl(*pieces)


def test_words_in_a_body_are_no_beginning() -> None:
    assert ddl("CREATE FUNCTION f() AS $$BEGIN ATOMIC$$;", "CREATE TABLE x ();").kinds == {"FUNCTION": 1, "TABLE": 1}
