# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the assertions of an access policy: promises about effective access, and their exceptions."""

from __future__ import annotations

import datetime
import re

from .model import Allowance, Assertion
from .patterns import PolicyFields

MAY_NOT = ("write", "create", "temp", "set_role", "large_objects", "security_definer")
ASSERTED = ("writers", "readers", "deleters")
ASSERTION_KEYS = ("id", "tables", *ASSERTED, "role", "may_not", "allow")
ALLOWANCE_KEYS = ("role", "reason", "expires")


def read_assertions(read: PolicyFields, value: object) -> tuple[Assertion, ...]:
    """The assertions; their ids differ."""
    assertions = tuple(_assertion(read, key, item) for key, item in read.sequence("assertions", value))
    ids = [assertion.id for assertion in assertions if assertion.id]
    for twice in sorted({one for one in ids if ids.count(one) > 1}):
        read.say("assertions", f"the id {twice} is there twice: write another")
    return assertions


def _assertion(read: PolicyFields, where: str, value: object) -> Assertion:
    written = read.mapping(where, value, known=ASSERTION_KEYS, required=("id",))
    named = read.name(f"{where}.id", written["id"]) if "id" in written else None
    asserted = {key: _asserted(read, f"{where}.{key}", written[key]) for key in ASSERTED if key in written}
    if ("tables" in written) == ("role" in written):
        read.say(where, "write either tables (with writers, readers or deleters) or role (with may_not)")
    elif "tables" in written and (not asserted or "may_not" in written):
        read.say(where, "tables go with writers, readers or deleters, and without may_not")
    elif "role" in written and (asserted or "may_not" not in written):
        read.say(where, "role goes with may_not, and without writers, readers and deleters")
    role = read.name(f"{where}.role", written["role"]) if "role" in written else None
    if role is not None:
        read.defined(f"{where}.role", role)
    may_not = read.one_or_list(f"{where}.may_not", written["may_not"]) if "may_not" in written else []
    return Assertion(
        id=named or "",
        tables=read.patterns(f"{where}.tables", written["tables"]) if "tables" in written else (),
        role=role,
        may_not=tuple(dict.fromkeys(read.choice(key, item, MAY_NOT) for key, item in may_not)),
        allow=tuple(
            _allowance(read, key, item) for key, item in read.sequence(f"{where}.allow", written.get("allow", []))
        ),
        **asserted,
    )


def _asserted(read: PolicyFields, where: str, value: object) -> tuple[str, ...]:
    """The roles of an assertion. Nobody (an empty list) is an answer."""
    roles = read.none_or_names(where, value)
    for role in roles:
        read.defined(where, role)
    return roles


def _allowance(read: PolicyFields, where: str, value: object) -> Allowance:
    written = read.mapping(where, value, known=ALLOWANCE_KEYS, required=("role", "reason"))
    role = read.name(f"{where}.role", written["role"]) if "role" in written else None
    reason = written.get("reason", "")
    if "reason" in written and not (isinstance(reason, str) and reason.strip()):
        read.say(f"{where}.reason", "write why, in words")
    expires = _day(read, f"{where}.expires", written["expires"]) if "expires" in written else None
    return Allowance(role=role or "", reason=str(reason), expires=expires)


def _day(read: PolicyFields, where: str, value: object) -> datetime.date | None:
    """A day, which YAML has read or which is written in full: fromisoformat() alone takes weeks and bare digits too."""
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass
    read.say(where, f"write a day as 2027-01-31, not {str(value)!r}")
    return None
