# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``dump-store drill``: which dumps are drilled, what is said of each, and what is written beside its manifest."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import pwd
import typing as t
from pathlib import Path

from ..config import MAY_BE_EMPTY
from ..folder import Folder
from ..freshness import Limits
from ..manifest import Document
from ..names import DUMP, DumpName, utc_text
from ..processes import DumpError, say
from ..signatures import Signers
from ..survey import DRILL_SUFFIX, Survey, drill_of, survey
from . import developer
from .drill import CannotError, Choice, Drill, Result, Tools, choose

PROGRAM = "dump-store"
SOCKET = "/run/taaraxtak-drill/socket"


@dataclasses.dataclass(frozen=True)
class Drilling:
    """The keys of ``drill`` in the keeper's settings.

    ``socket``: the sandbox's. ``policy``: the file with production's access policy, "" to hold no copy against it.
    ``identity``: the file with age's key, "" where dumps are not encrypted or this host shall not read them.
    ``timeout``: seconds that one dump may take. ``developer``: what developers are given, if anything.
    """

    socket: str = SOCKET
    policy: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    identity: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    age: str = "/usr/bin/age"
    timeout: float = 6 * 3600.0
    developer: developer.Copies = developer.NONE


@dataclasses.dataclass(frozen=True)
class Place:
    """Where dumps lie, whose signatures count, and what is expected of them."""

    archive: str
    signers: Signers
    zstd: str
    reserve: int
    expect: Limits


def run(place: Place, drilling: Drilling, names: t.Sequence[str], now: dt.datetime) -> int:
    """Drill the dumps *names*, or without any the newest ones and one by chance: 0 where each is verified."""
    _check_owner(place.archive, "drill")
    archive = Folder(place.archive)
    found = survey(archive, place.signers, now)
    choice = choose(found.held, place.expect.databases)
    chosen = [_named(name) for name in names] or [*choice.newest, *choice.older]
    problems = [] if names else _expected(found, choice, place.expect, now)
    if not chosen and not problems:
        problems.append("there is no archived dump with a right signature, so there is nothing to drill")
    policy = read_policy(drilling.policy)
    tools = Tools(drilling.socket, place.signers, drilling.identity, place.zstd, drilling.age, drilling.timeout)
    problems += _refreshed(drilling.developer)
    for name in chosen:
        # An older dump is held against its manifest alone: the policy is today's, and so are its tables.
        latest = name in choice.newest
        drill = Drill(archive, tools, name, policy if latest and _speaks_of(policy, name.database) else None)
        copies = developer.Publisher(drilling.developer, place.zstd, place.reserve)
        try:
            result = drill.run(copies.take if latest and drilling.developer.folder else None)
        except CannotError as error:
            problems.append(str(error))
            continue
        problems += _settled(archive, result)
        if copies.published is not None:
            say(PROGRAM, f"{copies.published} without what developers may not see is in {drilling.developer.folder}")
        problems += [copies.problem] if copies.problem else []
    for problem in problems:
        say(PROGRAM, problem, error=True)
    return 1 if problems else 0


def refresh(drilling: Drilling) -> int:
    """The verb ``refresh``: remove the copies that hold what developers may not see any more, and say which; 0."""
    copies = drilling.developer
    if copies.folder:
        _check_owner(copies.folder, "refresh")
        for name in developer.refresh(copies):
            say(PROGRAM, f"removed {name} from {copies.folder}: it may hold what developers may not see any more")
    return 0


def _refreshed(copies: developer.Copies) -> list[str]:
    """Sentences of what went wrong."""
    try:
        if copies.folder:
            developer.refresh(copies)
    except DumpError as error:
        return [str(error)]
    return []


def _check_owner(folder: str, verb: str) -> None:
    owner = Path(folder).stat().st_uid
    if os.geteuid() != owner:
        account = pwd.getpwuid(owner).pw_name
        raise DumpError(f"{folder} is {account}'s, who alone may do that: runuser -u {account} -- dump-store {verb}")


def _settled(archive: Folder, result: Result) -> list[str]:
    """Write and say what came of a drill; sentences of what went wrong."""
    name, stays = result.name, ""
    with archive.alone():
        before, _problems = drill_of(archive, name)
        if result.only_said and before is not None and before.ok and before.sha256 == result.sha256:
            # These very bytes were restored and found equal: what has changed since is the host.
            stays = f"; it was verified {utc_text(before.finished)}, which stays: look at the host, and drill it again"
        elif archive.stat(name.manifest) is not None:
            # What the retention has removed meanwhile needs no result.
            archive.put(f"{name}{DRILL_SUFFIX}", result.text().encode())
    if result.ok:
        checked = "; the policy holds" if result.policy.get("checked") and not result.broken else ""
        say(
            PROGRAM,
            f"{name} is verified: {result.tables} tables, {result.rows} rows, statements {result.ddl}{checked} "
            f"({result.seconds:.1f} s)",
        )
    failed = [f"the drill of {name} failed: {problem}{stays}" for problem in result.problems]
    return failed + [f"the copy of {name} is equal, but {problem}" for problem in result.broken]


def _expected(found: Survey, choice: Choice, expect: Limits, now: dt.datetime) -> list[str]:
    """A sentence for each database without a dump, for each whose newest is too old, however good it is, and for each
    newer one that is none.
    """
    received = {one.stored.name: one.stored.received for one in found.held}
    limit = dt.timedelta(hours=expect.archived_critical_hours)
    missing = [f"there is no archived dump of {database} with a right signature" for database in choice.lacking]
    begun = {name.database: name.started for name in sorted(choice.newest, key=lambda one: one.started, reverse=True)}
    newer = [
        f"{sentence}: it is newer than what is drilled of {name.database}"
        for name, sentence in found.uncounted
        if name.kind == DUMP and (name.database not in begun or name.started > begun[name.database])
    ]
    stale = [
        f"{name} is stale: the newest dump of {name.database}, and received more than "
        f"{expect.archived_critical_hours} hours ago"
        for name in choice.newest
        if now - received[name] >= limit
    ]
    return missing + stale + newer


def read_policy(path: str) -> Document | None:
    """The access policy in the file *path*, None for ""; DumpError where it can't be read."""
    if not path:
        return None
    try:
        document = json.loads(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise DumpError(f"the access policy could not be read from {path}: {error}") from error
    if not isinstance(document, dict):
        raise DumpError(f"{path} holds no access policy")
    return document


def _speaks_of(policy: Document | None, database: str) -> bool:
    """Whether *database* is in the policy's scope: a store may hold others' dumps too."""
    scope = policy.get("scope") if policy is not None else None
    return isinstance(scope, dict) and database in scope.get("databases", [])


def _named(name: str) -> DumpName:
    try:
        parsed = DumpName.parse(name)
    except ValueError as error:
        raise DumpError(str(error)) from None
    if parsed.kind != DUMP:
        raise DumpError(f"{name} holds the cluster's roles: they are drilled with each dump")
    return parsed
