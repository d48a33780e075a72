# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incidents in the folder incidents/: begin, judge and approve one, say where each stands and whether any is overdue.

Where a file is not as it should be, the exit status is 1 and a sentence says why.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.module_utils.actions import approval, folder, parsing, report, saved, states, template, undo  # noqa: E402
from plugins.module_utils.actions.judged import judge  # noqa: E402 - the path is set above
from plugins.module_utils.actions.plan import FILE  # noqa: E402 - the path is set above
from plugins.module_utils.actions.records import (  # noqa: E402 - the path is set above
    AFTER_FILE,
    APPROVAL_FILE,
    COMMITTED,
    REHEARSAL_FILE,
    REPORT_FILE,
    Signed,
    confirmation,
)
from plugins.module_utils.files.whole import replace  # noqa: E402 - the path is set above

SCHEMA = Path("docs") / "incident.schema.json"
# Where the collection lies in a project, whoever's machine that is on.
INSTALLED = Path(".ansible") / "collections" / "ansible_collections" / "taaraxtak" / "production"


def begin(options: argparse.Namespace, now: dt.datetime) -> int:
    """Write the before.yml of a new incident."""
    name = template.name_of(options.slug, now.date())
    place = Path(options.folder) / name
    text = template.template(
        name,
        now,
        schema=os.path.relpath(_schema(place.resolve()), place.resolve()),
        host=options.host,
        database=options.database,
    )
    _write(place, text)
    return 0


def _schema(place: Path) -> Path:
    """The schema of before.yml, for editors: this collection's, or the one that the project of *place* pins."""
    project = place.parent.parent
    inside = ROOT in place.parents or not (project / "requirements.yml").exists()
    return (ROOT if inside else project / INSTALLED) / SCHEMA


def prepare_undo(options: argparse.Namespace, now: dt.datetime) -> int:
    """Write the before.yml of an incident that undoes another one, by the rows that it saved, which come on stdin."""
    judged = judge(folder.read_folder(options.incident))
    after = judged.incident.after
    if after is None or after.outcome != COMMITTED:
        raise ValueError(f"{judged.incident.name} was not committed: there is nothing to undo")
    about, touched = saved.read(sys.stdin.buffer)
    if (about.incident, about.plan_sha256) != (judged.incident.name, judged.incident.plan_sha256):
        raise ValueError(f"these are the saved rows of {about.incident}, or of another {FILE} than is here now")
    assigned = {step.id: parsing.assigned(step.sql) for step in judged.plan.steps}
    undo.check_keys(touched, assigned)
    called = template.name_of(options.slug, now.date()) if options.slug else ""
    text = undo.undo(judged.plan, touched, now, assigned, name=called)
    # The name is the undo's own; it follows from the day and the incident.
    name = next(line for line in text.splitlines() if line.startswith("incident: ")).removeprefix("incident: ")
    _write(Path(options.folder) / name, text)
    return 0


def _write(place: Path, text: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    try:
        with (place / FILE).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ValueError(f"{place / FILE} is there already: edit it, or give other words (SLUG)") from None
    print(f"{place / FILE}: fill it in, then rehearse it")


def lint(options: argparse.Namespace, _now: dt.datetime) -> int:
    """Say what is wrong with a before.yml and its statements."""
    judged = judge(folder.read_folder(options.incident))
    print(f"{judged.incident.name}: nothing is wrong with {FILE}")
    return 0


def approve(options: argparse.Namespace, now: dt.datetime) -> int:
    """Sign a rehearsed incident with one's own key."""
    read = folder.read_folder(options.incident)
    # One that is there already is replaced, whatever it is.
    files = {name: content for name, content in read.files.items() if name != APPROVAL_FILE}
    judged = judge(folder.Folder(read.name, files), rehearsed=True)
    plan, rehearsal = judged.plan, judged.incident.rehearsal
    stands = states.state(judged.incident, now)
    if stands.word != states.REHEARSED or rehearsal is None:
        raise ValueError(f"{read.name} is {stands.word}, and only what is rehearsed can be approved: {stands.why}")
    what = Signed.of(plan, read.files[FILE], rehearsal, read.files[REHEARSAL_FILE])
    signature = approval.sign(what, options.key)
    replace(Path(options.incident) / APPROVAL_FILE, signature)
    print(f"{read.name}: approved for {plan.host}, {plan.database}, until {what.expires}")
    print(f"Who carries it out types CONFIRM='{confirmation(read.name, judged.incident.plan_sha256)}'")
    return 0


def retell(options: argparse.Namespace, now: dt.datetime) -> int:
    """Write after.md anew of after.yml, once people have written into that."""
    found = folder.understand(folder.read_folder(options.incident), None)
    if found.after is None:
        raise ValueError(" ".join(found.problems) or f"{found.name} has no {AFTER_FILE}: nothing was carried out")
    written = Path(options.incident) / REPORT_FILE
    if written.is_symlink():
        raise ValueError(f"{written} is a link, which could lead anywhere: remove it")
    replace(written, report.report(found.after).encode())
    stands = states.state(found, now)
    print(f"{found.name}: {stands.word}" + (f": {stands.why}" if stands.why else ""))
    return 0


def tell(options: argparse.Namespace, now: dt.datetime) -> int:
    """A line for each incident; with --check the status is 1 where one is overdue or can't be read."""
    kept_in = Path(options.folder)
    # A check that looks in the wrong place would find nothing wrong for ever.
    if not kept_in.is_dir() and (options.check or kept_in.is_symlink() or kept_in.exists()):
        raise ValueError(
            f"there is no folder {options.folder}: say with --folder (make: FOLDER) where the incidents are"
        )
    places = sorted(kept_in.glob("*/"))
    if not places:
        print(f"no incidents in {options.folder}: make incident SLUG=duplicate-rows begins one")
    wrong = 0
    for place in places:
        try:
            found = folder.understand(folder.read_folder(str(place)), options.approvers)
        except ValueError as error:
            print(f"{place.name}: {error}")
            wrong += 1
            continue
        stands = states.state(found, now)
        overdue = states.overdue(found, now)
        wrong += overdue
        why = f": {stands.why}" if stands.why else ""
        print(f"{found.name}: {stands.word}{why}" + ("; overdue" if overdue else ""))
    return 1 if wrong and options.check else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status."""
    parser = argparse.ArgumentParser(prog="incidents", description=__doc__, allow_abbrev=False)
    parser.add_argument("--folder", default="incidents", help="where the incidents are")
    commands = parser.add_subparsers(required=True)
    new = commands.add_parser("new", help="begin an incident", allow_abbrev=False)
    new.add_argument("slug", help="a few words, such as duplicate-rows")
    new.add_argument("--host", default="production")
    new.add_argument("--database", default="taaraxtak")
    new.set_defaults(run=begin)
    listed = commands.add_parser("list", help="where each incident stands", allow_abbrev=False)
    listed.add_argument("--approvers", help="the approvers' keys; without them no approval is verified")
    listed.add_argument("--check", action="store_true", help="fail where one is overdue or can't be read")
    listed.set_defaults(run=tell)
    judged = commands.add_parser("lint", help="judge a before.yml", allow_abbrev=False)
    judged.add_argument("incident", help="the incident's folder")
    judged.set_defaults(run=lint)
    undone = commands.add_parser("undo", help="begin an incident that undoes another", allow_abbrev=False)
    undone.add_argument("incident", help="the incident's folder; its saved rows come on stdin")
    undone.add_argument("--slug", default="", help="a few words, where the name that it would have is taken")
    undone.set_defaults(run=prepare_undo)
    retold = commands.add_parser("report", help="write after.md anew", allow_abbrev=False)
    retold.add_argument("incident", help="the incident's folder")
    retold.set_defaults(run=retell)
    approved = commands.add_parser("approve", help="sign a rehearsed incident", allow_abbrev=False)
    approved.add_argument("incident", help="the incident's folder")
    approved.add_argument("key", help="the file of your ssh key, or its .pub where an agent has it")
    approved.set_defaults(run=approve)
    options = parser.parse_args(arguments)
    try:
        status: int = options.run(options, dt.datetime.now(dt.UTC).replace(microsecond=0))
    except (ValueError, OSError) as error:
        print(f"incidents: {error}", file=sys.stderr)
        return 1
    return status


if __name__ == "__main__":
    sys.exit(main())
