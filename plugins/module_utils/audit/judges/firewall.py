# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firewall lets in."""

from __future__ import annotations

import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "firewall-differs", "critical", "devops", "what is loaded, or is at boot, is not what the inventory says",
        "run playbooks/site.yml",
    ),
    Rule(
        "firewall-unconfirmed", "high", "devops", "rules are loaded that nobody has confirmed, and go by themselves",
        "run playbooks/site.yml",
    ),
    Rule(
        "firewall-other-table", "medium", "devops", "somebody else has rules of their own",
        "nft list tables; remove it, at boot from /etc/nftables.conf; or write it into audit_expected",
    ),
)  # fmt: skip
# Lines of rules in one evidence.
_MOST = 6


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``other_tables`` that are known; ``at boot`` is what /etc/nftables.conf loads beside ours."""
    for one in source.data["differs"]:
        value = "\0".join([*one["more"], "", *one["lacks"], one["digest"]])
        yield Finding("firewall-differs", source.host, one["what"], _said(one), value=value)
    if source.data["pending"]:
        yield Finding("firewall-unconfirmed", source.host, "firewall", "the rules wait to be confirmed")
    for one in source.data["other_tables"]:
        table, lines = one["table"], one["lines"]
        if table not in expected.of(source.host).get("other_tables", []):
            evidence = f"/etc/nftables.conf has {_first(lines)}" if lines else f"nftables has a table {table}"
            value = f"{evidence}\0{one['digest']}"
            yield Finding("firewall-other-table", source.host, f"table {table}", evidence, value=value)


def _said(one: Document) -> str:
    parts = []
    for word, key in (("has", "more"), ("lacks", "lacks")):
        if one[key]:
            parts.append(f"{word} {_first(one[key])}")
    return f"{one['what']} " + (", and ".join(parts) or "has its lines in another order")


def _first(lines: t.Sequence[str]) -> str:
    rest = f" and {len(lines) - _MOST} more lines" if len(lines) > _MOST else ""
    return f"{'; '.join(lines[:_MOST])}{rest}"


KIND = Kind("firewall", "The firewall", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
