"""Owners of what has no ACL, and grantors who are shut out of the schema: what else would let somebody stay."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.access.enforce import Options, Outcome, enforce
from ansible_collections.taaraxtak.production.plugins.module_utils.access.policy.reader import parse
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.servers import bindir, every_server  # noqa: F401

DATABASE = "owned"
POLICY: dict[str, t.Any] = {
    "version": 1,
    "scope": {"databases": [DATABASE], "schemas": ["s", "S.x"]},
    "mode": "authoritative",
    "roles": {"ow_owner": {}, "ow_reader": {}},
    "owners": {"s": "ow_owner", "S.x": "ow_owner"},
    "grants": [{"to": "ow_reader", "on": {"schema": "s"}, "privileges": "usage"}],
}
# One of each, the reader's; an operator has symbols for a name, and the others need their quotes.
PLANTED = """
CREATE SCHEMA s; CREATE SCHEMA "S.x";
GRANT ALL ON SCHEMA s, "S.x" TO ow_reader; GRANT CREATE ON DATABASE owned TO ow_reader;
SET ROLE ow_reader;
CREATE TYPE "S.x"."T.1" AS ENUM ('a');
CREATE FUNCTION s.same("S.x"."T.1", "S.x"."T.1") RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION s.turned(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
CREATE COLLATION "S.x"."C.1" FROM "C";
CREATE OPERATOR s.% (LEFTARG = "S.x"."T.1", RIGHTARG = "S.x"."T.1", FUNCTION = s.same);
CREATE OPERATOR "S.x".@#@ (RIGHTARG = int, FUNCTION = s.turned);
CREATE TEXT SEARCH CONFIGURATION "S.x"."t c" (COPY = pg_catalog.simple);
CREATE TEXT SEARCH DICTIONARY s.d (TEMPLATE = pg_catalog.simple);
CREATE TABLE s.t (a int, b int);
CREATE STATISTICS s."St" ON a, b FROM s.t;
CREATE CONVERSION s.c FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
RESET ROLE;
CREATE OPERATOR FAMILY "S.x".f USING btree; ALTER OPERATOR FAMILY "S.x".f USING btree OWNER TO ow_reader;
CREATE OPERATOR CLASS s.k FOR TYPE "S.x"."T.1" USING hash AS OPERATOR 1 s.%;
ALTER OPERATOR CLASS s.k USING hash OWNER TO ow_reader;
"""
OWNERS = """
SELECT kind, pg_get_userbyid(owner) FROM (
  SELECT 'collation' AS kind, collowner AS owner, collnamespace AS schema FROM pg_collation
  UNION ALL SELECT 'conversion', conowner, connamespace FROM pg_conversion
  UNION ALL SELECT 'operator', oprowner, oprnamespace FROM pg_operator
  UNION ALL SELECT 'class', opcowner, opcnamespace FROM pg_opclass
  UNION ALL SELECT 'family', opfowner, opfnamespace FROM pg_opfamily
  UNION ALL SELECT 'statistics', stxowner, stxnamespace FROM pg_statistic_ext
  UNION ALL SELECT 'configuration', cfgowner, cfgnamespace FROM pg_ts_config
  UNION ALL SELECT 'dictionary', dictowner, dictnamespace FROM pg_ts_dict
) AS all_of_them WHERE schema::regnamespace::text IN ('s', '"S.x"') ORDER BY 1
"""


class There(t.NamedTuple):
    """A server with the roles and an empty database."""

    server: Server
    folder: Path

    def sql(self, sql: str, **options: t.Any) -> list[t.Any]:
        return self.server.run(sql, **{"database": DATABASE, **options})

    def run(self, written: dict[str, t.Any] = POLICY, *, check: bool = False) -> Outcome:
        options = Options(check=check, lock_file=str(self.folder / "lock"), hba=False)
        return enforce(self.server.login, parse(written), options)


@pytest.fixture
def there(every_server: Server, tmp_path: Path) -> t.Iterator[There]:  # noqa: F811
    every_server.run("CREATE ROLE ow_owner; CREATE ROLE ow_reader; CREATE ROLE ow_other")
    every_server.run(f"CREATE DATABASE {DATABASE}")
    yield There(every_server, tmp_path)
    every_server.run(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    every_server.run("DROP ROLE ow_owner, ow_reader, ow_other")


def test_all_that_lies_in_a_schema_belongs_to_its_owner(there):
    there.sql(PLANTED)
    before = there.sql(OWNERS)
    assert {kind for kind, owner in before if owner == "ow_reader"} == {kind for kind, _owner in before}
    assert len(before) >= 10
    foretold = there.run(check=True)
    assert there.run().queries == foretold.queries
    assert {owner for _kind, owner in there.sql(OWNERS)} == {"ow_owner"}
    assert there.run().queries == ()


def test_what_lies_in_no_schema_and_belongs_to_a_plain_role_is_told(there):
    there.run()
    assert there.run().skipped == ()
    there.sql(
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER sv FOREIGN DATA WRAPPER w;"
        "CREATE USER MAPPING FOR PUBLIC SERVER sv; CREATE PUBLICATION p;"
        "SELECT lo_create(0), lo_create(0);"
        "DO $$ BEGIN EXECUTE (SELECT string_agg(format('ALTER LARGE OBJECT %s OWNER TO ow_reader', oid), ';')"
        " FROM pg_largeobject_metadata); END $$;"
        "ALTER SERVER sv OWNER TO ow_reader; ALTER PUBLICATION p OWNER TO ow_owner"
    )
    done = there.run()
    assert done.queries == ()
    told = [one.what for one in done.skipped]
    assert "foreign server sv in owned" in told
    assert "user mapping for PUBLIC of the foreign server sv in owned" in told
    assert any(one.startswith("2 large objects (") for one in told)
    # The wrapper is a superuser's, and the publication the schema owner's.
    assert len(told) == 3


def test_a_grantor_who_is_shut_out_of_the_schema_keeps_nobody_in(there):
    there.sql(
        "CREATE SCHEMA s AUTHORIZATION ow_owner; GRANT ALL ON SCHEMA s TO ow_reader, ow_other; SET ROLE ow_owner;"
        "CREATE TABLE s.t (i int); CREATE TYPE s.e AS ENUM (); CREATE FUNCTION s.f(s.e) RETURNS int LANGUAGE sql"
        " AS 'SELECT 1'; GRANT SELECT ON s.t TO ow_other WITH GRANT OPTION;"
        "GRANT EXECUTE ON FUNCTION s.f TO ow_other WITH GRANT OPTION;"
        "SET ROLE ow_other; GRANT SELECT ON s.t TO ow_reader; GRANT EXECUTE ON FUNCTION s.f TO ow_reader; RESET ROLE;"
        # Whoever has the owner's privileges is one whom no CASCADE passes.
        "GRANT ow_owner TO ow_other; REVOKE ALL ON SCHEMA s FROM ow_other, ow_owner, ow_reader"
    )
    # The policy makes them members, so that this stays.
    written = {**POLICY, "roles": {**POLICY["roles"], "ow_other": {"member_of": "ow_owner"}}}
    foretold = there.run(written, check=True)
    done = there.run(written)
    assert any("SET LOCAL ROLE" in query for query in done.queries)
    assert done.queries == foretold.queries
    assert there.sql("SELECT has_table_privilege('ow_reader', 's.t', 'SELECT')") == [(False,)]
    assert there.sql("SELECT has_function_privilege('ow_reader', 's.f(s.e)', 'EXECUTE')") == [(False,)]
    assert there.sql("SELECT nspacl::text FROM pg_namespace WHERE nspname = 's'") == [("{ow_reader=U/ow_owner}",)]
    assert there.run(written).queries == ()
