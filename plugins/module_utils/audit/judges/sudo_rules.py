# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may become whom, as sudo itself resolves its rules."""

from __future__ import annotations

import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "sudo-unknown", "critical", "devops", "an account may run as somebody else what no role gives it",
        "find it in /etc/sudoers and /etc/sudoers.d: sudo -ll -U NAME; then take it out",
    ),
    Rule(
        "sudo-missing", "medium", "devops", "an account may not run what the roles give it",
        "run playbooks/site.yml",
    ),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``rules``, with ``account``, ``users``, ``command``, perhaps ``groups`` and ``options``.

    The default is no other group, and ``!authenticate``.
    """
    wanted = {_key(one): one for one in expected.of(source.host).get("rules", [])}
    found = {_key(one): one for one in source.data["rules"]}
    for key in sorted(found.keys() - wanted.keys()):
        account, users, groups, command, options = key
        who = f"{account} may run {command} as {', '.join(users) or 'root'}"
        who += f", in the groups {', '.join(groups)}" if groups else ""
        evidence = who + (f" ({', '.join(options)})" if options else "")
        yield Finding(
            "sudo-unknown", source.host, f"account {account}", evidence, who=account, what=command, key=repr(key)
        )
    for key in sorted(wanted.keys() - found.keys()):
        account, users, _groups, command, _options = key
        evidence = f"{account} may not run {command} as {', '.join(users)}"
        yield Finding(
            "sudo-missing", source.host, f"account {account}", evidence, who=account, what=command, key=repr(key)
        )


def _key(one: Document) -> tuple[str, tuple[str, ...], tuple[str, ...], str, tuple[str, ...]]:
    users, groups = tuple(sorted(one["users"])), tuple(sorted(one.get("groups", [])))
    return one["account"], users, groups, one["command"], tuple(sorted(one.get("options", ["!authenticate"])))


KIND = Kind("sudo_rules", "Who may become whom", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
