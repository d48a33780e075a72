# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that reads how a server runs: its settings, the files that say who logs in, who is connected, its log."""

from __future__ import annotations

import contextlib
import hashlib
import time
import typing as t
from pathlib import Path

from ..audit.connections import Connection, allowed, read, untold
from ..postgres import settings
from ..postgres.settings_server import Server
from . import logins
from .plan.hba import render_hba, render_ident
from .policy.model import Policy
from .postgres import MAINTENANCE, Params, query, session

if t.TYPE_CHECKING:
    from .postgres import Connection as Connected

# Of a file of the log that is longer the beginning is not read, and that is said: so much takes half a minute.
LOG_BYTES = 256 * 1024 * 1024
# What tells of a connection is shorter; of a statement, which may have a gigabyte, no more is held.
LONGEST = 64 * 1024
# How often a log is read, and how long is waited in between, until it has what the server has just written. Seconds.
LOOKS, PAUSE = 3, 0.3
ACTIVITY = """
SELECT DISTINCT usename, coalesce(datname, ''), coalesce(host(client_addr), '[local]') FROM pg_stat_activity
WHERE backend_type IN ('client backend', 'walsender') AND usename IS NOT NULL
"""
FACTS = """
SELECT current_setting('server_version'), current_setting('cluster_name'),
  (SELECT setting FROM pg_config WHERE name = 'BINDIR'), pg_backend_pid()
"""
# What is logged, and where to.
LOGGING = ("log_connections", "log_destination", "log_line_prefix", "log_min_messages", "logging_collector")
# As current_setting() has them, and not as pg_settings does, where a list may have other blanks.
LOGGED = f"SELECT {', '.join(f'current_setting({name!r})' for name in LOGGING)}"


def serve(params: Params, policy: Policy, wanted: t.Mapping[str, t.Any], log: str | None) -> dict[str, t.Any]:
    """How the server runs, and where that differs from *policy* and the settings that are *wanted*.

    ValueError where the server, or a file that says who logs in, can't be read. That the log can't be is said under
    ``sessions`` alone.
    """
    with session(params, MAINTENANCE) as connection:
        ((version, cluster, programs, process),) = query(connection, FACTS)
        (values,) = query(connection, LOGGED)
        now = {Connection(*row) for row in query(connection, ACTIVITY)}
        files = login_files(connection, policy)
    server = Server({**params, "database": MAINTENANCE})
    live, (rows, _messages) = server.live(), server.files()
    path = log or f"/var/log/postgresql/postgresql-{cluster.replace('/', '-')}.log"
    why = untold(dict(zip(LOGGING, values, strict=True)), given=log is not None)
    return {
        "version": version,
        "programs": programs,
        "login_files": files,
        "settings": differences(live, wanted),
        "pending_restart": sorted(one.name for one in live if one.pending_restart),
        "waiting": waiting(live, rows),
        "sessions": sessions(now, policy, path, process, why),
    }


def login_files(connection: Connected, policy: Policy) -> dict[str, t.Any]:
    """The two files that say who logs in. Where the *policy* doesn't write them, nobody knows what they should be."""
    broken = ""
    files = logins.Files(unknown=tuple(logins.unloaded(connection)))
    if policy.authoritative:
        files = logins.compare(connection, render_hba(policy), render_ident(policy))
    try:
        logins.check(connection)
    except ValueError as error:
        broken = str(error)
    return {
        "compared": policy.authoritative,
        "different": [file.path for file in files.changed],
        "not_loaded": list(files.unknown),
        "broken": broken,
        "contents": logins.contents(connection),
    }


def differences(live: t.Sequence[settings.LiveSetting], wanted: t.Mapping[str, t.Any]) -> list[dict[str, str]]:
    """The settings that are not as they are *wanted*; one that waits for a restart is not among them."""
    by_name = {one.name.lower(): one for one in live}
    found = []
    for name, value in sorted(wanted.items()):
        text, one = settings.text(name, value), by_name.get(name.lower())
        if one is None:
            found.append({"name": name, "wanted": text, "live": "not known to the server"})
        elif not one.pending_restart and (equal := settings.same(one, text)) is not True:
            unknown = ", which can't be compared" if equal is None else ""
            found.append({"name": name, "wanted": text, "live": f"{one.value}{one.unit or ''}{unknown}"})
    return found


def waiting(live: t.Sequence[settings.LiveSetting], rows: t.Sequence[settings.FileSetting]) -> dict[str, str]:
    """By name a digest of what the files have for each setting that waits for a restart; "" where they have nothing."""
    last = {row.name.lower(): row.value or "" for row in rows if row.name is not None}
    return {
        one.name: hashlib.sha256(last[one.name.lower()].encode()).hexdigest() if one.name.lower() in last else ""
        for one in live
        if one.pending_restart
    }


def sessions(now: set[Connection], policy: Policy, log: str, process: int, why: str) -> dict[str, t.Any]:
    """Who is connected and who was, ``unexpected`` or not; *why* nobody knows who was, "" where the *log* says.

    A log that lacks the login of this very session, *process*, is another server's, or not understood.
    """
    was: set[Connection] = set()
    if not why:
        try:
            was, why = logged(log, process)
        except OSError as error:
            why = f"the server's log {log} can't be read: {error.strerror}"
    everybody = sorted((now | was), key=lambda one: (one.role, one.address, one.identity or "", one.database))
    return {
        "state": "unreadable" if why else "read",
        "why": why,
        "connected": [one.document() for one in everybody],
        "unexpected": [one.document() for one in everybody if not allowed(one, policy)],
        "log": log,
    }


def logged(path: str, process: int) -> tuple[set[Connection], str]:
    """The connections in the log and in the one before it, which logrotate has put aside; OSError where it is none.

    And why they may not be all, or not be true: "" where they are. That *process* is among them may take the server's
    collector a moment.
    """
    found: set[Connection] = set()
    processes: set[int] = set()
    for _look in range(LOOKS):
        whys = []
        with contextlib.suppress(FileNotFoundError):
            whys.append(_read(Path(f"{path}.1"), found, processes))
        whys.append(_read(Path(path), found, processes))
        why = next(filter(None, whys), "")
        if why or process in processes:
            return found, why
        time.sleep(PAUSE)
    return found, f"the server's log {path} lacks this very login: it is another's, or can't be understood"


def _read(path: Path, found: set[Connection], processes: set[int]) -> str:
    """Add what the file says; why that may not be all, or not be true."""
    strange: list[int] = []
    with path.open("rb") as file:
        skipped = max(0, file.seek(0, 2) - LOG_BYTES)
        file.seek(skipped)
        if skipped:
            # The rest of a line.
            file.readline()
        found |= read(_lines(file), processes, strange)
    if skipped:
        return f"the server's log {path} is longer than is read: its beginning was not looked at"
    if strange:
        return (
            f"the server's log {path} has no message of the server in line {strange[0]}: somebody has put line breaks "
            "into a name, or another program writes there, so that nobody knows which lines are true"
        )
    return ""


def _lines(file: t.BinaryIO) -> t.Iterator[str]:
    """The lines, each up to LONGEST; one that the server has not yet ended is none."""
    whole = True
    while piece := file.readline(LONGEST):
        ended = piece.endswith(b"\n")
        if whole and (ended or len(piece) == LONGEST):
            yield piece.decode("utf-8", "backslashreplace").rstrip("\n")
        whole = ended
