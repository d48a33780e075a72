# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The accounts of a host: who is root, who can log in, whose password is what."""

from __future__ import annotations

import typing as t

from ..model import Expected, Finding, Kind, Rule, Source

RULES = (
    Rule("uid-zero", "critical", "devops", "an account beside root is root", "remove it: userdel NAME"),
    Rule("password-empty", "critical", "devops", "an account has no password at all", "passwd --lock NAME"),
    Rule("password-set", "high", "devops", "an account has a password, and devops log in by key", "passwd --lock NAME"),
    Rule(
        "account-unknown", "high", "devops", "an account can log in that the inventory doesn't name",
        "write it into host_devops, or close it: usermod --lock --expiredate 1 --shell /usr/sbin/nologin NAME",
    ),
    Rule(
        "group-member", "high", "devops", "an account is in a group that is as good as root, or that reads a secret",
        "take it out: gpasswd --delete NAME GROUP",
    ),
)  # fmt: skip
# Debian's own, by their shells.
SHIPPED = frozenset({("root", "/bin/bash"), ("sync", "/bin/sync"), ("postgres", "/bin/bash")})
POWERFUL = (
    "adm",
    "disk",
    "docker",
    "kmem",
    "kvm",
    "lxd",
    "podman",
    "root",
    "shadow",
    "staff",
    "sudo",
    "systemd-journal",
    "wheel",
)


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """*expected*: ``logins``, names that may log in; ``members``, names by group; ``guarded``, groups of secrets.

    A closed account is no login.
    A group's members are those whose own it is, too.
    """
    own = expected.of(source.host)
    for one in source.data["accounts"]:
        yield from _account(source.host, one, own.get("logins", []))
    guarded = set(own.get("guarded", []))
    for group in sorted({*POWERFUL, *guarded}):
        # a service's group has its account in it
        known = [*own.get("members", {}).get(group, []), *([group] if group in guarded or group == "root" else [])]
        for name in source.data["groups"].get(group, []):
            if name not in known:
                evidence = f"{name} is in the group {group}"
                yield Finding("group-member", source.host, f"group {group}", evidence, who=name)


def _account(host: str, one: t.Mapping[str, t.Any], logins: t.Sequence[str]) -> t.Iterator[Finding]:
    name = one["name"]
    about = f"account {name}"
    if one["uid"] == 0 and name != "root":
        yield Finding("uid-zero", host, about, f"{name} has the number 0, which is root's", who=name)
    elif one["login"] and not one["expired"] and name not in logins and (name, one["shell"]) not in SHIPPED:
        yield Finding("account-unknown", host, about, f"{name} may log in, with {one['shell']}", who=name)
    if one["password"] == "none":  # noqa: S105
        yield Finding("password-empty", host, about, f"{name} has an empty password", who=name)
    if one["password"] == "set":  # noqa: S105
        yield Finding("password-set", host, about, f"{name} has a password, of the kind {one['hash']}", who=name)


KIND = Kind("accounts", "Accounts", ("production_hosts", "store_hosts"), judge, RULES, of_host=True)
