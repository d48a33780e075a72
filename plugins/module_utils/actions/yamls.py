# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML as a person may write it in an incident: its plain part, with the line of each key. PyYAML reads it.

What makes one text mean two things is refused: aliases, anchors, tags, directives, merges, keys written twice, words
that only some readers of YAML take for true, and characters that nobody sees.
"""

from __future__ import annotations

import contextlib
import decimal
import re
import typing as t
import unicodedata

from .codec import UNSEEN
from .written import Written

try:
    import yaml

    YAML_IMPORT_ERROR: ImportError | None = None
except ImportError as error:  # said by load(), with the package to install
    YAML_IMPORT_ERROR = error

# A plan is read by people; what is larger is none.
MAX_BYTES = 256 * 1024
MAX_DEPTH = 12
_WORDS: dict[str, bool | None] = {"null": None, "true": True, "false": False}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}", re.ASCII)
# Both are texts here: nothing in an incident is a day.
_TEXTS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp")


def load(content: bytes, what: str) -> Written:
    """The data of the file *what* with its lines; ValueError says on which line it is not plain."""
    if YAML_IMPORT_ERROR is not None:
        raise ValueError("PyYAML is missing here: install the package python3-yaml")
    text = _plain_text(content, what)
    reading = _Reading(what)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            reading.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ValueError(f"{what}, line {line}: this is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{what}: this is not YAML: {error}") from None
    if not reading.documents:
        raise ValueError(f"{what}, line 1: the file is empty")
    return Written(reading.data, reading.lines)


def _plain_text(content: bytes, what: str) -> str:
    if len(content) > MAX_BYTES:
        raise ValueError(f"{what} is larger than {MAX_BYTES // 1024} KiB: a plan that long can't be read by people")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{what}, line {line}: this is not UTF-8") from None
    for number, line_text in enumerate(text.split("\n"), 1):
        for character in line_text:
            # Signs that order text anew, hide in it or break lines for some readers alone.
            if unicodedata.category(character) in UNSEEN and character != "\t":
                raise ValueError(
                    f"{what}, line {number}: take out the character U+{ord(character):04X}: nobody sees it"
                )
    return text


class _Reading:
    """Builds data from YAML's events: what is not plain never becomes a node."""

    def __init__(self, what: str) -> None:
        self.data: t.Any = None
        self.lines: dict[str, int] = {}
        self.documents = 0
        self._what = what
        # What is open: the container, its path, and the key that waits for its value.
        self._open: list[tuple[t.Any, str, list[str]]] = []

    def take(self, event: t.Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._refuse(line, "there is a second document: write one")
            if event.version or event.tags:
                self._refuse(line, "take the directive out")
        elif isinstance(event, (yaml.AliasEvent, yaml.NodeEvent)):
            self._node(event, line)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._open.pop()

    def _node(self, event: t.Any, line: int) -> None:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(line, "an alias or anchor stands here: write the value itself")
        if event.tag is not None:
            self._refuse(line, f"take the tag {event.tag} out")
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, line)
            if self._takes_key():
                self._key(value, event.value, line)
                return
            self._put(value, line)
            return
        if self._takes_key():
            self._refuse(line, "a key must be a word")
        value = {} if isinstance(event, yaml.MappingStartEvent) else []
        path = self._put(value, line)
        if len(self._open) >= MAX_DEPTH:
            self._refuse(line, "this is nested too deeply")
        self._open.append((value, path, []))

    def _takes_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and not self._open[-1][2]

    def _key(self, key: t.Any, written: str, line: int) -> None:
        container, path, waiting = self._open[-1]
        if not isinstance(key, str):
            self._refuse(line, f"the key {written!r} is no text: put it in quotes")
        if key in container:
            self._refuse(line, f"the key {key} stands here twice: the first is on line {self.lines[_below(path, key)]}")
        self.lines[_below(path, key)] = line
        # So that the second of two is seen while the first one's value is still being read.
        container[key] = None
        waiting.append(key)

    def _put(self, value: t.Any, line: int) -> str:
        """Put *value* where it belongs; its path."""
        if not self._open:
            self.data = value
            return ""
        container, path, waiting = self._open[-1]
        if isinstance(container, dict):
            key = waiting.pop()
            container[key] = value
            return _below(path, key)
        container.append(value)
        path = f"{path}[{len(container) - 1}]"
        self.lines[path] = line
        return path

    def _scalar(self, event: t.Any, line: int) -> t.Any:
        text: str = event.value
        if event.style is not None:
            return text
        if not text:
            self._refuse(line, 'the value is missing: write it, or "" or null where it is to be empty')
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _DECIMAL.fullmatch(text):
            with contextlib.suppress(decimal.InvalidOperation):
                return decimal.Decimal(text)
        if _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)) not in _TEXTS:
            self._refuse(
                line, f"{text} means different things to readers of YAML: write true or false, or put it in quotes"
            )
        return text

    def _refuse(self, line: int, sentence: str) -> t.NoReturn:
        raise ValueError(f"{self._what}, line {line}: {sentence}")


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


if YAML_IMPORT_ERROR is None:
    _RESOLVER: t.Any = yaml.resolver.Resolver()
