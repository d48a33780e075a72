# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy that takes a step of an adoption back: what was exported before it, as far as the step has changed it."""

from __future__ import annotations

import re
import typing as t

from .alone import names

PUBLIC = "public"
# What the export says of a password's end, which is kept beside the policy.
_END = re.compile(r"role .*: its password is valid until .*, and a policy's has no end")
# The reader takes no such character in a name; a pattern's * stands for it.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
Grant = dict[str, t.Any]


def former(
    exported: t.Mapping[str, t.Any],
    *,
    there: t.Collection[str],
    named: t.Collection[str],
    live: t.Collection[str],
    databases: t.Collection[str],
    whole: bool,
) -> dict[str, t.Any]:
    """The way back of a step that named the roles *named*, from the policy *exported* when the roles *there* were.

    *live* are the roles of now, *databases* those of now. Roles that came later, and not by the step, keep what they
    have. Unless the step took away too (*whole*), so does everybody whom it did not name, and no owner changes.
    ``public`` in *named*: everybody was granted something.
    """
    ours = {*named, *there} if whole else {*named}
    if not ours & exported["roles"].keys():
        # A policy has to have a role: one of whom nothing can be taken.
        ours.add(next(name for name, role in sorted(exported["roles"].items()) if (role or {}).get("superuser")))
    strangers = sorted(_CONTROL.sub("*", name) for name in {*live} - ours if not name.startswith("pg_"))
    ignored = [*exported.get("ignore", {}).get("roles", []), *strangers]
    scope = {**exported["scope"], "public": whole or PUBLIC in named}
    scope["databases"] = [name for name in scope["databases"] if name in databases]
    policy = {**exported, "unlisted_roles": "disable", "scope": scope, "ignore": {"roles": ignored}}
    policy["roles"] = {name: _placed(role, databases) for name, role in exported["roles"].items() if name in ours}
    if whole:
        for part in ("database_owners", "database_settings"):
            given = exported.get(part, {})
            policy[part] = {name: one for name, one in given.items() if name == "*" or name in databases}
    else:
        for part in ("owners", "database_owners", "database_settings", "public"):
            policy.pop(part, None)
    for part in ("grants", "default_privileges"):
        given = [_there(grant, databases) for grant in exported.get(part, [])]
        policy[part] = [
            {**grant, "to": to}
            for grant in given
            if grant and (to := [name for name in names(grant["to"]) if whole or name in named])
        ]
    return policy


def _placed(role: t.Mapping[str, t.Any] | None, databases: t.Collection[str]) -> Grant:
    """A role of the policy with its settings in *databases* alone. A password that was given since is theirs."""
    given = {**(role or {}), "password": "keep"}
    if "database_settings" in given:
        given["database_settings"] = {
            name: one for name, one in given["database_settings"].items() if name in databases
        }
    return given


def _there(grant: t.Mapping[str, t.Any], databases: t.Collection[str]) -> Grant | None:
    """A grant as far as it is on *databases* that are there, or None."""
    given = {**grant}
    if "databases" in given:
        given["databases"] = [name for name in names(given["databases"]) if name in databases]
        if not given["databases"]:
            return None
    on = given.get("on")
    if isinstance(on, dict) and "database" in on:
        given["on"] = {"database": [name for name in names(on["database"]) if name in databases]}
        if not given["on"]["database"]:
            return None
    return given


def unsaid(sentences: t.Iterable[str], accepted: t.Collection[str]) -> list[str]:
    """What of the export's *sentences* no way back would bring, but those *accepted*."""
    return [one for one in sentences if one not in accepted and not _END.fullmatch(one)]
