# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a variable's value is what its role's argument_specs.yml says, down to the options of its options.

Stricter than Ansible, which takes 5 for a list of one text and then goes on with 5.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing as t

# As alike as host_devop and host_devops. By 0.6, the library's own measure, half of a role's variables are alike.
ALIKE = 0.8
# What Ansible reads as a truth value, beside YAML's own.
TRUTHS = ("yes", "no", "true", "false", "on", "off", "y", "n", "t", "f", "1", "0")
_WORDS = {
    "bool": "true or false",
    "dict": "a mapping",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "path": "a text",
    "str": "a text",
}


@dataclasses.dataclass(frozen=True)
class Option:
    """A variable of a role, or an option of one, as argument_specs.yml has it; a list's *options* are its elements'."""

    name: str
    required: bool
    choices: tuple[str, ...] = ()
    kind: str = "raw"
    elements: str = "raw"
    options: tuple[Option, ...] = ()


def nearest(name: str, names: t.Iterable[str]) -> str:
    """The one of *names* that *name* is likely meant to be; "" for none."""
    return next(iter(difflib.get_close_matches(name, sorted(set(names)), n=1, cutoff=ALIKE)), "")


def hidden(value: t.Any) -> bool:
    """Whether the value can't be known here: an expression, or one in a vault."""
    return isinstance(value, str) and ("{{" in value or "{%" in value or value.startswith("$ANSIBLE_VAULT"))


def expressed(value: t.Any) -> bool:
    """Whether any part of the value can't be known here."""
    if isinstance(value, dict):
        return any(expressed(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return any(map(expressed, value))
    return hidden(value)


def misfits(option: Option, value: t.Any, where: str) -> t.Iterator[str]:
    """What is wrong with the *value* of what is called *where*: sentences. It may be a secret, so it is not shown."""
    # Nothing is as good as not written: the default holds.
    if value is None or hidden(value):
        return
    if not _is(option.kind, value):
        yield f"{where} has to be {_WORDS[option.kind]}"
    elif option.kind == "list":
        element = Option("", False, option.choices, option.elements, "raw", option.options)
        for place, one in enumerate(value):
            yield from misfits(element, one, f"{where}[{place}]")
    elif option.choices and str(value) not in option.choices:
        yield f"{where} is {value}: write one of {', '.join(option.choices)}"
    elif isinstance(value, dict) and option.options:
        yield from _of_options({one.name: one for one in option.options}, value, where)


def _of_options(options: t.Mapping[str, Option], value: t.Mapping[t.Any, t.Any], where: str) -> t.Iterator[str]:
    for key, one in value.items():
        name = str(key)
        if name in options:
            yield from misfits(options[name], one, f"{where}.{name}")
        elif not hidden(name):
            near = nearest(name, options)
            yield f"{where} knows no {name}: {f'write {near}' if near else 'take it out'}"
    yield from (
        f"{where} has no {one.name}: write it" for one in options.values() if one.required and one.name not in value
    )


def _is(kind: str, value: t.Any) -> bool:
    if kind == "list":
        return isinstance(value, list)
    if kind == "dict":
        return isinstance(value, dict)
    if kind == "bool":
        return isinstance(value, bool) or str(value).lower() in TRUTHS
    if kind == "int":
        return not isinstance(value, bool) and str(value).strip().lstrip("+-").isdecimal()
    if kind == "float":
        return not isinstance(value, bool) and _is_number(str(value))
    return kind not in _WORDS or not isinstance(value, (list, dict))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
