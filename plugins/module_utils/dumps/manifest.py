# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a dump: the request for it, the header before it, the trailer or abort after it, the store's answer,
the manifest.

All are JSON objects with sorted keys. An unknown key is refused: source, sender and store are one version of the
collection, and `PROTOCOL` is raised where a document changes.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from .ddl import Ddl
from .names import GLOBALS, SAVED, DumpName
from .plain.guarantees import Kept
from .reader import Reader, names
from .scan import SequenceValue, TableData
from .without import Without

PROTOCOL = 3
MANIFEST_FORMAT = 3
# Dumps that were archived before their schema was compared: the trailer has no ``ddl``.
OLD_MANIFEST_FORMAT = 2
# What ssh-keygen signs a trailer for, so that a signature for something else is none here.
SIGNATURE_NAMESPACE = "taaraxtak-dump"
REQUEST_LIMIT = 4096

Document = dict[str, t.Any]
# A trailer has a field of the type's own name.
Content = bytes


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


@dataclasses.dataclass(frozen=True)
class Request:
    """What the sender asks the source for, in this order: databases, or `names.GLOBALS`."""

    artefacts: tuple[str, ...]

    def document(self) -> Document:
        return {"protocol": PROTOCOL, "artefacts": list(self.artefacts)}

    @classmethod
    def read(cls, content: bytes) -> Request:
        """Read a request; ValueError for another protocol, for none or for the same thing twice."""
        reader = Reader(decode(content, "request"), "request")
        _check_protocol(reader)
        wanted = names(reader.take("artefacts", list), "artefacts in the request")
        reader.end()
        if not wanted or len(set(wanted)) != len(wanted):
            raise ValueError("the request must name what it wants, each thing once")
        return cls(tuple(wanted))


@dataclasses.dataclass(frozen=True)
class Header:
    """What the store learns before the first byte of the dump."""

    name: DumpName
    started: str

    def document(self) -> Document:
        return {
            "protocol": PROTOCOL,
            **_named(self.name),
            "started": self.started,
        }

    @classmethod
    def read(cls, content: bytes) -> Header:
        """Read a header; ValueError for another protocol or a name that is none."""
        reader = Reader(decode(content, "header"), "header")
        _check_protocol(reader)
        header = cls(name=_name(reader), started=reader.time("started"))
        reader.end()
        return header


@dataclasses.dataclass(frozen=True)
class Abort:
    """The trailer of a dump that failed; ``final`` where trying again would change nothing."""

    reason: str
    statuses: dict[str, int] = dataclasses.field(default_factory=dict)
    final: bool = False

    def document(self) -> Document:
        return {"ok": False, "reason": self.reason, "statuses": self.statuses, "final": self.final}


@dataclasses.dataclass(frozen=True)
class Trailer:
    """The trailer of a dump that is whole: everything that can be known of it where it was made.

    ``statuses`` are exit statuses by program, all 0. ``bytes`` and ``sha256`` are of the compressed (and encrypted)
    stream, ``raw_bytes`` of the text. ``via_root`` names the tables whose rows come back in no certain order.
    ``left_out`` names what the database holds and the dump does not: foreign tables (their rows), subscriptions,
    ``large objects``.
    ``settings`` are the database's: encoding, collate, ctype, and where the server knows them provider, locale. Times
    are UTC texts. Of globals there are no tables, sequences, extensions and settings, but ``roles``, their number. Of
    saved rows there are ``tables`` alone. ``ddl`` is what the schema of a dump is; older dumps and others have none.
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
    left_out: tuple[str, ...] = ()
    roles: int = 0
    ddl: Ddl | None = None

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.tables.values())

    def document(self) -> Document:
        document = {
            **dataclasses.asdict(self),
            **_named(self.name),
            "ok": True,
            "via_root": list(self.via_root),
            "left_out": list(self.left_out),
        }
        if self.ddl is None:
            # What was signed before there was any has to be written again as it was.
            del document["ddl"]
        return document

    @property
    def signed(self) -> Content:
        """The bytes that the signature is of."""
        return encode(self.document())

    @classmethod
    def read(cls, document: t.Mapping[str, t.Any]) -> Trailer:
        """Read the trailer of a whole dump; ValueError where it is not one."""
        reader = Reader(document, "trailer")
        if reader.take("ok", bool) is not True:
            raise ValueError("the trailer is that of a dump that failed")
        trailer = cls(
            name=_name(reader),
            started=reader.time("started"),
            finished=reader.time("finished"),
            statuses=reader.numbers("statuses"),
            bytes=reader.count("bytes"),
            sha256=reader.sha256("sha256"),
            raw_bytes=reader.count("raw_bytes"),
            tables={key: _table(value, key) for key, value in reader.take("tables", dict).items()},
            sequences={key: _sequence(value, key) for key, value in reader.take("sequences", dict).items()},
            via_root=tuple(names(reader.take("via_root", list), "via_root in the trailer")),
            versions=reader.texts("versions"),
            settings=reader.texts("settings"),
            extensions=reader.texts("extensions"),
            left_out=tuple(names(reader.take("left_out", list), "left_out in the trailer")),
            roles=reader.count("roles"),
            ddl=_ddl(reader.take("ddl", dict)) if "ddl" in document else None,
        )
        reader.end()
        if trailer.name.kind == GLOBALS and (trailer.tables or _of_a_dump(trailer)):
            raise ValueError("the trailer of globals names tables, sequences, extensions or a schema")
        if trailer.name.kind == SAVED and _of_a_dump(trailer):
            raise ValueError("the trailer of saved rows names sequences, extensions or a schema")
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
    reader = Reader(document, "trailer")
    reader.take("ok", bool)
    abort = Abort(
        reason=reader.take("reason", str), statuses=reader.numbers("statuses"), final=reader.take("final", bool)
    )
    reader.end()
    return abort


@dataclasses.dataclass(frozen=True)
class Ack:
    """The store's answer to ``receive`` and ``stat``: the dump that it holds, or the reason why it does not.

    ``final`` goes with a reason: trying again would change nothing.
    """

    name: str = ""
    bytes: int = 0
    sha256: str = ""
    reason: str = ""
    final: bool = False

    @property
    def ok(self) -> bool:
        return not self.reason

    def document(self) -> Document:
        if self.reason:
            return {"ok": False, "reason": self.reason, "final": self.final}
        return {"ok": True, "name": self.name, "bytes": self.bytes, "sha256": self.sha256}


def read_ack(content: bytes) -> Ack:
    """Read the store's answer; ValueError where it is none."""
    reader = Reader(decode(content, "answer of the store"), "answer of the store")
    if reader.take("ok", bool):
        ack = Ack(name=reader.take("name", str), bytes=reader.count("bytes"), sha256=reader.sha256("sha256"))
    else:
        reason = reader.take("reason", str) or "the store gave no reason"
        ack = Ack(reason=reason, final=reader.take("final", bool, default=False))
    reader.end()
    return ack


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What lies beside a dump in the store.

    ``received`` is by the store's own clock; ``signature`` is the armoured one of `Trailer.signed`. An adopted dump,
    made before there were signatures, has none and says so. So does what was made on the store: ``derived_from`` has
    the name and the SHA-256 of the signed dump that it was made of, and ``without`` what it was to leave out. ``kept``
    says what the store can't promise where it is a plain one.
    """

    received: str
    trailer: Trailer
    signature: str = ""
    adopted: bool = False
    derived_from: dict[str, str] | None = None
    without: Without | None = None
    kept: Kept | None = None

    def __post_init__(self) -> None:
        if self.adopted == bool(self.signature):
            raise ValueError("a manifest has either a signature or is that of an adopted dump")
        if self.derived_from is not None and (self.signature or self.derived_from.keys() != {"name", "sha256"}):
            raise ValueError("what was derived from a dump has no signature, and the dump's name and sha256")

    def document(self) -> Document:
        return {
            "format": MANIFEST_FORMAT,
            "received": self.received,
            "signature": self.signature,
            "trailer": self.trailer.document(),
            **({"adopted": True} if self.adopted else {}),
            **({"derived_from": self.derived_from} if self.derived_from is not None else {}),
            **({"without": dataclasses.asdict(self.without)} if self.without is not None else {}),
            **({"store": self.kept.document()} if self.kept is not None else {}),
        }

    def overview(self) -> Document:
        """What a list of dumps says of it."""
        trailer = self.trailer
        return {
            "name": str(trailer.name),
            "database": trailer.name.database,
            "kind": trailer.name.kind,
            "encrypted": trailer.name.encrypted,
            "adopted": self.adopted,
            "bytes": trailer.bytes,
            "sha256": trailer.sha256,
            "rows": trailer.rows,
            "tables": {name: table.rows for name, table in sorted(trailer.tables.items())},
            "started": trailer.started,
            "received": self.received,
        }

    @classmethod
    def read(cls, content: bytes) -> Manifest:
        """Read a manifest; ValueError where it is none or of another format."""
        document = decode(content, "manifest")
        reader = Reader(document, "manifest")
        form = reader.take("format", int)
        if form not in (OLD_MANIFEST_FORMAT, MANIFEST_FORMAT):
            readable = f"{OLD_MANIFEST_FORMAT} and {MANIFEST_FORMAT}"
            raise ValueError(f"the manifest has format {form}; this version reads formats {readable}")
        manifest = cls(
            received=reader.time("received"),
            trailer=Trailer.read(reader.take("trailer", dict)),
            signature=reader.take("signature", str),
            adopted=reader.take("adopted", bool, default=False),
            derived_from=reader.texts("derived_from") if "derived_from" in document else None,
            without=Without.read(reader.take("without", dict)) if "without" in document else None,
            kept=Kept.read(reader.take("store", dict)) if "store" in document else None,
        )
        reader.end()
        if form == OLD_MANIFEST_FORMAT and manifest.trailer.ddl is not None:
            raise ValueError(f"a manifest of format {form} has no ddl in its trailer")
        return manifest


def _named(name: DumpName) -> Document:
    return {"name": str(name), "database": name.database, "kind": name.kind, "encrypted": name.encrypted}


def _name(reader: Reader) -> DumpName:
    """The name, which says the same as what stands beside it."""
    name = DumpName.parse(reader.take("name", str))
    said = (reader.take("database", str), reader.take("kind", str), reader.take("encrypted", bool))
    if said != (name.database, name.kind, name.encrypted):
        raise ValueError(f"{name} differs from the database, kind or encryption beside it")
    return name


def _check_protocol(reader: Reader) -> None:
    protocol = reader.take("protocol", int)
    if protocol != PROTOCOL:
        raise ValueError(f"the other side speaks protocol {protocol}, this one {PROTOCOL}: upgrade the older one")


def _table(value: t.Any, name: str) -> TableData:
    reader = Reader(_object(value, name), f"trailer's table {name}")
    table = TableData(rows=reader.count("rows"), bytes=reader.count("bytes"), sha256=reader.sha256("sha256"))
    reader.end()
    return table


def _sequence(value: t.Any, name: str) -> SequenceValue:
    reader = Reader(_object(value, name), f"trailer's sequence {name}")
    sequence = SequenceValue(value=reader.take("value", int), called=reader.take("called", bool))
    reader.end()
    return sequence


def _ddl(value: t.Mapping[str, t.Any]) -> Ddl:
    reader = Reader(value, "trailer's ddl")
    ddl = Ddl(sha256=reader.sha256("sha256"), kinds=reader.counts("kinds"))
    reader.end()
    return ddl


def _of_a_dump(trailer: Trailer) -> bool:
    """Whether it says what only a whole database has."""
    return bool(trailer.sequences or trailer.extensions or trailer.ddl)


def _object(value: t.Any, name: str) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{name} in the trailer is not an object")
    return value
