# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that the tool writes, frozen dataclasses of texts and numbers, as YAML that is always the same, and back."""

from __future__ import annotations

import dataclasses
import json
import types
import typing as t
import unicodedata

Record = t.TypeVar("Record")
# Unicode's categories of characters that nobody sees, or that order and break what is seen.
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def encode(record: t.Any, about: str) -> str:
    """The text of *record*, its fields in their order; the first line is a comment that says what it is *about*.

    None is left out, so a field that may be None has None as its default.
    """
    return f"# {about}\n" + "".join(f"{line}\n" for line in _mapping(record))


def _mapping(record: t.Any) -> t.Iterator[str]:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if value is None:
            continue
        if not isinstance(value, tuple):
            yield f"{field.name}: {scalar(value)}"
        elif not value:
            yield f"{field.name}: []"
        else:
            yield f"{field.name}:"
            for item in value:
                lines = list(_mapping(item)) if dataclasses.is_dataclass(item) else [scalar(item)]
                yield f"  - {lines[0]}"
                yield from (f"    {line}" for line in lines[1:])


def scalar(value: str | int | bool) -> str:
    """A text in double quotes, as JSON has it; what nobody sees is written as its number."""
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return '"' + "".join(_character(one) for one in value) + '"'


def _character(one: str) -> str:
    short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}.get(one)
    if short:
        return short
    if unicodedata.category(one) in UNSEEN:
        return f"\\U{ord(one):08X}"
    return one


def decode(kind: type[Record], data: object, what: str) -> Record:
    """The record that *data* says; ValueError that names *what* for a field missing, unknown or of another type."""
    if not isinstance(data, dict):
        raise ValueError(f"{what} is no mapping")
    hints = t.get_type_hints(kind)
    unknown = sorted(str(key) for key in data.keys() - hints.keys())
    if unknown:
        raise ValueError(f"{what} holds what is not known here: {', '.join(unknown)}")
    values = {}
    for field in dataclasses.fields(t.cast("t.Any", kind)):
        if field.name in data:
            values[field.name] = _value(hints[field.name], data[field.name], f"{field.name} in {what}")
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"{what} lacks {field.name}")
    return kind(**values)


def _value(hint: t.Any, value: object, what: str) -> t.Any:
    if t.get_origin(hint) is tuple:
        inner = t.get_args(hint)[0]
        if not isinstance(value, list):
            raise ValueError(f"{what} is no list")
        return tuple(_value(inner, item, what) for item in value)
    if isinstance(hint, types.UnionType):
        hint = next(one for one in t.get_args(hint) if one is not types.NoneType)
    if dataclasses.is_dataclass(hint):
        return decode(t.cast("type[t.Any]", hint), value, what)
    # bool is an int to Python and not to us.
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ValueError(f"{what} is not of type {hint.__name__}")
    return value
