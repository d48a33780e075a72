"""Which roles a dump's statements name: those that must be there before psql comes to them."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore.named import NamedRoles
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import Scanner

END = b"--\n-- PostgreSQL database dump complete\n--\n"


@pytest.mark.parametrize(
    ("statement", "roles"),
    [
        (b"ALTER TABLE public.t OWNER TO app;\n", {"app"}),
        (b'ALTER FUNCTION public.f(a integer) OWNER TO "The ""app""; x";\n', {'The "app"; x'}),
        (b"GRANT SELECT ON TABLE public.t TO reader;\n", {"reader"}),
        (b"GRANT SELECT(a),INSERT(b) ON TABLE public.t TO reader WITH GRANT OPTION;\n", {"reader"}),
        (b"REVOKE ALL ON SCHEMA public FROM PUBLIC;\n", set()),
        (b"REVOKE ALL ON SCHEMA public FROM app;\n", {"app"}),
        (
            b"ALTER DEFAULT PRIVILEGES FOR ROLE app IN SCHEMA public GRANT SELECT ON TABLES  TO reader;\n",
            {"app", "reader"},
        ),
        (b"CREATE POLICY p ON public.t FOR SELECT TO a, b USING ((owner = CURRENT_USER));\n", {"a", "b"}),
        (b"CREATE USER MAPPING FOR app SERVER s OPTIONS (\n    \"user\" 'x'\n);\n", {"app"}),
        (b"COMMENT ON TABLE public.t IS 'GRANT SELECT ON TABLE public.t TO nobody;';\n", set()),
        (b"CREATE VIEW public.v AS\n SELECT 'x OWNER TO nobody'::text AS x;\n", set()),
    ],
)
def test_the_roles_of_a_statement(statement: bytes, roles: set[str]) -> None:
    scanner, named = Scanner(), NamedRoles()
    scanner.statements = named
    scanner.feed(statement + END)
    scanner.finish()
    assert named.new() == ({name for name in roles if name != "public"})


def test_each_role_is_told_once() -> None:
    named = NamedRoles()
    named.add(b"ALTER TABLE public.t OWNER TO app;\n")
    assert named.new() == {"app"}
    named.add(b"ALTER TABLE public.u OWNER TO app;\n")
    named.add(b"ALTER TABLE public.u OWNER TO other;\n")
    assert named.new() == {"other"}
    assert named.new() == set()


def test_they_are_the_same_statements_to_the_comparison() -> None:
    texts = [b"ALTER TABLE public.t OWNER TO app;\n" + END, b"ALTER TABLE public.t OWNER TO  app;\n" + END]
    found = []
    for text, statements in zip(texts, (NamedRoles(), None), strict=True):
        scanner = Scanner()
        if statements is not None:
            scanner.statements = statements
        scanner.feed(text)
        found.append(scanner.finish().ddl)
    assert found[0] == found[1]
