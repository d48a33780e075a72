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


def read_settings(kind: type[S], path: str) -> S:
    """The dataclass *kind* from the JSON object in the file *path*.

    Each field is a key; those with a default may be left out; any other key is refused. ValueError says which is wrong.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the settings could not be read: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{path} is not a JSON object")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    types = t.get_type_hints(kind)
    unknown = sorted(document.keys() - fields.keys())
    if unknown:
        raise ValueError(f"{path} holds a key that is not known: {', '.join(unknown)}")
    for name, field in fields.items():
        if name not in document:
            if field.default is dataclasses.MISSING:
                raise ValueError(f"{path} lacks the key {name}")
            continue
        document[name] = _typed(document[name], types[name], f"{name} in {path}")
    return kind(**document)


def _typed(value: t.Any, kind: t.Any, what: str) -> t.Any:
    if kind is str and isinstance(value, str) and value:
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    if kind == tuple[str, ...] and isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return tuple(value)
    wanted = {str: "a text that is not empty", int: "a whole number from 0", float: "a number above 0"}
    raise ValueError(f"{what} must be {wanted.get(kind, 'a list of texts that is not empty')}")
