# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Split SQL into statements, and refuse those that would leave the one transaction or the one role they are run in."""

from __future__ import annotations

import dataclasses
import re
import typing as t

# What may stand between the parts of one string: blanks and comments, with the end of a line.
BETWEEN = r"""[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*"""
# One token of SQL, by the rules of PostgreSQL's scan.l: whatever isn't ASCII, blanks and symbols too, is a letter of a
# name or of a dollar quote's tag, a carriage return ends a comment too, and a string may go on in the next line, as
# it began.
TOKEN = re.compile(
    rf"""
    (?P<comment>--[^\n\r]*)
  | (?P<block>/\*)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*'(?:{BETWEEN}'(?:[^'\\]|\\.|'')*')*)
  | (?P<string>'(?:[^']|'')*'(?:{BETWEEN}'(?:[^']|'')*')*)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?)\$.*?\$(?P=tag)\$)
  | (?P<word>(?![eE]')[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
  | (?P<number>\d(?:(?![eE]')\w)*)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.ASCII | re.DOTALL | re.VERBOSE,
)
CONTINUED = re.compile(f"'{BETWEEN}'")
TAG = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$", re.ASCII)

OPENED = {"'": "string", '"': "quoted name", "$": "dollar-quoted string"}

# What would end the transaction, or begin one of its own.
TRANSACTION = {
    "abort",
    "begin",
    "commit",
    "discard",
    "end",
    "release",
    "rollback",
    "savepoint",
    "start",
}
# Who the session is, how its strings are read and how long it waits: the module's business, however it is set.
ROLES = {"role", "authorization", "session_authorization"}
READING = {"standard_conforming_strings", "backslash_quote"}
# What CREATE and ALTER give settings of their own by SET.
HOLDERS = {"function", "procedure", "routine", "database", "role", "user"}
# The words of SET and RESET that say how long a setting lasts, and nothing of which it is.
SPAN = {"local", "session"}


@dataclasses.dataclass(frozen=True)
class Statement:
    """One statement: its text without comments around it and without the semicolon, and the line that it begins on."""

    text: str
    line: int
    words: tuple[str, ...]
    """Its first words in lower case, quoted names too (SET "role" is SET ROLE): enough to know what it does."""
    settings: tuple[str, ...] = ()
    """The settings that it gives to set_config, or by SET to the function, database or role that it is of."""


class _Open:
    """The statement that is being read."""

    def __init__(self) -> None:
        self.start: int | None = None
        self.end = 0
        self.words: list[str] = []
        self.depth = 0
        self.settings: list[str] = []
        self._awaits = ""

    def setting(self, kind: str, text: str) -> None:
        """Follow ``SET name`` further in, and the first text that set_config gets."""
        name = text.strip("\"'").lower()
        if kind == "dollar":
            name = text.strip("$").lower()
        if self._awaits == "set_config":
            if kind in ("string", "escaped", "dollar"):
                name = CONTINUED.sub("", name)
                self.settings.append(name[2:] if kind == "escaped" else name)
                self._awaits = ""
        elif kind not in ("word", "quoted"):
            pass
        elif self._awaits == "set" and name not in SPAN:
            self.settings.append(name)
            self._awaits = ""
        elif name == "set_config":
            self._awaits = name
        elif (kind, name, self.depth) == ("word", "set", 0) and HOLDERS & set(self.words[1:5]):
            self._awaits = name if self.words[0] in ("create", "alter") else ""

    def word(self, word: str) -> None:
        """Follow ``BEGIN ATOMIC … END``, whose semicolons belong to the body of a function."""
        routine = self.words[:1] == ["create"] and {"function", "procedure"} & set(self.words[1:5])
        if routine and (word == "atomic" or (self.depth and word == "case")):
            self.depth += 1
        elif self.depth and word == "end":
            self.depth -= 1
        if len(self.words) < 8 or (routine and len(self.words) < 64):
            self.words.append(word)


def split(text: str) -> list[Statement]:
    """The statements of *text*, in order. ValueError, with the line, where it isn't plain SQL or a quote stays open."""
    found: list[Statement] = []
    current = _Open()
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:  # every character is at least an "other": this can't happen
            raise ValueError(f"line {_line(text, position)}: the text can't be read")
        kind = match.lastgroup
        end = match.end()
        if kind == "block":
            end = _block_end(text, position)
        elif kind in ("comment", "space"):
            pass
        elif kind == "other" and match.group() == ";" and current.depth == 0:
            if current.start is not None:
                found.append(_close(text, current))
            current = _Open()
        else:
            if kind == "other":
                _refuse_character(text, position, match.group())
            if current.start is None:
                current.start = position
            current.end = end
            if kind == "quoted" and text[max(position - 2, 0) : position].lower() == "u&":
                raise ValueError(f'line {_line(text, position)}: U&"…" hides a name from this check: write it plainly')
            current.setting(str(kind), match.group())
            if kind == "word":
                current.word(match.group().lower())
            elif kind == "quoted":
                current.words.append(match.group().strip('"').lower())
        position = end
    if current.start is not None:
        found.append(_close(text, current))
    return found


def _close(text: str, current: _Open) -> Statement:
    start = current.start or 0
    return Statement(text[start : current.end], _line(text, start), tuple(current.words[:8]), tuple(current.settings))


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _block_end(text: str, position: int) -> int:
    """Where the comment that begins at *position* ends: they nest."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(text, position):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    raise ValueError(f"line {_line(text, position)}: the comment that begins here does not end")


def _refuse_character(text: str, position: int, character: str) -> None:
    if character == "\\":
        word = text[position : position + 40].split("\n")[0].split()[0]
        raise ValueError(f"line {_line(text, position)}: {word} is a command of psql, not SQL: take it out")
    if character in ("e", "E"):  # not a word, so the string that it introduces has no end
        raise ValueError(f"line {_line(text, position)}: the string that begins here does not end")
    if character in ("'", '"'):
        raise ValueError(f"line {_line(text, position)}: the {OPENED[character]} that begins here does not end")
    if character == "$" and TAG.match(text, position):
        raise ValueError(f"line {_line(text, position)}: the {OPENED[character]} that begins here does not end")


def refuse(statement: Statement) -> str | None:
    """Why *statement* may not be run inside the one transaction and as the one role; None where it may."""
    words = statement.words
    first = words[0] if words else ""
    rest = [word for word in words[1:] if word not in SPAN]
    if first in TRANSACTION or words[:2] == ("prepare", "transaction"):
        return f"{_shown(statement)} has no place here: the whole text is one transaction, which the module ends"
    if first in ("set", "reset"):
        # SET SESSION AUTHORIZATION: "session" is taken for a span above, so the next word tells.
        reason = _of_the_module(rest[:1], _shown(statement))
        if reason is not None:
            return reason
        if first == "reset" and rest[:1] == ["all"]:
            return "RESET ALL has no place here: it would undo the lock timeout"
        if first == "set" and rest[:1] == ["transaction"]:
            return "SET TRANSACTION has no place here: the whole text is one transaction, which the module began"
    if first == "copy":
        return "COPY has no place here: a schema holds no rows, and a migration moves them by INSERT or UPDATE"
    if first == "do":
        return "DO hides what it does from this check: write the statements out"
    return _of_the_module(statement.settings, "setting {} inside a statement")


def _of_the_module(names: t.Iterable[str], shown: str) -> str | None:
    for name in names:
        said = shown.replace("{}", name)
        if name in ROLES:
            return f"{said} has no place here: the whole text runs as the owner"
        if name in READING:
            return f"{said} has no place here: this check would read the strings after it otherwise than the server"
        if name == "lock_timeout":
            return f"{said} has no place here: give the module's lock_timeout"
    return None


def _shown(statement: Statement) -> str:
    count = 3 if statement.words[0] in ("set", "prepare") else 2
    return " ".join(statement.words[:count]).upper()


def lint(text: str) -> list[Statement]:
    """The statements of *text*; ValueError naming every line that may not be run and why, or that there is nothing."""
    statements = split(text)
    if not statements:
        raise ValueError("there is no statement in it")
    said: list[str] = []
    for statement in statements:
        reason = refuse(statement)
        if reason is not None:
            said.append(f"line {statement.line}: {reason}")
    if said:
        raise ValueError("; ".join(said))
    return statements


def without_noise(statements: t.Iterable[Statement]) -> list[Statement]:
    """What pg_dump wrote, without the session settings: they say nothing of the schema and differ between versions."""
    return [
        statement
        for statement in statements
        if statement.words[:1] != ("set",) and statement.words[:3] != ("select", "pg_catalog", "set_config")
    ]
