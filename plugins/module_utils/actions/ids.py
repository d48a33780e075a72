# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The id of a transaction: it outlives a crash, so that the server can say what became of the transaction."""

from __future__ import annotations

import contextlib
import time
import typing as t

from .interface import IS_ABORTED, IS_ANOTHER, IS_COMMITTED

# After a lost COMMIT the server may be starting again, or the session's end still be unknown to it.
PATIENCE, PAUSE = 60.0, 0.5
# The WAL is written within three rounds of its writer, of 0.2 s or what was set, at most 10 s (wal_writer_delay).
WRITTEN, LOOK = 40.0, 0.05
# Ids go their own ways in another cluster, and on another timeline; what is restored is another database.
CLUSTER = (
    "(SELECT system_identifier FROM pg_catalog.pg_control_system())"
    " || '/' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 8)"
    " || '/' || (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
)


def keep(connect: t.Callable[[], t.Any]) -> None:
    """See that a server that crashes from now on goes on behind every id that it has given until now.

    It goes on behind the last one that it finds in its WAL, and would give what comes after it again, to others, whose
    COMMIT would be taken for ours. ValueError where the WAL is not written. *connect* opens a session of its own.
    """
    position = ""
    with contextlib.closing(connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        end = time.monotonic() + WRITTEN
        while time.monotonic() < end:
            # A transaction of its own each time, so there is always more to write than what is waited for.
            cursor.execute("SELECT pg_catalog.pg_current_xact_id()")
            cursor.execute(
                "SELECT pg_catalog.pg_current_wal_insert_lsn()::text,"
                " pg_catalog.pg_current_wal_flush_lsn() >= NULLIF(%s, '')::pg_catalog.pg_lsn",
                (position,),
            )
            inserted, written = cursor.fetchone()
            if written:
                return
            position = position or inserted
            time.sleep(LOOK)
    raise ValueError(f"the server has not written its WAL for {WRITTEN:g} s: look at its disk")


def became(ask: t.Callable[[], str], patience: float) -> str:
    """`IS_COMMITTED`, `IS_ABORTED` or `IS_ANOTHER`, asked while the *patience* lasts; "" where nobody can say."""
    end = time.monotonic() + patience
    while True:
        said = ask()
        if said in (IS_COMMITTED, IS_ABORTED, IS_ANOTHER):
            return said
        if time.monotonic() >= end:
            return ""
        time.sleep(PAUSE)
