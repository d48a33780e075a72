# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The firewall: what is loaded, and what is at boot, against what the inventory wants."""

from __future__ import annotations

import hashlib
import typing as t

from ..firewall import host
from ..firewall.compare import Seen, State, diff_of
from ..firewall.ruleset import of_others
from ..firewall.wanted import read_firewall

# What a boot loads beside our table and Debian's own.
AT_BOOT = "at boot"


def look(options: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What differs, part by part, and the tables that are not ours, now and at boot.

    ValueError where nft can't be asked. A ``digest`` is of all that is there.
    """
    host.missing(check=False)
    firewall = read_firewall(options["admin_cidrs"], options["ssh_port"], options["open"])
    seen = host.look()
    wanted = host.wanted(firewall, seen)
    listed = {table: host.listing(table) for table in seen.others}
    # Debian's own chains are there after a boot, and let everything by
    others = [
        {"table": table, "lines": [], "digest": _digest(said)} for table, said in listed.items() if of_others(said)
    ]
    strange = of_others(seen.state.main)
    if strange:
        others.append({"table": AT_BOOT, "lines": strange, "digest": _digest(seen.state.main)})
    return {"differs": _parts(seen, wanted), "pending": seen.pending, "other_tables": others}


def _parts(seen: Seen, wanted: State) -> list[dict[str, t.Any]]:
    return [
        {
            "what": one["before_header"],
            "more": _lines(one["before"], one["after"]),
            "lacks": _lines(one["after"], one["before"]),
            "digest": _digest(one["before"]),
        }
        for one in diff_of(seen.state, wanted)
    ]


def _lines(these: str, others: str) -> list[str]:
    known = {line.strip() for line in others.splitlines()}
    return [line.strip() for line in these.splitlines() if line.strip() and line.strip() not in known]


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:16]
