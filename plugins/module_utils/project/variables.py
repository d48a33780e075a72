# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables of an inventory this version does not know, knows by another name, or wants and does not find."""

from __future__ import annotations

import collections
import dataclasses
import re
import typing as t

from .values import Option, hidden, misfits, nearest

# A variable's former name: (the present one, what else to do; "" for nothing). Whoever renames one writes it here.
RENAMED: dict[str, tuple[str, str]] = {}
# Where so many of *others* share a first word, every name that begins with it is taken for one of theirs.
FAMILY = 2


@dataclasses.dataclass(frozen=True)
class Setting:
    """A variable that is set in *file*; in the text of its *value* others may be named."""

    name: str
    file: str
    value: t.Any

    @property
    def text(self) -> str:
        """The value as text."""
        return str(self.value)


def problems(
    settings: t.Sequence[Setting],
    roles: t.Mapping[str, t.Sequence[Option]],
    renamed: t.Mapping[str, tuple[str, str]] | None = None,
    others: t.Collection[str] = (),
) -> list[str]:
    """What is wrong with the variables of one inventory: a sentence each, in the order of the files. [] is good.

    *others* are variables of no role. A variable that looks like one of ours and that others of the inventory name is
    the inventory's own.
    """
    former = RENAMED if renamed is None else renamed
    options = _options(roles)
    found: list[str] = []
    for one in settings:
        if one.name in former:
            name, beside = former[one.name]
            found.append(f"{one.file}: {one.name} is now {name}: rename it" + (f", and {beside}" if beside else ""))
        elif one.name in options:
            found += [f"{one.file}: {sentence}" for sentence in misfits(options[one.name], one.value, one.name)]
        elif one.name not in others and not _named(one, settings):
            found += [f"{one.file}: {sentence}" for sentence in _unknown(one.name, options, roles, others)]
    there = {one.name for one in settings}
    wanted = [
        f"{option.name} is set nowhere, and the role {role} wants it: its README says what it is"
        for role, held in sorted(roles.items())
        for option in held
        if option.required and option.name not in there
    ]
    return [*found, *wanted]


def known(
    settings: t.Sequence[Setting], roles: t.Mapping[str, t.Sequence[Option]], others: t.Collection[str] = ()
) -> int:
    """How many of them are variables that this version reads and whose value was looked at."""
    options = _options(roles)
    return sum((one.name in options or one.name in others) and not hidden(one.value) for one in settings)


def _options(roles: t.Mapping[str, t.Sequence[Option]]) -> dict[str, Option]:
    return {option.name: option for held in roles.values() for option in held}


def _unknown(
    name: str,
    options: t.Mapping[str, Option],
    roles: t.Mapping[str, t.Sequence[Option]],
    others: t.Collection[str],
) -> t.Iterator[str]:
    """What is said of a name that nothing knows, where it looks like one of ours."""
    # Ansible's own, which roles and playbooks name too.
    if name.startswith("ansible_"):
        return
    near = nearest(name, [*options, *others])
    advice = f"write {near}" if near else "take it out"
    role = next((role for role in roles if name.startswith(f"{role}_")), None)
    if role is not None:
        yield f"the role {role} knows no {name}: {advice}"
        return
    families = collections.Counter(one.partition("_")[0] for one in others if "_" in one)
    if near or ("_" in name and families[name.partition("_")[0]] >= FAMILY):
        yield f"no role and no playbook knows {name}: {advice}"


def _named(one: Setting, settings: t.Sequence[Setting]) -> bool:
    """Whether another variable names this one."""
    return any(
        other is not one and "{{" in other.text and re.search(rf"\b{re.escape(one.name)}\b", other.text)
        for other in settings
    )
