# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of programs, sessions and locks: what dies, waits or comes twice."""

from __future__ import annotations

import signal
import time
import typing as t

from .hosts import RECEIVER, SENDER, SOURCE, Estate, until
from .running import WHOLE, Fault, Seen
from .scripts import LEFT_ON_PRODUCTION

SENDING = r"/usr/bin/python3 -I /usr/local/bin/dump-send"
ENDED = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'dumper'"


def killed(pattern: str) -> t.Callable[[Estate], Seen]:
    """A part on production, killed in the middle of a dump."""

    def inject(estate: Estate) -> Seen:
        with estate.held() as sender:
            estate.production.signal(pattern, signal.SIGKILL)
        return Seen.of(estate.ended(sender))

    return inject


def killed_sender(estate: Estate) -> Seen:
    began = time.time()
    with estate.held() as sender:
        estate.production.signal(SENDING, signal.SIGKILL)
        # While the store takes nothing and says nothing.
        left = estate.production.ask(LEFT_ON_PRODUCTION, 10)
    run = estate.ended(sender)
    # It can't say anything any more: the store's log does.
    until(lambda: "refused" in estate.journal(began), "the store to notice")
    return Seen(run.status, estate.journal(began), [f"left while the store stands still: {row}" for row in left])


def killed_receiver(estate: Estate) -> Seen:
    with estate.held() as sender:
        estate.store.signal(RECEIVER, signal.SIGKILL)
    return Seen.of(estate.ended(sender))


def killed_store_sshd(estate: Estate) -> Seen:
    with estate.held() as sender:
        estate.store.signal(r"sshd[-a-z]*: dumps", signal.SIGKILL)
    return Seen.of(estate.ended(sender))


def ended_backend(where: str) -> t.Callable[[Estate], Seen]:
    """The sessions of a dump, or some of them, ended by an administrator."""

    def inject(estate: Estate) -> Seen:
        with estate.held() as sender:
            if estate.sql(f"{ENDED} {where}") == "0\n":
                raise RuntimeError("there was no session to end")
        return Seen.of(estate.ended(sender))

    return inject


def missing_database(estate: Estate) -> Seen:
    """Both settings name a database that isn't there."""
    with (
        estate.text(estate.production, SOURCE, lambda text: text.replace('"taaraxtak"', '"gone"')),
        estate.send_settings(databases=["gone"]),
    ):
        return Seen.of(estate.send())


def restarted_server(estate: Estate) -> Seen:
    with estate.held() as sender:
        estate.production.check("systemctl", "restart", "postgresql")
    return Seen.of(estate.ended(sender))


def crashed_server(estate: Estate) -> Seen:
    """A backend killed as by the kernel for want of memory: PostgreSQL ends every session and recovers."""
    with estate.held() as sender:
        estate.production.signal(r"postgres: .*dumper taaraxtak .* COPY", signal.SIGKILL)
        until(lambda: estate.production.run("pg_isready", "-q").returncode == 0, "PostgreSQL to recover")
    return Seen.of(estate.ended(sender))


def long_lock(estate: Estate) -> Seen:
    with estate.settings(estate.production, SOURCE, lock_wait_timeout=2), estate.locked():
        return Seen.of(estate.send())


def two_runs(estate: Estate) -> Seen:
    """The second fails; the first, which it must not disturb, is then ended."""
    with estate.held() as first:
        second = estate.send()
        estate.production.signal(SENDING, signal.SIGTERM)
    run = estate.ended(first)
    return Seen(second.status, second.said, [] if "interrupted" in run.said else [f"the first said: {run.said}"])


def two_runs_first_unharmed(estate: Estate) -> Seen:
    with estate.held() as first:
        second = estate.send()
    run = estate.ended(first)
    return Seen(run.status, run.said, [] if second.status else ["the second ran too"])


def rows_meanwhile(estate: Estate) -> Seen:
    """The collector goes on writing; the dump is of one moment, so its counts agree all the same."""
    counting = "SELECT count(*) FROM public.ooni_web_connectivity_test"
    with estate.held() as sender:
        before = int(estate.sql(counting))
        until(lambda: int(estate.sql(counting)) > before, "the collector to write a row")
    return Seen.of(estate.ended(sender))


def second_attempt(estate: Estate) -> Seen:
    """What failed once is tried again, from a new snapshot."""
    with estate.send_settings(retry_delays=[1]):
        with estate.held() as sender:
            estate.production.signal(r"/usr/lib/postgresql/\d+/bin/pg_dump ", signal.SIGKILL)
        return Seen.of(estate.ended(sender))


def sender_asked_to_end(number: signal.Signals) -> t.Callable[[Estate], Seen]:
    def inject(estate: Estate) -> Seen:
        with estate.held() as sender:
            estate.production.signal(SENDING, number)
        return Seen.of(estate.ended(sender))

    return inject


def source_waits_and_dies(estate: Estate) -> Seen:
    """The sender dies while the source waits for a lock: no session may stay in the queue behind it."""
    with estate.locked():
        sender = estate.production.start(*SENDER)
        waiting = "SELECT 1 FROM pg_stat_activity WHERE usename = 'dumper' AND wait_event_type = 'Lock'"
        until(lambda: estate.sql(waiting) != "", "the source to wait")
        estate.production.signal(SENDING, signal.SIGKILL)
        run = estate.ended(sender)
        gone = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dumper'"
        until(lambda: estate.sql(gone) == "0\n", "the session to leave the queue")
    return Seen(run.status, "killed")


FAULTS = (
    Fault("database missing", missing_database, "could not connect to the database gone", quick=True),
    Fault("backend terminated mid-dump", ended_backend("AND query LIKE 'COPY%'"), "COPY faultbed.ballast", quick=True),
    Fault("every session of the dump terminated", ended_backend(""), "COPY faultbed.ballast"),
    Fault("backend killed, PostgreSQL recovers", crashed_server, "pg_dump failed"),
    Fault("PostgreSQL restarted mid-dump", restarted_server, "pg_dump failed"),
    Fault(
        "pg_dump killed", killed(r"/usr/lib/postgresql/\d+/bin/pg_dump "), "pg_dump was ended by signal 9", quick=True
    ),
    Fault("zstd killed", killed(r"/usr/bin/zstd "), "zstd was ended by signal 9"),
    Fault("sudo killed", killed(r"/usr/bin/sudo -n"), "the source ended"),
    Fault(
        "source killed",
        killed(r"/usr/bin/python3 -I /usr/local/sbin/dump-source"),
        "the source ended before its stream did",
        quick=True,
    ),
    Fault("ssh killed", killed(r"/usr/bin/ssh "), "the connection to the store broke", quick=True),
    Fault("sender killed (the store's log tells)", killed_sender, "ended before its (trailer|signature)", quick=True),
    Fault("sender killed while the source waits for a lock", source_waits_and_dies, "killed"),
    Fault("sender told to end (SIGTERM)", sender_asked_to_end(signal.SIGTERM), "interrupted by SIGTERM"),
    Fault("sender's terminal gone (SIGHUP)", sender_asked_to_end(signal.SIGHUP), "interrupted by SIGHUP"),
    Fault("receiver killed", killed_receiver, "the connection to the store broke", partial=True, quick=True),
    Fault("sshd of the connection killed", killed_store_sshd, "the connection to the store broke"),
    Fault("a table locked ACCESS EXCLUSIVE longer than the wait", long_lock, "lock timeout"),
    Fault("two runs at once: the second", two_runs, "another dump is under way", quick=True),
    Fault("two runs at once: the first", two_runs_first_unharmed, "is stored", WHOLE, fails=False),
    Fault("pg_dump killed, and a second attempt", second_attempt, "sql.zst is stored", WHOLE, fails=False),
    Fault("rows inserted during the dump", rows_meanwhile, "is stored", WHOLE, fails=False),
)
