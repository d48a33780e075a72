# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a privilege on a view, or on a table with a rule, gives below it: both act with their owner's rights."""

from __future__ import annotations

import collections
import typing as t

from ..catalog.model import Objects
from ..plan.statements import shown
from .things import BITS, COLUMNS, Things

# What rules act on, and by.
EVENTS = ("INSERT", "UPDATE", "DELETE")


class Beyond(t.NamedTuple):
    """A privilege (``bit``) on the thing ``number`` below; ``steps`` say through what.

    ``rule``: the first rule on the way, as the (object, privilege) that sets it off.
    """

    number: int
    bit: int
    steps: tuple[str, ...]
    rule: tuple[str, str] | None


class _Step(t.NamedTuple):
    below: int
    text: str
    bit: int
    rule: tuple[str, str] | None


# By the number of the view or table, and by the privilege there.
_Direct = dict[int, dict[int, list[_Step]]]


def find(objects: Objects, things: Things, mask: t.Callable[[str, int], int]) -> dict[int, dict[int, list[Beyond]]]:
    """By number and privilege, all that it leads to; *mask* says what a role (an owner) holds on a thing."""
    direct: _Direct = {}
    _views(objects, things, direct)
    _rules(objects, things, direct)
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
            found += [_Step(one, text, BITS[word], None) for one in below]


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
                found += [_Step(things.by_oid[oid], text, BITS[word], key) for word in EVENTS]


def _chains(
    direct: _Direct, things: Things, mask: t.Callable[[str, int], int], number: int, bit: int
) -> t.Iterator[Beyond]:
    """What *bit* on *number* leads to, as far down as its owner, and then the next one's, may go."""
    seen = {(number, bit)}
    new = collections.deque([Beyond(number, bit, (), None)])
    while new:
        at = new.popleft()
        for step in direct.get(at.number, {}).get(at.bit, ()):
            if (step.below, step.bit) in seen:
                continue
            if mask(things.all[at.number].owner, step.below) & (step.bit | step.bit << COLUMNS):
                seen.add((step.below, step.bit))
                one = Beyond(step.below, step.bit, (*at.steps, step.text), at.rule or step.rule)
                yield one
                new.append(one)
