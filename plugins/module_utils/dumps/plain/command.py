# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-carry``: between `dump-send`, or whoever reads dumps, and a plain store.

It runs on this side. To the sender it answers as a dump store does to the sending key (``receive``, ``stat NAME``), to
a reader as to a reading key (``list``, ``manifest NAME``, ``fetch NAME``); ``get`` brings a dump into a folder here.
``check`` and ``prune`` are for a trusted host, which does what a dump store does by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import json
import os
import signal
import sys
import types
import typing as t
from pathlib import Path

from .. import freshness, retention
from ..config import MAY_BE_EMPTY, read_settings
from ..finding import Level
from ..keeper import show_decisions
from ..manifest import SIGNATURE_NAMESPACE, Ack, Document, encode
from ..names import DumpName, absent
from ..processes import ENDING_SIGNALS, DumpError, FinalError, say, widen, write_all
from ..signatures import KEYGEN, Signers
from ..survey import incidents
from . import shelf
from .files import AbsentError, Files, Place, UnknownError
from .getting import get, newest
from .guarantees import S3, SFTP, SSH_FILES, told
from .reception import PROGRAM, Reception
from .s3 import Bucket
from .sftp import Sftp
from .ssh_files import SshFiles

CONFIG = "/etc/taaraxtak/dump-carry.json"
STDIN, STDOUT = 0, 1
KEEP = retention.Policy()
EXPECT = freshness.Limits()
_EDGES: t.Mapping[str, t.Callable[[Place], Files]] = {SSH_FILES: SshFiles, SFTP: Sftp, S3: Bucket}


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the settings' file: the plain stores, and what is kept and expected there.

    ``signers``: the file of those whose signatures count, "" where nobody here knows them. The sender's own host gives
    ``public_key`` instead, the key's file: there is no other signer. ``incidents``: the folder of the files that say
    why rows are gone, as a dump store has them, "" for none.
    """

    stores: tuple[Place, ...]
    signers: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    public_key: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    keygen: str = KEYGEN
    max_bytes: int = 100 << 30
    quota_bytes: int = 0
    incidents: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    keep: retention.Policy = KEEP
    expect: freshness.Limits = EXPECT

    def __post_init__(self) -> None:
        names = [store.name for store in self.stores]
        if len(set(names)) != len(names):
            raise ValueError(f"stores must have different names, not {', '.join(names)}")

    def place(self, name: str) -> Place:
        """The store *name*; ValueError where there is none."""
        for store in self.stores:
            if store.name == name:
                return store
        known = ", ".join(store.name for store in self.stores)
        raise ValueError(f"there is no plain store {name!r} in the settings: {known}")

    def who(self) -> Signers | None:
        """Whose signatures count, None where that is not known here."""
        path = self.signers or (_in_memory(self.public_key) if self.public_key else "")
        return Signers(path, self.keygen, made_by="copy it from a dump store") if path else None


def _in_memory(public_key: str) -> str:
    """A file of signers that names the key in the file *public_key*; it lasts as long as this process."""
    words = Path(public_key).read_text(encoding="utf-8").split()
    descriptor = os.memfd_create("signers")
    write_all(descriptor, f'sender namespaces="{SIGNATURE_NAMESPACE}" {" ".join(words[:2])}\n'.encode())
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def opened(place: Place) -> contextlib.closing[Files]:
    """The files of a store, closed at the end of a with statement."""
    return contextlib.closing(_EDGES[place.kind](place))


def receive(settings: Settings, place: Place) -> Ack:
    """The verb ``receive``: the stream is on stdin."""
    widen(STDIN)
    with opened(place) as files:
        reception = Reception(files, place.clock(), max_bytes=settings.max_bytes, signers=settings.who())
        return reception.run()


def stat(place: Place, text: str) -> Ack:
    """The verb ``stat``: what the manifest of the dump says."""
    with opened(place) as files:
        trailer = shelf.manifest_of(files, parsed(text)).trailer
    return Ack(name=text, bytes=trailer.bytes, sha256=trailer.sha256)


def answer(work: t.Callable[[], Ack]) -> int:
    """Do *work*, and say how it ended in one line of JSON; the exit status."""
    try:
        ack = work()
    except UnknownError as error:
        # An answer would be taken for the truth; without one the sender asks for the dump.
        say(PROGRAM, str(error), error=True)
        return 1
    except (DumpError, ValueError, OSError) as error:
        final = isinstance(error, DumpError) and error.final
        ack = Ack(reason=str(error) or type(error).__name__, final=final)
    with contextlib.suppress(OSError):
        # The dump is there or not all the same; the sender will ask.
        write_all(STDOUT, encode(ack.document()), b"\n")
    return 0 if ack.ok else 1


def parsed(text: str) -> DumpName:
    """The name of a dump; FinalError where it is none."""
    try:
        return DumpName.parse(text)
    except ValueError as error:
        raise FinalError(str(error)) from None


def list_dumps(place: Place, now: dt.datetime) -> int:
    """The verb ``list``: JSON, as a reading key of the dump store gets it, though nobody archives anything here."""
    with opened(place) as files:
        found = shelf.look(files, None, now)
    listed = [{**held.manifest.overview(), "archived": True} for held in found.held]
    write_all(STDOUT, json.dumps(listed, indent=2).encode(), b"\n")
    for sentence in found.wrong:
        say(PROGRAM, sentence, error=True)
    return 1 if found.wrong else 0


def give(place: Place, name: DumpName, *, manifest: bool) -> int:
    """The verbs ``manifest`` and ``fetch``."""
    with opened(place) as files:
        file = name.manifest if manifest else str(name)
        try:
            for piece in files.read(file):
                write_all(STDOUT, piece)
        except AbsentError:
            raise DumpError(absent(name)) from None
    return 0


def check(settings: Settings, place: Place, now: dt.datetime, *, as_json: bool) -> int:
    """The verb ``check``: 0 ok, 1 warning, 2 critical."""
    with opened(place) as files:
        found = shelf.look(files, settings.who(), now)
        verdict = _verdict(settings, found, now)
        store = told(place.kind, *files.lacks())
    if as_json:
        document = {**verdict.document(), "store": store}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return int(verdict.level)
    for finding in verdict.findings:
        sys.stdout.write(f"{finding.level}: {finding.sentence}\n")
    for sentence in store["loses"]:
        sys.stdout.write(f"not promised: {sentence}\n")
    sys.stdout.write(f"the dumps at {place.name} are {verdict.level}\n")
    return int(verdict.level)


def _verdict(settings: Settings, found: shelf.Found, now: dt.datetime) -> freshness.Verdict:
    said, unread = incidents(settings.incidents) if settings.incidents else ([], [])
    found.odd += unread
    return shelf.judge(found, tuple(said), settings.expect, settings.quota_bytes, now)


def survey(
    settings: Settings, place: Place, now: dt.datetime
) -> tuple[list[Document], list[str], freshness.Verdict, Document]:
    """What `dump_info` says: the dumps, what is wrong, the verdict, and what the store does not promise."""
    with opened(place) as files:
        found = shelf.look(files, settings.who(), now)
        verdict = _verdict(settings, found, now)
        store = told(place.kind, *files.lacks())
        return shelf.rows(files, found, now), [*found.wrong, *found.odd], verdict, store


def prune(settings: Settings, place: Place, now: dt.datetime, *, dry: bool) -> tuple[retention.Decision, ...]:
    """The verb ``prune``: the decisions, oldest dump first."""
    with opened(place) as files:
        found = shelf.look(files, settings.who(), now)
        decisions = shelf.decide(found, settings.keep, now)
        if not dry:
            shelf.prune(files, found, decisions)
    return decisions


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Bring dumps to a plain store, read and keep them there."
    )
    parser.add_argument("--config", metavar="FILE", help="the settings")
    parser.add_argument("--store", required=True, metavar="NAME", help="one of the settings' stores")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("receive", help="a dump from dump-send, on stdin")
    verbs.add_parser(
        "list",
        help="the dumps that are there, as JSON; archived are those with a manifest, received is production's time",
    )
    for verb, what in (("stat", "whether a dump is there"), ("manifest", "its manifest"), ("fetch", "the dump itself")):
        verbs.add_parser(verb, help=what).add_argument("name")
    getting = verbs.add_parser("get", help="bring a dump and its manifest into a folder here")
    getting.add_argument("name", nargs="?", default="", help="default: the newest")
    getting.add_argument("--database", default="", help="the newest of this database")
    getting.add_argument("--to", default=".", metavar="FOLDER", help="default: here")
    checking = verbs.add_parser("check", help="judge what is there: exit status 0 ok, 1 warning, 2 critical")
    pruning = verbs.add_parser("prune", help="remove the dumps that nothing keeps, and say of each why")
    pruning.add_argument("--dry-run", action="store_true", help="only say what would go")
    for each in (checking, pruning):
        each.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _interrupted(number: int, frame: types.FrameType | None) -> None:
    for other in ENDING_SIGNALS:
        # Another one must not come into the cleaning up.
        signal.signal(other, lambda _number, _frame: None)
    raise DumpError(f"interrupted by {signal.Signals(number).name}")


def main(config: str = CONFIG) -> int:
    """Do one verb."""
    given, now = _parser().parse_args(), dt.datetime.now(dt.UTC)
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupted)

    def place() -> tuple[Settings, Place]:
        settings = read_settings(Settings, given.config or config)
        return settings, settings.place(given.store)

    if given.verb == "receive":
        return answer(lambda: receive(*place()))
    if given.verb == "stat":
        return answer(lambda: stat(place()[1], given.name))
    try:
        return _do(given, *place(), now)
    except BrokenPipeError:
        # Whoever asked does not listen any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), STDOUT)
        return 1
    except (DumpError, ValueError, OSError) as error:
        say(PROGRAM, str(error) or type(error).__name__, error=True)
        return int(Level.CRITICAL) if given.verb == "check" else 1


def _do(given: argparse.Namespace, settings: Settings, place: Place, now: dt.datetime) -> int:
    if given.verb == "list":
        return list_dumps(place, now)
    if given.verb == "get":
        with opened(place) as files:
            name = parsed(given.name) if given.name else newest(shelf.look(files, None, now), given.database)
            sys.stdout.write(f"{get(files, name, given.to)}\n")
        return 0
    if given.verb == "check":
        return check(settings, place, now, as_json=given.json)
    if given.verb == "prune":
        decisions = prune(settings, place, now, dry=given.dry_run)
        show_decisions(decisions, dry=given.dry_run, as_json=given.json)
        return 0
    return give(place, parsed(given.name), manifest=given.verb == "manifest")
