# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of the dumps, of what ``dump_info`` says of each store: nothing of it is an age."""

from __future__ import annotations

from .model import Document, Source

# More bytes, or rows, than a file or a table can have.
MOST = 2**63 - 1


def histories(source: Source) -> list[Document]:
    """For each database of a store its ``dumps``, the oldest first; globals and saved rows are none."""
    dumps = [one for one in source.data["dumps"] if one["kind"] == "dump"] if source.id == "dumps" else []
    return [
        {
            "host": source.host,
            "database": database,
            "dumps": sorted((_dump(one) for one in dumps if str(one["database"]) == database), key=_age),
        }
        for database in sorted({str(one["database"]) for one in dumps})
    ]


def _dump(one: Document) -> Document:
    texts = {key: str(one[key]) for key in ("name", "database", "signer", "received")}
    return {**texts, **{key: _figure(one[key]) for key in ("bytes", "raw_bytes", "rows")}, "state": state(one)}


def _figure(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= MOST:
        raise ValueError("a dump has a size or rows that are none")
    return int(value)


def _age(one: Document) -> tuple[str, str]:
    return (str(one["received"]), str(one["name"]))


def state(one: Document) -> str:
    """The word for how far a dump has come."""
    if (one.get("drill") or {}).get("ok") is False:
        return "drill failed"
    if one["verified"]:
        return "verified"
    if one["archived"] and one["signed"]:
        return "archived"
    return "unsigned" if one["archived"] else "arrived"
