# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-store``: take dumps in, so that one is either whole and proved or not there at all, and keep them.

``dump-store ssh`` is the forced command of the sending key: it can add a dump and say whether it has one, nothing else.
``dump-store read`` is that of a reading key: list, manifest and fetch. The other verbs are for the store's own units
and for people on its host. A dump is there when its manifest is, which is linked last; what counts is what is archived.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import signal
import stat
import sys
import syslog
import time
import types
import typing as t
from pathlib import Path

from .archive import Archiver, Outcome
from .config import MAY_BE_EMPTY, read_settings
from .folder import MANIFEST_LIMIT, Folder, entries, sweep
from .keeper import CONFIG as KEEPING
from .keeper import VERBS as KEEPER_VERBS
from .keeper import add_verbs, write_whole
from .keeper import run as keep
from .locks import asking_key, seat
from .manifest import Ack, Manifest, encode
from .names import PARTIAL_SUFFIX, DumpName, absent
from .processes import (
    ENDING_SIGNALS,
    PIPE_SIZE,
    Clock,
    DumpError,
    FinalError,
    say,
    widen,
    write_all,
)
from .quota import Limits, Room
from .reception import Reception
from .refusals import Told
from .restore import developer as developers
from .signatures import KEYGEN, SIGNERS, Signers
from .survey import drill_of

PROGRAM = "dump-store"
CONFIG = "/etc/taaraxtak/dump-store.json"
# The unit that refuses: what it said is told where it fails.
ARCHIVER = "taaraxtak-dumps-archive.service"
STDIN, STDOUT, STDERR = 0, 1, 2
# What a stranger's command may have in the log and in an answer.
SHOWN = 200


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the settings' file: sizes in bytes, times in seconds.

    ``max_bytes`` is for one dump, ``quota_bytes`` for all that lies in the store, ``quota_dumps`` for those that come
    within a day; ``reserve_bytes`` stay free on the disk. ``readers`` is the group that may read archived data.
    ``developer`` says where the copies for developers lie, and what they may not hold. ``at_once`` is for the transfers
    of one key. In ``refusals`` the archiver notes of which refusals it told, "" to tell of them at every run.
    """

    incoming: str
    archive: str
    signers: str = SIGNERS
    keygen: str = KEYGEN
    readers: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    developer: developers.Copies = developers.NONE
    max_bytes: int = 100 << 30
    quota_bytes: int = 500 << 30
    quota_dumps: int = 100
    reserve_bytes: int = 1 << 30
    # Of a sender whose network broke several times some may lie here until `idle_timeout` is over.
    at_once: int = 8
    refusals: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    idle_timeout: float = 900.0
    overall_timeout: float = 6 * 3600.0


def receive(settings: Settings) -> Ack:
    """The verb ``receive``: the stream is on stdin."""
    incoming, archive = Folder(settings.incoming), Folder(settings.archive)
    sweep(incoming, time.time(), data=True)
    widen(STDIN)
    limits = Limits(
        dump=settings.max_bytes,
        all=settings.quota_bytes,
        reserve=settings.reserve_bytes,
        a_day=settings.quota_dumps,
    )
    clock = Clock(idle=settings.idle_timeout, overall=settings.overall_timeout)
    key = asking_key()
    room, signers = Room(limits, incoming, archive, key), Signers(settings.signers, settings.keygen)
    with seat(incoming.path, incoming.owner(), key, settings.at_once):
        return Reception(incoming, archive, room, signers, clock).run()


def look(settings: Settings, text: str) -> Ack:
    """The verb ``stat``: what the manifest of the dump says, be it still where it came in or archived."""
    name = _parse(text)
    incoming, archive = Folder(settings.incoming), Folder(settings.archive)
    # First: a transfer that is no longer under way can't become a dump behind our back.
    if incoming.live(f"{name}{PARTIAL_SUFFIX}"):
        raise DumpError(f"{name} is being received: ask again")
    # Incoming twice: it may be on its way from the one to the other.
    for folder in (incoming, archive, incoming):
        if folder.stat(name.manifest) is not None:
            try:
                trailer = folder.manifest(name).trailer
            except DumpError:
                if folder.stat(name.manifest) is not None:
                    raise
                continue
            return Ack(name=text, bytes=trailer.bytes, sha256=trailer.sha256)
    raise DumpError(absent(name))


def _parse(text: str) -> DumpName:
    try:
        return DumpName.parse(text)
    except ValueError as error:
        raise FinalError(str(error)) from None


def over_ssh(settings: Settings, command: str) -> Ack:
    """Do what the sending key's owner asked for, if it is one of the two things that are allowed."""
    words = command.split(" ")
    if words == ["receive"]:
        return receive(settings)
    if len(words) == 2 and words[0] == "stat":
        return look(settings, words[1])
    raise FinalError(f"this key may receive and stat NAME, not {command[:SHOWN]!r}")


def answer(work: t.Callable[[], Ack]) -> int:
    """Do *work*, say how it ended in one line of JSON and in the log; the exit status."""
    try:
        ack = work()
        syslog.syslog(syslog.LOG_INFO, f"holds {ack.name}: {ack.bytes} bytes, sha256 {ack.sha256}{_asker()}")
    except (DumpError, ValueError, OSError) as error:
        final = isinstance(error, DumpError) and error.final
        ack = Ack(reason=str(error) or type(error).__name__, final=final)
        syslog.syslog(syslog.LOG_ERR, f"refused: {ack.reason}{_asker()}")
    try:
        write_all(STDOUT, encode(ack.document()), b"\n")
    except OSError as error:
        # The dump is there or not all the same; the sender will ask.
        syslog.syslog(syslog.LOG_WARNING, f"the answer could not be given: {error}")
    return 0 if ack.ok else 1


def _asker() -> str:
    """The address that sshd saw, for the log."""
    address = os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return f" (asked by {address})" if address else ""


def read_over_ssh(settings: Settings, command: str, *, developer: bool = False) -> int:
    """Do what a reading key's owner asked for: ``list``, ``manifest NAME``, ``fetch NAME``, of archived dumps alone.

    A *developer*'s key is given nothing but what was made for developers, and none of it that may hold rows which they
    may not see any more: from the moment on when the settings say so.
    """
    words, copies = command.split(" "), settings.developer
    if developer and not copies.folder:
        raise DumpError("there are no copies for developers here")
    archive = Folder(copies.folder if developer else settings.archive)
    clock = Clock(idle=settings.idle_timeout, overall=settings.overall_timeout)
    for descriptor in (STDOUT, STDERR):
        # Whoever does not read must not hold this for ever.
        os.set_blocking(descriptor, False)
    if words == ["list"]:
        given = (lambda manifest: not developers.shows(copies, manifest)) if developer else None
        return show([archive], as_json=True, clock=clock, given=given)
    if len(words) == 2 and words[0] in ("manifest", "fetch"):
        name = _parse(words[1])
        manifest = archive.manifest(name)
        if developer and developers.shows(copies, manifest):
            raise DumpError(f"{name} is given no more, since less may be seen now: the next drill makes a new copy")
        if words[0] == "manifest":
            clock.write(STDOUT, "writing the manifest", archive.read(name.manifest, MANIFEST_LIMIT))
        else:
            _fetch(archive, manifest, clock)
        syslog.syslog(syslog.LOG_INFO, f"gave {words[0]} {name}{_asker()}")
        return 0
    raise DumpError(f"this key may list, manifest NAME and fetch NAME, not {command[:SHOWN]!r}")


def _fetch(archive: Folder, manifest: Manifest, clock: Clock) -> None:
    with os.fdopen(archive.open(str(manifest.trailer.name)), "rb", buffering=0) as data:
        if not stat.S_ISREG(os.fstat(data.fileno()).st_mode):
            raise DumpError(f"{manifest.trailer.name} is no file")
        while chunk := data.read(PIPE_SIZE):
            clock.write(STDOUT, "writing the dump", chunk)


def show(
    folders: t.Sequence[Folder],
    *,
    as_json: bool,
    drills: bool = False,
    clock: Clock | None = None,
    given: t.Callable[[Manifest], bool] | None = None,
) -> int:
    """The verb ``list``, oldest first, the archive being the first of *folders*: 0 where everything is in order.

    With *drills* also what the last drill of each has found; a wrong result is the check's to tell. With a *clock* it
    is written to descriptors that do not block. What is not *given*, where that is asked, is left out.
    """
    found: dict[DumpName, dict[str, t.Any]] = {}
    wrong: list[str] = []
    said: dict[str, str] = {}
    # The last first: what is archived meanwhile is seen at least once, and what is seen twice is archived.
    for folder in reversed(folders):
        manifests, sentences = entries(folder)
        wrong += sentences
        for manifest in filter(given, manifests):
            row = found[manifest.trailer.name] = _row(manifest, archived=folder is folders[0])
            if drills:
                drill, _problems = drill_of(folders[0], manifest.trailer.name)
                row["drill"] = drill.document() if drill is not None else None
                said[row["name"]] = f"  {drill.sentence()}" if drill is not None else ""
    rows = sorted(found.values(), key=lambda row: (row["received"], row["name"]))
    lines = [json.dumps(rows, indent=2)] if as_json else [f"{_line(row)}{said.get(row['name'], '')}" for row in rows]
    text = "".join(f"{line}\n" for line in lines)
    if clock is None:
        sys.stdout.write(text)
        for sentence in wrong:
            say(PROGRAM, sentence, error=True)
    else:
        clock.write(STDOUT, "writing the list", text.encode())
        # As one part: a write takes but 1024.
        complaint = "".join(f"{PROGRAM}: {sentence}\n" for sentence in wrong)
        clock.write(STDERR, "writing what is wrong", complaint.encode())
    return 1 if wrong else 0


def _line(row: dict[str, t.Any]) -> str:
    state = "archived" if row["archived"] else "not archived yet"
    return (
        f"{row['name']}  {row['bytes']} bytes  {row['rows']} rows  received {row['received']}  {state}"
        f"{'  adopted' if row['adopted'] else ''}"
    )


def _row(manifest: Manifest, *, archived: bool) -> dict[str, t.Any]:
    return {**manifest.overview(), "archived": archived}


def archive(settings: Settings) -> int:
    """The verb ``archive``: 0 where nothing that came in had to be refused, or this was told within a day."""
    archiver = Archiver(
        Folder(settings.incoming),
        Folder(settings.archive),
        Signers(settings.signers, settings.keygen),
        reserve=settings.reserve_bytes,
        readers=settings.readers,
    )
    return 0 if archiver.run(tell=lambda outcome: _tell(settings, outcome)) else 1


def _tell(settings: Settings, outcome: Outcome) -> bool:
    """Say what became of what came in, and of a refusal once a day: whether there was none to be said."""
    for name in outcome.archived:
        say(PROGRAM, f"archived {name}")
    told = Told(settings.refusals, dt.datetime.now(dt.UTC))
    new = told.new(outcome.refused)
    for name, reason in new.items():
        say(PROGRAM, f"{name} is not archived: {reason}", error=True)
    noted = told.note(new) if new else None
    if noted is not None:
        try:
            write_whole(settings.refusals, noted, 0o600)
        except OSError as error:
            say(PROGRAM, f"what was told could not be noted, so it is told again: {error}", error=True)
    return not new


def _forget(config: str) -> None:
    """Nobody heard of what the archiver refused, so it is told at its next run."""
    try:
        path = read_settings(Settings, config).refusals
        if path:
            Path(path).unlink(missing_ok=True)
    except (ValueError, OSError) as error:
        say(PROGRAM, f"what the archiver refused could not be noted as untold: {error}", error=True)


class _InterruptedError(SystemExit):
    """Asked to end: no verb takes it for the failure of one dump among others."""


def _alone() -> None:
    """Another signal that asks to end, such as the HUP after a session's TERM, must not come into what is put away."""
    for other in ENDING_SIGNALS:
        # Not SIG_IGN, which children would inherit.
        signal.signal(other, lambda _number, _frame: None)


def _interrupted(number: int, frame: types.FrameType | None) -> None:
    _alone()
    raise DumpError(f"interrupted by {signal.Signals(number).name}")


def _ended(number: int, frame: types.FrameType | None) -> None:
    _alone()
    raise _InterruptedError(f"{PROGRAM}: interrupted by {signal.Signals(number).name}")


def main(config: str = CONFIG, keeping: str = KEEPING) -> int:
    """Do one verb: ``ssh`` and ``read`` take what is asked for from SSH_ORIGINAL_COMMAND."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Take dumps in, keep and list them.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("ssh", help="the forced command of a sending key")
    reading = verbs.add_parser("read", help="the forced command of a reading key")
    reading.add_argument("--developer", action="store_true", help="of the copies for developers alone")
    listing = verbs.add_parser("list", help="the dumps that are here, oldest first")
    listing.add_argument("--json", action="store_true", help="as JSON")
    verbs.add_parser("archive", help="bring what came in into the archive")
    add_verbs(verbs)
    given = parser.parse_args()
    syslog.openlog(PROGRAM, syslog.LOG_PID, syslog.LOG_DAEMON)
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupted if given.verb == "ssh" else _ended)
    if given.verb in KEEPER_VERBS:
        status = keep(given, keeping)
        if given.verb == "tell" and status and given.unit == ARCHIVER:
            _forget(config)
        return status
    if given.verb == "ssh":
        return answer(lambda: over_ssh(read_settings(Settings, config), asked))
    try:
        settings = read_settings(Settings, config)
        if given.verb == "archive":
            return archive(settings)
        if given.verb == "read":
            return read_over_ssh(settings, asked, developer=given.developer)
        return show([Folder(settings.archive), Folder(settings.incoming)], as_json=given.json, drills=True)
    except (DumpError, ValueError, OSError) as error:
        if given.verb == "read":
            syslog.syslog(syslog.LOG_ERR, f"refused: {error}{_asker()}")
        say(PROGRAM, str(error), error=True)
        return 1
