"""What a store is said to hold: only what it has said itself, of that very dump, whatever became of the others."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import os
import pwd
import signal
import sys
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps import sender, stores
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Ack
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import GLOBALS, DumpName, absent
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError, FinalError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.progress import Progress
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.stores import Delivery, Result, Settings, Store
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.transfer import (
    InterruptedRunError,
    Interruption,
    RefusedError,
    UnknownOutcomeError,
)
from ansible_collections.taaraxtak.production.tests.unit.dumps.test_manifest import TRAILER

VAULT = Store("vault", ("vault",))
SETTINGS = Settings(
    source_command=("source",), stores=(VAULT, Store("second", ("second",))), databases=("a", "b"), retry_delays=(0.0,)
)


def trailer_of(artefact: str, second: int = 0) -> t.Any:
    started = dt.datetime(2026, 11, 22, 3, 0, second, tzinfo=dt.UTC)
    name = DumpName("a", started, GLOBALS) if artefact == GLOBALS else DumpName(artefact, started)
    return dataclasses.replace(TRAILER, name=name)


def unknown(artefact: str, second: int = 0) -> UnknownOutcomeError:
    return UnknownOutcomeError(trailer_of(artefact, second), b"signature", f"the answer of {second} was lost")


class World:
    """A source that is lost with each failure, transfers that end as *outcomes* say, and a store that is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, outcomes: dict[str, list[Exception | None]]) -> None:
        self.outcomes = outcomes
        self.holds: set[str] = set()
        self.asked: list[str] = []
        self.begun: list[str] = []
        self.unstartable = 0
        world = self

        class Source:
            between = False

            def __init__(self, *_arguments: t.Any) -> None:
                if world.unstartable:
                    world.unstartable -= 1
                    raise DumpError("the source could not be started")

            def end(self) -> None:
                pass

            def warnings(self) -> list[str]:
                return []

        class Transfer:
            def __init__(self, *_arguments: t.Any, idle: float) -> None:
                pass

            def run(self, artefact: str, *, last: bool) -> t.Any:
                world.begun.append(artefact)
                outcomes = world.outcomes.get(artefact, [])
                if outcomes and (outcome := outcomes.pop(0)) is not None:
                    raise outcome
                return trailer_of(artefact), b"signature"

        def ask(_command: t.Any, name: DumpName) -> Ack:
            world.asked.append(str(name))
            if str(name) in world.holds:
                return Ack(name=str(name), bytes=TRAILER.bytes, sha256=TRAILER.sha256)
            return Ack(reason=absent(name))

        monkeypatch.setattr(stores, "Source", Source)
        monkeypatch.setattr(stores, "Transfer", Transfer)
        monkeypatch.setattr(stores, "ask", ask)

    def deliver(self, *delays: float) -> Delivery:
        settings = dataclasses.replace(SETTINGS, retry_delays=delays)
        delivery = Delivery(settings, VAULT, Progress("test", stream=io.StringIO()), Interruption())
        delivery.run(settings.artefacts)
        return delivery


def test_a_lost_answer_about_one_dump_says_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, {GLOBALS: [unknown(GLOBALS)]})
    world.holds = {str(trailer_of(GLOBALS).name)}

    results = world.deliver(0.0).results

    assert world.begun == [GLOBALS, "a", "b"]
    assert {name: (result.ok, str(result.trailer.name)) for name, result in results.items() if result.trailer} == {
        name: (True, str(trailer_of(name).name)) for name in (GLOBALS, "a", "b")
    }


def test_what_was_not_begun_is_not_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, {GLOBALS: [unknown(GLOBALS)]})
    results = world.deliver().results
    assert [(result.ok, result.unknown, result.trailer is None) for result in results.values()] == [
        (False, True, False),
        (False, False, True),
        (False, False, True),
    ]
    assert all("was lost" in result.reason for result in results.values())


def test_the_trailer_of_another_dump_is_no_success() -> None:
    assert Result("vault", "a", trailer=trailer_of("a")).ok
    assert not Result("vault", "b", trailer=trailer_of("a")).ok


def test_what_may_be_stored_is_not_forgotten_for_a_later_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, {"b": [unknown("b", 1), unknown("b", 2), FinalError("the store is full")]})

    result = world.deliver(0.0, 0.0).results["b"]

    assert (result.ok, result.unknown, result.signature) == (False, True, b"signature")
    assert result.trailer == trailer_of("b", 2)
    assert all(words in result.reason for words in ("answer of 1", "answer of 2", "the store is full"))
    names = [str(trailer_of("b", second).name) for second in (1, 2)]
    assert world.asked == [names[0], names[1], names[0]]


def test_an_earlier_attempt_that_arrived_after_all_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, {"b": [unknown("b", 1), RefusedError("try later", final=False)]})
    monkeypatch.setattr(
        stores.time, "sleep", lambda _delay: len(world.asked) and world.holds.add(str(trailer_of("b", 1).name))
    )

    result = world.deliver(0.0, 0.0).results["b"]

    assert (result.ok, result.unknown, result.reason) == (True, False, "")
    assert result.trailer == trailer_of("b", 1)
    assert world.begun == [GLOBALS, "a", "b", "b"]


def send(_world: World, told: list[Result] | None = None, **more: t.Any) -> list[Result]:
    told = [] if told is None else told
    sender.send(
        dataclasses.replace(SETTINGS, **more),
        artefacts=SETTINGS.artefacts,
        stores=["vault", "second"],
        progress=Progress("test", stream=io.StringIO()),
        interruption=Interruption(),
        tell=told.append,
    )
    return told


def test_a_source_that_can_not_be_started_is_tried_again_and_for_the_next_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, {})
    world.unstartable = 1
    assert [result.ok for result in send(world)] == [True] * 6
    world.unstartable = 1
    told = send(world, retry_delays=())
    assert [result.ok for result in told] == [False] * 3 + [True] * 3
    assert {result.reason for result in told[:3]} == {"it was not begun, because the source could not be started"}


@pytest.mark.parametrize("error", [ValueError("odd"), OSError("too many open files")])
def test_whatever_goes_wrong_at_one_store_the_next_gets_its_dumps(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    told = send(World(monkeypatch, {"a": [error]}))
    assert [result.ok for result in told] == [True, False, False, True, True, True]
    assert [result.reason for result in told[1:3]] == [str(error), f"it was not begun, because {error}"]


def test_what_was_tried_before_says_how_that_ended_and_why_there_was_no_further_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = [DumpError(f"the connection broke at {number}") for number in range(1, 4)]
    world = World(monkeypatch, {GLOBALS: [None], "a": [RefusedError("try later", final=False), lost[0], lost[1]]})
    world.outcomes["b"] = [RefusedError("no room", final=False)]

    results = world.deliver(0.0, 0.0).results

    assert results["a"].reason == "the connection broke at 2"
    assert results["b"].reason == "no room; in attempt 3 it was not begun, because the connection broke at 2"
    assert (results["b"].ok, results["b"].final, results["b"].attempts) == (False, False, 1)


@pytest.mark.parametrize("attempts", [0, 1])
def test_what_may_be_stored_stays_so_where_it_is_not_tried_again(attempts: int) -> None:
    result = Result("vault", "a", attempts=attempts)
    if attempts:
        result.failed(unknown("a"))
    result.not_begun(DumpError("interrupted by SIGTERM"))
    assert (result.unknown, result.trailer is not None) == (bool(attempts), bool(attempts))
    words = "not tried again" if attempts else "not begun"
    assert f"it was {words}, because interrupted by SIGTERM" in result.line()


def test_an_interruption_while_it_waits_for_the_next_attempt_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, {"b": [RefusedError("try later", final=False)]})

    def sleep(_delay: float) -> None:
        raise InterruptedRunError("interrupted by SIGHUP")

    monkeypatch.setattr(stores.time, "sleep", sleep)
    told: list[Result] = []
    with pytest.raises(InterruptedRunError):
        send(world, told)
    assert [result.ok for result in told] == [True, True, False, False, False, False]
    assert told[2].reason == "try later; it was not tried again, because interrupted by SIGHUP"
    assert {result.reason for result in told[3:]} == {"it was not begun, because interrupted by SIGHUP"}


def test_between_attempts_nothing_is_said_of_there_being_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, {"a": [RefusedError("try later", final=False), DumpError("the connection broke")]})
    world.outcomes["b"] = [unknown("b"), UnknownOutcomeError(trailer_of("b", 2), b"signature", "nor the second's")]
    progress = Progress("test", stream=io.StringIO())
    said: list[str] = []
    monkeypatch.setattr(progress, "say", lambda text, **_more: said.append(text))
    delivery = Delivery(dataclasses.replace(SETTINGS, retry_delays=(0.0, 0.0)), VAULT, progress, Interruption())

    delivery.run(SETTINGS.artefacts)
    assert not any("not tried again" in text for text in said)
    assert "the answer of 0 was lost; in attempt 2 it was not begun, because the connection broke" in said[1]
    assert delivery.results["b"].reason == "the answer of 0 was lost; then: nor the second's"

    delivery.give_up(InterruptedRunError("interrupted by SIGTERM"))
    assert delivery.results["b"].reason == (
        "the answer of 0 was lost; then: nor the second's; it was not tried again, because interrupted by SIGTERM"
    )


def test_each_dump_is_told_of_once_wherever_a_signal_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each line of the run over all stores, one line after the other."""
    interrupted = 0
    while interrupted < 200:
        told, came = _interrupted_at(monkeypatch, interrupted)
        begun = [(result.store, result.artefact) for result in told]
        # Before there is anything to tell of it makes what it needs.
        if begun or interrupted > 5:
            assert begun == [(store, artefact) for store in ("vault", "second") for artefact in SETTINGS.artefacts]
        if not came:
            break
        interrupted += 1
    assert 10 < interrupted < 200


def _interrupted_at(monkeypatch: pytest.MonkeyPatch, line: int) -> tuple[list[Result], bool]:
    """What is told where a signal comes before the *line* of `sender.send`, as they are run, and whether it came."""
    World(monkeypatch, {"b": [DumpError("the connection broke")]})
    interruption, told, left = Interruption(), t.cast(list[Result], []), [line]

    def trace(frame: types.FrameType, event: str, _value: t.Any) -> t.Any:
        if frame.f_code is not sender.send.__code__:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == -1:
                interruption._handle(signal.SIGTERM, None)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        sender.send(
            dataclasses.replace(SETTINGS, retry_delays=()),
            artefacts=SETTINGS.artefacts,
            stores=["vault", "second"],
            progress=Progress("test", stream=io.StringIO()),
            interruption=interruption,
            tell=told.append,
        )
    except InterruptedRunError:
        pass
    finally:
        sys.settrace(before)
    return told, left[0] < 0


def test_an_interruption_ends_the_run_for_all_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, {})

    def run(_self: t.Any, _artefact: str, *, last: bool) -> t.Any:
        raise KeyboardInterrupt if last else InterruptedRunError("interrupted by SIGTERM")

    def release(_self: Interruption) -> None:
        raise InterruptedRunError("interrupted by SIGTERM")

    monkeypatch.setattr(stores.Transfer, "run", run)
    monkeypatch.setattr(Interruption, "release", release)
    told: list[Result] = []
    with pytest.raises(InterruptedRunError):
        send(world, told)
    assert [(result.store, result.artefact) for result in told] == [
        (store, artefact) for store in ("vault", "second") for artefact in SETTINGS.artefacts
    ]
    begun, *rest = [result.reason for result in told]
    assert begun == "interrupted by SIGTERM"
    assert set(rest) == {"it was not begun, because interrupted by SIGTERM"}
    assert world.begun == []


def test_root_does_not_take_the_lock_of_the_account_that_sends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if tmp_path.stat().st_uid == 0:
        sender.refuse_root(str(lock))
        os.chown(tmp_path, 65534, 65534)
    account = pwd.getpwuid(tmp_path.stat().st_uid).pw_name
    with pytest.raises(DumpError, match=f"start it as {account}: runuser -u {account} -- dump-send"):
        sender.refuse_root(str(lock))
    monkeypatch.setattr(os, "geteuid", lambda: 65534)
    sender.refuse_root(str(lock))


def test_root_is_refused_before_it_makes_the_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: str) -> None:
        raise DumpError(f"no root for {path}")

    lock, settings = tmp_path / "lock", tmp_path / "settings.json"
    words = {"source_command": ["/bin/false"], "stores": [{"name": "vault", "command": ["/bin/false"]}]}
    more = {"databases": ["a"], "lock_file": str(lock), "notify_file": str(tmp_path / "notify.json")}
    settings.write_text(json.dumps({**words, **more}))
    monkeypatch.setattr(sender, "refuse_root", refuse)
    monkeypatch.setattr(sender, "hold_signals", lambda: None)
    monkeypatch.setattr(Interruption, "listen", lambda _self: None)
    monkeypatch.setattr(sys, "argv", ["dump-send"])
    assert sender.main(str(settings)) == 1
    assert f"no dump was stored: no root for {lock}" in capsys.readouterr().err
    assert not lock.exists()
