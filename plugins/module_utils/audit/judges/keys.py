# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys that open an account, and those that lie about."""

from __future__ import annotations

import typing as t

from ...hosts.parsing.keys import NO_KEY
from ...hosts.parsing.keys import key as read_key
from ..model import Document, Expected, Finding, Kind, Rule, Source

RULES = (
    Rule(
        "key-unknown", "critical", "devops", "a key opens an account, and no role has put it there",
        "take the line out; run playbooks/site.yml",
    ),
    Rule("key-missing", "medium", "devops", "a key that the roles put there opens nothing", "run playbooks/site.yml"),
    Rule(
        "key-ignored", "medium", "devops", "a key lies where sshd does not look, and would count if a setting changed",
        "remove the file",
    ),
    Rule("key-unreadable", "low", "devops", "a line among the keys is no key", "take the line out"),
    Rule(
        "key-file-odd", "high", "devops", "where keys are looked for lies a link, a pipe or the like",
        "see who has put it there; remove it",
    ),
    Rule(
        "key-writable", "critical", "devops", "somebody beside root can add a key",
        "chown root: FILE; chmod 0644 FILE; the same of its folder, with 0755",
    ),
)  # fmt: skip


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: by account ``lines``, as authorized_keys has them (comments don't count), and ``machines``.

    A machine's key may do one thing, from one place: ``machines`` has its ``command``, and if known ``from`` (or a list
    of what that may be) and ``fingerprint``. One that is ``optional`` need not be there.
    """
    host, own = source.host, expected.of(source.host)
    given, machines = own.get("lines", {}), {account: list(rows) for account, rows in own.get("machines", {}).items()}
    wanted = {(account, *_signature(read_key(line.strip()))) for account in given for line in given[account]}
    seen, ignored = set(), dict[str, str]()
    for one in source.data["keys"]:
        account, about = one["account"], f"file {one['path']}"
        what = f"line {one['line']}" if one["problem"] else one["fingerprint"]
        if one["ignored"]:
            # of all of a file's lines one finding
            ignored.setdefault(one["path"], account)
        elif one["problem"]:
            evidence = f"{what} of {one['path']}: {one['problem']}"
            severity = "high" if one["problem"] != NO_KEY else ""
            yield Finding("key-unreadable", host, about, evidence, who=account, what=what, severity=severity)
        elif _taken(one, machines.get(account, [])):
            continue
        elif (account, *_signature(one)) not in wanted:
            evidence = f"{what} opens {account}{_limits(one)}"
            yield Finding(
                "key-unknown", host, f"account {account}", evidence, who=account, what=what, key=repr(_signature(one))
            )
        else:
            seen.add((account, *_signature(one)))
    for account, fingerprint, options in sorted(wanted - seen):
        evidence = f"{fingerprint} does not open {account} as it should"
        yield Finding(
            "key-missing", host, f"account {account}", evidence, who=account, what=fingerprint, key=repr(options)
        )
    for account, rows in sorted(machines.items()):
        for row in [one for one in rows if not one.get("optional")]:
            evidence = f"no key of {row.get('name', 'a machine')} opens {account} as it should"
            yield Finding(
                "key-missing", host, f"account {account}", evidence, who=account, key=repr(sorted(row.items()))
            )
    digests = {one["path"]: one["digest"] for one in source.data["files"]}
    for path, account in sorted(ignored.items()):
        evidence = f"a key of {account} lies in {path}"
        value = f"{evidence}\0{digests[path]}"
        yield Finding("key-ignored", host, f"file {path}", evidence, who=account, value=value)
    yield from _files(source)


def _taken(one: Document, rows: list[Document]) -> bool:
    """Whether a key is one of those machines', whose row is taken out."""
    for row in rows:
        said = row.get("from") or []
        froms = {f'from="{one}"' for one in ([said] if isinstance(said, str) else said)}
        has = {option for option in one["options"] if option.startswith("from=")}
        # whence it comes may not be known: that the key is for one place alone is
        comes = len(has) == 1 and (not froms or has <= froms)
        only = set(one["options"]) - has == {"restrict", f'command="{row["command"]}"'}
        if comes and only and row.get("fingerprint", one["fingerprint"]) == one["fingerprint"]:
            rows.remove(row)
            return True
    return False


def _signature(one: Document) -> tuple[str, tuple[str, ...]]:
    if one["problem"]:
        raise ValueError("a line that is expected among the keys is no key")
    return one["fingerprint"], tuple(sorted(one["options"]))


def _limits(one: Document) -> str:
    return f", with {', '.join(one['options'])}" if one["options"] else ", without any limit"


def _files(source: Source) -> t.Iterator[Finding]:
    for one in source.data["files"]:
        about = f"file {one['path']}"
        if one["problem"]:
            severity = "medium" if one["ignored"] else ""
            yield Finding("key-file-odd", source.host, about, f"{one['path']}: {one['problem']}", severity=severity)
        if one["ignored"] or one["kind"] == "link":
            continue
        whose = {one["owner"], one["folder_owner"]} - {"root"}
        open_ = int(one["mode"], 8) & 0o022 or int(one["folder_mode"], 8) & 0o022
        if whose or open_:
            file, folder = (f"{one[k + 'owner']}'s with {one[k + 'mode']}" for k in ("", "folder_"))
            evidence = f"{one['path']} is {file}, its folder {folder}"
            yield Finding("key-writable", source.host, about, evidence)


KIND = Kind("keys", "Keys", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
