# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-send``: carry dumps from the source on this host to the stores on others, and know that they arrived.

It succeeds on one thing alone: each store's answer that it holds each dump, with the size and SHA-256 seen here. A
store that fails does not keep the next from getting its dumps.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pwd
import sys
import typing as t
from pathlib import Path

from . import notify
from .config import read_settings
from .locks import only_one
from .processes import DumpError, hold_signals, show
from .progress import Progress
from .stores import Delivery, Result, Settings
from .transfer import InterruptedRunError, Interruption

PROGRAM = "dump-send"
CONFIG = "/etc/taaraxtak/dump-send.json"


def refuse_root(lock_file: str) -> None:
    """DumpError for root where another account sends: root's lock could not be opened by it any more."""
    try:
        owner = Path(lock_file).parent.stat().st_uid
    except OSError:
        # The lock itself says it better.
        return
    if os.geteuid() == 0 and owner != 0:
        try:
            account = pwd.getpwuid(owner).pw_name
        except KeyError:
            account = f"#{owner}"
        raise DumpError(f"root may not send dumps here: start it as {account}: runuser -u {account} -- {PROGRAM}")


def send(
    settings: Settings,
    *,
    artefacts: t.Sequence[str],
    stores: t.Sequence[str],
    progress: Progress,
    interruption: Interruption,
    tell: t.Callable[[Result], None],
) -> list[Result]:
    """Bring *artefacts* to *stores*, one store after the other; *tell* hears of each as soon as it is certain."""
    results: list[Result] = []
    # Those of which nothing was told yet: a signal may come between any two lines.
    rest = [Delivery(settings, store, progress, interruption) for store in settings.stores if store.name in stores]

    def report(delivery: Delivery) -> None:
        for result in delivery.results.values():
            results.append(result)
            tell(result)

    try:
        while rest:
            _bring(rest[0], artefacts)
            interruption.hold()
            report(rest.pop(0))
            interruption.release()
    except Exception as error:
        for delivery in rest:
            delivery.give_up(error, artefacts)
            report(delivery)
        raise
    return results


def _bring(delivery: Delivery, artefacts: t.Sequence[str]) -> None:
    """Whatever goes wrong, unless this run was asked to end: the next store gets its dumps all the same."""
    try:
        delivery.run(artefacts)
    except InterruptedRunError:
        raise
    except (DumpError, ValueError, OSError) as error:
        delivery.give_up(error)


def main(config: str = CONFIG) -> int:
    """Send what is dumped: 0 where each store holds all of it, else 1; a line for each dump and store."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Dump, and bring the dumps to their stores.")
    parser.add_argument("--artefact", action="append", metavar="NAME", help="only this database, or globals")
    parser.add_argument("--store", action="append", metavar="NAME", help="only to this store")
    parser.add_argument("--once", action="store_true", help="do not try again what fails")
    parser.add_argument("--json", action="store_true", help="say how it ended in one line of JSON")
    given = parser.parse_args()
    interruption, progress = Interruption(), Progress(PROGRAM)
    interruption.listen()
    told: list[Result] = []

    def tell(result: Result) -> None:
        told.append(result)
        if not given.json:
            progress.say(result.line(), error=not result.ok)

    failure, notify_file, partial = "", notify.CONFIG, False
    try:
        try:
            settings = read_settings(Settings, config)
            if given.once:
                settings = dataclasses.replace(settings, retry_delays=())
            notify_file = settings.notify_file
            known = [store.name for store in settings.stores]
            artefacts = _chosen(given.artefact, settings.artefacts, "artefact")
            stores = _chosen(given.store, known, "store")
            partial = (artefacts, stores) != (list(settings.artefacts), known)
            refuse_root(settings.lock_file)
            with only_one(settings.lock_file, "dump", "this one was not started"):
                send(
                    settings,
                    artefacts=artefacts,
                    stores=stores,
                    progress=progress,
                    interruption=interruption,
                    tell=tell,
                )
        finally:
            # From here on it is only told how it went, and somebody must hear of it.
            hold_signals()
    except InterruptedRunError as error:
        failure = f"the run was {error}"
    except (DumpError, ValueError, OSError) as error:
        failure = f"no dump was stored: {error}"
    if failure:
        progress.say(failure, error=True)
    if given.json:
        document = {"results": [result.document() for result in told], "reason": failure}
        show(sys.stdout, json.dumps(document) + "\n")
    whole = not failure and bool(told) and all(result.ok for result in told)
    lines = [*([failure] if failure else []), *(result.line() for result in told if not result.ok)]
    subject = "every dump is at every store" if whole else "not every dump is at every store"
    # Who misses the ping must not be calmed by one dump that somebody sent by hand.
    if not (whole and partial):
        notify.tell(PROGRAM, subject, ok=whole, lines=lines, path=notify_file)
    return 0 if whole else 1


def _chosen(wanted: t.Sequence[str] | None, known: t.Sequence[str], what: str) -> list[str]:
    """Those of *known* that are *wanted*, in their own order; ValueError for another."""
    unknown = sorted(set(wanted or ()) - set(known))
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no {what} that the settings know: {', '.join(known)}")
    return [name for name in known if not wanted or name in wanted]
