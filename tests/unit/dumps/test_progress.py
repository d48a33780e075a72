"""What people see of a dump under way: one line on a terminal, one a minute in the journal."""

from __future__ import annotations

import io
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import say
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.progress import Progress, describe

STATE = {"table": "public.ooni", "rows": 1200, "bytes": 50_000_000, "estimate": 200_000_000}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "public.ooni, 1200 rows, 50.0 MB of about 200.0 MB (25 %), 5.0 MB/s"),
        ({"table": ""}, "1200 rows, 50.0 MB of about 200.0 MB (25 %), 5.0 MB/s"),
        ({"estimate": 0}, "public.ooni, 1200 rows, 50.0 MB, 5.0 MB/s"),
        # An estimate is one: it never says that all is done.
        ({"estimate": 40_000_000}, "public.ooni, 1200 rows, 50.0 MB of about 40.0 MB (99 %), 5.0 MB/s"),
        ({"table": "a\x1b[2J\nb"}, "a?[2J?b, 1200 rows, 50.0 MB of about 200.0 MB (25 %), 5.0 MB/s"),
        ({"rows": "many"}, "under way"),
        ({"estimate": None}, "under way"),
    ],
)
def test_a_line_says_table_rows_size_share_and_speed(changes: dict[str, t.Any], line: str) -> None:
    assert describe({**STATE, **changes}, 10.0) == line


def test_no_time_has_no_speed() -> None:
    assert describe(STATE, 0.0).endswith("(25 %)")


def test_the_journal_gets_one_line_a_minute() -> None:
    stream, now = io.StringIO(), [0.0]
    progress = Progress("dump-send", stream=stream, clock=lambda: now[0])
    progress.begin("taaraxtak to vault")
    for second in range(1, 181):
        now[0] = float(second)
        progress.take(STATE)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("dump-send: taaraxtak to vault: public.ooni, 1200 rows")


def test_a_log_gets_a_line_at_once_and_then_as_often_as_is_said() -> None:
    stream, now = io.StringIO(), [0.0]
    progress = Progress("developer", stream=stream, clock=lambda: now[0], every=10, at_once=True)
    for what in ("restoring", "comparing"):
        progress.begin(what)
        for _second in range(21):
            progress.take(STATE)
            now[0] += 1.0
    begins = [line.split(" public")[0] for line in stream.getvalue().splitlines()]
    assert begins == ["developer: restoring:"] * 3 + ["developer: comparing:"] * 3


def test_the_rate_is_by_the_seconds_of_who_tells() -> None:
    stream = io.StringIO()
    progress = Progress("developer", stream=stream, clock=lambda: 1.0, at_once=True)
    progress.begin("restoring")
    progress.take({**STATE, "seconds": 100.0})
    assert stream.getvalue().endswith(", 0.5 MB/s\n")


def test_a_line_is_cut_to_the_terminal() -> None:
    stream = Terminal()
    progress = Progress("developer", stream=stream, columns=20)
    progress.begin("restoring")
    progress.take(STATE)
    assert stream.getvalue() == "\rrestoring: public.oo\x1b[K"


def test_a_terminal_gets_one_line_again_and_again_and_loses_it_at_the_end() -> None:
    stream, now = Terminal(), [0.0]
    progress = Progress("dump-send", stream=stream, clock=lambda: now[0])
    progress.begin("taaraxtak to vault")
    for second in (1.0, 2.0):
        now[0] = second
        progress.take(STATE)
    progress.end()
    drawn = stream.getvalue()
    assert "\n" not in drawn
    assert drawn.count("\rtaaraxtak to vault: public.ooni") == 2
    assert drawn.endswith("\r\x1b[K")


def test_nothing_is_drawn_where_nothing_was_said() -> None:
    stream = Terminal()
    Progress("dump-send", stream=stream).end()
    assert stream.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_a_stream_that_nobody_reads_changes_nothing(terminal: bool) -> None:
    with Path("/dev/full").open("w") as stream:
        stream.isatty = lambda: terminal  # type: ignore[method-assign]
        now = [0.0]
        progress = Progress("dump-send", stream=stream, clock=lambda: now[0])
        progress.begin("taaraxtak to vault")
        now[0] = 61.0
        progress.take(STATE)
        progress.end()


def test_a_stream_that_is_closed_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    say("dump-send", "the dump is stored")


@pytest.mark.parametrize(("left", "said"), [(7.4, "about 7 s left"), (125.0, "about 2 min 5 s left"), (None, "")])
def test_what_is_left_is_said_where_it_is_known(left: float | None, said: str) -> None:
    line = describe({**STATE, "left": left}, 10.0)
    assert line.endswith(said)
    assert ("left" in line) == bool(said)
