# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements of a dump's schema, normalised, so that a dump and the dump of its copy can be compared.

PostgreSQL writes an expression that it has read back with other parentheses and casts: ``CHECK (x = ANY ((ARRAY['a'::
character varying])::text[]))`` is another text after a restore, and the same constraint. So outside quotes white space,
parentheses, casts and comments don't count. Nor does the order of statements. No text is kept: a digest and a label
for each statement.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import re
import typing as t

# A name that needs no quotes, as the scan's lexer sees it.
_WORD = rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*"
_QUOTED_NAME = rb'"[^"]*(?:""[^"]*)*"'
_TYPE = (
    rb"(?:character varying|double precision|bit varying"
    rb"|time(?:stamp)?(?:\([0-9]+\))? with(?:out)? time zone"
    rb"|interval (?:year|month|day|hour|minute|second)(?: to (?:month|hour|minute|second))?"
    rb"|(?:%s|%s)(?:\.(?:%s|%s))*)(?:\([^()'\"]*\))?(?:\[\])*" % (_QUOTED_NAME, _WORD, _QUOTED_NAME, _WORD)
)
# What is taken out of a statement. Each branch begins with a character of its own: re then skips to those.
_TAKEN = re.compile(
    rb"('(?:(?<=[eE]')(?<![A-Za-z0-9_$\x80-\xff][eE]')[^'\\]*(?:(?:\\.|'')[^'\\]*)*|[^']*(?:''[^']*)*)'"
    rb"|"
    + _QUOTED_NAME
    + rb"|\$(?<![A-Za-z0-9_$\x80-\xff]\$)((?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?)\$.*?\$\2\$"
    rb"|::" + _TYPE + rb"|--[^\n]*)",
    re.DOTALL,
)
# Stands for what is quoted; no text that PostgreSQL writes holds it outside quotes.
_MARK = b"\x01"
_SPACED = bytes.maketrans(b"()", b"  ")
# White space around these doesn't count.
_PUNCTUATION = (b",", b".", b";", b"[", b"]")

# What says nothing about the schema: it may differ (a key, a version's settings) or is compared elsewhere (data).
_PASSED = (
    b"SET ",
    b"SELECT pg_catalog.set_config(",
    b"SELECT pg_catalog.setval(",
    b"SELECT * FROM pg_catalog.pg_restore_",
    b"COPY ",
    b"\\",
)
_MODIFIERS = frozenset(
    (b"OR", b"REPLACE", b"UNIQUE", b"UNLOGGED", b"CONSTRAINT", b"TRUSTED", b"PROCEDURAL", b"DEFAULT")
)
# Kinds of more than one word, by the first.
_LONG_KINDS = {
    b"MATERIALIZED": ((b"MATERIALIZED", b"VIEW"),),
    b"FOREIGN": ((b"FOREIGN", b"TABLE"), (b"FOREIGN", b"DATA", b"WRAPPER")),
    b"EVENT": ((b"EVENT", b"TRIGGER"),),
    b"TEXT": tuple((b"TEXT", b"SEARCH", part) for part in (b"CONFIGURATION", b"DICTIONARY", b"PARSER", b"TEMPLATE")),
    b"OPERATOR": ((b"OPERATOR", b"CLASS"), (b"OPERATOR", b"FAMILY")),
    b"USER": ((b"USER", b"MAPPING"),),
    b"ACCESS": ((b"ACCESS", b"METHOD"),),
}
# The word after which an object's table stands.
_TABLE_AFTER = {"INDEX": b"ON", "TRIGGER": b"ON", "POLICY": b"ON", "RULE": b"TO"}
_NO_NAMES = frozenset((b"IF", b"NOT", b"EXISTS", b"FOR", b"ONLY"))

DIGEST_SIZE = 16
LABEL_LIMIT = 160


@dataclasses.dataclass(frozen=True)
class Ddl:
    """What a dump's schema is: the SHA-256 of its normalised statements in sorted order, and how many of each kind."""

    sha256: str
    kinds: dict[str, int]


class Statements:
    """The statements of a dump's schema, one after the other, by digest and label."""

    def __init__(self) -> None:
        self._digests = bytearray()
        # Each ends with a zero byte.
        self._labels = bytearray()
        self._kinds: collections.Counter[str] = collections.Counter()
        # Pieces of a statement that holds semicolons of its own.
        self._pieces: list[bytes] = []
        self._parentheses = 0

    def add(self, statement: bytes) -> None:
        """Take a statement outside COPY data, or the next piece of one that holds semicolons: a body, a rule."""
        if self._pieces:
            self._piece(statement)
        elif not statement.startswith(_PASSED):
            parts = _Parts(statement)
            if _goes_on(parts):
                self._piece(statement)
            else:
                self._take(parts)

    def ddl(self) -> Ddl:
        """What has been taken until now."""
        self._flush()
        digest = hashlib.sha256()
        for one in sorted(self._each_digest()):
            digest.update(one)
        return Ddl(sha256=digest.hexdigest(), kinds=dict(sorted(self._kinds.items())))

    def differences(self, copy: Statements) -> list[str]:
        """What the copy lacks, has beside it or has otherwise: a sentence for each object."""
        self._flush()
        copy._flush()
        here, there = self._unmatched(copy), copy._unmatched(self)
        found = []
        for label in sorted(here.keys() | there.keys()):
            if label in here and label in there:
                found.append(f"the {label} differs")
            elif label in here:
                found.append(f"the {label} is missing in the copy")
            else:
                found.append(f"the {label} is only in the copy")
        return found

    def _take(self, parts: _Parts) -> None:
        if not parts.words:
            return
        kind, label = _described(parts)
        self._kinds[kind] += 1
        self._digests += parts.digest()
        self._labels += label[:LABEL_LIMIT].replace(b"\0", b" ") + b"\0"

    def _piece(self, statement: bytes) -> None:
        """Hold a piece until the body's END or the rule's closing parenthesis."""
        if not self._pieces:
            self._parentheses = 0
        self._pieces.append(statement)
        self._parentheses += _Parts(statement).parentheses
        body = b"BEGIN ATOMIC" in self._pieces[0]
        if statement.strip() == b"END;" if body else self._parentheses <= 0:
            self._flush()

    def _flush(self) -> None:
        if self._pieces:
            statement, self._pieces = b"".join(self._pieces), []
            self._take(_Parts(statement))

    def _each_digest(self) -> t.Iterator[bytes]:
        for start in range(0, len(self._digests), DIGEST_SIZE):
            yield bytes(self._digests[start : start + DIGEST_SIZE])

    def _unmatched(self, other: Statements) -> collections.Counter[str]:
        """By label, the statements of this that *other* has not, or has fewer times."""
        rest = collections.Counter(other._each_digest())
        unmatched: collections.Counter[str] = collections.Counter()
        for digest, label in zip(self._each_digest(), self._labels.split(b"\0"), strict=False):
            if rest[digest] > 0:
                rest[digest] -= 1
            else:
                unmatched[label.decode("utf-8", "replace").replace("\n", "\\n")] += 1
        return unmatched


class _Parts:
    """A statement's words outside quotes, `_MARK` for each quoted part, and those parts."""

    __slots__ = ("parentheses", "quoted", "statement", "words")

    def __init__(self, statement: bytes) -> None:
        self.statement = statement
        self.quoted: list[bytes] = []
        parts = _TAKEN.split(statement)
        # Of three: what is outside, what is taken out, and its dollar tag.
        for index in range(1, len(parts), 3):
            taken = parts[index]
            if taken[0] in b":-":
                parts[index] = b" "
            else:
                self.quoted.append(taken)
                parts[index] = b" \x01 "
            parts[index + 1] = b""
        outside = b"".join(parts) if len(parts) > 1 else statement
        self.parentheses = outside.count(b"(") - outside.count(b")")
        for mark in _PUNCTUATION:
            outside = outside.replace(mark, b" %s " % mark)
        self.words = outside.translate(_SPACED).split()

    def digest(self) -> bytes:
        """The same for statements that mean the same."""
        text = b"\0".join((b" ".join(self.words), *self.quoted))
        return hashlib.blake2b(text, digest_size=DIGEST_SIZE).digest()

    def name(self, start: int) -> tuple[bytes, int]:
        """The name, with its schema if it has one, that begins at a word, and where it ends."""
        words = self.words
        while start < len(words) and words[start] in _NO_NAMES:
            start += 1
        mark = words[:start].count(_MARK)
        name: list[bytes] = []
        for index in range(start, len(words)):
            word = words[index]
            if (index - start) % 2 and word != b".":
                return b"".join(name), index
            if word == _MARK and mark < len(self.quoted):
                word = self.quoted[mark]
                mark += 1
            name.append(word)
        return b"".join(name), len(words)

    def head(self) -> bytes:
        """How it begins, on one line."""
        return b" ".join(self.statement[:LABEL_LIMIT].split()).rstrip(b";")


def _goes_on(parts: _Parts) -> bool:
    """Whether a semicolon in it, and not its own, ended it: that of a function's body, or between a rule's actions."""
    if b"BEGIN ATOMIC" in parts.statement:
        words = parts.words
        return any(pair == (b"BEGIN", b"ATOMIC") for pair in itertools.pairwise(words))
    return parts.statement.startswith(b"CREATE RULE ") and parts.parentheses > 0


def _described(parts: _Parts) -> tuple[str, bytes]:
    """The kind of a statement, and what a sentence calls it."""
    words = parts.words
    first = words[0]
    if first == b"CREATE" and len(words) > 2:
        return _created(parts)
    if first in (b"GRANT", b"REVOKE"):
        return "ACL", b"statement " + parts.head()
    if first == b"ALTER" and len(words) > 4:
        if words[-4:-2] == [b"OWNER", b"TO"]:
            return "OWNER", b"owner of " + words[1].lower() + b" " + parts.name(2)[0]
        if words[1] == b"TABLE":
            table, end = parts.name(2)
            if words[end : end + 2] == [b"ADD", b"CONSTRAINT"]:
                return "CONSTRAINT", b"constraint " + parts.name(end + 2)[0] + b" of " + table
            if words[end : end + 2] == [b"ALTER", b"COLUMN"] and words[end + 3 : end + 5] == [b"ADD", b"GENERATED"]:
                return "SEQUENCE", b"sequence of " + table
    if first == b"ALTER" and b"DEFAULT" in words and b"PRIVILEGES" in words:
        return "ACL", b"statement " + parts.head()
    return "OTHER", b"statement " + parts.head()


def _created(parts: _Parts) -> tuple[str, bytes]:
    words = parts.words
    start = 1
    while start < len(words) - 1 and words[start] in _MODIFIERS:
        start += 1
    kinds = _LONG_KINDS.get(words[start], ())
    long = next((kind for kind in kinds if tuple(words[start : start + len(kind)]) == kind), (words[start],))
    kind = b" ".join(long).decode("ascii", "replace")
    name, end = parts.name(start + len(long))
    label = kind.lower().encode() + b" " + name
    after = _TABLE_AFTER.get(kind)
    if after is not None and after in words[end:]:
        table = parts.name(words.index(after, end) + 1)[0]
        if kind != "INDEX":
            return kind, label + b" of " + table
        # An index is in its table's schema, which stands there alone.
        label = b"index " + table[: len(table) - len(_last(table))] + name
    return kind, label


def _last(name: bytes) -> bytes:
    """The part of a name after its schema."""
    found = re.search(rb"(?:%s|%s)\Z" % (_QUOTED_NAME, _WORD), name)
    return found[0] if found is not None else name
