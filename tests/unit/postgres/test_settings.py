from __future__ import annotations

import re

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres import settings
from hypothesis import given
from hypothesis import strategies as st

PATH = "/etc/postgresql/17/main/conf.d/taaraxtak.conf"
AUTO = "/var/lib/postgresql/17/main/postgresql.auto.conf"


def row(
    name: str | None, value: str | None = "1", file: str = PATH, error: str | None = None, line: int = 2
) -> settings.FileSetting:
    return settings.FileSetting(file, line, name, value, error)


def live(
    name: str, source: str = "configuration file", context: str = "user", pending: bool = False, file: str | None = PATH
) -> settings.LiveSetting:
    return settings.LiveSetting(name, source, context, pending, file)


def test_the_file_is_sorted_and_quoted():
    text = settings.render({"work_mem": "16MB", "Port": 5432, "fsync": True, "a.b": r"it's \ 1", "x": 0.5})
    assert text.splitlines()[1:] == [
        r"a.b = 'it''s \\ 1'",
        "fsync = 'on'",
        "port = '5432'",
        "work_mem = '16MB'",
        "x = '0.5'",
    ]


@pytest.mark.parametrize(
    ("given_settings", "says"),
    [
        ({"a b": 1}, "no name of a setting"),
        ({"a = 1\nb": 1}, "no name of a setting"),
        ({"include_dir": "/tmp"}, "no name of a setting"),
        ({"1a": 1}, "no name of a setting"),
        ({"a": "b\nfsync = off"}, "line break"),
        ({"a": None}, "must be a text, a number or a boolean"),
        ({"a": [1]}, "must be a text, a number or a boolean"),
        ({"a": 1, "A": 2}, "given twice"),
    ],
)
def test_what_cannot_be_written_down_is_refused(given_settings, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        settings.render(given_settings)


def unquote(text: str) -> str:
    """As guc-file.l reads a quoted string, for the two escapes that are written."""
    assert text[0] == text[-1] == "'"
    return re.sub(r"\\\\|''", lambda match: match.group()[0], text[1:-1])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\0")))
def test_every_value_survives_its_quoting(value):
    quoted = settings.quoted(value)
    assert unquote(quoted) == value
    assert re.fullmatch(r"'([^'\\\n]|\\.|'')*'", quoted)


MESSAGES = [
    'DEBUG:  parameter "max_connections" cannot be changed without restarting the server\n',
    'DEBUG:  invalid value for parameter "work_mem": "abc"\nHINT: units\n',
]


def test_waiting_for_a_restart_is_no_error_and_a_bad_value_is_one():
    said = "setting could not be applied"
    rows = [row("max_connections", error=said), row("work_mem", "abc", error=said), row("fsync")]
    assert settings.refused(rows, MESSAGES) == [
        f'work_mem = \'abc\' ({PATH} line 2): invalid value for parameter "work_mem": "abc"'
    ]


def test_an_error_without_a_reason_is_still_one():
    assert settings.refused([row("a", error="no")], []) == [f"a = '1' ({PATH} line 2): no"]
    assert settings.refused([row(None, None, error="syntax error")], []) == [f"{PATH} line 2: syntax error"]


def test_a_later_file_with_another_value_is_named():
    rows = [row("work_mem", "1MB"), row("fsync"), row("work_mem", "2MB", AUTO, line=3)]
    assert settings.overridden(rows, PATH) == [
        f"work_mem is set to '2MB' in {AUTO} line 3, which is read later: run ALTER SYSTEM RESET work_mem"
    ]
    rows[-1] = row("work_mem", "2MB", "/x.conf")
    assert "take it out of /x.conf" in settings.overridden(rows, PATH)[0]


def test_an_earlier_file_or_the_same_value_overrides_nothing():
    assert settings.overridden([row("a", "2", "/first.conf"), row("a", "1"), row("a", "1", AUTO)], PATH) == []


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        (live("a"), []),
        (live("a", pending=True, source="default", file=None), []),
        (live("a", source="user", file=None), []),
        (live("a", source="default", context="postmaster", file=None), []),
        (live("a", source="command line", file=None), ["a is set by the server's command line"]),
        (live("a", source="default", file=None), ["a is set by the server's default"]),
        (live("a", file="/other.conf"), ["a still comes from /other.conf"]),
        (live("b"), ["the server knows no setting a"]),
    ],
)
def test_a_value_that_a_new_session_does_not_see_is_named(setting, says):
    found = settings.unseen(["a"], [setting], {"a": PATH})
    assert len(found) == len(says)
    assert settings.unseen(["x.y"], [setting], {}) == []
    assert all(text.startswith(said) for text, said in zip(found, says, strict=True))


def test_the_prediction_names_what_only_a_start_applies():
    known = [
        settings.LiveSetting("port", "default", "postmaster", False, None, "1", None, "integer"),
        live("max_connections", context="postmaster"),
        settings.LiveSetting("shared_buffers", "default", "postmaster", False, None, "2", "8kB", "integer"),
        live("work_mem"),
        live("wal_level", context="postmaster", pending=True),
    ]
    rows = [row("port", "1"), row("max_connections", "1"), row("work_mem", "1")]
    wanted = {"port": "1", "shared_buffers": "1", "work_mem": "2"}
    found = settings.predicted(wanted, rows, known, PATH)
    assert found == ["max_connections", "shared_buffers", "wal_level"]


@pytest.mark.parametrize(("name", "says"), [("foo", "knows no setting foo"), ("block_size", "can't be set in a file")])
def test_the_prediction_refuses_what_the_server_would(name, says):
    with pytest.raises(ValueError, match=says):
        settings.predicted({name: "1"}, [], [live("block_size", context="internal")], PATH)
    assert settings.predicted({"my.name": "1"}, [], [], PATH) == []


@pytest.mark.parametrize(
    ("value", "unit", "kind", "wanted", "equal"),
    [
        ("16384", "8kB", "integer", "128MB", True),
        ("16384", "8kB", "integer", "16384", True),
        ("16384", "8kB", "integer", "0.125GB", None),
        ("16384", "8kB", "integer", "1GB", False),
        ("100", None, "integer", " 100 ", True),
        ("100", None, "integer", "0x64", None),
        ("100", None, "integer", "5kB", None),
        ("60", "s", "integer", "1min", True),
        ("0.5", None, "real", "0.50", True),
        ("512", "8kB", "integer", "-1", None),
        ("on", None, "bool", "YES", True),
        ("on", None, "bool", "off", False),
        ("on", None, "bool", "tru", None),
        ("replica", None, "enum", "Replica", True),
        ("replica", None, "enum", "logical", False),
        ("replica", None, "enum", "hot_standby", None),
        ("a", None, "string", "A", False),
    ],
)
def test_a_value_is_compared_with_the_servers_own_words(value, unit, kind, wanted, equal):
    choices = ("replica", "logical") if kind == "enum" else ()
    setting = settings.LiveSetting("x", "default", "postmaster", False, None, value, unit, kind, choices)
    assert settings.same(setting, wanted) is equal


@pytest.mark.parametrize(
    ("name", "value", "wanted", "equal"),
    [
        ("ssl_ca_file", "/tmp/evil.crt", "/etc/taaraxtak/tls/ca.crt", False),
        ("ssl_ca_file", "/tmp/evil.crt", "ca.crt", False),
        ("ssl_crl_file", "", "/etc/taaraxtak/tls/ca.crl", False),
        ("ssl_crl_file", "/etc/taaraxtak/tls/ca.crl", "", False),
        ("hba_file", "/srv/pg_hba.conf", "/etc/pg_hba.conf", False),
        ("hba_file", "/srv/pg_hba.conf", "pg_hba.conf", None),
        ("hba_file", "/srv/pg_hba.conf", "/srv//x/../pg_hba.conf", True),
        ("log_directory", "log", "log/", True),
        ("log_directory", "log", "/log", False),
    ],
)
def test_a_file_that_is_another_is_not_the_same(name, value, wanted, equal):
    setting = settings.LiveSetting(name, "configuration file", "sighup", False, None, value)
    assert settings.same(setting, wanted) is equal


def test_the_libraries_to_try_are_those_that_the_server_has_not():
    known = [settings.LiveSetting("shared_preload_libraries", "default", "postmaster", False, None, 'a, "B c"')]
    wanted = {"shared_preload_libraries": 'a, "B c",d', "local_preload_libraries": "e", "work_mem": "f"}
    assert settings.libraries(wanted, known) == ["$libdir/plugins/e", "d"]


@pytest.mark.parametrize(
    ("said", "start"),
    [
        ("x must be loaded via shared_preload_libraries", True),
        ('could not access file "nope": No such file or directory', False),
    ],
)
def test_a_library_for_the_start_alone_is_no_fault(said, start):
    assert settings.only_at_start(said) is start
