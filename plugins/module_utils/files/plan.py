# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be done to a host's files: what is wanted against what is there, decided before anything is written."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .wanted import Entry, Tree, Wanted, ancestors_of, parent_of

Verb = t.Literal["make_folder", "mend_folder", "write_file", "make_link", "remove"]


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What is at a path now. *content* is None where it was not read: the size alone tells that it differs."""

    kind: t.Literal["missing", "file", "folder", "link", "other"] = "missing"
    uid: int = 0
    gid: int = 0
    owner: str = ""
    group: str = ""
    mode: int = 0
    size: int = 0
    content: bytes | None = field(default=None, repr=False)
    target: str = ""
    empty: bool = False
    mount: bool = False


MISSING = Observed()


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The host as it was found.

    *observed* has each wanted path, *folders* the parents that exist, *found* for each tree's path everything below it
    (what the tree keeps is listed, and not entered), *owners* and *groups* the numbers of the wanted names, None where
    there is no such name. With *planning* (check mode), what earlier tasks may yet make is no error.
    """

    observed: t.Mapping[str, Observed]
    folders: frozenset[str]
    found: t.Mapping[str, t.Mapping[str, Observed]]
    owners: t.Mapping[str, int | None]
    groups: t.Mapping[str, int | None]
    planning: bool = False


@dataclass(frozen=True, kw_only=True)
class Action:
    """One change. *in_the_way*: what is there is of another kind and is set aside first (only below a tree)."""

    verb: Verb
    path: str
    before: Observed
    entry: Entry | None = None
    uid: int = 0
    gid: int = 0
    in_the_way: bool = False

    @property
    def new_content(self) -> bool:
        """Whether a file's content changes, not only its owner or mode."""
        return (
            self.verb == "write_file"
            and self.entry is not None
            and (self.before.kind != "file" or self.before.content != self.entry.content)
        )


@dataclass(frozen=True)
class Plan:
    """The changes, folders before what they hold, and what the user should know."""

    actions: tuple[Action, ...]
    notes: tuple[str, ...]


def decide(wanted: Wanted, situation: Situation) -> Plan:
    """Compare *wanted* with *situation*.

    Raises ValueError where an owner, group or parent folder is missing (unless planning), where something of another
    kind is in a path's place, and where a tree would remove a mount point.
    """
    notes = _missing_names(wanted, situation) + _missing_parents(wanted, situation)
    if notes and not situation.planning:
        raise ValueError(notes[0])
    actions = [action for entry in wanted.entries if (action := _decide_entry(entry, situation)) is not None]
    in_the_way = frozenset(action.path for action in actions if action.in_the_way)
    for tree in wanted.trees:
        actions.extend(_stale(tree, wanted, situation.found.get(tree.path, {}), in_the_way))
    return Plan(tuple(actions), tuple(dict.fromkeys(notes)))


def _missing_names(wanted: Wanted, situation: Situation) -> list[str]:
    notes = []
    for entry in wanted.entries:
        if entry.kind == "absent":
            continue
        if situation.owners[entry.owner] is None:
            notes.append(f"there is no user {entry.owner}, who is to own {entry.path}")
        if situation.groups[entry.group] is None:
            notes.append(f"there is no group {entry.group}, which is to own {entry.path}")
    return notes


def _missing_parents(wanted: Wanted, situation: Situation) -> list[str]:
    made = {entry.path for entry in wanted.entries if entry.kind == "folder"}
    return [
        f"there is no folder {parent}, which is to hold {entry.path}"
        for entry in wanted.entries
        if entry.kind != "absent" and (parent := parent_of(entry.path)) not in made and parent not in situation.folders
    ]


def _decide_entry(entry: Entry, situation: Situation) -> Action | None:
    before = situation.observed[entry.path]
    if entry.kind == "absent":
        if before.kind == "missing":
            return None
        if before.kind == "folder" and not before.empty:
            raise ValueError(f"{entry.path} is a folder that is not empty: remove what it holds, or name it as a tree")
        return Action(verb="remove", path=entry.path, before=before, entry=entry)
    verb, fits, replaceable = _COMPARE[entry.kind](entry, before)
    in_the_way = before.kind not in replaceable
    if in_the_way and not entry.tree:
        raise ValueError(f"{entry.path} is to be a {entry.kind}, but a {_name(before)} is there: remove it first")
    uid, gid = situation.owners[entry.owner], situation.groups[entry.group]
    if fits and (before.uid, before.gid) == (uid, gid):
        return None
    return Action(
        verb=verb,
        path=entry.path,
        before=before,
        entry=entry,
        uid=-1 if uid is None else uid,
        gid=-1 if gid is None else gid,
        in_the_way=in_the_way,
    )


Comparison = tuple[Verb, bool, tuple[str, ...]]


def _compare_file(entry: Entry, before: Observed) -> Comparison:
    fits = before.kind == "file" and before.content == entry.content and before.mode == entry.mode
    return "write_file", fits, ("missing", "file", "link")


def _compare_folder(entry: Entry, before: Observed) -> Comparison:
    there = before.kind == "folder"
    return "mend_folder" if there else "make_folder", there and before.mode == entry.mode, ("missing", "folder")


def _compare_link(entry: Entry, before: Observed) -> Comparison:
    fits = before.kind == "link" and before.target == entry.target
    return "make_link", fits, ("missing", "file", "link")


_COMPARE: t.Mapping[str, t.Callable[[Entry, Observed], Comparison]] = {
    "file": _compare_file,
    "folder": _compare_folder,
    "link": _compare_link,
}


def _name(before: Observed) -> str:
    return "device, socket or pipe" if before.kind == "other" else before.kind


def _stale(
    tree: Tree, wanted: Wanted, found: t.Mapping[str, Observed], in_the_way: t.AbstractSet[str]
) -> t.Iterator[Action]:
    """What is to leave *tree*: of a folder that goes whole, the folder alone."""
    pinned = {entry.path for entry in wanted.entries} | {path for path in found if tree.keeps(path)}
    pinned |= {above for path in pinned for above in ancestors_of(path)}
    for path, seen in sorted(found.items()):
        blocked = next((above for above in ancestors_of(path) if above in in_the_way), None)
        if blocked is not None and path in pinned:
            raise ValueError(
                f"{blocked} is to be a file, but it is a folder with {path} in it, which is kept: move that"
            )
        if seen.mount and (path in in_the_way or path not in pinned):
            raise ValueError(f"{path} is a mount point in the tree {tree.path}: unmount it, or name it in keep")
        if path in pinned or blocked is not None:
            continue
        # a folder with something pinned in it is pinned itself, so an unpinned parent goes with all that it holds
        if parent_of(path) == tree.path or parent_of(path) in pinned:
            yield Action(verb="remove", path=path, before=seen)
