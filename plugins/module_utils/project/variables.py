# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which variables of an inventory this version does not know, knows by another name, or wants and does not find."""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

# A variable's former name: (the present one, what else to do; "" for nothing). Whoever renames one writes it here.
RENAMED: dict[str, tuple[str, str]] = {}
# As alike as host_devop and host_devops. By 0.6, the library's own measure, half of a role's variables are alike.
ALIKE = 0.8


@dataclasses.dataclass(frozen=True)
class Setting:
    """A variable that is set in *file*; *text* is its value as text, in which others may be named."""

    name: str
    file: str
    text: str


@dataclasses.dataclass(frozen=True)
class Option:
    """A variable of a role, as its argument_specs.yml has it."""

    name: str
    required: bool
    choices: tuple[str, ...] = ()


def problems(
    settings: t.Sequence[Setting],
    roles: t.Mapping[str, t.Sequence[Option]],
    renamed: t.Mapping[str, tuple[str, str]] | None = None,
) -> list[str]:
    """What is wrong with the variables of one inventory: a sentence each, in the order of the files. [] is good.

    A variable that begins as a role's do and that others of the inventory name is the inventory's own.
    """
    former = RENAMED if renamed is None else renamed
    options = {option.name: option for held in roles.values() for option in held}
    found = [_problem(one, settings, options, roles, former) for one in settings]
    there = {one.name for one in settings}
    wanted = [
        f"{option.name} is set nowhere, and the role {role} wants it: its README says what it is"
        for role, held in sorted(roles.items())
        for option in held
        if option.required and option.name not in there
    ]
    return [*filter(None, found), *wanted]


def _problem(
    one: Setting,
    settings: t.Sequence[Setting],
    options: t.Mapping[str, Option],
    roles: t.Mapping[str, t.Sequence[Option]],
    former: t.Mapping[str, tuple[str, str]],
) -> str:
    if one.name in former:
        name, beside = former[one.name]
        return f"{one.file}: {one.name} is now {name}: rename it" + (f", and {beside}" if beside else "")
    option = options.get(one.name)
    if option is not None:
        if option.choices and "{{" not in one.text and one.text not in option.choices:
            return f"{one.file}: {one.name} is {one.text}: write one of {', '.join(option.choices)}"
        return ""
    role = next((name for name in roles if one.name.startswith(f"{name}_")), None)
    if role is None or _named(one, settings):
        return ""
    alike = difflib.get_close_matches(one.name, options, n=1, cutoff=ALIKE)
    advice = f"write {alike[0]}" if alike else "take it out"
    return f"{one.file}: the role {role} knows no {one.name}: {advice}"


def _named(one: Setting, settings: t.Sequence[Setting]) -> bool:
    """Whether another variable names this one."""
    return any(
        other is not one and "{{" in other.text and re.search(rf"\b{re.escape(one.name)}\b", other.text)
        for other in settings
    )
