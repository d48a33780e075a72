# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs of ``dump-store`` that keep the archive: prune, check, drill, refresh, adopt, tell. Its owner runs them."""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import os
import sys
import syslog
import typing as t
from pathlib import Path

from . import adopt, copying, freshness, metrics, notify, retention, survey
from .config import MAY_BE_EMPTY, read_settings
from .finding import Finding, Level
from .folder import Folder, sweep
from .names import DumpName, read_utc, utc_text
from .processes import DumpError, say
from .quota import Limits, Room
from .restore import drilling
from .signatures import KEYGEN, SIGNERS, Signers

PROGRAM = "dump-store"
CONFIG = "/etc/taaraxtak/dump-keep.json"
VERBS = ("prune", "check", "drill", "refresh", "adopt", "copy", "tell")
# The same alarm is told again after so long.
REMINDER = dt.timedelta(hours=24)
KEEP = retention.Policy()
EXPECT = freshness.Limits()
# No verdict, and no failure that was foreseen: what systemd tells of by itself.
CRASHED = 3
DRILL = drilling.Drilling()


@dataclasses.dataclass(frozen=True)
class Settings:
    """The keys of the settings' file: paths, bytes, and what is kept and expected.

    ``incidents``: the folder of the files that say why rows are gone. ``textfile``: node_exporter's, "" for none.
    ``told``: where it is noted what was told last, "" to tell at every check. ``readers``: the group of archived data.
    """

    archive: str
    incoming: str
    signers: str = SIGNERS
    keygen: str = KEYGEN
    zstd: str = "/usr/bin/zstd"
    readers: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    max_bytes: int = 100 << 30
    quota_bytes: int = 500 << 30
    reserve_bytes: int = 1 << 30
    incidents: str = "/etc/taaraxtak/incidents"
    textfile: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    told: str = dataclasses.field(default="", metadata=MAY_BE_EMPTY)
    notify_file: str = notify.CONFIG
    keep: retention.Policy = KEEP
    expect: freshness.Limits = EXPECT
    drill: drilling.Drilling = DRILL


def add_verbs(verbs: t.Any) -> None:
    """Add the verbs to a parser's *verbs*."""
    pruning = verbs.add_parser("prune", help="remove the dumps that nothing keeps, and say of each why")
    pruning.add_argument("--dry-run", action="store_true", help="only say what would go")
    pruning.add_argument("--json", action="store_true", help="as JSON")
    checking = verbs.add_parser("check", help="judge the archive: exit status 0 ok, 1 warning, 2 critical")
    checking.add_argument("--json", action="store_true", help="as JSON")
    checking.add_argument("--tell", action="store_true", help="tell of it as the settings of notify say")
    proving = verbs.add_parser("drill", help="restore dumps in the sandbox, and prove the copies equal")
    proving.add_argument(
        "names", nargs="*", metavar="NAME", help="default: the newest ones, and an older one by chance"
    )
    verbs.add_parser("refresh", help="remove the copies that hold what developers may not see any more")
    adopting = verbs.add_parser("adopt", help="take old .sql.tar.gz and .sql.gz dumps into the archive")
    adopting.add_argument("--list", action="store_true", help="only say what would be adopted, under which name")
    adopting.add_argument("paths", nargs="+", metavar="PATH", help="a file, or a folder of them")
    copying.add_verb(verbs)
    telling = verbs.add_parser("tell", help="tell that a unit failed")
    telling.add_argument("unit")


def run(given: argparse.Namespace, config: str = CONFIG) -> int:
    """Do the verb that was *given*; the exit status."""
    settings, now = None, dt.datetime.now(dt.UTC)
    if given.verb == "tell":
        return _tell_of(given.unit, config)
    try:
        settings = read_settings(Settings, config)
        return _do(given, settings, now)
    except (DumpError, ValueError, OSError) as error:
        reason = str(error) or type(error).__name__
        say(PROGRAM, reason, error=True)
        if given.verb != "check":
            return 1
        _unchecked(settings, reason, now, telling=given.tell)
        # What could not be judged is as bad as can be.
        return int(Level.CRITICAL)
    except Exception as error:  # pylint: disable=broad-exception-caught
        if given.verb != "check":
            raise
        reason = f"the check itself failed: {type(error).__name__}: {error}"
        say(PROGRAM, reason, error=True)
        _unchecked(settings, reason, now, telling=given.tell)
        return CRASHED


def _unchecked(settings: Settings | None, reason: str, now: dt.datetime, *, telling: bool) -> None:
    """Tell that there is no verdict, and leave no figures of an earlier one."""
    if telling:
        path = settings.notify_file if settings is not None else notify.CONFIG
        notify.tell(PROGRAM, "the dumps could not be checked", ok=False, lines=[reason], path=path)
    if settings is not None and settings.textfile:
        try:
            write_whole(settings.textfile, metrics.unchecked(now), 0o644)
        except OSError as error:
            say(PROGRAM, f"the figures could not be written: {error}", error=True)


def _do(given: argparse.Namespace, settings: Settings, now: dt.datetime) -> int:
    if given.verb == "prune":
        decisions = prune(settings, now, dry=given.dry_run)
        show_decisions(decisions, dry=given.dry_run, as_json=given.json)
        return 0
    if given.verb == "check":
        return _check(settings, now, as_json=given.json, telling=given.tell)
    if given.verb == "drill":
        place = drilling.Place(
            settings.archive, _signers(settings), settings.zstd, settings.reserve_bytes, settings.expect
        )
        return drilling.run(place, settings.drill, given.names, now)
    if given.verb == "refresh":
        return drilling.refresh(settings.drill)
    if given.verb == "copy":
        return _copy(settings, now, given.command)
    return _adopt(settings, now, given.paths, only_list=given.list)


def _signers(settings: Settings) -> Signers:
    return Signers(settings.signers, settings.keygen)


# Prune


def prune(settings: Settings, now: dt.datetime, *, dry: bool) -> tuple[retention.Decision, ...]:
    """Remove what nothing keeps, unless *dry*; the decisions, oldest dump first."""
    archive = Folder(settings.archive)
    # The archiver holds the same lock while it gives names.
    with archive.alone():
        found = survey.survey(archive, _signers(settings), now)
        decisions = retention.decide((held.stored for held in found.held), settings.keep, now)
        if not dry:
            for decision in decisions:
                if not decision.keep:
                    remove(archive, decision.name)
                    # At once: should the next one fail, this one is gone all the same.
                    syslog.syslog(syslog.LOG_INFO, f"removed {decision.name}: {'; '.join(decision.reasons)}")
            for file in found.orphans:
                archive.unlink(file)
            sweep(archive, now.timestamp())
            archive.sync()
    return decisions


def remove(archive: Folder, name: DumpName) -> None:
    """Remove a dump: its manifest first and for good, so that whatever dies in between leaves no dump without data."""
    archive.unlink(name.manifest)
    archive.sync()
    archive.unlink(f"{name}{survey.DRILL_SUFFIX}")
    archive.unlink(str(name))


def show_decisions(decisions: t.Sequence[retention.Decision], *, dry: bool, as_json: bool) -> None:
    """Say what became, or would become, of each dump, and why."""
    if as_json:
        rows = [{"name": str(one.name), "keep": one.keep, "reasons": list(one.reasons)} for one in decisions]
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
        return
    verb = "would remove" if dry else "removed"
    for one in decisions:
        sys.stdout.write(f"{'keep' if one.keep else verb} {one.name}: {'; '.join(one.reasons)}\n")
    gone = sum(not one.keep for one in decisions)
    sys.stdout.write(f"{verb} {gone} of {len(decisions)} dumps\n")


# Check


def check(settings: Settings, now: dt.datetime) -> freshness.Verdict:
    """The verdict on the archive."""
    found = survey.look(
        Folder(settings.archive),
        Folder(settings.incoming),
        _signers(settings),
        notes=settings.incidents,
        quota=settings.quota_bytes,
        reserve=settings.reserve_bytes,
        now=now,
    )
    return freshness.judge(found, settings.expect, now)


def _check(settings: Settings, now: dt.datetime, *, as_json: bool, telling: bool) -> int:
    verdict = check(settings, now)
    if settings.textfile:
        try:
            write_whole(settings.textfile, metrics.textfile(verdict), 0o644)
        except OSError as error:
            # Old figures would look like a check that went well.
            sentence = f"the figures could not be written: {error}"
            say(PROGRAM, sentence, error=True)
            found = Finding(Level.WARNING, sentence, "figures")
            verdict = dataclasses.replace(verdict, findings=(*verdict.findings, found))
    if as_json:
        sys.stdout.write(json.dumps(verdict.document(), indent=2) + "\n")
    else:
        for finding in verdict.findings:
            sys.stdout.write(f"{finding.level}: {finding.sentence}\n")
        sys.stdout.write(f"the dumps are {verdict.level}\n")
    if telling:
        tell(settings, verdict)
    return int(verdict.level)


def tell(settings: Settings, verdict: freshness.Verdict) -> None:
    """A ping where all is well; else the findings, where they are other than those told last, and once a day."""
    lines = [f"{finding.level}: {finding.sentence}" for finding in verdict.findings]
    gist = sorted({f"{finding.level}: {finding.gist}" for finding in verdict.findings})
    if verdict.level and _told(settings.told, gist, verdict.at):
        return
    subject = f"the dumps are {verdict.level}"
    reached = notify.tell(PROGRAM, subject, ok=not verdict.level, lines=lines, path=settings.notify_file)
    # An alarm that did not arrive is told again at the next check.
    if settings.told and reached:
        try:
            write_whole(settings.told, json.dumps({"at": utc_text(verdict.at), "gist": gist}) + "\n", 0o600)
        except OSError as error:
            say(PROGRAM, f"what was told could not be noted, so it is told again: {error}", error=True)


def _told(path: str, gist: list[str], now: dt.datetime) -> bool:
    """Whether the same was told a short while ago; where that is not known, it was not."""
    try:
        last = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        return bool(last["gist"] == gist and dt.timedelta() <= now - read_utc(last["at"]) < REMINDER)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_whole(path: str, text: str, mode: int) -> None:
    """Put *text* in the place of the file *path*: whoever reads it finds the old or the new one, never a part."""
    target = Path(path)
    # Not *.prom, which node_exporter would read.
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    # Of a process with our number that was killed.
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _tell_of(unit: str, config: str) -> int:
    """The verb ``tell``: settings that are wrong may be why the unit failed, and must not keep that from anybody."""
    lines, path = [f"journalctl -u {unit} -n 50 tells more"], notify.CONFIG
    try:
        path = read_settings(Settings, config).notify_file
    except ValueError as error:
        say(PROGRAM, str(error), error=True)
        lines.append(str(error))
    return int(not notify.tell(PROGRAM, f"{unit} failed", ok=False, lines=lines, path=path))


# Adopt


def _copy(settings: Settings, now: dt.datetime, command: t.Sequence[str]) -> int:
    archive, incoming = Folder(settings.archive), Folder(settings.incoming)
    room = Room(Limits(settings.max_bytes, settings.quota_bytes, settings.reserve_bytes), incoming, archive)
    copier = copying.Copier(archive, room, _signers(settings), settings.readers, tuple(command))
    return copying.run(copier, now)


def _adopt(settings: Settings, now: dt.datetime, paths: t.Sequence[str], *, only_list: bool) -> int:
    files, status = adopt.candidates(paths), 0
    if not files:
        raise DumpError(
            "there is no old dump there: their names are DATABASE_YYYY-MM-DD-HH.MM.SS.sql.tar.gz or .sql.gz"
        )
    archive = Folder(settings.archive)
    limits = Limits(dump=settings.max_bytes, all=settings.quota_bytes, reserve=settings.reserve_bytes)
    room = Room(limits, Folder(settings.incoming), archive)
    adopter = adopt.Adopter(archive, room, zstd=settings.zstd, readers=settings.readers)
    for file in files:
        try:
            name = adopt.old_name(file.name)
            if only_list:
                there = archive.stat(name.manifest) is not None
                what = "is adopted already, as" if there else "would be adopted as"
                sys.stdout.write(f"{file} ({file.stat().st_size} bytes) {what} {name}\n")
                continue
            trailer = adopter.adopt(file, name, now)
            sys.stdout.write(
                f"adopted {file} as {name}: {trailer.rows} rows, {trailer.bytes} bytes, compressed again with zstd\n"
            )
        except (DumpError, ValueError, OSError) as error:
            say(PROGRAM, f"{file} is not adopted: {error}", error=True)
            status = 1
    return status
