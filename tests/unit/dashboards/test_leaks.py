"""Secrets are found by the names of their keys and by what they look like, and never shown."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.leaks import check_secrets

# Put together here, so that nothing in this file looks like one.
LOOKS = {
    "a token of Grafana": "glsa" + "_" + "x" * 32 + "_12345678",
    "an old API key of Grafana": "eyJr" + "Ijoi" + "a" * 40,
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3" + ".abcdefghijklmnop",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nx",
    "an address with a password": "postgresql://reader:" + "hunter22@db/taaraxtak",
    "a password for PostgreSQL": "host=db password=" + "hunter22",
    "a password for PostgreSQL (SQL)": "ALTER ROLE reader PASSWORD " + "'hunter22'",
    "an access key of AWS": "AKIA" + "ABCDEFGHIJKLMNOP",
    "a token of GitHub": "ghp_" + "a" * 36,
    "a token of Slack": "xoxb-" + "1234567890-abc",
    "a bearer token": "Bearer " + "abcdefghijklmnopqrstuvwxyz",
}


@pytest.mark.parametrize("what", LOOKS)
def test_what_looks_like_a_secret_is_found_wherever_it_stands(what: str) -> None:
    data = {"panels": [{"type": "text", "options": {"content": f"See {LOOKS[what]} there"}}]}
    (phrase,) = check_secrets(data)
    assert phrase == f"panels[0].options.content looks like {what}"


@pytest.mark.parametrize(
    "key", ["password", "Password", "token", "apiKey", "api_key", "client-secret", "basicAuthPassword"]
)
def test_a_key_of_a_secrets_name_is_found(key: str) -> None:
    assert check_secrets({"a": [{key: "x"}]}) == [f"a[0].{key} looks like a secret by its name"]
    assert check_secrets({"secureJsonData": {"anything": "x"}})


@pytest.mark.parametrize("value", ["", None, False, 0, {}, [], "***", "$secret", "${secret}"])
def test_a_key_without_a_value_is_none(value: t.Any) -> None:
    assert check_secrets({"password": value}) == []


@pytest.mark.parametrize(
    "text",
    [
        "SELECT time, market FROM provider_marketshare WHERE password_policy = 'x'",
        "https://ooni.org/nettest/web-connectivity/",
        "https://example.org/a@b:c",
        "mailto:somebody@example.org",
        "$__timeGroupAlias(time,'1d'), count(*)",
        "time::date, host::text",
        "The password is asked for by Grafana's own page",
    ],
)
def test_what_dashboards_hold_is_none(text: str) -> None:
    assert check_secrets({"rawSql": text, "tokens": "x", "passwordless": True}) == []
