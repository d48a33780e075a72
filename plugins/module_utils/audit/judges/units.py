# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: failed ones, those that must run, and what was laid over them."""

from __future__ import annotations

import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule("unit-failed", "high", "looked", "a unit has failed", "systemctl status UNIT; journalctl -u UNIT"),
    Rule(
        "unit-stopped", "high", "looked", "what a role has started does not run, or would not after a restart",
        "run playbooks/site.yml",
    ),
    Rule(
        "unit-override", "high", "devops", "a unit is not the package's or the role's own",
        "remove the file if no role writes it, then systemctl daemon-reload and restart the unit",
    ),
    Rule("core-dumps", "medium", "readers", "cores are left behind, with rows and keys", "run playbooks/site.yml"),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``running`` units, which are enabled too; ``files`` of units, and ``drop_ins`` over
    them, that roles write.
    """
    own, host, failed = expected.of(source.host), source.host, source.data["failed"]
    for name in failed:
        yield Finding("unit-failed", host, f"unit {name}", f"{name} has failed")
    known = {*own.get("files", []), *own.get("drop_ins", [])}
    units = {one["unit"]: one for one in source.data["units"]}
    for name in own.get("running", []):
        if name not in failed and (why := _stopped(units[name])):
            yield Finding("unit-stopped", host, f"unit {name}", f"{name} is {why}")
    for name, one in sorted(units.items()):
        for path in one["files"]:
            if path not in known:
                evidence = f"{name} is made of {path}, of no package or role"
                yield Finding(
                    "unit-override", host, f"unit {name}", evidence, what=path, value=f"{path}\0{one['contents'][path]}"
                )
        if one["outdated"]:
            evidence = f"the files of {name} were changed, and systemd has not read them anew"
            yield Finding("unit-override", host, f"unit {name}", evidence, what="outdated")
    if source.data["core_limit"] != "0" or source.data["suid_dumpable"] not in ("", "0"):
        limit, dumpable = source.data["core_limit"], source.data["suid_dumpable"] or 0
        evidence = f"DefaultLimitCORE is {limit}, fs.suid_dumpable {dumpable}"
        yield Finding("core-dumps", host, "systemd", evidence)


def _stopped(one: Document) -> str:
    said = [one["active"]] if one["active"] not in ("active", "activating", "reloading") else []
    return " and ".join([*said, *([one["enabled"] or "not there"] if one["enabled"] != "enabled" else [])])


KIND = Kind("units", "Services", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
