# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a dump: the header before it, the trailer or abort after it, the store's answer, the manifest.

All are JSON objects with sorted keys. An unknown key is refused: source, sender and store are one version of the
collection, and `PROTOCOL` is raised where a document changes.
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing as t

from .names import DumpName, read_utc
from .scan import SequenceValue, TableData

PROTOCOL = 1
MANIFEST_FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)

Document = dict[str, t.Any]


def encode(document: t.Mapping[str, t.Any]) -> bytes:
    """The one form in which a document is written, so that what is signed can be written again byte by byte."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def decode(content: bytes, what: str) -> Document:
    """Read a JSON object; ValueError that names *what* it should have been."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the {what} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"the {what} is not a JSON object")
    return document


class _Reader:
    """Takes typed values out of a document and, at the end, refuses what is left."""

    def __init__(self, document: t.Mapping[str, t.Any], what: str) -> None:
        self._rest = dict(document)
        self._what = what

    def take(self, key: str, kind: type, *, default: t.Any = dataclasses.MISSING) -> t.Any:
        value = self._rest.pop(key, default)
        if value is dataclasses.MISSING:
            raise ValueError(f"the {self._what} lacks {key}")
        # bool is an int to Python and not to us.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{key} in the {self._what} is not of type {kind.__name__}")
        return value

    def count(self, key: str) -> int:
        value: int = self.take(key, int)
        if value < 0:
            raise ValueError(f"{key} in the {self._what} is below zero")
        return value

    def sha256(self, key: str) -> str:
        value: str = self.take(key, str)
        if _SHA256.fullmatch(value) is None:
            raise ValueError(f"{key} in the {self._what} is not a SHA-256 in hexadecimal")
        return value

    def time(self, key: str) -> str:
        value: str = self.take(key, str)
        try:
            read_utc(value)
        except ValueError:
            raise ValueError(f"{key} in the {self._what} is not a time such as 2026-11-22T03:00:00Z") from None
        return value

    def texts(self, key: str) -> dict[str, str]:
        return self._values(key, str)

    def numbers(self, key: str) -> dict[str, int]:
        return self._values(key, int)

    def _values(self, key: str, kind: type) -> dict[str, t.Any]:
        values = self.take(key, dict)
        inner = _Reader(values, f"{self._what}'s {key}")
        return {name: inner.take(name, kind) for name in values}

    def end(self) -> None:
        if self._rest:
            raise ValueError(f"the {self._what} holds what is not known here: {', '.join(sorted(self._rest))}")


@dataclasses.dataclass(frozen=True)
class Header:
    """What the store learns before the first byte of the dump."""

    name: DumpName
    started: str

    def document(self) -> Document:
        return {
            "protocol": PROTOCOL,
            "name": str(self.name),
            "database": self.name.database,
            "started": self.started,
        }

    @classmethod
    def read(cls, content: bytes) -> Header:
        """Read a header; ValueError for another protocol or a name that is none."""
        reader = _Reader(decode(content, "header"), "header")
        protocol = reader.take("protocol", int)
        if protocol != PROTOCOL:
            raise ValueError(f"the other side speaks protocol {protocol}, this one {PROTOCOL}: upgrade the older one")
        name = DumpName.parse(reader.take("name", str))
        if reader.take("database", str) != name.database:
            raise ValueError("the header's name and database differ")
        header = cls(name=name, started=reader.time("started"))
        reader.end()
        return header


@dataclasses.dataclass(frozen=True)
class Abort:
    """The trailer of a dump that failed."""

    reason: str
    statuses: dict[str, int] = dataclasses.field(default_factory=dict)

    def document(self) -> Document:
        return {"ok": False, "reason": self.reason, "statuses": self.statuses}


@dataclasses.dataclass(frozen=True)
class Trailer:
    """The trailer of a dump that is whole: everything that can be known of it where it was made.

    ``statuses`` are exit statuses by program, all 0. ``bytes`` and ``sha256`` are of the compressed stream,
    ``raw_bytes`` of the text. ``via_root`` names the tables whose rows come back in no certain order. ``settings`` are
    the database's: encoding, collate, ctype, and where the server knows them provider, locale. Times are UTC texts.
    """

    name: DumpName
    started: str
    finished: str
    statuses: dict[str, int]
    bytes: int
    sha256: str
    raw_bytes: int
    tables: dict[str, TableData]
    sequences: dict[str, SequenceValue]
    via_root: tuple[str, ...]
    versions: dict[str, str]
    settings: dict[str, str]
    extensions: dict[str, str]

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables.values())

    def document(self) -> Document:
        return {
            **dataclasses.asdict(self),
            "ok": True,
            "name": str(self.name),
            "database": self.name.database,
            "via_root": list(self.via_root),
        }

    @classmethod
    def read(cls, document: t.Mapping[str, t.Any]) -> Trailer:
        """Read the trailer of a whole dump; ValueError where it is not one."""
        reader = _Reader(document, "trailer")
        if reader.take("ok", bool) is not True:
            raise ValueError("the trailer is that of a dump that failed")
        name = DumpName.parse(reader.take("name", str))
        if reader.take("database", str) != name.database:
            raise ValueError("the trailer's name and database differ")
        trailer = cls(
            name=name,
            started=reader.time("started"),
            finished=reader.time("finished"),
            statuses=reader.numbers("statuses"),
            bytes=reader.count("bytes"),
            sha256=reader.sha256("sha256"),
            raw_bytes=reader.count("raw_bytes"),
            tables={key: _table(value, key) for key, value in reader.take("tables", dict).items()},
            sequences={key: _sequence(value, key) for key, value in reader.take("sequences", dict).items()},
            via_root=tuple(_names(reader.take("via_root", list))),
            versions=reader.texts("versions"),
            settings=reader.texts("settings"),
            extensions=reader.texts("extensions"),
        )
        reader.end()
        failed = sorted(program for program, status in trailer.statuses.items() if status != 0)
        if failed:
            raise ValueError(f"the trailer says ok although {' and '.join(failed)} failed")
        return trailer


def read_trailer(content: bytes) -> Trailer | Abort:
    """Read what ends a stream; ValueError where it is neither trailer nor abort, or not in the form of `encode`."""
    document = decode(content, "trailer")
    if encode(document) != content:
        raise ValueError("the trailer is not written in the form that can be written again")
    if document.get("ok") is not False:
        return Trailer.read(document)
    reader = _Reader(document, "trailer")
    reader.take("ok", bool)
    abort = Abort(reason=reader.take("reason", str), statuses=reader.numbers("statuses"))
    reader.end()
    return abort


@dataclasses.dataclass(frozen=True)
class Ack:
    """The store's answer to ``receive`` and ``stat``: the dump that it holds, or the reason why it does not."""

    name: str = ""
    bytes: int = 0
    sha256: str = ""
    reason: str = ""

    @property
    def ok(self) -> bool:
        return not self.reason

    def document(self) -> Document:
        if self.reason:
            return {"ok": False, "reason": self.reason}
        return {"ok": True, "name": self.name, "bytes": self.bytes, "sha256": self.sha256}


def read_ack(content: bytes) -> Ack:
    """Read the store's answer; ValueError where it is none."""
    reader = _Reader(decode(content, "answer of the store"), "answer of the store")
    if reader.take("ok", bool):
        ack = Ack(name=reader.take("name", str), bytes=reader.count("bytes"), sha256=reader.sha256("sha256"))
    else:
        ack = Ack(reason=reader.take("reason", str) or "the store gave no reason")
    reader.end()
    return ack


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What lies beside a dump in the store. ``received`` is by the store's own clock."""

    received: str
    trailer: Trailer

    def document(self) -> Document:
        return {"format": MANIFEST_FORMAT, "received": self.received, "trailer": self.trailer.document()}

    @classmethod
    def read(cls, content: bytes) -> Manifest:
        """Read a manifest; ValueError where it is none or of another format."""
        reader = _Reader(decode(content, "manifest"), "manifest")
        form = reader.take("format", int)
        if form != MANIFEST_FORMAT:
            raise ValueError(f"the manifest has format {form}; this version reads format {MANIFEST_FORMAT}")
        manifest = cls(received=reader.time("received"), trailer=Trailer.read(reader.take("trailer", dict)))
        reader.end()
        return manifest


def _table(value: t.Any, name: str) -> TableData:
    reader = _Reader(_object(value, name), f"trailer's table {name}")
    table = TableData(rows=reader.count("rows"), bytes=reader.count("bytes"), sha256=reader.sha256("sha256"))
    reader.end()
    return table


def _sequence(value: t.Any, name: str) -> SequenceValue:
    reader = _Reader(_object(value, name), f"trailer's sequence {name}")
    sequence = SequenceValue(value=reader.take("value", int), called=reader.take("called", bool))
    reader.end()
    return sequence


def _object(value: t.Any, name: str) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} in the trailer is not an object")
    return value


def _names(values: list[t.Any]) -> list[str]:
    if not all(isinstance(value, str) for value in values):
        raise ValueError("via_root in the trailer holds what is not a name")
    return values
