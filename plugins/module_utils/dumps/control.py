# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules ask of both hosts: a run of the sender with its report, and what lies in the store."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import typing as t

from .folder import Folder, entries
from .freshness import CLOCK_STEP
from .keeper import Settings as Keeping
from .manifest import Document, Manifest
from .names import SAVED, read_utc
from .signatures import Signers
from .stores import Settings as Sending
from .survey import survey


@dataclasses.dataclass(frozen=True)
class Report:
    """What ``dump-send --json`` says. ``results`` are as `stores.Result.document` has them."""

    results: tuple[Document, ...]
    reason: str

    @property
    def ok(self) -> bool:
        """Whether all is stored everywhere."""
        return bool(self.results) and not self.reason and all(result["ok"] for result in self.results)

    @property
    def changed(self) -> bool:
        """Whether a store holds, or may hold, something new."""
        return any(result["ok"] or result["unknown"] for result in self.results)

    @property
    def problems(self) -> list[str]:
        """A sentence for each thing that went wrong."""
        failed = [
            f"{result['artefact']} at {result['store']}: {result['reason'] or 'it failed without a word'}"
            for result in self.results
            if not result["ok"]
        ]
        return [*failed, *([self.reason] if self.reason else [])]


def read_report(text: str) -> Report:
    """Read the one line that ``dump-send --json`` writes; ValueError where it is none."""
    lines = text.strip().splitlines()
    try:
        document = json.loads(lines[-1]) if lines else None
    except ValueError as error:
        raise ValueError(f"dump-send did not answer in JSON: {error}") from None
    results = document.get("results") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(results, list):
        raise ValueError("dump-send gave no report")
    for result in results:
        if not isinstance(result, dict) or not {"artefact", "store", "ok", "unknown", "reason"} <= result.keys():
            raise ValueError("dump-send gave a report that this version can't read: upgrade the older one")
    return Report(results=tuple(results), reason=str(document.get("reason", "")))


def planned(settings: Sending, artefacts: t.Sequence[str], stores: t.Sequence[str]) -> list[dict[str, str]]:
    """Each artefact and store of a run, in its order; empty lists stand for all. ValueError for an unknown one."""
    every = {"artefact": list(settings.artefacts), "store": [store.name for store in settings.stores]}
    for what, wanted in (("artefact", artefacts), ("store", stores)):
        unknown = sorted(set(wanted) - set(every[what]))
        if unknown:
            raise ValueError(f"there is no {what} {' or '.join(unknown)} in the settings: {', '.join(every[what])}")
    return [
        {"store": store, "artefact": artefact}
        for store in every["store"]
        for artefact in every["artefact"]
        if (not stores or store in stores) and (not artefacts or artefact in artefacts)
    ]


@dataclasses.dataclass(frozen=True)
class Shelf:
    """What lies in a store, oldest first, and sentences about what should not lie there."""

    dumps: tuple[Document, ...]
    problems: tuple[str, ...]

    def chosen(self, *, name: str = "", database: str = "", kind: str = "") -> Shelf:
        """The same with those dumps alone; "" is any."""
        wanted = {"name": name, "database": database, "kind": kind}
        dumps = tuple(dump for dump in self.dumps if all(dump[key] == value for key, value in wanted.items() if value))
        return Shelf(dumps, self.problems)

    def newest(self) -> list[Document]:
        """For each database, kind and host (``signer``) the newest dump that counts, and the newest verified one.

        Where there is no dump that counts at all, both are None, and the host is "". Saved rows are no dump.
        """
        groups: dict[tuple[str, str, str], Document] = {}
        for dump in self.dumps:
            if dump["kind"] == SAVED:
                continue
            key = dump["database"], dump["kind"], dump["signer"]
            about = dict(zip(("database", "kind", "signer"), key, strict=True))
            group = groups.setdefault(key, {**about, "archived": None, "verified": None})
            # Received in the future, it would hide for how long none has come.
            if dump["age_s"] < -CLOCK_STEP.total_seconds():
                continue
            if dump["archived"] and dump["signed"]:
                group["archived"] = dump
            if dump["verified"]:
                group["verified"] = dump
        # What is not archived yet, or has no signature, is of one of the hosts where there are any.
        known = {key[:2] for key in groups if key[2]}
        return [groups[key] for key in sorted(groups) if key[2] or key[:2] not in known]


def look(settings: Keeping, now: dt.datetime) -> Shelf:
    """Read the store: nothing is written, locked or removed. DumpError where a folder can't be opened."""
    incoming, archive = Folder(settings.incoming), Folder(settings.archive)
    # What came in first: what is archived meanwhile is then seen at least once, and seen twice it is archived.
    arrived, problems = entries(incoming)
    found = survey(archive, Signers(settings.signers, settings.keygen), now)
    dumps = {str(manifest.trailer.name): _row(manifest, now) for manifest in arrived}
    for held in found.held:
        dumps[str(held.manifest.trailer.name)] = {
            **_row(held.manifest, now),
            "archived": True,
            "signed": held.signed,
            "signer": held.signer,
            "verified": held.verified,
            "drill": held.drill.document() if held.drill is not None else None,
        }
    rows = sorted(dumps.values(), key=lambda row: (row["received"], row["name"]))
    return Shelf(tuple(rows), (*problems, *found.wrong, *found.odd))


def _row(manifest: Manifest, now: dt.datetime) -> Document:
    return {
        **manifest.overview(),
        "archived": False,
        "signed": False,
        "signer": "",
        "verified": False,
        "drill": None,
        "raw_bytes": manifest.trailer.raw_bytes,
        "age_s": int((now - read_utc(manifest.received)).total_seconds()),
    }
