# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether security updates come by themselves."""

from __future__ import annotations

import datetime as dt
import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

# apt tries every day; a week without a success is no bad day any more.
MAX_DAYS = 7
# What a new host has not had the time for, or yesterday's advisory, is no finding.
GRACE = dt.timedelta(days=2)
RULES = (
    Rule("upgrades-off", "high", "devops", "security updates do not install themselves", "run playbooks/site.yml"),
    Rule(
        "upgrades-late", "high", "devops", "no update has succeeded for days",
        "journalctl -u apt-daily.service -u apt-daily-upgrade.service",
    ),
    Rule(
        "security-pending", "high", "devops", "a security update waits that should have come by itself",
        "unattended-upgrade --dry-run --debug says why",
    ),
    Rule(
        "restart-due", "medium", "devops", "an update wants the host restarted",
        "restart it; host_reboot_time lets it do so by itself",
    ),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``max_days`` (7) without a success."""
    host, data = source.host, source.data
    off = [f"its {name}" for name in ("installed", "lists", "upgrade") if not data[name]]
    off += [one["unit"] for one in data["timers"] if not one["active"]]
    if off:
        yield Finding("upgrades-off", host, "unattended-upgrades", f"off or not there: {', '.join(off)}")
    days = expected.of(host).get("max_days", MAX_DAYS)
    late = [
        name
        for name, last in sorted(data["last"].items())
        # A time to come proves nothing.
        if _before(last or data["since"], expected.now - dt.timedelta(days=days)) or _after(last, expected.now)
    ]
    if late and not off:
        yield Finding("upgrades-late", host, "unattended-upgrades", f"no success within {days} days: {', '.join(late)}")
    if data["pending"] and (_before(data["since"], expected.now - GRACE) or _after(data["since"], expected.now)):
        for name in data["pending"]:
            yield Finding("security-pending", host, f"package {name}", f"{name} has a security update")
    if data["reboot"]:
        yield Finding("restart-due", host, "host", "an update waits for a restart")


def _after(moment: str, now: dt.datetime) -> bool:
    # A clock may be a little ahead.
    return bool(moment) and dt.datetime.fromisoformat(moment) > now + dt.timedelta(hours=1)


def _before(moment: str, limit: dt.datetime) -> bool:
    return bool(moment) and dt.datetime.fromisoformat(moment) < limit


KIND = Kind("upgrades", "Security updates", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
