# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill and its sandbox say to each other over one socket, in the frames of `frames.py`.

The drill: an `Order`, the globals' text, the dump's text. The sandbox: a document (``ok``, or the ``reason`` why not),
the text of its copy, a document. Then the drill may wish for the text of a copy without some tables' rows: again the
sandbox gives a document, the text, a document. What goes wrong is said in the next document, which is then the last;
``cannot`` in it says that this host is in the way, and not the dump.
"""

from __future__ import annotations

import dataclasses
import os
import typing as t

from ..frames import END, FRAME_LIMIT, FrameDecoder, prefix, section
from ..manifest import Document, decode, encode
from ..processes import Clock, DumpError
from ..reader import Reader

PROTOCOL = 1
# What an answer says beside ``ok`` and ``reason``: the host is in the way, and nothing is said of the dump.
CANNOT = "cannot"
ANSWER = "sandbox's answer"
COUNTED = ("tables", "indexes", "constraints", "sequences")
OUTCOMES = ("passed", "failed", "not_run")
# Of a document: a policy has some 10 kB, the findings of an audit more.
DOCUMENT_LIMIT = 1 << 23


class LostError(DumpError):
    """The other side is gone, or the time is over: nobody has said why."""


@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be restored: the database, how it is made, what its server was, and the policy to hold it against.

    ``settings``, ``versions`` and ``extensions`` are the trailer's; ``raw_bytes`` those of the dump's text.
    ``bootstrap`` is the superuser that the cluster is made with, who owned everything where the dump was made.
    """

    database: str
    raw_bytes: int
    settings: dict[str, str]
    versions: dict[str, str]
    extensions: dict[str, str]
    bootstrap: str
    large_objects: bool
    policy: Document | None

    def document(self) -> Document:
        return {"protocol": PROTOCOL, **dataclasses.asdict(self), "policy": self.policy or {}}

    @classmethod
    def read(cls, document: Document) -> Order:
        """Read an order; ValueError where it is none."""
        reader = Reader(document, "order")
        if (protocol := reader.take("protocol", int)) != PROTOCOL:
            raise ValueError(f"the drill speaks protocol {protocol}, the sandbox {PROTOCOL}: run the role dump_store")
        order = cls(
            database=reader.take("database", str),
            raw_bytes=reader.count("raw_bytes"),
            settings=reader.texts("settings"),
            versions=reader.texts("versions"),
            extensions=reader.texts("extensions"),
            bootstrap=reader.take("bootstrap", str),
            large_objects=reader.take("large_objects", bool),
            policy=reader.take("policy", dict) or None,
        )
        reader.end()
        return order


@dataclasses.dataclass(frozen=True)
class Loaded:
    """What the sandbox says of a dump that is restored: its server's version, and how many of each kind are there."""

    server: str
    counts: dict[str, int]

    @classmethod
    def read(cls, document: Document) -> Loaded:
        """Read an answer; ValueError where it is none."""
        reader = Reader(document, ANSWER)
        server, counts = reader.take("server", str), reader.counts("counts")
        return cls(server, {kind: counts[kind] for kind in COUNTED if kind in counts})


def read_policy(document: Document) -> Document:
    """What the sandbox says of the policy, as far as it is known here; ValueError where it is no such answer."""
    given = Reader(document, ANSWER).take("policy", dict)
    reader = Reader(given, ANSWER)
    policy: Document = {"checked": reader.take("checked", bool)}
    policy |= {key: reader.count(key) for key in ("statements", "findings") if key in given}
    for key in {"probes", "trials"} & given.keys():
        counts = reader.counts(key)
        policy[key] = {how: counts[how] for how in OUTCOMES if how in counts}
    if "problems" in given:
        policy["problems"] = [str(sentence) for sentence in reader.take("problems", list)]
    return policy


class Wire:
    """One end of the conversation: *reading* and *writing* are descriptors, of one socket or of two pipes."""

    def __init__(self, reading: int, writing: int, clock: Clock, *, other: str) -> None:
        self._reading = reading
        self._writing = writing
        self._clock = clock
        self._other = other
        self._frames = FrameDecoder()
        self._waiting: list[bytes] = []
        os.set_blocking(writing, False)

    def say(self, document: Document) -> None:
        """A document, whole."""
        self._write(section(encode(document)))

    def text(self, piece: bytes | memoryview) -> None:
        """A piece of a text."""
        for start in range(0, len(piece), FRAME_LIMIT):
            part = piece[start : start + FRAME_LIMIT]
            # A memoryview is written as it is.
            self._write(prefix(len(part)), t.cast("bytes", part))

    def end(self) -> None:
        """The end of a text."""
        self._write(END)

    def heard(self) -> Document:
        """The document that comes next; LostError where the other side is gone, ValueError where it is none."""
        content = bytearray()
        for piece in self.pieces():
            content += piece
            if len(content) > DOCUMENT_LIMIT:
                raise ValueError(f"{self._other} sends a document of more than {DOCUMENT_LIMIT} bytes")
        return decode(bytes(content), f"document of {self._other}")

    def pieces(self) -> t.Iterator[bytes]:
        """The pieces of the text that comes next, to its end; LostError where the other side is gone before."""
        while piece := self._frame():
            yield piece

    def _frame(self) -> bytes:
        while not self._waiting:
            try:
                chunk = self._clock.read(self._reading, f"waiting for {self._other}")
            except ConnectionResetError:
                chunk = b""
            except DumpError as error:
                raise LostError(str(error)) from error
            if not chunk:
                raise LostError(f"{self._other} went away in the middle")
            self._waiting = list(self._frames.feed(chunk))
            self._waiting.reverse()
        return self._waiting.pop()

    def _write(self, *parts: bytes) -> None:
        try:
            self._clock.write(self._writing, f"writing to {self._other}", *parts)
        except DumpError as error:
            raise LostError(str(error)) from error
