# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read nested data that a person wrote, and gather every problem instead of stopping at the first."""

from __future__ import annotations

import re
import typing as t

# NAMEDATALEN - 1: PostgreSQL cuts longer names, and a cut name would never equal the policy's.
NAME_BYTES = 63


class Fields:
    """Typed getters that return something usable and note in ``problems`` what was wrong, each with its key."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def say(self, where: str, sentence: str) -> None:
        """Note a problem at the key *where*; *sentence* says what to write."""
        self.problems.append(f"{where}: {sentence}")

    def say_of_key(self, where: str, key: str, sentence: str) -> None:
        """Note a problem with *key* itself in the mapping at *where*."""
        self.say(where, sentence)

    def mapping(
        self, where: str, value: object, *, known: t.Collection[str] | None = None, required: t.Collection[str] = ()
    ) -> dict[str, t.Any]:
        """*value* as a mapping with only the *known* keys (None: any); {} where it is none."""
        if not isinstance(value, t.Mapping):
            keys = "" if known is None else f" with the keys {', '.join(known)}"
            self.say(where, f"write a mapping{keys}")
            return {}
        read = {}
        for key, content in value.items():
            if not isinstance(key, str):
                self.say(where, f"the key {key!r} is no text: put it in quotes")
            elif known is not None and key not in known:
                hint = did_you_mean(key, known) or f"write one of {', '.join(known)}"
                self.say_of_key(where, key, f"the key {key} is unknown: {hint}")
            else:
                read[str(key)] = content
        for key in required:
            if key not in value:
                self.say(where, f"the key {key} is missing: write it")
        return read

    def sequence(self, where: str, value: object) -> list[tuple[str, t.Any]]:
        """(key, item) of a list; [] where *value* is none."""
        if isinstance(value, (str, bytes)) or not isinstance(value, t.Sequence):
            self.say(where, "write a list")
            return []
        return [(f"{where}[{number}]", item) for number, item in enumerate(value)]

    def one_or_list(self, where: str, value: object) -> list[tuple[str, t.Any]]:
        """(key, item) of a list, or of the one item that stands for itself; an empty list is a problem."""
        if isinstance(value, t.Sequence) and not isinstance(value, (str, bytes)):
            if not value:
                self.say(where, "the list is empty: write at least one item, or leave the key out")
            return self.sequence(where, value)
        return [(where, value)]

    def name(self, where: str, value: object) -> str | None:
        """A name that PostgreSQL can store, exactly as it stands in the catalogue."""
        if not isinstance(value, str):
            self.say(where, f"write a name as text, not {as_read(value)}")
        elif not value:
            self.say(where, "the name is empty: write one")
        elif re.search(r"[\x00-\x1f\x7f]", value):
            self.say(where, "the name has a control character: write it without")
        elif re.search(r"[\ud800-\udfff]", value):
            self.say(where, "the name is no valid Unicode: write it anew")
        elif len(value.encode()) > NAME_BYTES:
            self.say(where, f"the name {value} is longer than {NAME_BYTES} bytes: PostgreSQL would cut it")
        else:
            return str(value)
        return None

    def names(self, where: str, value: object) -> tuple[str, ...]:
        """One name or a list of names, without repetitions, in the order written."""
        read = [self.name(key, item) for key, item in self.one_or_list(where, value)]
        return tuple(dict.fromkeys(name for name in read if name is not None))

    def database(self, where: str, name: str) -> None:
        """Note a problem where *name* is no single database's."""
        if "*" in name:
            self.say(where, f"{name} is a pattern, and none can stand here: write each database")
        else:
            self.name(where, name)

    def flag(self, where: str, value: object) -> bool:
        """True or false."""
        if not isinstance(value, bool):
            self.say(where, f"write true or false, not {as_read(value)}")
            return False
        return value

    def choice(self, where: str, value: object, choices: t.Sequence[str]) -> str:
        """One of *choices*; the first where *value* is none of them."""
        if not isinstance(value, str) or value not in choices:
            self.say(where, f"write {' or '.join(choices)}, not {as_read(value)}")
            return choices[0]
        return str(value)


def did_you_mean(word: str, known: t.Iterable[str]) -> str:
    """A question for who wrote *word* and nearly one of *known*; empty where none is near."""
    import difflib  # a policy without mistakes never needs it

    close = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {close[0]}?" if close else ""


def as_read(value: object) -> str:
    """A value as a person reads it in a sentence, cut short."""
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
