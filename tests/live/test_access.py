"""Who may do what in the database, as the server itself answers. What is forbidden is asked about, and never tried."""

from __future__ import annotations

import pytest

OWN_TABLES = """
SELECT c.oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ({schemas})
"""
HOLDERS = """
SELECT DISTINCT r.rolname FROM pg_roles r, ({tables}) AS t
WHERE r.rolcanlogin AND NOT r.rolsuper AND has_table_privilege(r.oid, t.oid, '{privilege}') ORDER BY 1
"""


def holders(database, privilege: str) -> set[str]:
    """The login roles that hold *privilege* on some table of the policy's scope, without SET ROLE."""
    scope = database.variables["access_policy"]["scope"]
    schemas = "ARRAY[" + ", ".join(f"'{name}'" for name in scope["schemas"]) + "]"
    query = HOLDERS.format(tables=OWN_TABLES.format(schemas=schemas), privilege=privilege)
    return {row for name in scope["databases"] for row in database.rows(query, database=name)}


def granted(database, privilege: str) -> set[str]:
    """The roles that the policy grants *privilege* on tables."""
    grants = database.variables["access_policy"]["grants"]
    # YAML reads the key "on" as a boolean.
    on = [(one.get("on", one.get("true")), one) for one in grants]
    return {to for what, one in on if "tables" in what and privilege in one["privileges"] for to in one["to"]}


@pytest.mark.parametrize("privilege", ["insert", "update", "delete", "truncate", "trigger", "references"])
def test_nobody_writes_but_whom_the_policy_lets(database, privilege):
    assert holders(database, privilege) <= granted(database, privilege)


def test_nobody_reads_but_whom_the_policy_lets(database):
    policy = database.variables["access_policy"]
    everything = {name for name, role in policy["roles"].items() if "pg_read_all_data" in role.get("member_of", [])}
    assert holders(database, "select") <= granted(database, "select") | everything


def test_there_are_tables_that_this_is_about(database):
    assert granted(database, "insert") <= holders(database, "insert")


def test_nobody_is_a_superuser_but_postgres(database):
    assert database.rows("SELECT rolname FROM pg_roles WHERE rolsuper") == ["postgres"]


def test_everybody_may_connect_to_nothing(database):
    acl = "aclexplode(coalesce(datacl, acldefault('d', datdba)))"
    assert database.rows(f"SELECT datname FROM pg_database, {acl} AS a WHERE a.grantee = 0") == []  # noqa: S608 - ours


def test_a_role_that_logs_in_by_its_account_has_no_password(database):
    roles = database.variables["access_policy"]["roles"]
    local = {name for name, role in roles.items() if role.get("os_users")}
    assert local
    assert not local & set(database.rows("SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL"))


def test_no_account_logs_in_as_another_ones_role(database):
    roles = database.variables["access_policy"]["roles"]
    locals_ = [(name, role["os_users"]) for name, role in roles.items() if role.get("os_users")]
    for name, _users in locals_:
        for other, accounts in locals_:
            if other != name and not set(accounts) & set(roles[name]["os_users"]):
                done = database.sql("SELECT 1", account=accounts[0], role=name, database=scope_of(database))
                assert done.rc == 2, f"{accounts[0]} was let in as {name}"
                assert "authentication failed" in done.stderr or "rejects" in done.stderr, done.stderr


def test_each_account_logs_in_as_its_own_role(database):
    roles = database.variables["access_policy"]["roles"]
    for name, role in roles.items():
        for account in role.get("os_users", []):
            if database.run("getent", "passwd", account).rc == 0:
                done = database.sql("SELECT 1", account=account, role=name, database=scope_of(database))
                assert done.rc == 0, done.stderr


def scope_of(database) -> str:
    return database.variables["access_policy"]["scope"]["databases"][0]


def test_damaged_pages_are_noticed(database):
    assert database.rows("SHOW data_checksums") == ["on"]


def test_nothing_waits_for_a_restart_and_the_login_files_can_be_read(database):
    assert database.rows("SELECT name FROM pg_settings WHERE pending_restart") == []
    assert database.rows("SELECT line_number FROM pg_hba_file_rules WHERE error IS NOT NULL") == []
