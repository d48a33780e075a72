# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore is made from: a dump of the archive, one that a reader key fetches, or a file.

Nothing of the dump itself is read here, its manifest alone. A name or a list that a store gives is a stranger's text.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import typing as t
from pathlib import Path

from ..adopt import old_name
from ..folder import MANIFEST_LIMIT, Folder
from ..manifest import Manifest
from ..names import DUMP, ENCRYPTED_SUFFIX, MANIFEST_SUFFIX, SAVED, SUFFIX, DumpName
from ..processes import PIPE_SIZE, DumpError, FinalError
from ..reader import Reader
from ..signatures import SIGNERS, Signers
from .origins import IDLE, CommandOrigin, FileOrigin, Origin, ask, checked, open_file, printable

ZST, GZ, SQL = "zst", "gz", "sql"
# A list says some 100 bytes of each table of each dump; what is larger is no list that a restore should choose from.
LIST_LIMIT = 1 << 24
# How files are packed, by the end of their names. The old pipeline's .sql.tar.gz never held a tar.
_PACKINGS = {f"{SUFFIX}{ENCRYPTED_SUFFIX}": ZST, SUFFIX: ZST, ".sql.tar.gz": GZ, ".sql.gz": GZ, ".sql": SQL}


@dataclasses.dataclass(frozen=True)
class Material:
    """A dump that can be restored.

    ``name`` is None where the file's own name is none of a dump. ``file`` is what people know it by, ``size`` the bytes
    that are stored. ``start`` opens it, once for each reading.
    """

    name: DumpName | None
    manifest: Manifest | None
    file: str
    size: int
    packing: str
    encrypted: bool
    start: t.Callable[[], Origin] = dataclasses.field(repr=False, compare=False)

    @property
    def database(self) -> str:
        """The database that it is of, "" where that is not known."""
        return self.name.database if self.name is not None else ""


def from_archive(folder: Folder, name: DumpName) -> Material:
    """The archived dump *name*; DumpError where it is not there as its manifest says."""
    manifest = folder.manifest(name)

    def start() -> Origin:
        try:
            descriptor = folder.open(str(name))
        except OSError as error:
            raise DumpError(f"{name} could not be read: {error.strerror}") from None
        return FileOrigin(checked(descriptor, str(name))[0])

    return _stored(manifest, start)


def from_command(command: t.Sequence[str], *, name: str = "", database: str = "", idle: float = IDLE) -> Material:
    """The dump *name* of the store behind *command*, or without a name the newest archived one of the *database*.

    *command* is the words that connect with a reader key; ``list``, ``manifest NAME`` and ``fetch NAME`` are put behind
    them. DumpError where nothing moves for *idle* seconds, or what comes is not what was asked for.
    """
    if not command:
        raise DumpError("there is no command that fetches dumps: give the words of an ssh command")
    wanted = _parsed(name) if name else _newest(ask([*command, "list"], LIST_LIMIT, idle), database)
    if database and wanted.database != database:
        raise DumpError(f"{wanted} is a dump of {wanted.database}, not of {database}")
    answer = ask([*command, "manifest", str(wanted)], MANIFEST_LIMIT, idle)
    manifest = _manifest(answer, wanted.manifest)
    if manifest.trailer.name != wanted:
        raise DumpError(f"the store gave the manifest of {manifest.trailer.name} for that of {wanted}")
    return _stored(manifest, lambda: CommandOrigin([*command, "fetch", str(wanted)], idle))


def from_file(path: str) -> Material:
    """The dump in the file *path*, with the manifest beside it where there is one."""
    file = Path(path).name
    suffix = next((suffix for suffix in _PACKINGS if file.endswith(suffix)), "")
    if not suffix:
        raise DumpError(f"{path} is no dump by its name: it must end in {', '.join(_PACKINGS)}")
    descriptor, found = open_file(path)
    os.close(descriptor)
    if found.st_size == 0:
        raise DumpError(f"{path} is empty")
    name, encrypted = _file_name(file), suffix.endswith(ENCRYPTED_SUFFIX)
    manifest = _beside(f"{path}{MANIFEST_SUFFIX}")
    if manifest is not None:
        trailer = manifest.trailer
        if (name is not None and trailer.name != name) or trailer.name.encrypted != encrypted:
            raise DumpError(f"{path}{MANIFEST_SUFFIX} is the manifest of {trailer.name}, not of {file}")
        if trailer.bytes != found.st_size:
            raise DumpError(f"{path} should have {trailer.bytes} bytes, and there are {found.st_size}")
        name = trailer.name
    return Material(
        name=_restorable(name),
        manifest=manifest,
        file=path,
        size=found.st_size,
        packing=_PACKINGS[suffix],
        encrypted=encrypted,
        start=lambda: FileOrigin(open_file(path)[0]),
    )


def unproved_since(material: Material, signers: Signers | None) -> str:
    """Why nothing can prove who made the dump, and what would, in a part of a sentence; "" where a signature can."""
    if material.manifest is None:
        return "has no manifest, so nothing proves that it is whole or who made it: fetch it with the one beside it"
    if material.manifest.derived_from is not None:
        return (
            "was made on the store, of a dump that is signed, and has no signature itself: nothing proves who made it"
        )
    if material.manifest.adopted:
        return "was adopted, so nothing proves who made it"
    if signers is None:
        return (
            "is signed, and nobody says whose signatures count, so nothing proves who made it: give signers (SIGNERS "
            f"of make), a file as {SIGNERS} of the store"
        )
    return ""


def check_signature(material: Material, signers: Signers | None, *, unproved: bool) -> str:
    """The name of who signed the dump's manifest, "" where nobody did and *unproved* allows it.

    A signature that is there and wrong is refused whatever *unproved* says.
    """
    lacking = unproved_since(material, signers)
    if material.manifest is None or signers is None or lacking:
        if unproved:
            return ""
        raise FinalError(
            f"{material.file} {lacking}; or say unproved: true (UNPROVED=1 of make restore, make local without "
            "SIGNERS) to restore it all the same"
        )
    try:
        return signers.of(material.manifest)
    except DumpError as error:
        raise FinalError(f"{material.file} is refused: {error}") from error


def summed(material: Material) -> str:
    """The SHA-256 of what is stored, where no manifest says it."""
    digest, origin = hashlib.sha256(), material.start()
    try:
        while chunk := os.read(origin.descriptor, PIPE_SIZE):
            digest.update(chunk)
        origin.finish()
    finally:
        origin.close()
    return digest.hexdigest()


def _stored(manifest: Manifest, start: t.Callable[[], Origin]) -> Material:
    """What lies in a store, under its own name."""
    trailer = manifest.trailer
    return Material(
        name=_restorable(trailer.name),
        manifest=manifest,
        file=str(trailer.name),
        size=trailer.bytes,
        packing=ZST,
        encrypted=trailer.name.encrypted,
        start=start,
    )


def _restorable(name: DumpName | None) -> DumpName | None:
    if name is not None and name.kind != DUMP:
        what = "rows that an action has touched" if name.kind == SAVED else "the cluster's roles"
        raise DumpError(f"{name} holds {what}, not a database: choose a dump")
    return name


def _parsed(name: str) -> DumpName:
    try:
        return DumpName.parse(name)
    except ValueError as error:
        raise DumpError(str(error)) from None


def _file_name(file: str) -> DumpName | None:
    """The dump that a file's name says it is, None where it says nothing."""
    for parse in (DumpName.parse, old_name):
        with contextlib.suppress(ValueError):
            return parse(file)
    return None


def _beside(path: str) -> Manifest | None:
    """The manifest in the file *path*, None where there is no such file."""
    if not Path(path).exists():
        return None
    descriptor, found = open_file(path)
    with os.fdopen(descriptor, "rb") as file:
        if found.st_size > MANIFEST_LIMIT:
            raise DumpError(f"{path} is larger than any manifest")
        return _manifest(file.read(MANIFEST_LIMIT), path)


def _manifest(content: bytes, what: str) -> Manifest:
    try:
        return Manifest.read(content)
    except ValueError as error:
        raise DumpError(f"{what} could not be read: {printable(str(error))}") from None


def _newest(answer: bytes, database: str) -> DumpName:
    """The newest archived dump in the store's list; one that was adopted only where there is no other."""
    found: list[tuple[str, DumpName]] = []
    try:
        rows = json.loads(answer, parse_constant=_refused)
        if not isinstance(rows, list):
            raise ValueError("it is no list")
        for row in rows:
            if not isinstance(row, dict):
                raise ValueError("a dump in it is no object")
            found += _row(row)
    except (ValueError, RecursionError) as error:
        raise DumpError(f"the store's list of dumps could not be read: {printable(str(error))}") from None
    dumps = [each for each in found if not database or each[1].database == database]
    if not dumps:
        raise DumpError("the store holds no archived dump" + (f" of {database}" if database else ""))
    several = sorted({name.database for _when, name in dumps})
    if len(several) > 1:
        raise DumpError(f"the store holds dumps of {', '.join(several[:5])}: say which database, or name a dump")
    return max(dumps)[1]


def _row(row: dict[str, t.Any]) -> t.Iterator[tuple[str, DumpName]]:
    """What orders the dump of a row among others, where it is an archived dump of a database."""
    reader = Reader(row, "list")
    name = DumpName.parse(reader.take("name", str))
    archived, adopted = reader.take("archived", bool), reader.take("adopted", bool)
    received = reader.time("received")
    if archived and name.kind == DUMP:
        # When it was adopted says nothing of how new it is: so it comes before all others.
        yield "" if adopted else received, name


def _refused(constant: str) -> t.NoReturn:
    raise ValueError(f"{constant} is no JSON")
