# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Export, import and comparison: what is asked of the server and decided before anything is written anywhere."""

from __future__ import annotations

import dataclasses
import typing as t

from . import archive, tree
from .changes import Served, differ
from .document import Dashboard
from .tree import Problem, TreeError, shortened

if t.TYPE_CHECKING:
    from .api import Folder, Found

# A dashboard of this JSON in the folder of this title, as the repository keeps it; ValueError where it can't.
Normal = t.Callable[[t.Any, str], Dashboard]


class Server(t.Protocol):
    """What is asked of Grafana; api.Grafana is one."""

    def search(self) -> dict[str, str]: ...
    def dashboard(self, uid: str) -> Found | None: ...
    def folder(self, uid: str) -> Folder: ...
    def folders(self) -> list[Folder]: ...
    def make_folder(self, title: str) -> Folder: ...
    def save(self, data: dict[str, t.Any], folder_uid: str, message: str) -> None: ...


@dataclasses.dataclass(frozen=True)
class Live:
    """A dashboard of the server; ``path`` is its folder's title, with those above it where it lies deeper."""

    found: Found
    folder: Folder | None

    @property
    def path(self) -> str:
        return self.folder.title if self.folder else ""

    @property
    def title(self) -> str:
        return str(self.found.data.get("title"))


def read_server(server: Server, also: t.Iterable[str] = ()) -> dict[str, Live]:
    """Every dashboard of the server by uid, those of *also* among them where they are there though not listed.

    ValueError where any answer fails, and where dashboards came or went meanwhile.
    """
    listed = server.search()
    folders: dict[str, Folder] = {}
    found: dict[str, Live] = {}
    for uid in sorted({*listed, *also}):
        one = server.dashboard(uid)
        if one is None:
            if uid in listed:
                raise ValueError(f"the dashboard {shortened(listed[uid])} went while it was read: run this again")
            continue
        if one.folder_uid and one.folder_uid not in folders:
            folders[one.folder_uid] = server.folder(one.folder_uid)
        found[uid] = Live(found=one, folder=folders.get(one.folder_uid))
    if server.search() != listed:
        raise ValueError("somebody made, removed or renamed dashboards while they were read: run this again")
    return found


def exported(server: Server, before: t.Mapping[str, bytes], normal: Normal, *, may_empty: bool) -> dict[str, bytes]:
    """The tree's files after an export, *before* it being what lies there now.

    A file is left out only where the server has said of its dashboard that there is none. Unless *may_empty*, they
    can't all go: another server, or another organisation of it, says just that.
    """
    kept, problems = tree.read(before)
    if problems:
        raise TreeError([Problem(one.path, f"{one.sentence}: mend or remove it first") for one in problems])
    live = read_server(server, also={one.uid for one in kept})
    if not may_empty and not live:
        raise ValueError("the server shows no dashboard at all: is it the right one, and may the token see them?")
    if not may_empty and kept and not {one.uid for one in kept} & live.keys():
        raise ValueError(
            f"the server has none of the {len(kept)} dashboards of the repository: is it the right one? If they are "
            f"all to go, say so by may_empty"
        )
    return tree.layout(_normalised(live.values(), normal))


def _normalised(live: t.Iterable[Live], normal: Normal) -> list[Dashboard]:
    """All of them as the repository keeps them; TreeError names each that can't be."""
    dashboards, problems = [], []
    for one in live:
        try:
            if one.folder and one.folder.nested:
                raise ValueError(
                    f"its folder {shortened(one.path)} lies in another one, and Grafana makes no such folders "
                    f"from files: move it"
                )
            dashboards.append(normal(one.found.data, one.path))
        except ValueError as error:
            problems.append(Problem("", f"the dashboard {shortened(one.title)} (uid {one.found.uid}): {error}"))
    if problems:
        raise TreeError(problems)
    return dashboards


def from_archive(contents: archive.Contents, normal: Normal) -> list[Dashboard]:
    """The archive's dashboards as the repository keeps them; TreeError names each that can't be."""
    dashboards, problems = [], []
    for one in contents.dashboards:
        try:
            dashboards.append(normal(one.data, one.folder))
        except ValueError as error:
            problems.append(Problem(one.member, str(error)))
    if problems:
        raise TreeError(problems)
    return dashboards


def from_files(files: t.Mapping[str, bytes], normal: Normal) -> list[Dashboard]:
    """The tree's dashboards as an export would write them; TreeError where the tree is not in order."""
    found, _problems = tree.read(files)
    problems = tree.validate(files)
    if problems:
        raise TreeError(problems)
    paths = sorted(files)
    dashboards = []
    for path, one in zip(paths, found, strict=True):
        try:
            dashboards.append(normal(one.data, one.folder))
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    if problems:
        raise TreeError(problems)
    return dashboards


def merged(before: t.Mapping[str, bytes], new: t.Sequence[Dashboard], normal: Normal) -> dict[str, bytes]:
    """The tree's files once the *new* dashboards are in it; those that it alone has stay."""
    uids = {one.uid for one in new}
    return tree.layout([*new, *(one for one in from_files(before, normal) if one.uid not in uids)])


def compared(server: Server, repository: t.Sequence[Dashboard], normal: Normal) -> tuple[list[Served], list[str]]:
    """The server's dashboards, and sentences about those that the repository could not hold."""
    served, notes = [], []
    for one in read_server(server, also={one.uid for one in repository}).values():
        path = one.path
        if one.folder and one.folder.nested:
            path = f"…/{path}"
            notes.append(
                f"{one.found.uid}: its folder {shortened(one.path)} lies in another one, which files can't say"
            )
        try:
            dashboard = normal(one.found.data, path)
        except ValueError as error:
            notes.append(f"{one.found.uid}: {error}")
            dashboard = Dashboard(uid=one.found.uid, title=one.title, folder=path, data=one.found.data)
        served.append(Served(dashboard=dashboard, provisioned=one.found.provisioned))
    return served, notes


@dataclasses.dataclass(frozen=True)
class Step:
    """One dashboard that is to be saved; ``before`` is what the server has of it."""

    wanted: Dashboard
    before: Dashboard | None
    version: int


@dataclasses.dataclass(frozen=True)
class Import:
    """What an import would do: ``folders`` are titles of those to make, ``known`` the uids of those that are there."""

    steps: tuple[Step, ...]
    folders: tuple[str, ...]
    known: t.Mapping[str, str]


def plan_import(server: Server, wanted: t.Sequence[Dashboard], normal: Normal, *, overwrite: bool) -> Import:
    """What is to be saved so that the server has the *wanted* dashboards; ValueError where it must not be."""
    # Together they have to be a tree as well: titles unique, no secrets.
    tree.layout(wanted)
    live = read_server(server, also={one.uid for one in wanted})
    for uid, one in sorted(live.items()):
        if one.found.provisioned:
            raise ValueError(
                f"the dashboard {shortened(one.title)} (uid {uid}) comes from files at this server, as production's "
                f"do: import into a Grafana of your own"
            )
    folders = server.folders()
    known = {one.title: one.uid for one in folders}
    needed = sorted({one.folder for one in wanted if one.folder})
    for title in needed:
        if sum(one.title == title for one in folders) > 1:
            raise ValueError(
                f"the server has two folders {shortened(title)}: rename one of them, as files can't tell which"
            )
    _check_titles(wanted, live)
    steps = tuple(_steps(wanted, live, normal))
    if not overwrite and any(step.before for step in steps):
        names = ", ".join(shortened(step.wanted.title) for step in steps if step.before)
        raise ValueError(
            f"the server has other versions of {names}: set overwrite to replace them, or export them first"
        )
    return Import(steps=steps, folders=tuple(title for title in needed if title not in known), known=known)


def _check_titles(wanted: t.Iterable[Dashboard], live: t.Mapping[str, Live]) -> None:
    """Some versions of Grafana would replace a dashboard of the same title, and others keep both."""
    taken = {(one.path, one.title): uid for uid, one in live.items()}
    for one in wanted:
        other = taken.get((one.folder, one.title), one.uid)
        if other != one.uid and not any(each.uid == other for each in wanted):
            raise ValueError(
                f"the server has another dashboard {shortened(one.title)} (uid {other}) in the same folder: rename or "
                f"remove it there"
            )


def _steps(wanted: t.Iterable[Dashboard], live: t.Mapping[str, Live], normal: Normal) -> t.Iterator[Step]:
    for one in wanted:
        there = live.get(one.uid)
        if there is None:
            yield Step(wanted=one, before=None, version=0)
            continue
        try:
            before = normal(there.found.data, f"…/{there.path}" if there.folder and there.folder.nested else there.path)
        except ValueError:
            before = Dashboard(uid=one.uid, title=there.title, folder=there.path, data=there.found.data)
        if differ(one, before):
            yield Step(wanted=one, before=before, version=there.found.version)


def carry_out(server: Server, plan: Import, message: str, done: t.Callable[[str], None]) -> None:
    """Make the folders and save the dashboards; *done* is given each uid once it is saved."""
    known = dict(plan.known)
    for title in plan.folders:
        known[title] = server.make_folder(title).uid
    for step in plan.steps:
        data = {**step.wanted.data, "editable": True, "version": step.version}
        server.save(data, known[step.wanted.folder] if step.wanted.folder else "", message)
        done(step.wanted.uid)
