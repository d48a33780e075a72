# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to pg_hba.conf and pg_ident.conf: replace them, prove that one can log in, or put the old ones back."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
import time
import typing as t
from pathlib import Path

from ..files.whole import replace
from . import files
from .postgres import MAINTENANCE, Params, query, session

if t.TYPE_CHECKING:
    from .postgres import Connection

PLACES = "SELECT current_setting('hba_file'), current_setting('ident_file'), extract(epoch FROM pg_conf_load_time())"
# Which process the server is, when it was started and with which memory: two hosts, even clones, differ in it.
RUNNING = "SELECT current_setting('data_directory'), pg_read_binary_file('postmaster.pid')"
READ = "SELECT pg_read_binary_file(%(path)s)"
SEEN = "SELECT size IS NOT NULL FROM pg_stat_file(%(path)s, true)"
RELOAD = "SELECT pg_reload_conf()"
# The server reloads within milliseconds; on a host that swaps it may take a while. Seconds.
RELOAD_TIMEOUT = 10.0
# pg_ident_file_mappings came with 15.
IDENT_VIEW = 150000


@dataclasses.dataclass(frozen=True)
class File:
    """A file whose content is not the wanted one."""

    path: str
    old: bytes
    new: bytes


@dataclasses.dataclass(frozen=True)
class Files:
    """What to do with the two files; ``reload``: the server is to read them (again).

    ``unknown`` are the paths of files that are as wanted and not loaded, as after a run that was cut off: what they
    were before, nobody knows.
    """

    changed: tuple[File, ...] = ()
    reload: bool = False
    unknown: tuple[str, ...] = ()


def compare(connection: Connection, hba: str, ident: str) -> Files:
    """What is to be done so that the server works by these two texts.

    ValueError where a file can't be read here, or where the server doesn't see the same file: it is another host's.
    Equal bytes prove nothing of that, since two new servers have them, and nor does an address, since it may be a
    tunnel's: the server's process is compared, too.
    """
    ((data, running),) = query(connection, RUNNING)
    if files.read(f"{data}/postmaster.pid")[0] != bytes(running):
        raise ValueError(_elsewhere(f"{data}/postmaster.pid"))
    ((hba_path, ident_path, loaded),) = query(connection, PLACES)
    changed = []
    unknown = []
    stale = False
    for path, text in ((hba_path, hba), (ident_path, ident)):
        content, changed_at = files.read(path)
        if _read(connection, path) != content:
            raise ValueError(_elsewhere(path))
        stale = stale or changed_at > loaded
        if content != text.encode():
            changed.append(File(path, content, text.encode()))
        elif changed_at > loaded:
            unknown.append(path)
    return Files(tuple(changed), reload=bool(changed) or stale, unknown=tuple(unknown))


def _read(connection: Connection, path: str) -> bytes:
    """The file's content as the server reads it."""
    ((content,),) = query(connection, READ, {"path": path})
    return bytes(content)


def _elsewhere(path: str) -> str:
    return f"{path} here is not the file that the server reads: run this on the server's host, or leave hba off"


def contents(connection: Connection) -> dict[str, str]:
    """Of each of the two files the beginning of its content's SHA-256, by its path."""
    ((*paths, _loaded),) = query(connection, PLACES)
    return {path: hashlib.sha256(files.read(path)[0]).hexdigest()[:16] for path in paths}


def unloaded(connection: Connection) -> list[str]:
    """The paths of those of the two files, whatever is in them, that have changed since the server has read them."""
    ((*paths, loaded),) = query(connection, PLACES)
    return [path for path in paths if files.read(path)[1] > loaded]


def install(params: Params, connection: Connection, plan: Files) -> None:
    """Write the files, read them back as the server parses them, reload, and log in anew with *params*.

    *connection* stays open meanwhile: it is the way back. ValueError where any step fails; the old files are back then,
    but for those of which no older one is known, which it says. Nothing is written into a folder that is not the
    server's own.
    """
    for file in plan.changed:
        _prove(connection, file.path)
    written: list[File] = []
    try:
        for file in plan.changed:
            written.append(file)
            replace(Path(file.path), file.new)
            if _read(connection, file.path) != file.new:
                raise ValueError(_elsewhere(file.path))
        check(connection)
        _reload(params, connection, patient=False)
    except BaseException as error:
        back = _restore(params, connection, written, plan.unknown)
        if isinstance(error, ValueError):
            raise ValueError(f"pg_hba.conf and pg_ident.conf: {error}; {back}") from error
        raise


def _prove(connection: Connection, path: str) -> None:
    """ValueError where the server doesn't see a new file, whose name nobody could foresee, beside *path*."""
    folder = Path(path).resolve().parent
    try:
        with tempfile.NamedTemporaryFile(prefix=".taaraxtak-", dir=folder) as proof:
            ((seen,),) = query(connection, SEEN, {"path": proof.name})
    except OSError as error:
        raise ValueError(f"could not write into {folder}: {error.strerror}") from error
    if not seen:
        raise ValueError(_elsewhere(path))


def check(connection: Connection) -> None:
    """ValueError with the lines of the two files, as they are on disk, that the server can't parse."""
    views = {"pg_hba.conf": "SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL"}
    if connection.server_version >= IDENT_VIEW:
        views["pg_ident.conf"] = "SELECT line_number, error FROM pg_ident_file_mappings WHERE error IS NOT NULL"
    errors = [
        f"{name} line {line}: {error}" for name, select in views.items() for line, error in query(connection, select)
    ]
    if errors:
        raise ValueError("; ".join(errors))


def _reload(params: Params, connection: Connection, *, patient: bool) -> None:
    """Have the server read the files, and log in by them; *patient*: a refused login may be by those from before."""
    ((before,),) = query(connection, "SELECT pg_conf_load_time()")
    ((sent,),) = query(connection, RELOAD)
    if not sent:
        raise ValueError("the server could not be told to reload: see its log")
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while True:
        try:
            with session(params, MAINTENANCE) as new:
                # A new session begins with the time at which the server itself has loaded the files.
                ((loaded,),) = query(new, "SELECT pg_conf_load_time()")
            if loaded > before:
                return
            problem = ValueError(f"the server has not reloaded within {RELOAD_TIMEOUT:.0f} s: see its log")
        except ValueError as error:
            if not patient:
                raise
            problem = error
        if time.monotonic() > deadline:
            raise problem
        time.sleep(0.02)


def _restore(params: Params, connection: Connection, written: t.Sequence[File], unknown: t.Sequence[str]) -> str:
    """Put the old files back; how that went, for the end of a sentence."""
    try:
        for file in written:
            if files.read(file.path)[0] != file.old:
                replace(Path(file.path), file.old)
        if written:
            _reload(params, connection, patient=True)
    except ValueError as error:
        return f"and the old ones could not be put back ({error}): mend them by hand now"
    if unknown:
        return (
            f"no older {' and '.join(unknown)} is known that could be put back, since it was written before this run: "
            "mend it by hand, as root, and have the server reload before it is restarted"
        )
    return "the old files are back and logins work as before"
