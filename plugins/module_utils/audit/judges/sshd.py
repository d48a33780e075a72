# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sshd would do, for anybody and for each account."""

from __future__ import annotations

import typing as t

from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "sshd-setting", "high", "devops", "sshd does not do what the roles tell it",
        "run playbooks/site.yml; a file of somebody else's may have the last word: sshd -T",
    ),
    Rule(
        "sshd-match", "high", "devops", "sshd does something else for whoever comes from a certain place, or to one",
        "remove the Match block; or write its conditions and lines into audit_expected: sshd, matches",
    ),
    Rule(
        "sshd-file-open", "critical", "devops", "a host's key can be read, or sshd's settings changed, by others",
        "chown root: FILE; chmod 0600 a key, 0644 the settings, 0755 a folder; make new host keys where one was open",
    ),
)  # fmt: skip
ANYBODY = "*"


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``settings``, values by keyword, by account; ``"*"`` is everybody whom nothing else is said of.

    ``matches``: Match blocks that are known, with their ``conditions`` and ``lines`` as they are written.
    """
    yield from _matches(source, expected.of(source.host).get("matches", []))
    yield from _open(source)
    yield from _folders(source)
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


def _matches(source: Source, known: t.Sequence[Document]) -> t.Iterator[Finding]:
    if not all(isinstance(one, dict) and one.keys() == {"conditions", "lines"} for one in known):
        raise ValueError("audit_expected, sshd: write each of matches as a mapping with conditions and lines")
    meant = [(one["conditions"], [_plain(line) for line in one["lines"]]) for one in known]
    for one in source.data["matches"]:
        lines = [_plain(line) for line in one["lines"]]
        if (one["text"], lines) not in meant:
            evidence = f"{one['path']} has settings of its own for Match {one['text']}: {'; '.join(lines) or 'none'}"
            yield Finding("sshd-match", source.host, f"file {one['path']}", evidence, what=one["text"])


def _plain(line: str) -> str:
    """A setting as this page has it: sshd tells no case of a keyword, and no number of blanks."""
    keyword, _blank, words = line.strip().partition(" ")
    return f"{keyword.lower()} {words.strip()}"


def _open(source: Source) -> t.Iterator[Finding]:
    for key, closed in (("keys", 0o077), ("files", 0o022)):
        for one in source.data[key]:
            if one["owner"] != "root" or one["kind"] != "file" or int(one["mode"], 8) & closed:
                evidence = f"{one['path']} is a {one['kind']} of {one['owner']}:{one['group']} with {one['mode']}"
                yield Finding("sshd-file-open", source.host, f"file {one['path']}", evidence)


def _folders(source: Source) -> t.Iterator[Finding]:
    for one in source.data["folders"]:
        if one["owner"] != "root" or int(one["mode"], 8) & 0o022:
            evidence = f"{one['path']} is {one['owner']}'s, with mode {one['mode']}: whoever writes there adds settings"
            yield Finding("sshd-file-open", source.host, f"folder {one['path']}", evidence)


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
