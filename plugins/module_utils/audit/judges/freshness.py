# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``freshness_info`` says: whether the collector writes, by its newest rows."""

from __future__ import annotations

import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

TABLE = "table "
RULES = (
    Rule(
        "collector-stale", "high", "writers", "the newest row of a table is older than agreed: nothing writes",
        "systemctl status taaraxtak-collector.service; playbooks/status.yml",
    ),
    Rule(
        "collector-certificate", "high", "writers", "a certificate that the collector's connection needs ends soon",
        "run playbooks/certificates.yml",
    ),
    Rule(
        "collector-limit", "high", "writers", "the host's own check takes older rows for new, or other ones",
        "run playbooks/site.yml",
    ),
    Rule(
        "collector-unknown", "high", "looked", "whether the collector writes a table is not known",
        "read the sentence; collector_freshness names the tables, and playbooks/site.yml brings it to the host",
    ),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``tables`` that must be looked at, by their names; or with ``table``, ``column`` and ``max_age``."""
    host, seen = source.host, set()
    for one in source.data["outcomes"]:
        about, state = one["about"], one["state"]
        seen.add(about)
        if state not in ("fresh", "stale", "unknown"):
            raise ValueError(f"{about} is {state}")
        if state == "unknown":
            yield Finding("collector-unknown", host, about, one["steady"])
        elif state == "stale":
            rule = "collector-stale" if about.startswith(TABLE) else "collector-certificate"
            yield Finding(rule, host, about, one["steady"])
    wanted = {_name(one): one for one in expected.of(host).get("tables", [])}
    tables = [name for name in wanted if name]
    yield from _limits(source, [one for one in wanted.values() if isinstance(one, dict)])
    for name in sorted({f"{TABLE}{table}" for table in tables} - seen):
        yield Finding("collector-unknown", host, name, f"nobody looks for the newest row of the {name}")
    if not tables and not any(name.startswith(TABLE) for name in seen):
        yield Finding("collector-unknown", host, "collector", "no table is named whose newest row is looked at")


def _name(one: t.Any) -> str:
    return str(one["table"] if isinstance(one, dict) else one)


def _limits(source: Source, wanted: t.Sequence[Document]) -> t.Iterator[Finding]:
    """Where the host's own check looks for something else: it may call fresh what is not."""
    told = {one["table"]: one for one in source.data["tables"]} if wanted else {}
    for one in wanted:
        has = told.get(one["table"], one)
        for key in ("column", "max_age"):
            if _plain(has[key]) != _plain(one[key]):
                evidence = f"the host looks at {one['table']} by {key} {has[key]} instead of {one[key]}"
                yield Finding("collector-limit", source.host, f"{TABLE}{one['table']}", evidence, what=key)


def _plain(value: t.Any) -> str:
    """A number is the same whether it has a point."""
    return str(float(value)) if isinstance(value, int | float) else str(value)


KIND = Kind("freshness", "The collector's newest rows", ("collector_hosts",), judge, RULES)
