# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository's folder of dashboards: which file a dashboard lies in, and what is wrong with such files.

A folder of the tree has the title of Grafana's folder as its name, because Grafana's provisioning takes it from there.
So a title that can't be such a name is refused: made safe, it would be another title.
"""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t
import unicodedata

from .document import Dashboard, check_classic, parse, text
from .leaks import check_secrets

# Of a file's name: long enough for a title, and far below the 255 bytes that file systems hold.
SLUG_LIMIT = 80
# Grafana's own column holds 189 characters; this is what fits beside a checkout's path on every system.
FOLDER_LIMIT = 100
# Grafana's dashboards have some 10 to 300 kB; the largest that its own site offers are below 2 MB.
FILE_LIMIT = 4 * 1024 * 1024
# More than a tree of files is for, and it bounds what a broken or hostile server can make us keep.
COUNT_LIMIT = 2000
# What one task brings to a host (files/folder.py): a larger tree could be exported, and never provisioned.
TREE_LIMIT = 8 * 1024 * 1024
# What Grafana calls its own root; it makes no folder of that title.
ROOT_TITLE = "General"

_FOLDER_SIGNS = " -_.,()&+'"
_PATH = re.compile(r"(?:(?P<folder>[^/]+)/)?(?P<name>[^/]+)\.json")
# Device names, which Windows has in every folder.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is wrong with the file at ``path`` (below the tree; "" for the tree itself), as a sentence."""

    path: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.path}: {self.sentence}" if self.path else self.sentence


class TreeError(ValueError):
    """Problems that keep a tree from being what the repository holds."""

    def __init__(self, problems: t.Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def slug(title: str, uid: str) -> str:
    """The name of a dashboard's file without its end: of the title's letters and digits, else of the uid's."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return _cut(re.sub(r"[^a-z0-9]+", "-", plain).strip("-")) or _from_uid(uid)


def _from_uid(uid: str) -> str:
    return _cut(uid.lower().strip("-_")) or "dashboard"


def _cut(name: str) -> str:
    short = name[:SLUG_LIMIT].strip("-")
    # Some system would read "con.json" as the console.
    return f"{short}-" if _DEVICES.fullmatch(short) else short


def folder_problem(title: str) -> str:
    """Why a folder's title can't be the name of a folder of files, a phrase; "" where it can, or is the root's ""."""
    if not title:
        return ""
    if title.casefold() == ROOT_TITLE.casefold():
        return f"{ROOT_TITLE} is what Grafana calls its root: the files of that lie beside the folders"
    if title in (".", ".."):
        return "it is the name of another folder on every system"
    if len(title) > FOLDER_LIMIT or len(title.encode("utf-8", "replace")) > 2 * FOLDER_LIMIT:
        return f"it is longer than {FOLDER_LIMIT} characters"
    if title[0] in " .-" or title[-1] in " .":
        return "it begins with a blank, a dot or a dash, or ends with a blank or a dot"
    if unicodedata.normalize("NFC", title) != title:
        return "its accents are written as characters of their own (Unicode's NFD): type it anew"
    for sign in title:
        if not _may_stand(sign):
            return f"{sign!r} is neither letter nor digit nor one of {_FOLDER_SIGNS.strip()}"
    return "it is a device's name on Windows" if _DEVICES.fullmatch(title) else ""


def _may_stand(sign: str) -> bool:
    kind = unicodedata.category(sign)
    return kind[0] == "L" or kind in ("Nd", "Mc") or sign in _FOLDER_SIGNS or (kind == "Mn" and ord(sign) < 0xFE00)


def layout(dashboards: t.Iterable[Dashboard]) -> dict[str, bytes]:
    """The files of a tree that holds these dashboards, by path; TreeError names every reason why there is none.

    The same dashboards give the same files, in whatever order they come. Where two titles of a folder give one name,
    each of them bears its uid too.
    """
    ordered = sorted(dashboards, key=lambda one: (one.folder, one.title, one.uid))
    problems = [*_check_folders(ordered), *_check_titles(ordered)]
    wished = [(one, _joined(one.folder, slug(one.title, one.uid))) for one in ordered]
    taken = collections.Counter(path.casefold() for _one, path in wished)
    files: dict[str, bytes] = {}
    for one, path in wished:
        if taken[path.casefold()] > 1:
            path = _joined(one.folder, f"{slug(one.title, one.uid)[: SLUG_LIMIT - 41]}-{_from_uid(one.uid)}")
        if path in files:
            problems.append(
                Problem(path, f"two dashboards would lie there; one has the uid {one.uid}, title {one.title!r}")
            )
        files[path] = text(one.data).encode()
    # What only a folder's title can be wrong with is said of the title, and not again of each of its files.
    problems += () if problems else validate(files)
    if problems:
        raise TreeError(problems)
    return files


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}.json" if folder else f"{name}.json"


def _check_folders(dashboards: t.Sequence[Dashboard]) -> list[Problem]:
    problems = []
    for title in sorted({one.folder for one in dashboards}):
        phrase = folder_problem(title)
        if phrase:
            problems.append(
                Problem("", f"the folder {shortened(title)} can't be one of files, as {phrase}: rename it in Grafana")
            )
    return problems


def _check_titles(dashboards: t.Sequence[Dashboard]) -> t.Iterator[Problem]:
    """Of what lies on a server the uids are said: the files' names are nobody's yet."""
    known: dict[tuple[str, str], str] = {}
    for one in dashboards:
        other = known.setdefault((one.folder.casefold(), one.title.strip().casefold()), one.uid)
        if other != one.uid:
            place = f"the folder {shortened(one.folder)}" if one.folder else ROOT_TITLE
            sentence = f"two dashboards of {place} have the title {shortened(one.title)} (uids {other} and {one.uid})"
            yield Problem("", f"{sentence}: rename one of them")


def shortened(title: str) -> str:
    """A title as messages show it: in quotes, without control characters, and never long."""
    return repr(title if len(title) <= FOLDER_LIMIT else f"{title[: FOLDER_LIMIT // 2]}…")


def read(files: t.Mapping[str, bytes]) -> tuple[list[Dashboard], list[Problem]]:
    """The dashboards of a tree as they stand there, and what is wrong with the files that hold none."""
    found, problems = [], []
    for path, content in sorted(files.items()):
        try:
            folder = _folder_of(path)
            if len(content) > FILE_LIMIT:
                raise ValueError(f"it has {len(content)} bytes, and {FILE_LIMIT} are the limit")
            data = parse(content)
            check_classic(data)
            found.append(Dashboard(uid=data["uid"], title=data["title"], folder=folder, data=data))
        except ValueError as error:
            problems.append(Problem(path, str(error)))
    return found, problems


def _folder_of(path: str) -> str:
    parts = _PATH.fullmatch(path)
    if not parts:
        raise ValueError("a dashboard lies in the tree or in a folder of it, no deeper, and its name ends with .json")
    folder = parts["folder"] or ""
    phrase = folder_problem(folder)
    if phrase:
        raise ValueError(f"its folder can't be one of Grafana's, as {phrase}")
    if parts["name"].startswith("."):
        raise ValueError("its name begins with a dot")
    return folder


def validate(files: t.Mapping[str, bytes]) -> list[Problem]:
    """Everything that is wrong with a tree, which must be nothing before it is swapped in or copied to a host.

    Each file is a classic dashboard without ``id`` and secrets; uids, titles in their folder and folders are unique,
    also where a system doesn't tell capitals apart.
    """
    found, problems = read(files)
    if len(files) > COUNT_LIMIT or sum(map(len, files.values())) > TREE_LIMIT:
        problems.append(Problem("", f"a tree has at most {COUNT_LIMIT} files and {TREE_LIMIT} bytes"))
    bad = {problem.path for problem in problems}
    paths = [path for path in sorted(files) if path not in bad]
    by_uid: dict[str, str] = {}
    by_title: dict[tuple[str, str], str] = {}
    folders: dict[str, str] = {}
    for path, one in zip(paths, found, strict=True):
        if "id" in one.data and one.data["id"] is not None:
            problems.append(Problem(path, 'it has an "id", which is the number it had on another server'))
        problems += [Problem(path, f"{phrase}, which must not be committed") for phrase in check_secrets(one.data)]
        if (other := by_uid.setdefault(one.uid, path)) != path:
            problems.append(Problem(path, f"{other} has the uid {one.uid} too"))
        title = one.folder.casefold(), one.title.strip().casefold()
        if (other := by_title.setdefault(title, path)) != path:
            problems.append(Problem(path, f"{other} has the title {shortened(one.title)} too"))
        if folders.setdefault(one.folder.casefold(), one.folder) != one.folder:
            problems.append(
                Problem(path, f"its folder differs from {folders[one.folder.casefold()]!r} by capitals alone")
            )
    names = collections.Counter(path.casefold() for path in files)
    problems += [
        Problem(path, "another file's name differs by capitals alone") for path in files if names[path.casefold()] > 1
    ]
    return sorted(problems, key=lambda problem: (problem.path, problem.sentence))


def untidy(files: t.Mapping[str, bytes], normal: t.Callable[[Dashboard], Dashboard]) -> list[Problem]:
    """Files that are not written as an export would write them: another content, or another name."""
    found, problems = read(files)
    try:
        wanted = layout([normal(one) for one in found])
    except ValueError as error:
        return [*problems, Problem("", str(error))]
    problems += [
        Problem(path, "it is not written as an export writes it")
        for path, content in files.items()
        if path in wanted and wanted[path] != content
    ]
    problems += [Problem(path, "an export would name it otherwise") for path in files if path not in wanted]
    return problems
