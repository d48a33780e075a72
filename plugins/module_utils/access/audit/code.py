# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings that no plan closes: code that runs with somebody else's rights, in routines, triggers, views and rules."""

from __future__ import annotations

import typing as t

from ..catalog.model import Routine
from ..plan.statements import role_shown, shown
from ..policy.model import PUBLIC
from .below import KEY, RULE, VIEW, Beyond
from .effective import WRITE, WRITES
from .facts import Facts
from .findings import Finding, grantee_sql
from .things import BITS, COLUMNS, Thing, words

SEARCH_PATH = "search_path="
IDLE = BITS["CONNECT"] | BITS["USAGE"]


def find(facts: Facts) -> t.Iterator[Finding]:
    """The findings of one database."""
    yield from _routines(facts)
    yield from _outside_routines(facts)
    yield from _triggers(facts)
    yield from _foreign_code(facts)
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
        and facts.effective.usable(role, routine.schema)
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


def _outside_routines(facts: Facts) -> t.Iterator[Finding]:
    """No policy is of these: only those are said that give somebody more than it has in the scope."""
    for routine in facts.objects.outside_routines:
        where = f"routine {shown(routine.schema, routine.name)}({routine.arguments})"
        number = facts.things.routines[routine.schema, routine.name, routine.arguments]
        for grantee in dict.fromkeys(item.grantee for item in routine.acl):
            if facts.bound(grantee) and gains(facts, grantee, routine.owner) and facts.of_use(grantee, number):
                yield _reachable(facts, routine, where, grantee)


def gains(facts: Facts, role: str, owner: str) -> bool:
    """Whether *owner*, by privileges that no plan takes away, can do something in the scope that *role* can't."""
    if facts.superuser(owner):
        return True
    theirs = facts.effective.holders(role) if role != PUBLIC else {PUBLIC: ()}
    if owner in theirs:
        return False
    things = facts.things
    for holder in facts.effective.holders(owner).keys() - theirs.keys():
        for grouped in things.groups(holder).values():
            for bits, numbers in grouped.items():
                if any(bits & ~facts.mask(role, number) & ~_idle(things.all[number]) for number in numbers):
                    return True
    return False


def _idle(thing: Thing) -> int:
    """What of a thing's privileges gives nothing by itself, nor does any on what isn't made yet."""
    return ~0 if thing.noun.startswith("new ") else 0 if thing.noun == "sequence" else IDLE


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
        evidence=f"{where} is SECURITY DEFINER and {said}; with one, its body has to name the schemas of all else",
        remedy=f"ALTER ROUTINE {where.removeprefix('routine ')} SET search_path TO pg_catalog, pg_temp",
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
        outside = number >= things.outside
        where = f"trigger {shown(trigger.name)} on {thing.name}"
        writers = sorted({role for role, bits in _holders(facts, number) if bits & (WRITE | WRITE << COLUMNS)})
        changed = any(
            privilege == "OWNER" and where_.startswith(f"routine {trigger.function}(")
            for _role, where_, privilege in facts.closed
        )
        if trigger.definer:
            others = [one for one in writers if trigger.owner not in _inherited(facts, one)]
            if outside:
                others = [one for one in others if gains(facts, one, trigger.owner)]
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
                    remedy=f"DROP TRIGGER {shown(trigger.name)} ON {thing.name}",
                )
        elif not outside and not changed and trigger.owner != thing.owner and facts.bound(trigger.owner):
            yield _finding(
                facts,
                severity="high",
                rule="foreign-trigger",
                role=trigger.owner,
                object=where,
                privilege="TRIGGER",
                path=(shown(trigger.owner), f"owner of {trigger.function}", f"acts as whoever writes to {thing.name}"),
                evidence=f"{where} runs {trigger.function}, which {shown(trigger.owner)} can change at will",
                remedy=f"ALTER ROUTINE {trigger.function}() OWNER TO {grantee_sql(thing.owner)}",
            )


def _holders(facts: Facts, number: int) -> t.Iterator[tuple[str, int]]:
    """(grantee, mask) on a relation that stay after a plan: neither the owner's, nor a superuser's, nor drift.

    Out of the scope the owner's too, and only of whom somebody can make use.
    """
    thing = facts.things.all[number]
    outside = number >= facts.things.outside
    for grantee, held in list(facts.things.held.items()):
        bits = held.get(thing.place, {}).get(number, 0)
        if not bits or (grantee == thing.owner and not outside) or not facts.bound(grantee):
            continue
        if outside:
            if facts.of_use(grantee, number):
                yield grantee, bits
            continue
        for word, bit in BITS.items():
            if bits & bit and (grantee, str(thing), word) in facts.closed:
                bits &= ~bit
        for word, bit in BITS.items():
            if bits & bit << COLUMNS and _columns_closed(facts, grantee, thing.name, word):
                bits &= ~(bit << COLUMNS)
        yield grantee, bits


def _columns_closed(facts: Facts, role: str, name: str, word: str) -> bool:
    return any(link[0] == role and link[2] == word and link[1].startswith(f"column {name}.") for link in facts.closed)


def _views_and_rules(facts: Facts) -> t.Iterator[Finding]:
    """Inheritance and foreign keys are the scope's own matter: they count where they lead into it."""
    for number, by_bit in facts.effective.beyond.items():
        thing = facts.things.all[number]
        # Once it has another owner it reaches other things: the next run says which.
        if (thing.owner, str(thing), "OWNER") in facts.closed:
            continue
        within = {bit: [one for one in reached if _counts(facts, number, one)] for bit, reached in by_bit.items()}
        if not any(within.values()):
            continue
        for role, bits in sorted(_holders(facts, number)):
            for bit, reached in within.items():
                if not bits & (bit | bit << COLUMNS):
                    continue
                forbidden = [
                    one
                    for one in reached
                    if not _may(facts, role, one.number, one.bit) and not _told(facts, role, thing, one)
                ]
                if forbidden:
                    yield _beyond(facts, thing, role, bit, forbidden)


def _counts(facts: Facts, number: int, one: Beyond) -> bool:
    inside = facts.things.outside
    return one.number < inside and (number >= inside or one.kinds[0] in (VIEW, RULE))


def _may(facts: Facts, role: str, number: int, bit: int) -> bool:
    """Whether *role* has it by itself, or by its own privilege on a table of the scope that has to do with this one."""
    return any(
        facts.mask(role, at) & (wanted | wanted << COLUMNS)
        for at, wanted in ((number, bit), *facts.effective.related(number, bit))
    )


def _beyond(facts: Facts, thing: Thing, role: str, bit: int, forbidden: t.Sequence[Beyond]) -> Finding:
    word = "OWNER" if role == thing.owner else words(bit)[0]
    names = dict.fromkeys(f"{words(one.bit)[0]} on {facts.things.all[one.number].name}" for one in forbidden)
    kinds = {kind for one in forbidden for kind in one.kinds}
    plain = "foreign-key" if forbidden[0].kinds[0] == KEY else "inheritance"
    rule = "rule" if RULE in kinds else "owner-rights-view" if VIEW in kinds else plain
    remedy = f"REVOKE {word} ON TABLE {thing.name} FROM {grantee_sql(role)} CASCADE"
    if word == "OWNER":
        remedy = f"ALTER TABLE {thing.name} OWNER TO {grantee_sql(facts.things.all[forbidden[0].number].owner)}"
    elif rule == "owner-rights-view" and bit not in WRITES.values() and facts.invokes(thing):
        remedy = f"ALTER VIEW {thing.name} SET (security_invoker = true)"
    return _finding(
        facts,
        severity="high" if any(one.bit & WRITE for one in forbidden) else "medium",
        rule=rule,
        role=role,
        object=str(thing),
        privilege=word,
        path=(role_shown(role), f"{word} on {thing}", *forbidden[0].steps),
        evidence=f"by {word} on {thing.name}, {role_shown(role)} gets what its own privileges "
        f"refuse: {', '.join(names)}",
        remedy=remedy,
    )


def _foreign_code(facts: Facts) -> t.Iterator[Finding]:
    """Routines that somebody can change at will, and that act as whoever uses a table or view."""
    for call in facts.objects.calls:
        number = facts.things.by_oid.get(call.oid)
        # What a plan gives another owner is told as that.
        if (
            number is None
            or not facts.bound(call.owner)
            or (call.owner, f"routine {call.routine}", "OWNER") in facts.closed
        ):
            continue
        thing = facts.things.all[number]
        if call.owner == thing.owner:
            continue
        yield _finding(
            facts,
            severity="high",
            rule="foreign-code",
            role=call.owner,
            object=str(thing),
            privilege=call.place,
            path=(shown(call.owner), f"owner of {call.routine}", f"acts as whoever uses {thing.name}"),
            evidence=f"{call.place} on {thing.name} calls {call.routine}, which {shown(call.owner)} can change at will",
            remedy=f"ALTER ROUTINE {call.routine} OWNER TO {grantee_sql(thing.owner)}",
        )


def _told(facts: Facts, role: str, thing: Thing, one: Beyond) -> bool:
    """Whether it is a rule further down that is at work, and *role* can set that off at once: that is the hole."""
    if one.rule is None or one.rule[0] == str(thing):
        return False
    ruled = next(number for number, held in enumerate(facts.things.all) if str(held) == one.rule[0])
    return bool(facts.mask(role, ruled) & BITS[one.rule[1]])


def _event_triggers(facts: Facts) -> t.Iterator[Finding]:
    new = grantee_sql(facts.cluster.bootstrap)
    for trigger in facts.objects.event_triggers:
        if not trigger.enabled:
            continue
        name = shown(trigger.name)
        # A trigger function has no arguments.
        wrong = (
            (trigger.owner, "owns it", f"ALTER EVENT TRIGGER {name} OWNER TO {new}"),
            (
                trigger.owner_of_function,
                f"owns {trigger.function}",
                f"ALTER ROUTINE {trigger.function}() OWNER TO {new}",
            ),
        )
        for owner, what, remedy in wrong:
            if owner and facts.bound(owner):
                yield _finding(
                    facts,
                    severity="high",
                    rule="event-trigger",
                    role=owner,
                    object=f"event trigger {name}",
                    privilege="OWNER",
                    path=(shown(owner), f"{what}: acts as whoever runs {trigger.event}"),
                    evidence=f"event trigger {name} runs {trigger.function} for everybody, and {shown(owner)} {what}",
                    remedy=remedy,
                )
                break
