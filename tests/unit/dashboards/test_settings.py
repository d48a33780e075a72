"""grafana.ini and provisioning values are written so that Grafana reads what was meant."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import settings
from hypothesis import given
from hypothesis import strategies as st

# The stand-in reads such files as Grafana's own parser does, and shares nothing with what writes them.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "stand_ins" / "grafana"))
import stand_in_settings


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (True, "key = true"),
        (False, "key = false"),
        (3000, "key = 3000"),
        (None, "key ="),
        ("", "key ="),
        ("30s", "key = 30s"),
        ("a;b", 'key = """a;b"""'),
        ("a # b", 'key = """a # b"""'),
        (" a", 'key = """ a"""'),
        ("it's", 'key = """it\'s"""'),
        ("a\\", 'key = """a\\"""'),
        ("$__file{/etc/grafana/secrets/x}", "key = $__file{/etc/grafana/secrets/x}"),
    ],
)
def test_a_value_is_quoted_where_grafana_would_cut_it(value, line):
    assert settings.ini({"section": {"key": value}}) == f"[section]\n{line}\n"


@pytest.mark.parametrize(
    ("given_settings", "sentence"),
    [
        ({"section": {"key": "a\nb = c"}}, "a line's end"),
        ({"section": {"key": 'a"""b'}}, 'has """'),
        ({"section": {"key": "%(other)s"}}, "%("),
        ({"section": {"key": 'a;"'}}, "ends with a quote"),
        ({"section": {"key": ["a"]}}, "must be a text"),
        ({"section": {"key] = x": "a"}}, "no key"),
        ({"sec]tion": {"key": "a"}}, "no section"),
    ],
)
def test_what_can_not_be_written_is_refused(given_settings, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        settings.ini(given_settings)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("smtp", "password", "hunter2"),
        ("auth.google", "client_secret", 17),
        ("security", "SECRET_KEY", "x"),
        ("database", "url", "postgres://grafana:hunter2@db.example.org/grafana"),
        ("remote_cache", "connstr", "addr=127.0.0.1:6379,pool_size=100,password=hunter2"),
        ("auth.jwt", "header_name", "Bearer abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_a_secret_among_the_settings_is_found_by_its_key_or_its_form_and_not_shown(section, key, value):
    assert settings.bare_secrets({section: {key: value, "other": "x"}}) == [f"{section}.{key}"]


def test_what_only_says_where_a_secret_is_or_holds_none_is_let_pass():
    given_settings = {"smtp": {"password": "$__file{/etc/grafana/secrets/smtp}", "host": "mail.example.org:25"}}
    given_settings["security"] = {"admin_password": "", "secret_key": None}
    given_settings["database"] = {"url": "postgres://grafana@db.example.org/grafana"}
    assert settings.bare_secrets(given_settings) == []


@given(st.text(max_size=30))
def test_grafana_reads_the_very_text_or_it_is_refused(text):
    try:
        written = settings.ini({"section": {"key": text, "after": "kept"}})
    except ValueError:
        return
    assert stand_in_settings.parse(written)["section"] == {"key": text, "after": "kept"}


@given(
    st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
)
def test_a_provisioned_value_is_read_as_it_is(value):
    assert stand_in_settings.interpolate(settings.literal(value)) == value


def test_the_question_of_the_alert_names_each_table_and_quotes_it():
    asked = settings.lateness(
        [
            {"table": "public.t", "column": "time", "max_age": 60},
            {"table": "odd.\"x'", "column": 'a"b', "max_age": 5},
        ]
    )
    assert asked.count("UNION ALL") == 1
    assert "'public.t' AS \"table\"" in asked
    assert """'odd."x''' AS "table\"""" in asked
    assert 'max("a""b")' in asked
    assert 'FROM "odd"."""x\'"' in asked


@pytest.mark.parametrize(
    "one",
    [
        {"table": "t", "column": "time", "max_age": 60},
        {"table": ".t", "column": "time", "max_age": 60},
        {"table": "public.t", "column": "", "max_age": 60},
        {"table": "public.t", "column": "time", "max_age": 0},
    ],
)
def test_a_table_that_is_not_named_whole_is_refused(one):
    with pytest.raises(ValueError, match=r"schema\.table|more than none"):
        settings.lateness([one])
