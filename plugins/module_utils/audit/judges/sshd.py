# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sshd would do, for anybody and for each account."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "sshd-setting", "high", "devops", "sshd does not do what the roles tell it",
        "run playbooks/site.yml; a file of somebody else's may have the last word: sshd -T",
    ),
)  # fmt: skip
ANYBODY = "*"


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``settings``, values by keyword, by account; ``"*"`` is everybody whom nothing else is said of."""
    settings = source.data["settings"]
    own = expected.of(source.host).get("settings", {})
    common = settings[ANYBODY]
    for account in sorted({*settings, *own}):
        wanted = {**own.get(ANYBODY, {}), **own.get(account, {})}
        for keyword, value in sorted(wanted.items()):
            # what an account has like everybody is everybody's finding
            has = settings.get(account, {}).get(keyword)
            if account != ANYBODY and has is None:
                if keyword not in own.get(account, {}):
                    continue
                has = common.get(keyword)
            if (has or []) != [value]:
                yield _finding(source.host, account, keyword, " ".join(has or ["nothing"]), value)


def _finding(host: str, account: str, keyword: str, has: str, value: str) -> Finding:
    who = "" if account == ANYBODY else account
    of = f" for {account}" if who else ""
    return Finding(
        "sshd-setting",
        host,
        f"sshd {keyword}",
        f"sshd does {keyword} {has} instead of {value}{of}",
        who=who,
        what=keyword,
    )


KIND = Kind("sshd", "How one logs in", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
