# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy with one account's role alone: what an adoption begins with."""

from __future__ import annotations

import typing as t


def alone(policy: t.Mapping[str, t.Any], account: str) -> dict[str, t.Any]:
    """*policy* of the role that has the OS *account*, with the roles that it is a member of, which takes nothing away.

    ValueError where not exactly one role has it.
    """
    roles: t.Mapping[str, t.Any] = policy.get("roles", {})
    having = [name for name, one in roles.items() if account in (one or {}).get("os_users", [])]
    if len(having) != 1:
        raise ValueError(f"exactly one role of the policy must have {account} among its os_users, not {having}")
    kept: dict[str, t.Any] = {}
    new = having
    while new:
        name = new.pop()
        if name in roles and name not in kept:
            kept[name] = roles[name]
            members = (roles[name] or {}).get("member_of", [])
            new += [one if isinstance(one, str) else str(one["role"]) for one in members]
    return {
        "version": policy["version"],
        "scope": policy["scope"],
        "mode": "additive",
        "roles": kept,
        "grants": [
            {**grant, "to": [name for name in names(grant["to"]) if name in kept]}
            for grant in policy.get("grants", [])
            if any(name in kept for name in names(grant["to"]))
        ],
    }


def names(to: str | t.Sequence[str]) -> list[str]:
    """One name or several, as a list."""
    return [to] if isinstance(to, str) else list(to)
