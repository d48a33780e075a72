# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole restore: what it would be, then from the signature to the swap. What fails leaves the database as it was.

The dump flows: fetched, decrypted, unpacked, scanned, given to psql; then the copy is dumped through the same scan and
held against the manifest. Nothing is written but by the server.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import re
import secrets
import string
import time
import typing as t

from ..adopt import BEGINNING
from ..manifest import Document
from ..processes import Child, DumpError, write_all
from ..scan import Scanned, Scanner
from ..signatures import Signers
from .again import large_tables, read_again
from .inherited import inherit
from .material import SQL, Material, check_signature, summed, unproved_since
from .named import NamedRoles
from .proof import Proof, content, prove
from .reading import Reading
from .restorer import Restorer, remove
from .server import Needs, Server
from .swap import Swapped
from .target import UTC, check_name
from .text import Text

# So much text is guessed to be in each byte of a compressed dump that has no manifest.
UNPACKED = 8
KEY_LENGTH = 48
# Where something is shown while it flows, so often is enough.
SHOW_EVERY = 0.2
_SERVER = re.compile(rb"^-- Dumped from database version ([^\n]+)$", re.MULTILINE)
_NO_ROLE = re.compile(r'role "[^"]*" does not exist')

# Told what is under way and how far: table, rows, bytes, estimate, left, seconds, as `progress.Progress` takes them.
Show = t.Callable[[str, t.Mapping[str, t.Any]], None]


@dataclasses.dataclass(frozen=True)
class Options:
    """How to restore.

    ``database`` is the one to restore into, "" for that of the dump; ``owner`` gets it and what the dump gives to
    nobody, "" for the owner until now. ``signers`` are whose signatures count, None where that is not known; without a
    right one only ``unproved`` restores. ``create_roles`` makes the roles that the dump names and that are not there.
    ``timezone`` is that of the server that an old dump was made on. ``identity`` is the file of age's key, "" for none;
    the others are paths of programs.
    """

    database: str = ""
    owner: str = ""
    keep_previous: int = 1
    signers: Signers | None = None
    unproved: bool = False
    create_roles: bool = False
    timezone: str = UTC
    identity: str = ""
    zstd: str = "/usr/bin/zstd"
    gzip: str = "/usr/bin/gzip"
    age: str = "/usr/bin/age"

    def reading(self, material: Material) -> Reading:
        """The text of *material*."""
        return Reading(material, zstd=self.zstd, gzip=self.gzip, age=self.age, identity=self.identity)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A restore that could begin: ``signed_by`` is "" where nobody proves who made the dump, ``unproved`` says why."""

    material: Material
    needs: Needs
    signed_by: str
    unproved: str
    sha256: str

    @property
    def database(self) -> str:
        """The database that is restored into."""
        return self.needs.database

    @property
    def tables(self) -> dict[str, int]:
        """The rows of each table, as the manifest says; {} where there is none."""
        manifest = self.material.manifest
        return {name: table.rows for name, table in sorted(manifest.trailer.tables.items())} if manifest else {}

    def dump(self) -> Document:
        """What is known of the dump."""
        material, manifest = self.material, self.material.manifest
        known: Document = {
            "name": str(material.name or ""),
            "file": material.file,
            "database": material.database,
            "bytes": material.size,
            "sha256": self.sha256,
            "encrypted": material.encrypted,
            "adopted": manifest is not None and manifest.adopted,
        }
        if manifest is not None:
            trailer = manifest.trailer
            known |= {"raw_bytes": trailer.raw_bytes, "rows": trailer.rows}
            known |= {"started": trailer.started, "finished": trailer.finished, "received": manifest.received}
        return known

    def document(self) -> Document:
        """What is known before it begins."""
        return {
            "dump": self.dump(),
            "database": self.database,
            "signed_by": self.signed_by,
            "unproved": self.unproved,
            "tables": self.tables,
            "rows": sum(self.tables.values()),
        }


@dataclasses.dataclass(frozen=True)
class Report:
    """A restore that is done; ``seconds`` by part, ``bytes`` of text."""

    plan: Plan
    proof: Proof
    swapped: Swapped
    tables: dict[str, int]
    bytes: int
    seconds: dict[str, float]
    roles: tuple[str, ...]

    def document(self) -> Document:
        """As a module returns it."""
        return {
            **self.plan.document(),
            "previous": self.swapped.previous,
            "dropped": list(self.swapped.dropped),
            "tables": self.tables,
            "rows": self.proof.rows,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "roles": list(self.roles),
            "proof": {"tables": self.proof.tables, "rows": self.proof.rows, "ddl": self.proof.ddl},
        }


def plan(material: Material, options: Options) -> Plan:
    """What *material* is and needs, its signature checked first; no server is asked. DumpError where it is refused."""
    signed_by = check_signature(material, options.signers, unproved=options.unproved)
    unproved = "" if signed_by else f"{material.file} {unproved_since(material, options.signers)}"
    database = options.database or material.database
    check_name(database, options.keep_previous)
    trailer = material.manifest.trailer if material.manifest is not None else None
    reading = options.reading(material)
    if trailer is not None:
        needs = Needs.of(trailer, database, keep_previous=options.keep_previous)
        needs = dataclasses.replace(needs, timezone=options.timezone)
        return Plan(material, needs, signed_by, unproved, trailer.sha256)
    guess = material.size * (1 if material.packing == SQL else UNPACKED)
    needs = Needs.of(None, database, keep_previous=options.keep_previous, raw_bytes=guess)
    needs = dataclasses.replace(needs, version=_version(reading), timezone=options.timezone)
    return Plan(material, needs, signed_by, unproved, summed(material))


def restore(
    server: Server,
    plan: Plan,
    options: Options,
    *,
    apply_policy: t.Callable[[str], None] | None = None,
    show: Show | None = None,
    commit: t.Callable[[], None] | None = None,
) -> Report:
    """Restore as *plan* says; DumpError with the reason, and that the database is as it was.

    *apply_policy* is called with the copy's name before it takes the other's place; *commit* just before that, for from
    then on nothing should come between.
    """
    run = _Restore(server, plan, options, show or _silent)
    try:
        return run.run(apply_policy, commit)
    except (DumpError, ValueError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise DumpError(f"{reason}; {run.undone()}") from error
    except BaseException:
        run.undone()
        raise


class _Restore:
    """One run."""

    def __init__(self, server: Server, plan: Plan, options: Options, show: Show) -> None:
        self._server = server
        self._plan = plan
        self._options = options
        self._show = show
        self._begun = self._shown = 0.0
        self._seconds: dict[str, float] = {}
        self._roles: list[str] = []
        self._trailer = plan.material.manifest.trailer if plan.material.manifest is not None else None
        self._via_root = self._trailer.via_root if self._trailer is not None else ()
        self._copy = ""
        self._swapping = False

    def run(self, apply_policy: t.Callable[[str], None] | None, commit: t.Callable[[], None] | None) -> Report:
        server, needs, options = self._server, self._plan.needs, self._options
        with self._part("check"):
            server.check(needs)
        with self._part("create"):
            self._copy = copy = server.create(needs.database, needs.settings)
        with server.restorer(copy) as restorer:
            with self._part("restore"):
                came = self._load(copy, restorer)
                server.settle(copy, options.owner)
            with self._part("prove"):
                again, proof = self._prove(copy, came)
        if not proof.ok:
            raise DumpError(f"the copy is not what was dumped: {'; '.join(proof.problems)}{self._zone()}")
        with self._part("policy"):
            if apply_policy is not None:
                apply_policy(copy)
            else:
                inherit(server.session, needs.database, copy)
        if commit is not None:
            commit()
        self._swapping = True
        with self._part("swap"):
            swapped = server.swap(needs.database, copy, needs.keep_previous)
        tables = {name: table.rows for name, table in sorted(again.tables.items())}
        return Report(self._plan, proof, swapped, tables, came.finish().raw_bytes, self._seconds, tuple(self._roles))

    def undone(self) -> str:
        """Remove what this run has made; what is with the database that was to be replaced."""
        server, database, left = self._server, self._plan.database, ""
        try:
            if self._swapping and not server.exists(self._copy):
                return f"the database {database} was replaced all the same"
            there = server.exists(database)
            if self._copy:
                server.drop(self._copy)
        except DumpError as error:
            if self._swapping:
                return f"whether the database {database} was replaced is not known, since the server can't be asked"
            there, left = True, f" ({self._copy or 'what was made'} is removed by the next restore: {error})"
        return (f"the database {database} is as it was" if there else "nothing was restored") + (left or self._unmade())

    def _unmade(self) -> str:
        """Remove the roles that were made for the copy; what is to be said of those that stay."""
        try:
            if self._roles:
                remove(self._server, self._roles)
        except DumpError as error:
            return f" (the roles {', '.join(self._roles)}, which were made for it, are left: {error})"
        return ""

    def _load(self, copy: str, restorer: Restorer) -> Scanner:
        """Give the dump to psql; its scan."""
        scanner, named = Scanner(self._via_root), NamedRoles()
        scanner.statements = named
        text = Text(scanner, _key())
        size = self._trailer.raw_bytes if self._trailer is not None else 0
        self._begun = time.monotonic()
        with self._options.reading(self._plan.material) as reading:
            psql = self._server.psql(copy)
            try:
                try:
                    for chunk in reading:
                        pieces = text.feed(chunk)
                        if self._options.create_roles and (new := named.new()):
                            self._roles += restorer.admit(new)
                        for piece in pieces:
                            write_all(psql.input, t.cast(bytes, piece))
                        self._tell("restoring", size, scanner.progress, (reading.taken, self._plan.material.size))
                    reading.finish()
                    scanned, last = text.finish()
                    self._compare(scanned)
                    write_all(psql.input, last)
                    psql.close_input()
                except BrokenPipeError:
                    # It ended before it had everything, and says why.
                    psql.wait()
                    raise DumpError(
                        (self._complaint(psql) or "psql ended before it had the whole dump") + _where(scanner)
                    ) from None
                except ValueError as error:
                    psql.kill()
                    raise DumpError(f"{error}{_where(scanner)}") from error
                except BaseException:
                    # A part of a dump is not to be committed.
                    psql.kill()
                    raise
                psql.wait()
                if problem := self._complaint(psql):
                    raise DumpError(f"{problem}{_where(scanner)}")
            finally:
                psql.end()
        restorer.change_own(named.own)
        return scanner

    def _compare(self, scanned: Scanned) -> None:
        """What came in is what the manifest tells of; else psql is not given the end, and commits nothing."""
        problems = [] if self._trailer is None else content(self._trailer, scanned)
        if not scanned.tables:
            raise DumpError("the dump is empty: it holds no table")
        if problems:
            raise DumpError(f"the dump is not the one that its manifest tells of: {'; '.join(problems)}")

    def _prove(self, copy: str, came: Scanner) -> tuple[Scanned, Proof]:
        """Dump the copy through the same scan, and compare; by pg_dump alone where it isn't equal otherwise."""
        text = came.finish()
        with contextlib.closing(self._server.open(copy)) as session:
            large = large_tables(session, text.tables.keys() - set(self._via_root))
        same_major = re.match(rf"{self._server.major}\b", self._plan.needs.version) is not None
        for tables in [large, []] if large else [[]]:
            self._begun = time.monotonic()
            zone, tell = self._plan.needs.timezone, functools.partial(self._tell, "comparing", text.raw_bytes)
            found = read_again(self._server, copy, zone, self._via_root, tables, tell)
            proof = prove(self._trailer, came, found, same_major=same_major)
            if proof.ok:
                break
        return found[0], proof

    def _zone(self) -> str:
        """What may be the matter with a dump that was not made by us: ours write times as in UTC."""
        manifest, zone = self._plan.material.manifest, self._plan.needs.timezone
        ours = manifest is not None and (not manifest.adopted or manifest.derived_from is not None)
        return "" if ours else f"; times were compared as in {zone}: say the timezone of the server that it was made on"

    def _complaint(self, psql: Child) -> str:
        problem = psql.complaint()
        if _NO_ROLE.search(problem):
            problem += "; make the roles first, by the policy or from the globals, or let missing ones be created"
        return problem

    @contextlib.contextmanager
    def _part(self, name: str) -> t.Iterator[None]:
        begun = time.monotonic()
        yield
        self._seconds[name] = round(time.monotonic() - begun, 2)

    def _tell(
        self, what: str, size: int, progress: t.Callable[[], dict[str, t.Any]], taken: tuple[int, int] | None = None
    ) -> None:
        """How far it is of *size* bytes of text; by the bytes *taken* of those of the dump, where 0 says nothing."""
        now = time.monotonic()
        if now - self._shown < SHOW_EVERY:
            return
        self._shown = now
        state, seconds = progress(), now - self._begun
        done, whole = taken or (state["bytes"], size)
        left = seconds * (whole - done) / done if 0 < done <= whole and seconds >= 1 else None
        estimate = size or (state["bytes"] * whole // done if done else 0)
        self._show(what, {**state, "estimate": estimate, "left": left, "seconds": seconds})


def _where(scanner: Scanner) -> str:
    """The table whose rows came last."""
    table = scanner.progress()["table"]
    return f" (within the rows of {table})" if table else ""


def _version(reading: Reading) -> str:
    """The server's version, as pg_dump wrote it at the top; "" where it doesn't stand there."""
    beginning = b""
    with reading:
        for chunk in reading:
            beginning += chunk
            if len(beginning) >= BEGINNING:
                break
    found = _SERVER.search(beginning[:BEGINNING])
    return found[1].decode("utf-8", "replace") if found is not None else ""


def _key() -> str:
    letters = string.ascii_letters + string.digits
    return "".join(secrets.choice(letters) for _letter in range(KEY_LENGTH))


def _silent(what: str, state: t.Mapping[str, t.Any]) -> None:
    """Nobody looks."""
