# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-source``: write dumps to stdout, proved as they flow.

It is the one command that the backup user may run as the dumping user, and it takes no arguments. Whoever starts it
asks in one line on its stdin for what is wanted, which its settings must allow, and holds stdin open: when that ends,
so do the programs and the sessions. Nothing is written to a disk. What goes wrong is said in the stream's trailer, on
stderr and by the exit status; the dumps that follow are made all the same.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import select
import sys
import threading
import time
import typing as t

from .artefact import Artefact
from .config import read_settings
from .dumping import Dump
from .frames import END, prefix, section
from .globals import Globals
from .guard import Guard
from .manifest import REQUEST_LIMIT, Abort, Header, Request, Trailer, encode
from .names import GLOBALS, DumpName, utc_text
from .pipeline import Settings
from .processes import DumpError, say, widen, write_all
from .signing import check_key, sign

PROGRAM = "dump-source"
CONFIG = "/etc/taaraxtak/dump-source.json"
STDIN, STDOUT = 0, 1
# The sender asks as soon as it has started us.
REQUEST_TIMEOUT = 60.0
# So often it is said how far the dump has come, for the sender to show or not.
PROGRESS_EVERY = 1.0


def main(config: str = CONFIG) -> int:
    """Write a stream for each thing that is asked for: 0 where all their trailers say ok, else 1."""
    if len(sys.argv) > 1:
        say(PROGRAM, "takes no arguments: what is dumped is in its settings and asked for on stdin", error=True)
        return 1
    try:
        settings = read_settings(Settings, config)
        check_key(settings)
        request = _wanted(settings)
    except (DumpError, ValueError) as error:
        say(PROGRAM, str(error), error=True)
        return 1
    guard = Guard(PROGRAM, STDIN, settings.overall_timeout)
    widen(STDOUT)
    whole = True
    try:
        for artefact in request.artefacts:
            whole &= _write(artefact, settings, guard)
    except OSError as error:
        with contextlib.suppress(OSError):
            say(PROGRAM, f"the stream could not be written: {error}", error=True)
        return 1
    return 0 if whole else 1


def _wanted(settings: Settings) -> Request:
    request = Request.read(_line(REQUEST_TIMEOUT))
    for artefact in request.artefacts:
        if artefact not in (GLOBALS, *settings.databases):
            raise ValueError(f"{artefact!r} is not among what may be dumped here: {', '.join(settings.databases)}")
    return request


def _line(timeout: float) -> bytes:
    """The one line on stdin; ValueError where there is none, or more."""
    content, end = b"", time.monotonic() + timeout
    poll = select.poll()
    poll.register(STDIN, select.POLLIN)
    while not content.endswith(b"\n"):
        if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            raise ValueError(f"nothing was asked for on stdin within {timeout:g} s")
        piece = os.read(STDIN, REQUEST_LIMIT)
        content += piece
        if not piece or len(content) > REQUEST_LIMIT or b"\n" in content[:-1]:
            raise ValueError(f"what is wanted must be one line on stdin, of at most {REQUEST_LIMIT} bytes")
    return content


def _write(artefact: str, settings: Settings, guard: Guard) -> bool:
    """Write the stream of *artefact*: whether its trailer says ok."""
    encrypted = bool(settings.recipients)
    now = dt.datetime.now(dt.UTC)
    made: Artefact[t.Any]
    guard.begin()
    if artefact == GLOBALS:
        name = DumpName(settings.databases[0], now, GLOBALS, encrypted)
        made = Globals(settings, name, guard)
    else:
        name = DumpName(artefact, now, encrypted=encrypted)
        made = Dump(settings, name, guard)
    write_all(STDOUT, section(encode(Header(name=name, started=utc_text(name.started)).document())))
    with _Telling(made):
        ending = made.run(lambda piece: write_all(STDOUT, prefix(len(piece)), piece))
    signature = b""
    if isinstance(ending, Trailer):
        try:
            signature = sign(ending.signed, settings, guard)
        except DumpError as error:
            ending = Abort(reason=str(error), statuses=ending.statuses)
    write_all(STDOUT, END, section(encode(ending.document())), section(signature))
    if isinstance(ending, Abort):
        say(PROGRAM, f"{artefact}: {ending.reason}", error=True)
        return False
    return True


class _Telling:
    """Says on stderr, in lines of JSON, how far the dump has come."""

    def __init__(self, made: Artefact[t.Any]) -> None:
        self._made = made
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *raised: object) -> None:
        # Not waited for: it may hang in a pipe that nobody reads.
        self._done.set()

    def _tell(self) -> None:
        with contextlib.suppress(OSError):
            while not self._done.wait(PROGRESS_EVERY):
                os.write(2, json.dumps({"progress": self._made.progress()}).encode() + b"\n")
