# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the hosts and what runs there are connected, as it was found: by what sources say, not by the inventory."""

from __future__ import annotations

import typing as t

from .connections import LOCAL
from .model import Document, Source

# Before a role's name: a host may have the same.
ROLE = "role "


def links(source: Source) -> list[Document]:
    """Who reaches what: ``from`` and ``to`` are hosts or other parties, ``label`` says how, ``by`` is the source.

    A source's data may hold a list ``links`` of its own, with ``from``, ``to`` and ``label``; what ``access``,
    ``sessions`` and ``dumps`` say leads to some without.
    """
    found = {
        (str(one["from"]), str(one["to"]), str(one["label"])) for one in [*_own(source), *source.data.get("links", [])]
    }
    return [{"from": a, "to": b, "label": label, "by": source.id} for a, b, label in sorted(found)]


def _own(source: Source) -> t.Iterator[Document]:
    if source.id == "access":
        for one in source.data.get("matrix", []):
            if one["connect"] and one["via"] == "login":
                does = [word for word in ("read", "insert", "change", "delete", "truncate") if one[word] != "none"]
                said = f"may {', '.join(does)}" if does else "touches no table itself"
                yield {"from": f"{ROLE}{one['role']}", "to": source.host, "label": f"{one['database']}: {said}"}
    if source.id == "sessions":
        for one in source.data["connected"]:
            # Who is connected at this moment is in the log as well, and there by its method.
            if one["address"] != LOCAL and one["method"] is not None:
                label = f"logs in as {one['role']} by {one['method']}"
                yield {"from": one["address"], "to": source.host, "label": label}
    if source.id == "dumps":
        for one in source.data.get("newest", []):
            newest = one["archived"]
            if one["kind"] == "dump" and newest is not None:
                yield {"from": one["signer"], "to": source.host, "label": f"dumps of {one['database']}, signed"}
