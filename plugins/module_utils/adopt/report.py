# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What adopting a host would change, and what that could break, step by step: sentences for the people who decide.

The facts come from hosts that nobody has looked at yet, so whatever is missing or could not be read is said.
"""

from __future__ import annotations

import collections
import re
import typing as t

from .breaking import BREAKS
from .changing import CHANGES
from .refusing import REFUSES
from .seen import logins, loopback

Facts = t.Mapping[str, t.Any]
# In the order in which they are taken; each is the precondition of the next.
STEPS = ("dumps", "retire", "grants", "clients", "access", "logins", "keys", "firewall")
REPORT = "report"
TITLES = {
    "dumps": "dumps      the first proved dump, by the backup role alone; old dumps are taken over",
    "retire": "retire     the old dump job runs no more",
    "grants": "grants     what the policy grants and is missing is granted; nothing is taken away",
    "clients": "clients    the collector and Grafana log in by peer, without passwords",
    "access": "access     what the policy does not grant is taken away; the owner owns the tables",
    "logins": "logins     pg_hba.conf and pg_ident.conf become the policy's, the settings the inventory's",
    "keys": "keys       the keys of host_devops are the only ones; no root, no password",
    "firewall": "firewall   what is not open is dropped",
}
# A list in a report ends here, with the number of those that are left out: it is to be read.
MOST = 40
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def document(step: str, done: t.Sequence[str], facts: Facts) -> dict[str, t.Any]:
    """The report as JSON has it: ``there``, and by step ``changes``, ``could_break`` and ``refused``.

    ValueError for no step.
    """
    if step not in (REPORT, *STEPS):
        raise ValueError(f"{step!r} is no step: {REPORT}, {', '.join(STEPS)}")
    shown = STEPS if step == REPORT else (step,)
    return {
        "host": str(facts.get("host", "")),
        "step": step,
        "done": [name for name in STEPS if name in done],
        "unreadable": {str(name): str(why) for name, why in sorted(facts.get("unreadable", {}).items())},
        "there": there(facts),
        "steps": {
            name: {
                "done": name in done,
                "changes": CHANGES[name](facts),
                "could_break": BREAKS[name](facts),
                "refused": REFUSES[name](facts) if name in REFUSES else [],
            }
            for name in shown
        },
    }


def following(done: t.Sequence[str]) -> str:
    """The step that comes next, or "" where all are done."""
    return next((name for name in STEPS if name not in done), "")


def refusal(step: str, done: t.Sequence[str]) -> str:
    """Why *step* can't be taken now, or ""."""
    if step == REPORT:
        return ""
    if step not in STEPS:
        return f"{step!r} is no step: {REPORT}, {', '.join(STEPS)}"
    if step in done:
        return f"{step} is done; its way back is playbooks/adopt_back.yml"
    lacking = [name for name in STEPS[: STEPS.index(step)] if name not in done]
    return f"{step} comes after {', '.join(lacking)}" if lacking else ""


def way_back_refusal(step: str, begun: t.Sequence[str]) -> str:
    """Why *step* can't be taken back now, or "". One that was cut counts as *begun*."""
    if step not in STEPS:
        return f"{step!r} is no step: {', '.join(STEPS)}"
    if step not in begun:
        return f"{step} is not begun, so nothing is to be taken back"
    later = [name for name in reversed(STEPS[STEPS.index(step) + 1 :]) if name in begun]
    return f"first take back {', '.join(later)}, in this order" if later else ""


def screen(report: t.Mapping[str, t.Any]) -> str:
    """The report as people read it."""
    rows = [f"Adopting {report['host']}: {report['step']}", ""]
    rows += [f"! {name} could not be read: {why}" for name, why in report["unreadable"].items()]
    for title, lines in report["there"].items():
        rows += [title, *_listed(lines)]
    for name, part in report["steps"].items():
        rows += ["", TITLES[name] + ("   (done)" if part["done"] else "")]
        if not part["done"]:
            rows += ["  would change", *_listed(part["changes"], "    "), "  could break"]
            rows += _listed(part["could_break"], "    ")
            rows += ["  can't be taken yet", *_listed(part["refused"], "    ")] if part["refused"] else []
    next_step = following(report["done"])
    rows += [
        "",
        f"Done: {', '.join(report['done']) or 'nothing yet'}. Next: {next_step or 'site.yml, then the audit'}.",
    ]
    return "".join(f"{_plain(row)}\n" for row in rows)


def there(facts: Facts) -> dict[str, list[str]]:
    """What runs and who comes, as far as it is nobody's package."""
    server = facts.get("server", {})
    connected = collections.Counter(
        f"{one['role']} to {one['database']} from {one['address']}" for one in facts.get("connected", [])
    )
    return {
        "The server": [f"{name}: {value}" for name, value in server.items() if not isinstance(value, list)],
        "Who is connected to it, or was by its log": sorted(connected),
        "Jobs of cron": [
            f"{one['account']}: {one['schedule']} {one['command']} ({one['table']})"
            for one in facts.get("cron", [])
            if not one.get("package") and one.get("command")
        ],
        "Services and timers that no package brought": sorted(facts.get("services", [])),
        "Keys": [
            f"{one['account']}: {one.get('fingerprint', '')} {one.get('comment', '')} ({one['path']})"
            for one in facts.get("keys", [])
        ],
        "Who has logged in, by sshd's log": logins_seen(facts.get("ssh_log", [])),
        "Rules of sudo": [
            f"{one['account']}: {one['command']} as {','.join(one['users'])} {' '.join(one.get('options', []))}"
            for one in facts.get("sudo", [])
            if one["account"] != "root"
        ],
        "What listens for other hosts": [
            f"{one['protocol']} {one['port']} of {one.get('program') or one['account']}"
            for one in facts.get("sockets", [])
            if not loopback(one["address"])
        ],
    }


def logins_seen(lines: t.Iterable[str]) -> list[str]:
    """Who came in, how and from where, each once, of the lines of sshd's log."""
    return sorted({f"{one['who']} from {one['address']} by {one['shown'] or one['how']}" for one in logins(lines)})


def _listed(lines: t.Sequence[str], indent: str = "  ") -> list[str]:
    shown = [f"{indent}{line}" for line in lines[:MOST]] or [f"{indent}nothing"]
    return shown + ([f"{indent}... and {len(lines) - MOST} more: see the JSON"] if len(lines) > MOST else [])


def _plain(text: str) -> str:
    """*text* without what would move a cursor or turn the direction of writing round."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
