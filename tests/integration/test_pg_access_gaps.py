"""What would open a way past the policy without a word: names with typing errors, and routines."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    Host,
    default_policy,
    policed,
)

DENIED = "42501"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Host]:
    with policed(tmp_path_factory.mktemp("host")) as one:
        yield one


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
