# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a command's settings: one JSON object in a file that root owns."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

S = t.TypeVar("S")
# In a field's metadata: its text or list may be empty.
MAY_BE_EMPTY = {"empty": True}


def read_settings(kind: type[S], path: str) -> S:
    """The dataclass *kind* from the JSON object in the file *path*.

    Each field is a key; those with a default may be left out; any other key is refused. A field may be a bool, str, int
    (from 0), float (above 0), dataclass, or a tuple of any of them. ValueError says which is wrong.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the settings could not be read: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    return _object(document, kind, path)


def _object(document: t.Any, kind: type[S], where: str) -> S:
    if not isinstance(document, dict):
        raise ValueError(f"{where} is not a JSON object")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    types = t.get_type_hints(kind)
    unknown = sorted(document.keys() - fields.keys())
    if unknown:
        raise ValueError(f"{where} holds a key that is not known: {', '.join(unknown)}")
    values = {}
    for name, field in fields.items():
        if name in document:
            empty = field.metadata.get("empty", False)
            values[name] = _typed(document[name], types[name], f"{name} in {where}", empty=empty)
        elif field.default is dataclasses.MISSING:
            raise ValueError(f"{where} lacks the key {name}")
    return kind(**values)


def _typed(value: t.Any, kind: t.Any, what: str, *, empty: bool = False) -> t.Any:
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str) and (value or empty):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    if t.get_origin(kind) is tuple and isinstance(value, list) and (value or empty):
        return tuple(_typed(part, t.get_args(kind)[0], f"an entry of {what}") for part in value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _object(value, kind, what)
    wanted = {
        bool: "true or false",
        str: "a text that is not empty",
        int: "a whole number from 0",
        float: "a number above 0",
    }
    raise ValueError(f"{what} must be {wanted.get(kind, 'a list that is not empty')}")
