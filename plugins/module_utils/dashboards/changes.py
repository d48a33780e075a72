# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what the repository holds with what a server has: the answer, and how people read it."""

from __future__ import annotations

import dataclasses
import difflib
import typing as t

from .document import Dashboard, parse, text
from .leaks import check_secrets
from .tree import ROOT_TITLE


@dataclasses.dataclass(frozen=True)
class Served:
    """A dashboard that a server has; ``provisioned`` where it comes from files there and can't be saved."""

    dashboard: Dashboard
    provisioned: bool


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Uids, sorted. ``added`` has the server alone, ``gone`` the repository alone; ``changed`` differ."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    gone: tuple[str, ...]
    not_provisioned: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the server has exactly what the repository says, all of it from files."""
        return not (self.added or self.changed or self.gone or self.not_provisioned)


def compare(repository: t.Iterable[Dashboard], server: t.Iterable[Served]) -> Comparison:
    """How the server differs from the repository; both normalised."""
    wanted = {one.uid: one for one in repository}
    found = {one.dashboard.uid: one for one in server}
    both = sorted(wanted.keys() & found.keys())
    return Comparison(
        added=tuple(sorted(found.keys() - wanted.keys())),
        changed=tuple(uid for uid in both if differ(wanted[uid], found[uid].dashboard)),
        gone=tuple(sorted(wanted.keys() - found.keys())),
        not_provisioned=tuple(sorted(uid for uid, one in found.items() if not one.provisioned)),
    )


def differ(one: Dashboard, other: Dashboard) -> bool:
    """Whether a file of the one isn't a file of the other. The text decides: to Python 1, 1.0 and true are equal."""
    return one.folder != other.folder or text(one.data) != text(other.data)


@dataclasses.dataclass(frozen=True)
class FileChanges:
    """Paths below the tree, sorted."""

    added: tuple[str, ...]
    updated: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.updated or self.removed)


def of_files(before: t.Mapping[str, bytes], after: t.Mapping[str, bytes]) -> FileChanges:
    """Which files differ."""
    return FileChanges(
        added=tuple(sorted(after.keys() - before.keys())),
        updated=tuple(sorted(path for path in before.keys() & after.keys() if before[path] != after[path])),
        removed=tuple(sorted(before.keys() - after.keys())),
    )


def shown(before: t.Mapping[str, bytes], after: t.Mapping[str, bytes]) -> list[dict[str, str]]:
    """The differing files as Ansible's diff mode takes them, by path.

    Of a file that holds what looks like a secret, or held it, nothing is shown; nor of one that is no JSON.
    """
    changes = of_files(before, after)
    found = []
    for path in sorted((*changes.added, *changes.updated, *changes.removed)):
        is_open = all(_is_open(files[path]) for files in (before, after) if path in files)
        found.append(
            {
                "before_header": path if path in before else f"{path} (missing)",
                "after_header": path if path in after else f"{path} (removed)",
                "before": _shown(before.get(path, b""), "old", is_open=is_open),
                "after": _shown(after.get(path, b""), "new", is_open=is_open),
            }
        )
    return found


def _is_open(content: bytes) -> bool:
    try:
        return not check_secrets(parse(content))
    except ValueError:
        return False


def _shown(content: bytes, which: str, *, is_open: bool) -> str:
    if content and not is_open:
        return f"(the {which} text is not shown, as the file holds or held what looks like a secret)\n"
    return content.decode("utf-8", "replace")


def unified(before: Dashboard | None, after: Dashboard, *, names: tuple[str, str] = ("before", "after")) -> str:
    """How *after* differs, as a unified diff of the JSON, the folder first; "" where it doesn't.

    Nothing is shown where one of them holds what looks like a secret.
    """
    if (before and check_secrets(before.data)) or check_secrets(after.data):
        return f"({after.title}: not shown, as it holds what looks like a secret)\n"
    return "".join(
        difflib.unified_diff(
            _lines(before),
            _lines(after),
            f"{before.title if before else after.title} ({names[0] if before else 'missing'})",
            f"{after.title} ({names[1]})",
        )
    )


def _lines(one: Dashboard | None) -> list[str]:
    if one is None:
        return []
    return [f"folder: {one.folder or ROOT_TITLE}\n", *text(one.data).splitlines(keepends=True)]
