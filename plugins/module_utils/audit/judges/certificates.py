# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When certificates end, by which hosts of production know each other and people know Grafana."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

# site.yml makes new ones 30 days before the end, and so does certbot's timer.
MIN_DAYS = 21
RULES = (
    Rule(
        "certificate-ends", "high", "readers", "a certificate ends soon, and nobody has made a new one",
        "run playbooks/site.yml; put a new one in where it was given, or see journalctl -u certbot",
    ),
    Rule(
        "certificate-missing", "high", "readers", "a certificate that a role has put there is not there, or is none",
        "run playbooks/site.yml",
    ),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``files`` with certificates or patterns of such, and ``min_days`` (21) that must be left."""
    own, host = expected.of(source.host), source.host
    days = own.get("min_days", MIN_DAYS)
    asked = {one["asked"] for one in source.data["files"]}
    for path in own.get("files", []):
        if path not in asked:
            raise ValueError(f"the host was not asked for {path}")
    for one in source.data["files"]:
        about = f"file {one['path']}"
        if one["problem"]:
            yield Finding("certificate-missing", host, about, f"{one['path']}: {one['problem']}")
            continue
        end = dt.datetime.fromisoformat(one["ends"])
        if end < expected.now + dt.timedelta(days=days):
            evidence = f"{one['path']} ends on {end:%Y-%m-%d}, in fewer than {days} days"
            severity = "critical" if end < expected.now else ""
            yield Finding("certificate-ends", host, about, evidence, severity=severity)


KIND = Kind("certificates", "Certificates", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
