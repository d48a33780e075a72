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
    Rule(
        "sudo-defaults", "high", "devops", "sudo does for an account what neither Debian nor a role has it do",
        "find it in /etc/sudoers and /etc/sudoers.d: sudo -ll -U NAME; then take it out",
    ),
)  # fmt: skip
# As sudo prints what Debian 12 and 13 have in /etc/sudoers.
SHIPPED = (
    "env_reset", "mail_badpass", "secure_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "use_pty",
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``rules``, with ``account``, ``users``, ``command``, perhaps ``groups`` and ``options``.

    The default is no other group, and ``!authenticate``. ``defaults``: settings by account, and of all under ``"*"``.
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
    yield from _defaults(source, expected.of(source.host).get("defaults", {}))
    for key in sorted(wanted.keys() - found.keys()):
        account, users, _groups, command, _options = key
        evidence = f"{account} may not run {command} as {', '.join(users)}"
        yield Finding(
            "sudo-missing", source.host, f"account {account}", evidence, who=account, what=command, key=repr(key)
        )


def _defaults(source: Source, known: t.Mapping[str, t.Sequence[str]]) -> t.Iterator[Finding]:
    for one in source.data["defaults"]:
        account, text = one["account"], one["text"]
        # some versions of sudo print a colon with a backslash
        if text.replace("\\:", ":") not in (*SHIPPED, *known.get("*", ()), *known.get(account, ())):
            evidence = f"sudo does {text} for {account}"
            yield Finding("sudo-defaults", source.host, f"account {account}", evidence, who=account, what=text)


def _key(one: Document) -> tuple[str, tuple[str, ...], tuple[str, ...], str, tuple[str, ...]]:
    users, groups = tuple(sorted(one["users"])), tuple(sorted(one.get("groups", [])))
    return one["account"], users, groups, one["command"], tuple(sorted(one.get("options", ["!authenticate"])))


KIND = Kind("sudo_rules", "Who may become whom", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
