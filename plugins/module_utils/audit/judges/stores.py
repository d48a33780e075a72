# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the inventory says that dumps go: stores that only keep files, and what each of them can't promise."""

from __future__ import annotations

import typing as t

from ...dumps.plain.guarantees import DUMP_STORE, sentences
from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "store-promises-less", "low", "dumps", "dumps go to a store that only keeps files, and promises less",
        "let playbooks/stores.yml watch over it, have a dump store beside it, and accept it with that as the reason; "
        "docs/stores.md says what is lost",
    ),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """The data has ``stores``: name and kind of each."""
    del expected
    for store in source.data["stores"]:
        kind = store["kind"]
        lost = "; ".join(sentences(kind))
        if kind != DUMP_STORE:
            evidence = f"dumps go to {store['name']}, which is of the kind {kind}: {lost}"
            yield Finding("store-promises-less", source.host, f"store {store['name']}", evidence, what=kind)


KIND = Kind("stores", "Where dumps go", ("database_hosts",), judge, RULES)
