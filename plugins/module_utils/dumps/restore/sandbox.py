# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-drill``: restore one dump in a cluster of its own, and give the copy's text back.

systemd starts it for a connection of the archive's owner, as an account that has nothing: no network, no archive, no
key. What a dump runs as the cluster's superuser runs here. So nothing that this says is believed: the drill compares
the text of the copy, outside. Only here the package ``access`` is needed beside ``dumps``; so it is imported as
``taaraxtak.dumps.restore.sandbox``.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import tempfile
import threading
import types
import typing as t

from ...access.plan.statements import Name, Statement, Value
from ...access.postgres import TEMPLATE, query, session
from ...access.running import run_alone
from ..manifest import Document
from ..processes import ENDING_SIGNALS, Clock, DumpError, say
from . import probation
from .cluster import PROGRAM, Cluster, bindir_for
from .wire import CANNOT, Order, Wire

SOCKET = 0
ROOT = "/usr/lib/postgresql"
OVERALL = 12 * 3600.0
# pg_dump's pieces.
PIECE = 1 << 20
_PR_SET_DUMPABLE = 4
# What a server says whose host has not enough for the dump.
EXHAUSTED = ("No space left on device", "out of memory", "out of shared memory", "Cannot allocate memory")
COUNTS = """
WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema')
SELECT count(*) FILTER (WHERE relkind IN ('r', 'p')), count(*) FILTER (WHERE relkind IN ('i', 'I')),
       (SELECT count(*) FROM pg_constraint WHERE connamespace IN (SELECT oid FROM ours)),
       count(*) FILTER (WHERE relkind = 'S')
  FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours)
"""
AVAILABLE = "SELECT name FROM pg_available_extensions"
# A role that sees some columns, or perhaps some rows, doesn't see the table.
UNSEEN = """
SELECT nspname::text, relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE relkind IN ('r', 'p') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
   AND (relrowsecurity OR NOT has_table_privilege(%(role)s, c.oid, 'SELECT')
        OR NOT has_schema_privilege(%(role)s, n.oid, 'USAGE'))
"""
# What is below a table in an inheritance or a partitioning.
BELOW = """
WITH RECURSIVE below AS (
  SELECT to_regclass(x)::oid AS oid FROM unnest(%(tables)s::text[]) AS x
  UNION SELECT inhrelid FROM pg_inherits JOIN below ON inhparent = below.oid
)
SELECT nspname::text, relname::text FROM below JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = relnamespace
"""
# Rows of a table that is not left out would refer to rows that are.
REFERRING = """
SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint
 WHERE contype = 'f' AND confrelid = ANY (%(tables)s::regclass[]) AND conrelid <> ALL (%(tables)s::regclass[])
"""


class GoneError(DumpError):
    """The drill is gone, or the time is over, or somebody asked this to end."""


class Sandbox:
    """One order, from the socket's first byte to its last."""

    def __init__(self, wire: Wire, *, root: str, parent: str) -> None:
        self._wire = wire
        self._root = root
        self._parent = parent
        self.cluster: Cluster | None = None
        # Until the dump's own text comes, what fails is this host's.
        self._cannot = True

    def run(self) -> None:
        """Do it; what fails is said to the drill in a document, and ends it."""
        try:
            order = Order.read(self._wire.heard())
            bindir = bindir_for(order.versions.get("server", ""), self._root)
            cluster = Cluster(bindir, order.bootstrap, parent=self._parent, raw_bytes=order.raw_bytes)
            self.cluster = cluster
            with cluster:
                self._drill(cluster, order)
        except (DumpError, ValueError, OSError) as error:
            self._fail(str(error) or type(error).__name__)

    def _drill(self, cluster: Cluster, order: Order) -> None:
        with session(cluster.login, TEMPLATE) as connection:
            version = query(connection, "SHOW server_version")[0][0]
            there = {name for (name,) in query(connection, AVAILABLE)}
        if missing := sorted(order.extensions.keys() - there):
            raise DumpError(f"the extension {missing[0]} is not on this host: install its package (missing: {missing})")
        # A tablespace can't be made in a transaction.
        self._load(cluster, TEMPLATE, "the globals", together=False)
        self._create(cluster, order)
        self._cannot = False
        self._load(cluster, order.database, "the dump", together=True)
        self._wire.say({"ok": True, "server": version, "counts": self._counts(cluster, order.database)})
        self._dump(cluster, order)
        self._wire.say({"ok": True, "policy": self._policy(cluster, order)})
        try:
            wish = self._wire.heard()
        except DumpError:
            # The drill wants nothing more.
            return
        self._developer(cluster, order, wish)

    def _load(self, cluster: Cluster, database: str, what: str, *, together: bool) -> None:
        """Give psql the text that comes next, and hear what it makes of it."""
        psql = cluster.psql(database, together=together)
        clock = Clock(idle=OVERALL, overall=OVERALL)
        os.set_blocking(psql.input, False)
        try:
            for piece in self._wire.pieces():
                clock.write(psql.input, f"writing {what} to psql", piece)
        except BrokenPipeError:
            # It says itself why it went.
            pass
        psql.close_input()
        psql.wait()
        if problem := psql.complaint():
            self._cannot = self._cannot or any(words in problem for words in EXHAUSTED)
            raise DumpError(f"{what} could not be restored: {problem}")

    def _create(self, cluster: Cluster, order: Order) -> None:
        """The database, with the encoding and locale that the manifest names."""
        with session(cluster.login, TEMPLATE) as connection:
            if order.database == "postgres":
                run_alone(connection, Statement("drop", ("DROP DATABASE postgres",)))
            try:
                run_alone(connection, creation(order))
            except ValueError as error:
                if "locale" not in str(error):
                    raise
                raise DumpError(f"{error}: generate the dump's locale on this host (locale-gen)") from error

    def _counts(self, cluster: Cluster, database: str) -> dict[str, int]:
        with session(cluster.login, database) as connection:
            ((tables, indexes, constraints, sequences),) = query(connection, COUNTS)
        return {"tables": tables, "indexes": indexes, "constraints": constraints, "sequences": sequences}

    def _dump(self, cluster: Cluster, order: Order, *options: str) -> None:
        """The text of the copy."""
        left_out = ["-B"] if order.large_objects else []
        pg_dump = cluster.pg_dump(order.database, *left_out, *options)
        while piece := os.read(pg_dump.output, PIECE):
            self._wire.text(piece)
        pg_dump.wait()
        self._wire.end()
        if problem := pg_dump.complaint():
            raise DumpError(f"the copy could not be dumped: {problem}")

    def _policy(self, cluster: Cluster, order: Order) -> Document:
        if order.policy is None:
            return {"checked": False}
        try:
            return probation.hold(cluster.login, order.policy, order.database, f"{cluster.folder}/lock")
        except ValueError as error:
            return {"checked": False, "problems": [f"the policy could not be applied to the copy: {error}"]}

    def _developer(self, cluster: Cluster, order: Order, wish: Document) -> None:
        """The text of the copy without the rows of the tables that *wish* excludes, and those its role can't see."""
        wanted = {(str(schema), str(name)) for schema, name in wish.get("excludes", [])}
        role = str(wish.get("role", ""))
        with session(cluster.login, order.database) as connection:
            if role:
                wanted |= set(query(connection, UNSEEN, {"role": role}))
            below = query(connection, BELOW, {"tables": [_quoted(*name) for name in wanted]})
            excluded = sorted(wanted | set(below))
            there = [_quoted(*name) for name in sorted(below)]
            for table, other in query(connection, REFERRING, {"tables": there}):
                raise DumpError(f"{table} refers to {other}, whose rows are left out: leave out those of {table} too")
        self._wire.say({"ok": True, "excluded": [list(name) for name in excluded]})
        self._dump(cluster, order, *(f"--exclude-table-data={_quoted(*name)}" for name in excluded))
        self._wire.say({"ok": True})

    def _fail(self, reason: str) -> None:
        # Whoever would hear it may be gone.
        with contextlib.suppress(OSError, DumpError):
            self._wire.say({"ok": False, CANNOT: self._cannot, "reason": reason})
        with contextlib.suppress(OSError):
            say(PROGRAM, reason, error=True)


def creation(order: Order) -> Statement:
    """CREATE DATABASE as the dump's own server had it; ValueError where its settings are none that are known."""
    wanted = order.settings
    parts: list[t.Any] = ["CREATE DATABASE ", Name((order.database,)), " TEMPLATE template0"]
    for key, word in (("encoding", "ENCODING"), ("collate", "LC_COLLATE"), ("ctype", "LC_CTYPE")):
        if key in wanted:
            parts += [f" {word} ", Value(wanted[key])]
    provider = wanted.get("provider", "c")
    known = {"c": ("libc", ""), "i": ("icu", "ICU_LOCALE"), "b": ("builtin", "BUILTIN_LOCALE")}
    if provider not in known:
        raise ValueError(f"the manifest names a provider of locales that is not known: {provider!r}")
    name, option = known[provider]
    if provider != "c":
        parts += [f" LOCALE_PROVIDER {name}"]
        if "locale" in wanted:
            parts += [f" {option} ", Value(wanted["locale"])]
    return Statement("create", tuple(parts))


def _quoted(schema: str, name: str) -> str:
    """A name in SQL, and in pg_dump's patterns: within quotes nothing but the quote itself means anything."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in (schema, name))


def _watch(sandbox: Sandbox, descriptor: int, overall: float) -> None:
    """End everything as soon as the drill is gone or the time is over, whatever the main thread waits for."""
    poll = select.poll()
    poll.register(descriptor, 0)
    poll.poll(overall * 1000)
    if sandbox.cluster is not None:
        sandbox.cluster.kill()
    os.kill(os.getpid(), signal.SIGTERM)


def _ended(number: int, frame: types.FrameType | None) -> None:
    raise GoneError("the drill is gone, or its time is over")


def conceal() -> None:
    """What a dump runs has this process's user: it shall not trace it or read its memory."""
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def main(descriptor: int = SOCKET, *, root: str = ROOT, parent: str = "", overall: float = OVERALL) -> int:
    """Serve the one connection that is on *descriptor*."""
    conceal()
    wire = Wire(descriptor, descriptor, Clock(idle=overall, overall=overall), other="the drill")
    sandbox = Sandbox(wire, root=root, parent=parent or tempfile.gettempdir())
    for number in ENDING_SIGNALS:
        signal.signal(number, _ended)
    threading.Thread(target=_watch, args=(sandbox, descriptor, overall), daemon=True).start()
    with contextlib.suppress(GoneError):
        sandbox.run()
    return 0
