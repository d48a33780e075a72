# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit's report of 10,000 tables and 200 roles: how long it takes to make, how big the page is, how soon it opens.

Prints a table and writes build/bench/audit.json. It measures; it does not judge. No server is needed: what
pg_access_info would answer is made up, of the estate that `make bench-access` loads.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from tools.browser import Browser

from .access import estate
from .common import COLLECTIONS, Target, table, target_table, write

sys.path.insert(0, str(COLLECTIONS))

from ansible_collections.taaraxtak.production.plugins.module_utils.audit.frame import Host, judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import (
    READ,
    Document,
    Kind,
    Source,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.page.page import page
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.registry import KINDS
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.report import report

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
# So many times the page is opened; the median counts.
RUNS = 5
MEGABYTES, SECONDS = 5, 2
# What somebody has granted beside the policy: to everybody on so many tables.
STRAY = 1_000
# To how many roles something was granted on every table.
STRAYED = 20

Row = dict[str, t.Any]


def main() -> int:
    """Both estates, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small estate only, and one run")
    quick = parser.parse_args().quick
    size = estate.SIZES[0 if quick else -1]
    cases = {f"{size.tables:,} tables x {size.logins} roles": answer(size)}
    if not quick:
        cases["the same, no two tables alike"] = unlike(size)
        cases[f"the same, {STRAYED} roles with a stray privilege on every table"] = strayed(size)
    rows = [measure(name, data, 1 if quick else RUNS) for name, data in cases.items()]
    heads = ("", "findings", "rows of the matrix", "report s", "page s", "page MB", "opens in s")
    keys = ("findings", "rows", "report_s", "page_s", "page_mb")
    print(table(heads, [(row["name"], *(row[key] for key in keys), statistics.median(row["open_s"])) for row in rows]))
    opened, big = max(statistics.median(row["open_s"]) for row in rows), max(row["page_mb"] for row in rows)
    targets = [
        Target(f"page of {size.tables:,} tables x {size.logins} roles", f"< {MEGABYTES} MB", big, big < MEGABYTES),
        Target("it opens in Chromium, drawn", f"< {SECONDS} s", opened, opened < SECONDS),
    ]
    print()
    print(target_table(targets))
    print(f"written to {write('audit', rows, targets)}")
    return 0


def answer(size: estate.Size) -> Document:
    """What pg_access_info would say of the estate of *size*, where something was granted to everybody."""
    made = estate.make(size)
    effective: list[Document] = []
    for login in made.logins:
        for whole in made.wholes:
            if whole.role == login or whole.role in made.member_of[login]:
                names = [name for name in made.tables[whole.schema] if name not in whole.excepted]
                path = () if whole.role == login else (f"member of {whole.role}",)
                effective.append(held(login, whole.schema, names, estate.ON_TABLES[whole.level], *path))
        for single in made.singles:
            if single.role == login:
                names = list(made.named(single))
                effective.append(held(login, single.schema, names, estate.ON_TABLES[single.level]))
        for one in made.on_columns:
            if one.role == login:
                effective.append(held(login, one.schema, [one.table], ("SELECT (columns)",)))
    stray = [(made.first, name) for name in made.tables[made.first][:STRAY]]
    for login in made.logins:
        effective.append(held(login, made.first, [name for _schema, name in stray], ("INSERT",), "PUBLIC"))
    findings = [finding(schema, name) for schema, name in stray]
    return {"effective": effective, "findings": findings, "unread": [], "probes": []}


def unlike(size: estate.Size) -> Document:
    """Every table is reached by another set of roles: nothing can be put together."""
    data = answer(size)
    names = [f"app.table_{number:05}" for number in range(size.tables)]
    roles = [f"login_{number:03}" for number in range(size.logins)]
    # Each number is written in roles: whoever stands for one of its bits reads the table.
    bits = {
        role: [name for n, name in enumerate(names) if (n + 1) >> place % 14 & 1] for place, role in enumerate(roles)
    }
    data["effective"] = [{**held(role, "app", [], ("SELECT",)), "objects": listed} for role, listed in bits.items()]
    return data


def strayed(size: estate.Size) -> Document:
    """Some roles may delete everywhere, each by a grant of its own: as many findings as there are tables, for each."""
    data, made = answer(size), estate.make(size)
    for login in made.logins[:STRAYED]:
        for schema, names in made.tables.items():
            data["effective"].append(held(login, schema, names, ("DELETE",)))
            data["findings"] += [finding(schema, name, login, "DELETE") for name in names]
    return data


def held(role: str, schema: str, names: t.Iterable[str], privileges: t.Sequence[str], *path: str) -> Document:
    """An element of ``effective``."""
    return {
        "role": role, "database": estate.DATABASE, "path": [role, *path], "kind": "table",
        "privileges": list(privileges), "objects": [f"{schema}.{name}" for name in names], "usable": True,
    }  # fmt: skip


def finding(schema: str, name: str, role: str = "public", privilege: str = "INSERT") -> Document:
    """The finding on a table that somebody, or everybody, may write to."""
    where = f"table {schema}.{name}"
    who, to = ("PUBLIC", "PUBLIC") if role == "public" else (role, f'"{role}"')
    return {
        "id": f"excess-privilege-{role}-{schema}-{name}", "severity": "critical", "rule": "excess-privilege",
        "role": role, "database": estate.DATABASE, "object": where, "privilege": privilege,
        "path": [who, f"{privilege} on {where}"], "evidence": f"{who} may {privilege} on {where} in {estate.DATABASE}",
        "exception": None, "remedy": f'REVOKE {privilege} ON TABLE "{schema}"."{name}" FROM {to} CASCADE',
    }  # fmt: skip


def measure(name: str, data: Document, runs: int) -> Row:
    """The seconds of each part, the page's size, and the seconds of each opening."""
    kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind.id == "access")
    hosts = [Host("production", ("database_hosts",), "192.0.2.10")]
    began = time.perf_counter()
    judged = judge([Source("access", "production", READ, data=data)], hosts, now=NOW, expected={}, kinds=kinds)
    if judged.unread:
        raise ValueError(f"the answer can't be judged, so that there is nothing to measure: {judged.sources[0].why}")
    document = report(judged, hosts, now=NOW, fail_on="low", last=None)
    made = time.perf_counter()
    html = page(document)
    done = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bench-audit-") as folder:
        path = Path(folder) / "index.html"
        path.write_text(html, encoding="utf-8")
        opened = [open_once(path) for _ in range(runs)]
    return {
        "name": name,
        "findings": len(document["findings"]),
        "rows": len(document["access"][0]["rows"]),
        "report_s": made - began,
        "page_s": done - made,
        "page_mb": len(html.encode()) / 1e6,
        "open_s": opened,
    }


def open_once(path: Path) -> float:
    """Seconds until a browser that was just started has loaded and drawn the page."""
    with Browser() as browser:
        began = time.perf_counter()
        browser.open(path)
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
