# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the archives that grafana-backup wrote (tar.gz), from a stream, without writing anything.

Such an archive may come from anywhere. It is read member by member, by the ends of the members' names; one that could
lead out of a folder, that is a link or a device, or that is larger than any archive of dashboards, ends it.
"""

from __future__ import annotations

import dataclasses
import gzip
import io
import tarfile
import typing as t
import zlib

from .document import parse
from .tree import FILE_LIMIT, ROOT_TITLE, shortened

# Packed 1:10 by gzip, the members of a real archive of 4 dashboards have 140 kB.
TOTAL_LIMIT = 64 * 1024 * 1024
COUNT_LIMIT = 10_000
# What tar itself may add to the members: their headers, and the filling of the last record.
_BLOCK = 64 * 1024


@dataclasses.dataclass(frozen=True)
class Archived:
    """One dashboard of an archive as Grafana had answered it. ``folder`` is the folder's title, "" for the root."""

    member: str
    folder: str
    data: dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Contents:
    """What an archive holds. ``ignored`` counts members of other kinds by the end of their names."""

    dashboards: tuple[Archived, ...]
    ignored: dict[str, int]


class _Limited(io.RawIOBase):
    """Unpacked bytes of *stream*, no more than TOTAL_LIMIT of them: a few kB can be packed gigabytes."""

    def __init__(self, stream: t.IO[bytes]) -> None:
        super().__init__()
        self._packed = gzip.GzipFile(fileobj=stream, mode="rb")
        self._left = TOTAL_LIMIT
        self.last = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = self._packed.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise ValueError(f"it holds more than {TOTAL_LIMIT} bytes, which no archive of dashboards does")
        self.last = found
        return found


def read(stream: t.IO[bytes]) -> Contents:
    """Every dashboard of the archive; ValueError says why it can't be one, or not all of it is there."""
    unpacked = _Limited(stream)
    found = _Found()
    try:
        with tarfile.open(fileobj=unpacked, mode="r|", bufsize=tarfile.BLOCKSIZE) as tar:
            for member in tar:
                found.take(tar, member)
        _check_end(unpacked)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it is no tar.gz, or not all of it is there: {error}") from None
    except tarfile.TarError as error:
        raise ValueError(f"it is no tar archive that is whole: {error}") from None
    return found.contents()


def _check_end(unpacked: _Limited) -> None:
    """ValueError unless tar's end is there, two blocks of NULs, and nothing behind it.

    tarfile takes a header that it can't read for the end as well. The digest of the whole stands at gzip's end, and is
    looked at once all of that is read.
    """
    if unpacked.last != bytes(tarfile.BLOCKSIZE):
        raise ValueError("it is no tar archive that is whole: a header can't be read, or its end is missing")
    length = 0
    while rest := unpacked.read(_BLOCK):
        if rest.strip(b"\0"):
            raise ValueError("it goes on behind its end: unpack it, look at what it holds, and pack that again")
        length += len(rest)
    if length < tarfile.BLOCKSIZE:
        raise ValueError("it is no tar archive that is whole: half of its end is missing")


class _Found:
    """What the members said so far."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._dashboards: list[tuple[str, dict[str, t.Any]]] = []
        self._folders: dict[str, dict[str, t.Any]] = {}
        self._has_list = False
        self._listed: set[str] = set()
        self._ignored: dict[str, int] = {}

    def take(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Look at one member, and read it where it is of a kind that says something of dashboards."""
        name = shortened(member.name)
        parts = member.name.replace("\\", "/").split("/")
        if not member.name or member.name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            raise ValueError(f"its member {name} leads out of the archive")
        if not (member.isreg() or member.isdir()):
            raise ValueError(f"its member {name} is a link or a device, which grafana-backup never writes")
        if len(self._names) >= COUNT_LIMIT:
            raise ValueError(f"it has more than {COUNT_LIMIT} members")
        if member.name in self._names and not member.isdir():
            raise ValueError(f"it has the member {name} twice")
        self._names.add(member.name)
        if not member.isdir():
            self._read(tar, member, parts[-1])

    def _read(self, tar: tarfile.TarFile, member: tarfile.TarInfo, base: str) -> None:
        _stem, dot, end = base.rpartition(".")
        is_list = end == "txt" and base.startswith("dashboards_")
        if end not in ("dashboard", "folder") and not is_list:
            kind = f".{end}" if dot else base
            self._ignored[kind] = self._ignored.get(kind, 0) + 1
            return
        if member.size > FILE_LIMIT:
            raise ValueError(
                f"its member {shortened(member.name)} has {member.size} bytes, and {FILE_LIMIT} are the limit"
            )
        stream = tar.extractfile(member)
        content = stream.read() if stream else b""
        if len(content) != member.size:
            raise ValueError(f"its member {shortened(member.name)} is cut short")
        try:
            if is_list:
                self._has_list = True
                self._listed |= set(_uids(content))
            elif end == "folder":
                folder = _object(parse(content))
                self._folders[str(folder.get("uid"))] = folder
            else:
                self._dashboards.append((member.name, _object(parse(content))))
        except ValueError as error:
            raise ValueError(f"its member {shortened(member.name)} can't be read: {error}") from None

    def contents(self) -> Contents:
        """Everything together; ValueError where a dashboard of the archive's own list is missing."""
        dashboards = []
        for member, answer in self._dashboards:
            try:
                data, meta = _object(answer.get("dashboard")), _object(answer.get("meta"))
                folder = _folder_title(meta, self._folders)
            except ValueError as error:
                raise ValueError(f"its member {shortened(member)} is no answer of Grafana's API: {error}") from None
            dashboards.append(Archived(member=member, folder=folder, data=data))
        missing = sorted(self._listed - {str(one.data.get("uid")) for one in dashboards})
        if missing:
            raise ValueError(f"it lists dashboards that are not in it: {', '.join(missing[:10])}")
        if not dashboards:
            raise ValueError("it holds no dashboard (a member whose name ends with .dashboard)")
        # The tool writes it wherever it found a dashboard; without it nobody can tell whether all of them are here.
        if not self._has_list:
            raise ValueError("it lacks the list of its dashboards (dashboards_*.txt), so it may not be whole")
        return Contents(dashboards=tuple(dashboards), ignored=dict(sorted(self._ignored.items())))


def _object(value: t.Any) -> dict[str, t.Any]:
    if not isinstance(value, dict):
        raise ValueError("the JSON is not the object that belongs there")
    return value


def _uids(content: bytes) -> t.Iterator[str]:
    """The uids of a list: a line is "uid/UID<tab>title" (before 5.0 of Grafana "db/slug", which says no uid)."""
    for line in content.decode("utf-8", "replace").splitlines():
        kind, slash, uid = line.partition("\t")[0].strip().partition("/")
        if kind == "uid" and slash and uid:
            yield uid


def _folder_title(meta: t.Mapping[str, t.Any], folders: t.Mapping[str, t.Mapping[str, t.Any]]) -> str:
    """The title of the folder that a dashboard was in; ValueError where that lay in another."""
    folder = folders.get(str(meta.get("folderUid")), {})
    if folder.get("parentUid") or folder.get("parents"):
        raise ValueError(f"its folder {folder.get('title')!r} lies in another one, which files can't say")
    title = folder.get("title") or meta.get("folderTitle") or ""
    if not isinstance(title, str):
        raise ValueError("its folder's title is no text")
    return "" if title == ROOT_TITLE else title
