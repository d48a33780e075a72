# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A statement as PostgreSQL's parser gives it: a tree of mappings and lists."""

from __future__ import annotations

import typing as t

Tree: t.TypeAlias = t.Mapping[str, t.Any]


def walk(node: object) -> t.Iterator[Tree]:
    """Every mapping in *node*, itself first; without recursion, since a statement may be nested deeply."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, t.Mapping):
            yield one
            waiting.extend(reversed(list(one.values())))
        elif isinstance(one, (list, tuple)):
            waiting.extend(reversed(one))


def texts(names: t.Sequence[Tree]) -> list[str]:
    """The parts of a name."""
    return [name["String"].get("sval", "") for name in names if "String" in name]
