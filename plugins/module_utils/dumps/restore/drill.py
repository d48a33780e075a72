# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove an archived dump by restoring it: the drill, as the archive's owner, who alone can write its result.

The restore itself happens in a sandbox (`sandbox.py`), which sees no file but its own. This side reads the dump, checks
its signature and its text, gives the text away, and compares what comes back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
import secrets
import socket
import string
import time
import typing as t

from ..folder import Folder
from ..globals_scan import GlobalsScanner
from ..manifest import Document, Manifest, Trailer
from ..names import DUMP, GLOBALS, DumpName, utc_text
from ..processes import Clock, DumpError
from ..scan import Scanned, Scanner
from ..signatures import Signers
from ..survey import Held
from .material import ZST, Material, from_archive
from .origins import FileOrigin, checked, printable
from .proof import content, prove
from .reading import Reading
from .roles import adapted
from .text import Text
from .wire import CANNOT, Loaded, LostError, Order, Wire, read_policy

# Roles and their settings; what is larger was not made by pg_dumpall.
GLOBALS_LIMIT = 1 << 26
# The copy's text is the dump's, but for the names of roles and what a newer server writes in other words.
COPY_FACTOR, COPY_BASE = 2, 1 << 26
# Of what the sandbox says.
SAID_LIMIT = 2000
PROBLEMS = 50
TABLES_NAMED = 5
KEY_LENGTH = 48
# Seconds in which the sandbox stops its server and removes its folder.
LEAVING = 30.0


class CannotError(DumpError):
    """This host can't drill the dump, which says nothing against it: no result is written."""


class SaidError(DumpError):
    """The sandbox's own word against the dump, which nothing on this side confirms."""


@dataclasses.dataclass(frozen=True)
class Tools:
    """What a drill works with: the sandbox's socket, the programs, the key of encrypted dumps ("" for none)."""

    socket: str
    signers: Signers
    identity: str = ""
    zstd: str = "/usr/bin/zstd"
    age: str = "/usr/bin/age"
    timeout: float = 6 * 3600.0


@dataclasses.dataclass
class Result:
    """What came of the drill of one dump; ``problems`` are sentences, none where it is verified.

    The policy's own problems are in ``policy``: what it lacks says nothing against the dump. ``only_said`` is where the
    sandbox's word alone speaks against it.
    """

    name: DumpName
    started: dt.datetime
    seconds: float = 0.0
    sha256: str = ""
    tables: int = 0
    rows: int = 0
    ddl: str = ""
    problems: list[str] = dataclasses.field(default_factory=list)
    only_said: bool = False
    counts: dict[str, int] = dataclasses.field(default_factory=dict)
    policy: Document = dataclasses.field(default_factory=lambda: {"checked": False})
    versions: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the dump is verified by it."""
        return not self.problems

    @property
    def broken(self) -> list[str]:
        """Where the copy breaks the policy."""
        return list(self.policy.get("problems", []))

    def document(self) -> Document:
        """What is written beside the manifest."""
        document = dataclasses.asdict(self) | {"name": str(self.name), "started": utc_text(self.started)}
        finished = self.started + dt.timedelta(seconds=self.seconds)
        return document | {
            "ok": self.ok,
            "finished": utc_text(finished),
            "seconds": round(self.seconds, 1),
            "problems": self.problems[:PROBLEMS],
        }

    def text(self) -> str:
        """The same as JSON."""
        return json.dumps(self.document(), indent=2, sort_keys=True) + "\n"


@dataclasses.dataclass(frozen=True)
class Choice:
    """The newest dump of each database of each host, one older one by chance (or none), and who has no dump."""

    newest: tuple[DumpName, ...]
    older: tuple[DumpName, ...]
    lacking: tuple[str, ...]


def choose(held: t.Iterable[Held], databases: t.Sequence[str]) -> Choice:
    """What to drill of the dumps with a right signature. *databases* must have one; others are drilled too.

    The chance is the system's (`secrets`, which asks os.urandom): nobody can foretell which old dump is looked at.
    """
    dumps = sorted(
        (one.stored.received, one.stored.name, one.signer)
        for one in held
        if one.signed and one.stored.name.kind == DUMP
    )
    # Two hosts may bring databases of one name.
    newest = {(name.database, signer): name for _received, name, signer in dumps}
    older = [name for _received, name, signer in dumps if newest[name.database, signer] != name]
    there = {database for database, _signer in newest}
    return Choice(
        newest=tuple(newest[key] for key in sorted(newest)),
        older=(secrets.choice(older),) if older else (),
        lacking=tuple(database for database in databases if database not in there),
    )


class Drill:
    """The drill of one dump of the *archive*; *policy* is given where it is to be held against the copy."""

    def __init__(self, archive: Folder, tools: Tools, name: DumpName, policy: Document | None) -> None:
        self._archive = archive
        self._tools = tools
        self._policy = policy
        self._clock = Clock(idle=tools.timeout, overall=tools.timeout)
        self._scanner = Scanner()
        self.result = Result(name, dt.datetime.now(dt.UTC).replace(microsecond=0))

    def run(self, after: t.Callable[[Wire, Trailer], None] | None = None) -> Result:
        """What came of it; *after* goes on with a sandbox whose copy was found equal. `CannotError` as it says."""
        begun = time.monotonic()
        try:
            self._run(after)
        except (CannotError, LostError) as error:
            name = self.result.name
            raise CannotError(f"{name} could not be drilled, which says nothing against it: {error}") from error
        except SaidError as error:
            self.result.only_said = True
            self.result.problems.append(str(error))
        except (DumpError, ValueError, OSError) as error:
            self.result.problems.append(_clean(str(error) or type(error).__name__))
        self.result.seconds = time.monotonic() - begun
        return self.result

    def _run(self, after: t.Callable[[Wire, Trailer], None] | None) -> None:
        name = self.result.name
        manifest = self._archive.manifest(name)
        trailer = manifest.trailer
        self.result.sha256 = trailer.sha256
        self._scanner = Scanner(trailer.via_root)
        signer = self._signer(manifest)
        if name.encrypted and not self._tools.identity:
            raise CannotError("it is encrypted, and this host has no key for it")
        if not trailer.tables:
            raise DumpError(f"{name} is empty: it holds no table")
        if not trailer.rows:
            named = ", ".join(sorted(trailer.tables)[:TABLES_NAMED])
            raise DumpError(f"{name} is empty: no table of it ({named}) has a row")
        try:
            bootstrap, pieces = self._globals(name, signer)
        except (DumpError, ValueError, OSError) as error:
            # They are another artefact, read by the same programs and with the same key.
            raise CannotError(str(error)) from error
        order = Order(
            database=name.database,
            raw_bytes=trailer.raw_bytes,
            settings=trailer.settings,
            versions=trailer.versions,
            extensions=trailer.extensions,
            bootstrap=bootstrap,
            large_objects="large objects" in trailer.left_out,
            policy=self._policy,
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(self._tools.socket)
            except OSError as error:
                raise CannotError(
                    f"the sandbox could not be reached at {self._tools.socket}: {error.strerror}: does "
                    "taaraxtak-drill.socket run?"
                ) from error
            wire = Wire(connection.fileno(), connection.fileno(), self._clock, other="the sandbox")
            try:
                self._converse(wire, order, pieces, trailer)
                if self.result.ok and not self.result.broken and after is not None:
                    after(wire, trailer)
            finally:
                _leave(connection)

    def _signer(self, manifest: Manifest) -> str:
        name = manifest.trailer.name
        if manifest.adopted:
            raise DumpError(f"{name} was adopted, so it has no signature: a drill can't verify it")
        try:
            return self._tools.signers.of(manifest)
        except DumpError as error:
            raise DumpError(f"{name} is refused: {error}") from error

    def _converse(self, wire: Wire, order: Order, pieces: list[bytes], trailer: Trailer) -> None:
        result = self.result
        try:
            wire.say(order.document())
            for piece in pieces:
                wire.text(piece)
            wire.end()
            scanned = self._give(wire, trailer)
        except (BrokenPipeError, ConnectionResetError):
            # It ended before it had everything, and has said why.
            scanned = None
        if scanned is not None:
            result.problems += content(trailer, scanned)
            if result.problems:
                return
            wire.end()
        loaded = _good(wire.heard())
        if scanned is None:
            raise SaidError("the sandbox ended before it had the whole dump")
        told = Loaded.read(loaded)
        result.versions = {"dump": trailer.versions.get("server", ""), "sandbox": _clean(told.server)}
        result.counts = told.counts
        copy = self._copy(wire, trailer)
        proof = prove(trailer, self._scanner, copy, same_major=_major(told.server) == _major(result.versions["dump"]))
        result.tables, result.rows, result.ddl = proof.tables, proof.rows, proof.ddl
        result.problems += proof.problems
        policy = read_policy(_good(wire.heard()))
        if "problems" in policy:
            policy["problems"] = [_clean(sentence) for sentence in policy["problems"][:PROBLEMS]]
        result.policy = policy

    def _give(self, wire: Wire, trailer: Trailer) -> Scanned:
        """Give the dump's text away, in our own ``\\restrict``; its sums."""
        material = from_archive(self._archive, self.result.name)
        text = Text(self._scanner, _key())
        try:
            with self._reading(material) as reading:
                for chunk in reading:
                    for piece in text.feed(chunk):
                        wire.text(piece)
                reading.finish()
            scanned, last = text.finish()
        except LostError:
            raise
        except (DumpError, ValueError) as error:
            raise DumpError("; ".join([str(error), *self._where(trailer)])) from error
        wire.text(last)
        return scanned

    def _where(self, trailer: Trailer) -> list[str]:
        """Which tables a dump is wrong in that could not be read well."""
        try:
            return content(trailer, self._scanner.finish())
        except ValueError:
            progress = self._scanner.progress()
            if progress["table"]:
                return [f"what was read of it ends within the rows of {progress['table']}"]
            if not progress["rows"]:
                return [f"no row was read of {', '.join(sorted(trailer.tables)[:TABLES_NAMED])}"]
            return []

    def _copy(self, wire: Wire, trailer: Trailer) -> tuple[Scanned, t.Any]:
        """The scan of the copy's text."""
        scanner, size = Scanner(trailer.via_root), 0
        for piece in wire.pieces():
            size += len(piece)
            if size > COPY_FACTOR * trailer.raw_bytes + COPY_BASE:
                raise DumpError(f"the copy's text is larger than {size} bytes, and the dump's has {trailer.raw_bytes}")
            scanner.feed(piece)
        try:
            return scanner.finish(), scanner.statements
        except ValueError as error:
            # Where pg_dump failed, the sandbox says why.
            _good(wire.heard())
            raise DumpError(f"the copy was not dumped whole: {error}") from error

    def _reading(self, material: Material) -> Reading:
        tools = self._tools
        return Reading(material, zstd=tools.zstd, age=tools.age, identity=tools.identity)

    # Globals

    def _globals(self, name: DumpName, signer: str) -> tuple[str, list[bytes]]:
        """Whom the cluster is made with, and the text of the roles as they were when the dump was begun."""
        found = self._globals_name(name, signer)
        manifest = self._archive.manifest(found)

        material = Material(
            name=found,
            manifest=manifest,
            file=str(found),
            size=manifest.trailer.bytes,
            packing=ZST,
            encrypted=found.encrypted,
            start=lambda: FileOrigin(checked(self._archive.open(str(found)), str(found))[0]),
        )
        scanner = GlobalsScanner()
        text, pieces, size = Text(scanner, _key()), [], 0
        with self._reading(material) as reading:
            for chunk in reading:
                size += len(chunk)
                if size > GLOBALS_LIMIT:
                    raise DumpError(f"{found} has more than {GLOBALS_LIMIT} bytes of text")
                pieces += [bytes(piece) for piece in text.feed(chunk)]
            reading.finish()
        _scanned, last = text.finish()
        if len(scanner.roles) != manifest.trailer.roles:
            raise DumpError(f"{found} holds {len(scanner.roles)} roles, and its manifest {manifest.trailer.roles}")
        return adapted(b"".join([*pieces, last]), scanner.roles)

    def _globals_name(self, dump: DumpName, signer: str) -> DumpName:
        """The newest globals of the same signer that were begun before the dump, or with it."""
        names = []
        for file in self._archive.names():
            try:
                name = DumpName.parse(file)
            except ValueError:
                continue
            if name.kind == GLOBALS and name.started <= dump.started and self._archive.stat(name.manifest) is not None:
                names.append((name.started, name))
        for _started, name in sorted(names, reverse=True):
            try:
                if self._signer(self._archive.manifest(name)) == signer:
                    return name
            except DumpError:
                # Said by the check; another one may do.
                continue
        raise DumpError(f"there are no signed globals from before {dump}: its roles are not known")


def _leave(connection: socket.socket) -> None:
    """Let the sandbox remove everything before this ends; who doesn't listen is cut off, and ends by that."""
    connection.setblocking(True)
    connection.settimeout(LEAVING)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass


def _good(document: Document) -> Document:
    """What the sandbox says where all is well; SaidError with its reason where it is not, CannotError as it says."""
    if document.get("ok") is True:
        return document
    reason = _clean(str(document.get("reason", ""))) or "the sandbox failed without a word"
    raise CannotError(reason) if document.get(CANNOT) is True else SaidError(reason)


def _clean(text: str) -> str:
    """What the sandbox says is a stranger's text."""
    return printable(" ".join(text.split()))[-SAID_LIMIT:]


def _key() -> str:
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _letter in range(KEY_LENGTH))


def _major(version: str) -> str:
    return version.split(".")[0].split(" ")[0]
