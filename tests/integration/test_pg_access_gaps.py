"""What would open a way past the policy without a word: names with typing errors, and routines."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    default_policy,
    host,
)

__all__ = ["host"]

DENIED = "42501"


def test_a_typing_error_in_except_leaves_the_private_table_private(host):
    host.policy = default_policy()
    # YAML reads the bare word on as true.
    host.policy["grants"][-1][True]["except"] = ["public.ip_hostname_maping"]
    try:
        result = host.call()
    finally:
        host.policy = default_policy()
    assert result.failed
    assert "except public.ip_hostname_maping does not exist" in result.msg
    assert host.refused("SELECT * FROM ip_hostname_mapping", user="grafanareader") == DENIED


def test_a_security_definer_function_is_nobody_s_but_whom_it_is_granted_to(host):
    host.sql(
        "SET ROLE taaraxtak_owner; CREATE FUNCTION leak(a int) RETURNS text LANGUAGE sql SECURITY DEFINER"
        " AS 'SELECT ip FROM public.ip_hostname_mapping LIMIT 1'; RESET ROLE;"
        "GRANT EXECUTE ON FUNCTION leak TO PUBLIC, grafanareader"
    )
    try:
        assert host.refused("SELECT leak(1)", user="grafanareader") is None
        assert host.apply().changed
        assert host.refused("SELECT leak(1)", user="grafanareader") == DENIED
        host.policy["grants"].append(
            {"to": "scraper", "on": {"routines": "public.leak(a integer)"}, "privileges": "execute"}
        )
        assert host.apply().changed
        assert host.refused("SELECT leak(1)", user="scraper") is None
        assert host.refused("SELECT leak(1)", user="grafanareader") == DENIED
        assert not host.apply().changed
    finally:
        host.policy = default_policy()
        host.sql("DROP FUNCTION leak")
    assert host.apply().values["skipped_objects"] == []


def test_an_extension_s_function_that_a_pattern_names_is_taken_away(host):
    names = [name for (name,) in host.sql("SELECT name FROM pg_available_extensions")]
    if "pg_trgm" not in names:
        pytest.skip("the server has no extension pg_trgm to install")
    host.sql("CREATE EXTENSION pg_trgm")
    host.policy["public"]["revoke_execute"].append("public.show_trgm")
    allowed = "SELECT has_function_privilege('grafanareader', 'show_trgm(text)', 'EXECUTE')"
    try:
        assert host.sql(allowed) == [(True,)]
        assert host.apply().changed
        assert host.sql(allowed) == [(False,)]
        assert not host.apply().changed
    finally:
        host.policy = default_policy()
        host.sql("DROP EXTENSION pg_trgm")


@pytest.mark.parametrize(
    "planted",
    [
        "ALTER ROLE ALL SET default_transaction_read_only = 'on'",
        "ALTER DATABASE taaraxtak SET default_transaction_read_only = 'on'",
        "ALTER ROLE postgres SET default_transaction_read_only = 'on'",
        "ALTER ROLE postgres IN DATABASE taaraxtak SET role = 'grafanareader'",
        "ALTER DATABASE taaraxtak SET role = 'dba'",
        "ALTER ROLE postgres SET search_path = 'public'",
    ],
)
def test_no_setting_of_the_login_or_the_database_stops_a_run(host, planted):
    host.sql("GRANT UPDATE ON provider_marketshare TO scraper")
    host.sql(planted, database="template1")
    try:
        host.apply()
        assert host.apply().values["queries"] == []
    finally:
        reset = "ALTER ROLE postgres RESET ALL; ALTER ROLE postgres IN DATABASE taaraxtak RESET ALL"
        host.sql(f"SET transaction_read_only = off; {reset}", database="template1")


def test_the_policy_may_say_read_only_for_a_database_and_is_still_applied(host):
    host.policy["database_settings"] = {"taaraxtak": {"default_transaction_read_only": "on"}}
    try:
        host.apply()
        host.sql("SET transaction_read_only = off; GRANT UPDATE ON provider_marketshare TO scraper")
        host.apply()
        assert host.apply().values["queries"] == []
    finally:
        del host.policy["database_settings"]
        host.apply()


def test_a_right_that_moves_from_a_membership_to_a_grant_is_there_all_the_time(host):
    host.sql(
        "REVOKE SELECT ON provider_marketshare FROM grafanareader; CREATE ROLE analysts;"
        "GRANT SELECT ON provider_marketshare TO analysts; GRANT analysts TO grafanareader"
    )
    connection = host.server.connect("taaraxtak")
    holding = host.server.connect("taaraxtak")
    try:
        holding.autocommit = False
        with holding.cursor() as cursor:
            # Stops the database's part, whose owner change needs the table to itself.
            cursor.execute("ALTER TABLE measurement_rest OWNER TO dba")
            holding.commit()
            cursor.execute("SELECT FROM measurement_rest")
        stopped = host.call(lock_timeout="300ms")
        assert stopped.failed
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_table_privilege('grafanareader', 'provider_marketshare', 'SELECT')")
            assert cursor.fetchone() == (True,), "the run was stopped half way and took what it was to keep"
        holding.rollback()
        done = host.apply()
        assert any("REVOKE" in line and "analysts" in line for line in done.values["queries"])
        assert host.apply().values["queries"] == []
    finally:
        holding.close()
        connection.close()
        host.sql("DROP OWNED BY analysts; DROP ROLE analysts")
