# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``pg_access_info`` found: its findings, its probes, and what it could not read."""

from __future__ import annotations

import typing as t

from ..grid import superusers
from ..model import Expected, Finding, Kind, Rule, Source

_WRITERS, _READERS, _DELETERS, _LOOKED = "writers", "readers", "deleters", "looked"
_APPLY = "ansible-playbook playbooks/site.yml applies the policy again; what is meant is written into the policy first"

# (rule, usual severity, promise, what it means); the same rules as in docs/audit.md.
_RULES = (
    ("excess-privilege", "high", _WRITERS, "somebody holds what the policy doesn't grant"),
    ("excess-grant-option", "high", _WRITERS, "somebody could grant a privilege on, and shouldn't"),
    ("excess-default-privilege", "high", _WRITERS, "somebody would hold a privilege on what will be made"),
    ("excess-default-grant-option", "high", _WRITERS, "somebody could grant on what will be made"),
    ("excess-membership", "high", _WRITERS, "a member that the policy doesn't want, or an option too many"),
    ("membership-option", "medium", _WRITERS, "a membership lacks an option, or somebody else has given it"),
    ("missing-privilege", "medium", _READERS, "the policy grants it and nobody did"),
    ("missing-grant-option", "medium", _READERS, "held without the option that the policy gives"),
    ("missing-default-privilege", "medium", _READERS, "what is made later would lack a privilege"),
    ("missing-default-grant-option", "medium", _READERS, "what is made later would lack the grant option"),
    ("missing-membership", "medium", _READERS, "the policy wants the member, and it is none"),
    ("missing-role", "medium", _READERS, "a role of the policy isn't there"),
    ("missing-schema", "medium", _READERS, "a schema that has an owner in the policy isn't there"),
    ("wrong-owner", "high", _DELETERS, "an owner may do anything, and isn't the one that the policy names"),
    ("role-attribute", "high", _WRITERS, "a role's attribute isn't as the policy says"),
    ("password", "medium", _WRITERS, "a password where the policy says none"),
    ("role-setting", "medium", _READERS, "a role's setting isn't as the policy says"),
    ("database-setting", "medium", _READERS, "a database's setting isn't as the policy says"),
    ("definer-reachable", "medium", _WRITERS, "somebody may run a routine with its owner's rights"),
    ("definer-search-path", "high", _WRITERS, "a routine with its owner's rights looks names up where its caller says"),
    ("definer-trigger", "high", _WRITERS, "who writes to a table runs a function with its owner's rights"),
    ("foreign-trigger", "high", _WRITERS, "a trigger's function belongs to somebody who isn't the table's owner"),
    ("owner-rights-view", "high", _READERS, "a view gives what the role's own privileges refuse"),
    ("rule", "high", _WRITERS, "a rewrite rule does what the role may not"),
    ("inheritance", "high", _READERS, "by a parent or a partition a role reaches rows that it may not"),
    ("foreign-key", "high", _DELETERS, "a foreign key changes or deletes rows for whoever may change another table"),
    ("foreign-code", "high", _WRITERS, "somebody else can change what everybody's use of a table runs"),
    ("event-trigger", "high", _WRITERS, "everybody's DDL runs the code of a role that is no superuser"),
    ("foreign-owner", "medium", _DELETERS, "something belongs to a role that the policy names as no owner"),
    ("user-mapping", "medium", _READERS, "a foreign server logs everybody in"),
    ("unlisted-role", "high", _WRITERS, "a role that isn't in the policy may log in or has an attribute"),
    ("unlisted-membership", "high", _WRITERS, "a role that isn't in the policy is a member of a powerful one"),
    ("weak-password", "medium", _WRITERS, "a password's verifier is of a weak kind"),
    ("publication", "medium", _READERS, "whoever may replicate reads these tables"),
    ("subscription", "medium", _WRITERS, "another server writes here"),
    ("row-security", "low", "dumps", "row level security hides rows; a dump without them isn't whole"),
    ("extension-privilege", "medium", _WRITERS, "somebody granted on an extension's object after it was made"),
    ("lo-compat", "high", _WRITERS, "no large object's privileges are checked"),
    ("assertion", "high", _WRITERS, "an assertion of the policy doesn't hold"),
    ("no-plan", "high", _LOOKED, "the policy can't be carried out here"),
)
_OWN = (
    Rule(
        "probe-failed", "critical", _WRITERS, "a role, tried, did what the policy refuses, or could not do its work",
        "read the evidence, then run the policy again: what was tried was rolled back",
    ),
    Rule(
        "probe-not-run", "medium", _LOOKED, "something or all could not be tried as this role",
        "see why under probes in the answer of pg_access_info",
    ),
    Rule("unread-database", "high", _LOOKED, "a database of the policy was not read", "let it accept connections"),
)  # fmt: skip
RULES = (*(Rule(id_, severity, promise, about, _APPLY) for id_, severity, promise, about in _RULES), *_OWN)
# Which sentence it is against hangs on what somebody could do by it, where the privilege tells.
_PROMISES = {
    **dict.fromkeys(("INSERT", "UPDATE", "CREATE", "TRIGGER", "TEMPORARY"), _WRITERS),
    **dict.fromkeys(("DELETE", "TRUNCATE", "OWNER"), _DELETERS),
    "SELECT": _READERS,
}
_KNOWN = {rule.id for rule in RULES}
# Why a probe is not run that nothing is lost by: other rules say what there is to say, or there is nothing. Whatever
# else keeps one from being run (a lock, a time limit, a lost connection) is told.
NOTHING_LOST = (
    "there is nothing to try it on",
    "the catalogue allows it, so it isn't tried: see the findings",
    "planning it may reach another server",
)
# What doesn't fit among those that are tried is left out by the plan.
LEFT_OUT = "more tables"


def judge(source: Source, expected: Expected) -> t.Iterator[Finding]:
    """Everything that the module says is wrong on this host; *expected* is the policy, which the module has had."""
    if "grid" not in source.data and "effective" not in source.data:
        raise KeyError("grid")
    for one in source.data["findings"]:
        yield _finding(source.host, one)
    for one in source.data["unread"]:
        evidence = f"the database {one['database']} was not read: {one['why']}"
        yield Finding("unread-database", source.host, f"database {one['database']}", evidence)
    yield from _probes(source)


def _finding(host: str, one: t.Mapping[str, t.Any]) -> Finding:
    if one["rule"] not in _KNOWN:
        raise ValueError(f"pg_access_info has a rule that the report doesn't know: {one['rule']}")
    where = f" of {one['database']}" if one["database"] else ""
    mend = one["remedy"] + (f" (an exception was {one['exception']})" if one.get("exception") else "")
    return Finding(
        rule=one["rule"], host=host, object=f"{one['object']}{where}", evidence=one["evidence"], who=one["role"],
        what=one["privilege"], path=tuple(one["path"]), severity=one["severity"], mend=mend, key=one["id"],
        promise=_PROMISES.get(one["privilege"].removesuffix(" (columns)"), ""),
        value=f"{one['severity']}\0{one['evidence']}",
    )  # fmt: skip


def _probes(source: Source) -> t.Iterator[Finding]:
    probes = source.data["probes"]
    if not probes:
        yield Finding("probe-not-run", source.host, "database server", "nothing was tried as anybody")
    for one in probes:
        if one["outcome"] == "failed":
            evidence = f"as {one['role']}, {one['what']} had to be {one['expected']}: {one['evidence']}"
            where = f"database {one['database']}"
            yield Finding(
                "probe-failed", source.host, where, evidence, who=one["role"], what=one["what"], key=one["id"]
            )
    done = {one["role"] for one in probes if one["outcome"] != "not run"}
    # Nothing is refused to a superuser; whether it may be one, other rules say.
    meant = superusers(source.data)
    for role in sorted({one["role"] for one in probes} - done - meant):
        yield Finding("probe-not-run", source.host, f"role {role}", f"nothing could be tried as {role}", who=role)
    yield from _untried(source.host, [one for one in probes if one["role"] in done - meant])


def _untried(host: str, probes: t.Iterable[t.Mapping[str, t.Any]]) -> t.Iterator[Finding]:
    """What else could not be tried as roles as which something was: one for each role and reason."""
    alike: dict[tuple[str, str, str], list[t.Mapping[str, t.Any]]] = {}
    for one in probes:
        if one["outcome"] == "not run" and (one["sqlstate"] or one["evidence"] not in NOTHING_LOST):
            # A message may name its table; the SQLSTATE is the reason.
            reason = LEFT_OUT if one["what"] == LEFT_OUT else one["sqlstate"] or one["evidence"]
            alike.setdefault((one["role"], one["database"], reason), []).append(one)
    for (role, database, reason), listed in alike.items():
        more = f" and {len(listed) - 1} more" if len(listed) > 1 else ""
        evidence = f"as {role}, {listed[0]['what']}{more} in {database} could not be tried: {listed[0]['evidence']}"
        value = "\0".join(sorted(f"{one['what']}: {one['evidence']}" for one in listed))
        severity = "low" if reason == LEFT_OUT else ""
        yield Finding(
            "probe-not-run", host, f"role {role}", evidence, who=role, what=reason, value=value, severity=severity,
            key=f"{role}\0{database}\0{reason}",
        )  # fmt: skip


KIND = Kind("access", "Who can do what in the database", ("database_hosts",), judge, RULES)
