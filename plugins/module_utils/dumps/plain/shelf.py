# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in a plain store: which dumps count, whether they are fresh, which of them go. A trusted host asks.

The arithmetic is the dump store's own: `retention` and `freshness`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing as t

from .. import freshness, retention
from ..folder import MANIFEST_LIMIT, PARTIAL_AGE
from ..incidents import Incident
from ..manifest import Document, Manifest
from ..names import MANIFEST_SUFFIX, PARTIAL_SUFFIX, DumpName, absent, manifest_owner, read_utc
from ..processes import DumpError
from ..signatures import Signers
from .files import AbsentError, Files, partials
from .ssh_files import INDEX, REMOVED

# More than any disk: a plain store does not say what is free.
UNKNOWN = 1 << 62


@dataclasses.dataclass(frozen=True)
class Held:
    """A dump of the store. ``signer``: whose right signature it has, "" for none."""

    manifest: Manifest
    signer: str


@dataclasses.dataclass
class Found:
    """What lies there, oldest first. ``wrong`` and ``odd`` are sentences; ``stale`` is what a cut run has left.

    ``bare``: those of ``stale`` whose data go, too: they have no manifest, and what lies beside them says so.
    """

    held: list[Held] = dataclasses.field(default_factory=list)
    wrong: list[str] = dataclasses.field(default_factory=list)
    odd: list[str] = dataclasses.field(default_factory=list)
    stale: list[DumpName] = dataclasses.field(default_factory=list)
    bare: set[DumpName] = dataclasses.field(default_factory=set)


def manifest_of(files: Files, name: DumpName) -> Manifest:
    """The manifest of the dump *name*; DumpError where there is none, or it is another's."""
    try:
        return _read(name, files.content(name.manifest, MANIFEST_LIMIT))
    except AbsentError:
        raise DumpError(absent(name)) from None


def _read(name: DumpName, content: bytes) -> Manifest:
    try:
        manifest = Manifest.read(content)
    except ValueError as error:
        raise DumpError(f"{name.manifest} could not be read: {error}") from error
    if manifest.trailer.name != name:
        raise DumpError(f"{name.manifest} is the manifest of {manifest.trailer.name}")
    return manifest


def look(files: Files, signers: Signers | None, now: dt.datetime) -> Found:
    """Read the list and each manifest, and of data whose size nobody says the first bytes.

    Without *signers* nothing counts as signed.
    """
    names, found = files.names(), Found()
    owners = sorted(filter(None, map(manifest_owner, names)))
    for name, content in files.manifests(owners, MANIFEST_LIMIT):
        if isinstance(content, AbsentError):
            # In an index, and not there: cut on its way, or under way.
            if _old(name, now):
                data = files.has(str(name))
                _leave(name, found, data=data, sign=data and any(map(files.has, partials(name))))
            continue
        try:
            if isinstance(content, DumpError):
                raise content
            manifest = _read(name, content)
            size = names.get(str(name), 0)
            if size is None and str(name) in names and not files.has(str(name)):
                # An index names it, and that is all that an index knows.
                size = 0
            if str(name) not in names or size not in (None, manifest.trailer.bytes):
                raise DumpError(f"{name} should have {manifest.trailer.bytes} bytes, and there are {size or 'none'}")
        except DumpError as error:
            found.wrong.append(str(error))
            continue
        found.held.append(Held(manifest, _signer(manifest, signers, found)))
    _strays(names, owners, found, now)
    found.held.sort(key=lambda held: (held.manifest.received, held.manifest.trailer.name))
    return found


def _signer(manifest: Manifest, signers: Signers | None, found: Found) -> str:
    if signers is None or manifest.adopted:
        return ""
    try:
        return signers.of(manifest)
    except DumpError as error:
        found.wrong.append(f"{manifest.trailer.name} does not count: {error}")
        return ""


def _strays(names: t.Mapping[str, int | None], owners: list[DumpName], found: Found, now: dt.datetime) -> None:
    """What is no part of a dump that is there, or about to be."""
    whole = set(owners)
    for file in sorted(names):
        if file in (INDEX, REMOVED) or manifest_owner(file) in whole:
            continue
        try:
            name = DumpName.parse(file.removesuffix(PARTIAL_SUFFIX).removesuffix(MANIFEST_SUFFIX))
        except ValueError:
            found.odd.append(f"{file!r} is no part of a dump: look where it came from, and remove it")
            continue
        data = file == str(name)
        if _old(name, now) and not (data and name in whole):
            _leave(name, found, data=data, sign=any(sign in names for sign in partials(name)))


def _old(name: DumpName, now: dt.datetime) -> bool:
    """Whether no run that made it can be under way any more."""
    return now - name.started > dt.timedelta(seconds=PARTIAL_AGE)


def _leave(name: DumpName, found: Found, *, data: bool, sign: bool) -> None:
    """What has no manifest: *data* that have their own name may be a dump whose manifest was lost, so people decide.

    Not so where a *sign* beside them says that a run was cut which brought or removed them.
    """
    if data and not sign:
        found.odd.append(f"{name} has no manifest, so it is no dump: remove it, or bring its manifest back")
        return
    if data:
        found.bare.add(name)
    if name not in found.stale:
        found.stale.append(name)


def rows(files: Files, found: Found, now: dt.datetime) -> list[Document]:
    """Each dump as `dump_info` returns it; what is published here is what a dump store calls archived."""
    return [
        {
            **held.manifest.overview(),
            "archived": True,
            "signed": bool(held.signer),
            "signer": held.signer,
            "verified": False,
            "drill": None,
            "raw_bytes": held.manifest.trailer.raw_bytes,
            "age_s": int((now - read_utc(held.manifest.received)).total_seconds()),
            "store": files.place.kind,
        }
        for held in found.held
    ]


def judge(
    found: Found, incidents: tuple[Incident, ...], limits: freshness.Limits, quota: int, now: dt.datetime
) -> freshness.Verdict:
    """The dump store's own judgement, but for drills, which nobody makes here, and what is free, which nobody says."""
    used = sum(held.manifest.trailer.bytes for held in found.held)
    stale = tuple(f"{name} was left by a run that is dead: prune the store" for name in found.stale)
    archive = freshness.Archive(
        dumps=tuple(freshness.Dump.of(held.manifest, signer=held.signer) for held in found.held if held.signer),
        space=freshness.Space(used=used, quota=quota, free=UNKNOWN, reserve=0),
        incidents=incidents,
        wrong=tuple(found.wrong),
        odd=(*found.odd, *stale),
    )
    asked = dataclasses.replace(limits, verified_warning_days=0, verified_critical_days=0)
    return freshness.judge(archive, asked, now)


def decide(found: Found, policy: retention.Policy, now: dt.datetime) -> tuple[retention.Decision, ...]:
    """What becomes of each dump: the dump store's own rules."""
    stored = [
        retention.Stored(
            name=held.manifest.trailer.name,
            received=read_utc(held.manifest.received),
            signed=bool(held.signer),
            signer=held.signer,
        )
        for held in found.held
    ]
    return retention.decide(stored, policy, now)


def prune(files: Files, found: Found, decisions: t.Iterable[retention.Decision]) -> None:
    """Remove what nothing keeps, and what cut runs have left: of each the manifest first, and last what says so."""
    for one in decisions:
        if not one.keep:
            files.withdraw(one.name)
            for file in (str(one.name), *partials(one.name)):
                files.remove(file)
            files.forget(one.name)
    whole = {held.manifest.trailer.name for held in found.held}
    for name in found.stale:
        for file in (*([str(name)] if name in found.bare else []), *partials(name)):
            files.remove(file)
        if name not in whole:
            files.forget(name)
    files.sweep()
