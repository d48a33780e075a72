"""One dump on its way: what the store itself says is never lost."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import sys
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.frames import Section
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.manifest import Header, encode
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import utc_text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import Clock, DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.transfer import (
    Interruption,
    RefusedError,
    Transfer,
)
from ansible_collections.taaraxtak.production.tests.unit.dumps.test_manifest import TRAILER

DATA = b"what was dumped"
# Refuses the dump before it has all of it.
REFUSING = """
import os
os.read(0, 1)
print('{"ok": false, "reason": "the disk is full", "final": true}')
"""


class Source:
    """A dump that is right, given *age* ago; its trailer comes once the store has ended."""

    def __init__(self, age: dt.timedelta = dt.timedelta()) -> None:
        started = dt.datetime.now(dt.UTC).replace(microsecond=0) - age
        name = dataclasses.replace(TRAILER.name, started=started)
        self.trailer = dataclasses.replace(
            TRAILER, name=name, started=utc_text(started), bytes=len(DATA), sha256=hashlib.sha256(DATA).hexdigest()
        )
        self._parts = [
            (Section.HEADER, encode(Header(name=name, started=utc_text(started)).document())),
            (Section.DATA, DATA),
            (Section.TRAILER, self.trailer.signed),
            (Section.SIGNATURE, b"signature"),
        ]
        self.transfer: t.Any = None
        self.left = False

    def part(self, _clock: Clock) -> tuple[Section, bytes]:
        return self._parts.pop(0)

    def check(self, _clock: Clock, *, last: bool) -> None:
        assert last
        self.transfer._store.process.wait(20)

    def leave(self) -> None:
        self.left = True


def transfer(source: Source, store: str, *, idle: float = 20.0) -> Transfer:
    command = [sys.executable, "-I", "-c", store]
    clock = Clock(idle=20.0, overall=3600.0)
    source.transfer = Transfer(t.cast(t.Any, source), command, clock, Interruption(), idle=idle)
    return t.cast(Transfer, source.transfer)


def test_a_store_that_refuses_while_the_trailer_is_written_is_heard() -> None:
    with pytest.raises(RefusedError, match="the disk is full") as caught:
        transfer(Source(), REFUSING).run("taaraxtak", last=True)
    assert caught.value.final


def test_a_dump_that_waited_while_the_one_before_it_was_settled_is_taken() -> None:
    with pytest.raises(RefusedError):
        transfer(Source(dt.timedelta(minutes=15)), REFUSING, idle=900.0).run("taaraxtak", last=True)


@pytest.mark.parametrize("minutes", [-6, 24])
def test_a_dump_with_a_name_from_another_time_is_none(minutes: int) -> None:
    with pytest.raises(DumpError, match="the source names its dump"):
        transfer(Source(dt.timedelta(minutes=minutes)), REFUSING, idle=900.0).run("taaraxtak", last=True)
