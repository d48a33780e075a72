# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings that no plan closes: code that runs with somebody else's rights, in routines, triggers, views and rules."""

from __future__ import annotations

import typing as t

from ..catalog.model import Routine
from ..plan.statements import role_shown, shown
from ..policy.model import PUBLIC
from .below import Beyond
from .effective import WRITE, WRITES
from .facts import Facts
from .findings import Finding, grantee_sql
from .things import BITS, COLUMNS, Thing, words

SEARCH_PATH = "search_path="


def find(facts: Facts) -> t.Iterator[Finding]:
    """The findings of one database."""
    yield from _routines(facts)
    yield from _triggers(facts)
    yield from _views_and_rules(facts)
    yield from _event_triggers(facts)


def _finding(facts: Facts, **parts: t.Any) -> Finding:
    return Finding(database=facts.database, **parts)


def _routines(facts: Facts) -> t.Iterator[Finding]:
    fired = {trigger.oid_of_function for trigger in facts.objects.triggers if trigger.enabled}
    for routine in facts.objects.routines:
        if not routine.definer or routine.system:
            continue
        where = f"routine {shown(routine.schema, routine.name)}({routine.arguments})"
        left = [
            item.grantee
            for item in routine.acl
            if item.grantee != routine.owner
            and facts.bound(item.grantee)
            and (item.grantee, where, "EXECUTE") not in facts.closed
        ]
        for grantee in dict.fromkeys(left):
            if not facts.granted_routine(grantee, routine.schema, routine.name, routine.arguments):
                yield _reachable(facts, routine, where, grantee)
        if (left or routine.oid in fired) and not routine.extension:
            yield from _search_path(facts, routine, where)


def _reachable(facts: Facts, routine: Routine, where: str, grantee: str) -> Finding:
    reached = [
        role
        for role in facts.effective.roles
        if role in facts.policy.roles
        and facts.bound(role)
        and (grantee == PUBLIC or grantee in _inherited(facts, role))
    ]
    by = f"; of the policy's login roles {', '.join(map(shown, reached))} can" if reached else ""
    return _finding(
        facts,
        severity="low" if routine.extension else "critical" if reached else "medium",
        rule="definer-reachable",
        role=grantee,
        object=where,
        privilege="EXECUTE",
        path=(role_shown(grantee), f"runs {where} as {shown(routine.owner)}"),
        evidence=f"{where} is SECURITY DEFINER, and {role_shown(grantee)} may run it as {shown(routine.owner)}{by}",
        remedy=f"REVOKE EXECUTE ON ROUTINE {where.removeprefix('routine ')} FROM {grantee_sql(grantee)} CASCADE",
    )


def _search_path(facts: Facts, routine: Routine, where: str) -> t.Iterator[Finding]:
    """Names in it are looked up where its caller says, unless it says so itself; temporary objects come first."""
    path = next((one[len(SEARCH_PATH) :] for one in routine.settings if one.lower().startswith(SEARCH_PATH)), None)
    elements = [one.strip().strip('"') for one in (path or "").split(",")]
    if path is not None and (elements == [""] or elements[-1] == "pg_temp"):
        return
    said = (
        "has no search_path of its own" if path is None else f"has the search_path {path}, without pg_temp at its end"
    )
    yield _finding(
        facts,
        severity="high" if path is None else "medium",
        rule="definer-search-path",
        role="",
        object=where,
        privilege="search_path",
        path=(f"runs {where} as {shown(routine.owner)}",),
        evidence=f"{where} is SECURITY DEFINER and {said}",
        remedy=f"ALTER ROUTINE {where.removeprefix('routine ')} SET search_path TO pg_catalog, pg_temp"
        " (and name schemas in its body)",
    )


def _inherited(facts: Facts, role: str) -> t.Collection[str]:
    return facts.effective.reach.inherited(role)


def _triggers(facts: Facts) -> t.Iterator[Finding]:
    things = facts.things
    for trigger in facts.objects.triggers:
        number = things.by_oid.get(trigger.oid)
        if number is None or not trigger.enabled:
            continue
        thing = things.all[number]
        where = f"trigger {shown(trigger.name)} on {thing.name}"
        writers = sorted({role for role, bits in _holders(facts, number) if bits & (WRITE | WRITE << COLUMNS)})
        changed = any(
            privilege == "OWNER" and where_.startswith(f"routine {trigger.function}(")
            for _role, where_, privilege in facts.closed
        )
        if trigger.definer:
            others = [one for one in writers if trigger.owner not in _inherited(facts, one)]
            if others:
                by = ", ".join(map(role_shown, others))
                yield _finding(
                    facts,
                    severity="high" if facts.superuser(trigger.owner) else "medium",
                    rule="definer-trigger",
                    role="",
                    object=where,
                    privilege="TRIGGER",
                    path=(by, f"fires {where} as {shown(trigger.owner)}"),
                    evidence=f"whoever writes to {thing.name} ({by}) runs {trigger.function} as {shown(trigger.owner)}",
                    remedy=f"look at what {trigger.function} does, then let an assertion allow it, or "
                    f"DROP TRIGGER {shown(trigger.name)} ON {thing.name}",
                )
        elif not changed and trigger.owner != thing.owner and facts.bound(trigger.owner):
            yield _finding(
                facts,
                severity="high",
                rule="foreign-trigger",
                role=trigger.owner,
                object=where,
                privilege="TRIGGER",
                path=(shown(trigger.owner), f"owner of {trigger.function}", f"acts as whoever writes to {thing.name}"),
                evidence=f"{where} runs {trigger.function}, which {shown(trigger.owner)} can change at will",
                remedy=f"ALTER ROUTINE {trigger.function} OWNER TO {grantee_sql(thing.owner)}",
            )


def _holders(facts: Facts, number: int) -> t.Iterator[tuple[str, int]]:
    """(grantee, mask) on a relation that stay after a plan: neither the owner's, nor a superuser's, nor drift."""
    thing = facts.things.all[number]
    columns: dict[str, int] = {}
    for grantee, held in facts.things.held.items():
        bits = held.get(thing.place, {}).get(number, 0)
        if not bits or grantee == thing.owner or not facts.bound(grantee):
            continue
        for word, bit in BITS.items():
            if bits & bit and (grantee, str(thing), word) in facts.closed:
                bits &= ~bit
        for word, bit in BITS.items():
            if bits & bit << COLUMNS and _columns_closed(facts, grantee, thing.name, word):
                bits &= ~(bit << COLUMNS)
        columns[grantee] = bits
    yield from columns.items()


def _columns_closed(facts: Facts, role: str, name: str, word: str) -> bool:
    return any(link[0] == role and link[2] == word and link[1].startswith(f"column {name}.") for link in facts.closed)


def _views_and_rules(facts: Facts) -> t.Iterator[Finding]:
    effective = facts.effective
    for number, by_bit in effective.beyond.items():
        thing = facts.things.all[number]
        # Once it has another owner it reaches other things: the next run says which.
        if (thing.owner, str(thing), "OWNER") in facts.closed:
            continue
        for role, bits in sorted(_holders(facts, number)):
            for bit, reached in by_bit.items():
                if not bits & (bit | bit << COLUMNS):
                    continue
                forbidden = [
                    one
                    for one in reached
                    if not _mask(facts, role, one.number) & (one.bit | one.bit << COLUMNS)
                    and not _told(facts, role, thing, one)
                ]
                if forbidden:
                    word = words(bit)[0]
                    names = dict.fromkeys(
                        f"{words(one.bit)[0]} on {facts.things.all[one.number].name}" for one in forbidden
                    )
                    yield _finding(
                        facts,
                        severity="high" if any(one.bit & WRITE for one in forbidden) else "medium",
                        rule="rule" if any(one.rule is not None for one in forbidden) else "owner-rights-view",
                        role=role,
                        object=str(thing),
                        privilege=word,
                        path=(role_shown(role), f"{word} on {thing}", *forbidden[0].steps),
                        evidence=f"by {word} on {thing.name}, {role_shown(role)} gets what its own privileges "
                        f"refuse: {', '.join(names)}",
                        remedy="ALTER VIEW " + thing.name + " SET (security_invoker = true)"
                        if bit not in WRITES.values()
                        else f"REVOKE {word} ON TABLE {thing.name} FROM {grantee_sql(role)} CASCADE",
                    )


def _told(facts: Facts, role: str, thing: Thing, one: Beyond) -> bool:
    """Whether it is a rule further down that is at work, and *role* can set that off at once: that is the hole."""
    if one.rule is None or one.rule[0] == str(thing):
        return False
    ruled = next(number for number, held in enumerate(facts.things.all) if str(held) == one.rule[0])
    return bool(_mask(facts, role, ruled) & BITS[one.rule[1]])


def _mask(facts: Facts, role: str, number: int) -> int:
    if role == PUBLIC:
        return facts.things.of(PUBLIC).get(facts.things.all[number].place, {}).get(number, 0)
    return facts.effective.mask(role, number)


def _event_triggers(facts: Facts) -> t.Iterator[Finding]:
    owners = {shown(one.schema, one.name): one.owner for one in facts.objects.routines}
    for trigger in facts.objects.event_triggers:
        if not trigger.enabled:
            continue
        for owner, what in ((trigger.owner, "owns it"), (owners.get(trigger.function), f"owns {trigger.function}")):
            if owner is not None and facts.bound(owner):
                yield _finding(
                    facts,
                    severity="high",
                    rule="event-trigger",
                    role=owner,
                    object=f"event trigger {shown(trigger.name)}",
                    privilege="OWNER",
                    path=(shown(owner), f"{what}: acts as whoever runs {trigger.event}"),
                    evidence=f"event trigger {shown(trigger.name)} runs {trigger.function} for everybody, and "
                    f"{shown(owner)} {what}",
                    remedy=f"give event trigger {shown(trigger.name)} and {trigger.function} to a superuser",
                )
                break
