# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs by the clock."""

from __future__ import annotations

import hashlib
import re
import shlex
import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule("cron-unknown", "high", "devops", "cron runs what no package or role has put there", "remove the line"),
    Rule("cron-missing", "high", "dumps", "cron does not run what a role has put there", "run playbooks/site.yml"),
    Rule(
        "cron-changed", "high", "dumps", "what a role has put there runs at another time, or with other settings",
        "run playbooks/site.yml",
    ),
    Rule(
        "cron-writable", "critical", "devops", "somebody beside root can change what cron runs",
        "chown root: FILE; chmod 0644 FILE; of a folder 0755",
    ),
    Rule(
        "timer-unknown", "high", "devops", "a timer, or what it starts, comes from neither a package nor a role",
        "systemctl disable --now TIMER, and remove its files",
    ),
    Rule(
        "timer-changed", "high", "looked", "a role's timer starts at another time", "run playbooks/site.yml",
    ),
    Rule("at-job", "medium", "devops", "something waits to be run once by at", "atrm JOB"),
    Rule(
        "lingering", "medium", "devops", "an account's own services run without a login", "loginctl disable-linger NAME"
    ),
)  # fmt: skip
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]+")


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``cron``, with ``account`` and ``command``, perhaps ``schedule`` and ``environment``; ``files`` of
    timers and of what they start; ``schedules`` of timers, by their names.
    """
    own, host = expected.of(source.host), source.host
    yield from _cron(source, own)
    for one in source.data["timers"]:
        strange = {path: digest for path, digest in sorted(one["files"].items()) if path not in own.get("files", [])}
        if strange:
            evidence = f"{one['unit']} starts {one['starts']}, by {', '.join(strange)}"
            value = "\0".join([evidence, *strange.values()])
            yield Finding("timer-unknown", host, f"timer {one['unit']}", evidence, value=value)
        meant = own.get("schedules", {}).get(one["unit"], one["schedule"])
        if meant != one["schedule"]:
            evidence = f"{one['unit']} has {', '.join(one['schedule']) or 'no time'} instead of {', '.join(meant)}"
            yield Finding("timer-changed", host, f"timer {one['unit']}", evidence)
    for one in source.data["at"]:
        evidence = f"at has the job {one['name']}"
        yield Finding("at-job", host, f"job {one['name']}", evidence, value=f"{evidence}\0{one['digest']}")
    for name in source.data["linger"]:
        yield Finding("lingering", host, f"account {name}", f"the services of {name} run without a login", who=name)


def _cron(source: Source, own: Expected) -> t.Iterator[Finding]:
    meant = {(one["account"], one["command"]): one for one in own.get("cron", [])}
    wanted = set(meant)
    seen, open_ = set(), {}
    for one in source.data["cron"]:
        job = (one["account"], one["command"])
        spooled = one["table"].startswith("/var/spool/")
        if int(one["mode"], 8) & 0o022 or (one["owner"] != "root" and not spooled):
            open_[one["table"]] = f"{one['table']} is {one['owner']}'s, with mode {one['mode']}"
        seen.add(job)
        if one["command"] and not one["package"] and job not in wanted:
            digest = hashlib.sha256(one["command"].encode("utf-8", "backslashreplace")).hexdigest()[:12]
            evidence = f"{one['table']} has {one['account']} run {_program(one['command'])}, sha256 {digest}"
            about = f"table {one['table']}"
            settings = [f"{key}={value}" for key, value in sorted(one["environment"].items())]
            value = "\0".join([evidence, one["schedule"], *settings, one["digest"]])
            yield Finding("cron-unknown", source.host, about, evidence, who=one["account"], what=digest, value=value)
        for field in ("schedule", "environment"):
            has, should = one[field], meant.get(job, {}).get(field, one[field])
            if has != should:
                evidence = f"{one['table']} has the {field} {has or 'of nothing'} for it instead of {should}"
                yield Finding("cron-changed", source.host, f"table {one['table']}", evidence, who=job[0], what=field)
    for account, command in sorted(wanted - seen):
        evidence = f"nothing has {account} run {command}"
        yield Finding("cron-missing", source.host, "cron", evidence, who=account, what=command)
    for table, evidence in sorted(open_.items()):
        yield Finding("cron-writable", source.host, f"table {table}", evidence)
    for one in source.data["folders"]:
        # a group of cron's own may add tables to the spool, and change none (its sticky bit)
        closed = 0o002 if one["path"].startswith("/var/spool/") else 0o022
        if one["owner"] != "root" or int(one["mode"], 8) & closed:
            evidence = f"{one['path']} is {one['owner']}'s, with mode {one['mode']}"
            yield Finding("cron-writable", source.host, f"folder {one['path']}", evidence)


def _program(command: str) -> str:
    """What a line of cron runs, without its arguments and its environment, where passwords may be."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    program = next((word for word in words if not _ASSIGNED.match(word)), "")
    return program if _PROGRAM.fullmatch(program) else "a command of the shell"


KIND = Kind("jobs", "What runs by the clock", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
