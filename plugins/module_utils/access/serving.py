# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge that reads how a server runs: its settings, the files that say who logs in, who is connected, its log."""

from __future__ import annotations

import contextlib
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

# So much of the end of each file of the log is read: some hundred thousand connections.
LOG_BYTES = 32 * 1024 * 1024
# How often a log is read, and how long is waited in between, until it has what the server has just written. Seconds.
LOOKS, PAUSE = 3, 0.3
ACTIVITY = """
SELECT DISTINCT usename, datname, coalesce(host(client_addr), '[local]') FROM pg_stat_activity
WHERE backend_type = 'client backend' AND usename IS NOT NULL
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
    live = Server({**params, "database": MAINTENANCE}).live()
    path = log or f"/var/log/postgresql/postgresql-{cluster.replace('/', '-')}.log"
    why = untold(dict(zip(LOGGING, values, strict=True)), given=log is not None)
    return {
        "version": version,
        "programs": programs,
        "login_files": files,
        "settings": differences(live, wanted),
        "pending_restart": sorted(one.name for one in live if one.pending_restart),
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
        elif not one.pending_restart and settings.same(one, text) is False:
            found.append({"name": name, "wanted": text, "live": f"{one.value}{one.unit or ''}"})
    return found


def sessions(now: set[Connection], policy: Policy, log: str, process: int, why: str) -> dict[str, t.Any]:
    """Who is connected and who was, ``unexpected`` or not; *why* nobody knows who was, "" where the *log* says.

    A log that lacks the login of this very session, *process*, is another server's, or not understood.
    """
    was: set[Connection] = set()
    if not why:
        try:
            was, seen = logged(log, process)
            why = (
                "" if seen else f"the server's log {log} lacks this very login: it is another's, or can't be understood"
            )
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


def logged(path: str, process: int) -> tuple[set[Connection], bool]:
    """The connections in the log and in the one before it, which logrotate has put aside; OSError where it is none.

    And whether *process* is among them, which may take the server's collector a moment.
    """
    found: set[Connection] = set()
    processes: set[int] = set()
    for _look in range(LOOKS):
        with contextlib.suppress(FileNotFoundError):
            found |= read(_tail(Path(f"{path}.1")), processes)
        found |= read(_tail(Path(path)), processes)
        if process in processes:
            return found, True
        time.sleep(PAUSE)
    return found, False


def _tail(path: Path) -> t.Iterator[str]:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - LOG_BYTES))
        for line in file:
            yield line.decode("utf-8", "backslashreplace").rstrip("\n")
