"""The names of dumps: what is one, and what is refused."""

from __future__ import annotations

import datetime as dt

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import (
    DUMP,
    GLOBALS,
    SAVED,
    DumpName,
    manifest_owner,
    read_utc,
    utc_text,
)
from hypothesis import given
from hypothesis import strategies as st

MOMENTS = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), timezones=st.just(dt.UTC))
NIGHT = dt.datetime(2026, 11, 22, 3, 0, 0, tzinfo=dt.UTC)


def test_a_name_reads_as_the_policy_writes_it() -> None:
    name = DumpName("taaraxtak", NIGHT)
    assert str(name) == "taaraxtak_2026-11-22-03.00.00.sql.zst"
    assert name.manifest == "taaraxtak_2026-11-22-03.00.00.sql.zst.manifest.json"


def test_globals_and_what_is_encrypted_say_so() -> None:
    assert str(DumpName("taaraxtak", NIGHT, GLOBALS)) == "taaraxtak_2026-11-22-03.00.00.globals.sql.zst"
    assert str(DumpName("taaraxtak", NIGHT, encrypted=True)) == "taaraxtak_2026-11-22-03.00.00.sql.zst.age"
    both = DumpName("taaraxtak", NIGHT, GLOBALS, encrypted=True)
    assert str(both) == "taaraxtak_2026-11-22-03.00.00.globals.sql.zst.age"
    assert both.manifest == "taaraxtak_2026-11-22-03.00.00.globals.sql.zst.age.manifest.json"
    assert (both.artefact, DumpName("taaraxtak", NIGHT).artefact) == ("globals", "taaraxtak")


def test_saved_rows_are_named_as_what_they_are() -> None:
    name = DumpName("taaraxtak", NIGHT, SAVED, encrypted=True)
    assert str(name) == "taaraxtak_2026-11-22-03.00.00.saved.jsonl.zst.age"
    assert name.artefact == "saved"
    for text in ("a_2026-11-22-03.00.00.saved.sql.zst", "a_2026-11-22-03.00.00.jsonl.zst"):
        with pytest.raises(ValueError, match="is not the name of a dump"):
            DumpName.parse(text)


@given(
    database=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}", fullmatch=True),
    when=MOMENTS,
    kind=st.sampled_from([DUMP, GLOBALS, SAVED]),
    encrypted=st.booleans(),
)
def test_what_is_written_is_read_again(database: str, when: dt.datetime, kind: str, encrypted: bool) -> None:
    name = DumpName(database, when, kind, encrypted)
    assert DumpName.parse(str(name)) == name
    assert manifest_owner(name.manifest) == name


@given(text=st.text())
def test_no_other_text_is_a_name(text: str) -> None:
    try:
        name = DumpName.parse(text)
    except ValueError:
        return
    assert str(name) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../a_2026-11-22-03.00.00.sql.zst",
        "a/b_2026-11-22-03.00.00.sql.zst",
        ".a_2026-11-22-03.00.00.sql.zst",
        "-a_2026-11-22-03.00.00.sql.zst",
        "a b_2026-11-22-03.00.00.sql.zst",
        "é_2026-11-22-03.00.00.sql.zst",
        "a_2026-11-22-03.00.00.sql.zst\n",
        "a_2026-11-22-03.00.00.sql.zst\0",
        "a_2026-11-22-03.00.00.sql.zst.partial",
        "a_2026-11-22-03.00.00.sql.gz",
        "a_2026-11-22-03.00.00.sql.age",
        "a_2026-11-22-03.00.00.sql.zst.age.age",
        "a_2026-11-22-03.00.00.roles.sql.zst",
        "a_2026-11-22-03.00.00.globals.globals.sql.zst",
        "a_2026-11-22T03:00:00.sql.zst",
        "a_2026-13-22-03.00.00.sql.zst",
        "a_2026-02-30-03.00.00.sql.zst",
        "a_2026-11-22-24.00.00.sql.zst",
        "a_\u0662026-11-22-03.00.00.sql.zst",
        "_2026-11-22-03.00.00.sql.zst",
        "x" * 64 + "_2026-11-22-03.00.00.sql.zst",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a dump"):
        DumpName.parse(text)


@pytest.mark.parametrize(
    "database", ["", ".", "..", "a/b", "a b", "a'b", 'a"b', "a\nb", "é", "-a", "a=b", "a.b", "x" * 64]
)
def test_a_database_awkward_for_a_file_name_is_refused(database: str) -> None:
    with pytest.raises(ValueError, match="can't be part of a file name"):
        DumpName(database, NIGHT)


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="the kind 'roles' is not known"):
        DumpName("a", NIGHT, "roles")


def test_a_time_that_is_not_utc_is_refused() -> None:
    with pytest.raises(ValueError, match="UTC"):
        DumpName("a", NIGHT.astimezone(dt.timezone(dt.timedelta(hours=1))))
    with pytest.raises(ValueError, match="UTC"):
        DumpName("a", NIGHT.replace(tzinfo=None))


@pytest.mark.parametrize("text", ["a.manifest.json", "a_2026-11-22-03.00.00.sql.zst", ".manifest.json", ""])
def test_other_files_are_no_manifests(text: str) -> None:
    assert manifest_owner(text) is None


@given(when=MOMENTS.filter(lambda when: when.year >= 1000))
def test_times_are_read_as_written(when: dt.datetime) -> None:
    assert read_utc(utc_text(when)) == when.replace(microsecond=0)
