# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a privilege on one relation gives on others.

Views and rules act with their owner's rights. What reaches a parent reaches its children, and a partition's rows are
its parent's; a foreign key's CASCADE acts on what refers: for these nobody's rights are asked.
"""

from __future__ import annotations

import collections
import typing as t

from ..catalog.model import Objects
from ..plan.statements import shown
from .things import BITS, COLUMNS, Things

# What rules act on, and by.
EVENTS = ("INSERT", "UPDATE", "DELETE")
# What is done to a parent is done to its children; INSERT to partitions only.
INHERITED = ("SELECT", "UPDATE", "DELETE", "TRUNCATE")
VIEW, RULE, CHILD, PARENT, KEY = "view", "rule", "child", "parent", "foreign key"
# After a step of this kind only these may follow: no rule of a child is applied, and a child's rows aren't its
# siblings'.
AFTER = {CHILD: (CHILD, KEY), PARENT: (PARENT,)}


class Beyond(t.NamedTuple):
    """A privilege (``bit``) on the thing ``number`` below; ``steps`` say through what, ``kinds`` of what kind each is.

    ``rule``: the first rule on the way, as the (object, privilege) that sets it off.
    """

    number: int
    bit: int
    steps: tuple[str, ...]
    rule: tuple[str, str] | None
    kinds: tuple[str, ...] = ()

    @property
    def related(self) -> bool:
        """Only by inheritance, partitions and foreign keys."""
        return VIEW not in self.kinds and RULE not in self.kinds


class _Step(t.NamedTuple):
    below: int
    text: str
    bit: int
    kind: str
    rule: tuple[str, str] | None = None


# By the number of the view or table, and by the privilege there.
_Direct = dict[int, dict[int, list[_Step]]]


def find(objects: Objects, things: Things, mask: t.Callable[[str, int], int]) -> dict[int, dict[int, list[Beyond]]]:
    """By number and privilege, all that it leads to; *mask* says what a role (an owner) holds on a thing."""
    direct: _Direct = {}
    _views(objects, things, direct)
    _rules(objects, things, direct)
    _children(objects, things, direct)
    _foreign_keys(objects, things, direct)
    return {
        number: {bit: list(_chains(direct, things, mask, number, bit)) for bit in by_bit}
        for number, by_bit in direct.items()
    }


def _views(objects: Objects, things: Things, direct: _Direct) -> None:
    for view in objects.views:
        number = things.by_oid.get(view.oid)
        # What checks its invoker's rights gives nothing, wherever it stands among views.
        if number is None or view.invoker:
            continue
        thing = things.all[number]
        text = f"view {thing.name} as {shown(thing.owner)}"
        below = [things.by_oid[oid] for oid in view.below if oid in things.by_oid]
        for word in ("SELECT", *sorted(view.writes)):
            found = direct.setdefault(number, {}).setdefault(BITS[word], [])
            found += [_Step(one, text, BITS[word], VIEW) for one in below]


def _rules(objects: Objects, things: Things, direct: _Direct) -> None:
    for rule in objects.rules:
        number = things.by_oid.get(rule.oid)
        if number is None or rule.event not in EVENTS:
            continue
        thing = things.all[number]
        text = f"rule {shown(rule.name)} on {thing.name} as {shown(thing.owner)}"
        found = direct.setdefault(number, {}).setdefault(BITS[rule.event], [])
        for oid in rule.reaches:
            if oid in things.by_oid:
                # Which of them the rule does to which table isn't read: each that its owner may.
                key = (str(thing), rule.event)
                found += [_Step(things.by_oid[oid], text, BITS[word], RULE, key) for word in EVENTS]


def _children(objects: Objects, things: Things, direct: _Direct) -> None:
    for row in objects.inheritance:
        parent, child = things.by_oid.get(row.parent), things.by_oid.get(row.child)
        if parent is None or child is None:
            continue
        above, below = things.all[parent].name, things.all[child].name
        noun = "partition" if row.partition else "child"
        for word in (*INHERITED, *(("INSERT",) if row.partition else ())):
            step = _Step(child, f"{noun} {below} of {above}", BITS[word], CHILD)
            direct.setdefault(parent, {}).setdefault(BITS[word], []).append(step)
        for word in (*INHERITED, "INSERT"):
            step = _Step(parent, f"rows of {above} in its {noun} {below}", BITS[word], PARENT)
            direct.setdefault(child, {}).setdefault(BITS[word], []).append(step)


def _foreign_keys(objects: Objects, things: Things, direct: _Direct) -> None:
    for key in objects.foreign_keys:
        number, below = things.by_oid.get(key.referenced), things.by_oid.get(key.referencing)
        if number is None or below is None:
            continue
        for event, act in (("DELETE", key.on_delete), ("UPDATE", key.on_update)):
            if act is not None:
                text = f"foreign key {shown(key.name)} of {things.all[below].name}, on {event}"
                step = _Step(below, text, BITS[act], KEY)
                direct.setdefault(number, {}).setdefault(BITS[event], []).append(step)


def _chains(
    direct: _Direct, things: Things, mask: t.Callable[[str, int], int], number: int, bit: int
) -> t.Iterator[Beyond]:
    """What *bit* on *number* leads to; by views and rules as far as its owner, and then the next one's, may go."""
    told = {(number, bit)}
    # With the kind of the last step, where that says what may follow.
    seen: set[tuple[int, int, str | None]] = {(number, bit, None)}
    new = collections.deque([(Beyond(number, bit, (), None), t.cast("str | None", None))])
    while new:
        at, last = new.popleft()
        for step in direct.get(at.number, {}).get(at.bit, ()):
            if last is not None and step.kind not in AFTER[last]:
                continue
            kind = step.kind if step.kind in AFTER else None
            if (step.below, step.bit, kind) in seen:
                continue
            asked = step.kind in (VIEW, RULE)
            if asked and not mask(things.all[at.number].owner, step.below) & (step.bit | step.bit << COLUMNS):
                continue
            seen.add((step.below, step.bit, kind))
            one = Beyond(step.below, step.bit, (*at.steps, step.text), at.rule or step.rule, (*at.kinds, step.kind))
            new.append((one, kind))
            if (one.number, one.bit) not in told:
                told.add((one.number, one.bit))
                yield one
