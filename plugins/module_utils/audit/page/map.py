# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reaches what, drawn: parties at the left, hosts at the right; each line has a number that a list explains."""

from __future__ import annotations

import typing as t

from ..model import Document
from ..text import cut, markup
from ..topology import ROLE
from .parts import section

_WIDTH = 400
_PILL, _BOX = (0, 132), (205, 345)
_STEP, _GAP = 40, 26
# So many groups of a host are named in its box.
_GROUPS = 4
# Beyond, a drawing explains nothing; the list has all.
MOST = 24
# So many the page's list has; audit.json has all.
LISTED = 200
_ABOUT = "What was found, not what was planned. The numbers lead to the list."


def topology(hosts: t.Sequence[Document], links: t.Sequence[Document]) -> str:
    """The section with the drawing and the list."""
    if not hosts:
        return section("topology", "Topology", '<p class="muted">No host was named.</p>')
    listed = "".join(
        f"<li>{markup(one['from'])} → {markup(one['to'])}: {markup(one['label'])} "
        f'<span class="muted">({markup(one["by"])})</span></li>'
        for one in links[:LISTED]
    )
    listed += f"<li>{len(links) - LISTED:,} more in audit.json</li>" if len(links) > LISTED else ""
    text = f"<ol>{listed}</ol>" if links else '<p class="muted">No source has said who reaches what.</p>'
    return section("topology", "Topology", f'<div class="pair">{_drawing(hosts, links)}{text}</div>', _ABOUT)


def _drawing(hosts: t.Sequence[Document], links: t.Sequence[Document]) -> str:
    names = [one["name"] for one in hosts]
    shown = [(number, one) for number, one in enumerate(links, 1) if one["to"] in names][:MOST]
    parties: dict[str, list[str]] = {name: [] for name in names}
    placed: set[str] = set(names)
    for _number, one in shown:
        if one["from"] not in placed:
            placed.add(one["from"])
            parties[one["to"]].append(one["from"])
    pills: dict[str, float] = {}
    boxes: dict[str, tuple[float, float]] = {}
    top = 4.0
    for one in hosts:
        name = one["name"]
        high = max(30 + 16 * len(_small(one)), len(parties[name]) * _STEP)
        first = top + (high - len(parties[name]) * _STEP) / 2
        for number, party in enumerate(parties[name]):
            pills[party] = first + number * _STEP + _STEP / 2
        boxes[name] = (top, high)
        top += high + _GAP
    parts = [*_lines(shown, pills, boxes), *_things(hosts, pills, boxes)]
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH} {top - _GAP + 4:.0f}" role="img" '
        f'aria-label="The hosts and who reaches them; the list says the same">{_MARKER}{"".join(parts)}</svg></figure>'
    )


_MARKER = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8Z" class="head"/></marker></defs>'
)


def _small(host: Document) -> list[str]:
    """The lines below a host's name: its address and what it is."""
    groups = [group.removesuffix("_hosts").replace("_", " ") for group in host["groups"]]
    kinds = [group for group in groups if group != host["name"]]
    return [line for line in (host["address"], *kinds[:_GROUPS]) if line]


def _things(
    hosts: t.Sequence[Document], pills: t.Mapping[str, float], boxes: t.Mapping[str, tuple[float, float]]
) -> t.Iterator[str]:
    left, right = _PILL
    for party, y in pills.items():
        yield (
            f'<rect x="{left}" y="{y - 14:.0f}" width="{right - left}" height="28" rx="14" class="pill"/>'
            f'<text x="{(left + right) / 2:.0f}" y="{y + 4.5:.0f}" text-anchor="middle" class="pill-t">'
            f"{markup(cut(party.removeprefix(ROLE), 19))}<title>{markup(party)}</title></text>"
        )
    left, right = _BOX
    for one in hosts:
        y, high = boxes[one["name"]]
        middle = y + high / 2
        lines = _small(one)
        begin = middle - 8 * len(lines)
        small = "".join(
            f'<text x="{left + 12}" y="{begin + 21 + 16 * number:.0f}" class="small">{markup(cut(line, 21))}'
            f"<title>{markup(line)}</title></text>"
            for number, line in enumerate(lines)
        )
        yield (
            f'<rect x="{left}" y="{y:.0f}" width="{right - left}" height="{high:.0f}" rx="8" class="box"/>'
            f'<text x="{left + 12}" y="{begin + 4:.0f}" class="name">{markup(cut(one["name"], 18))}</text>{small}'
        )


def _lines(
    shown: t.Sequence[tuple[int, Document]], pills: t.Mapping[str, float], boxes: t.Mapping[str, tuple[float, float]]
) -> t.Iterator[str]:
    arcs = 0
    for number, one in shown:
        y, high = boxes[one["to"]]
        if one["from"] in pills:
            start = pills[one["from"]]
            end = min(max(start, y + 16), y + high - 16)
            begin, close = _PILL[1], _BOX[0] - 2
            middle = (begin + close) / 2
            path = f"M{begin} {start:.0f}C{middle:.0f} {start:.0f} {middle:.0f} {end:.0f} {close} {end:.0f}"
            yield _line(path, number, middle - 3, (start + end) / 2)
        elif one["from"] != one["to"]:
            from_y, from_high = boxes[one["from"]]
            down = y > from_y
            start = from_y + from_high / 2 + (8 if down else -8) + 6 * arcs
            end = y + high / 2 + (-8 if down else 8) - 6 * arcs
            out = _BOX[1] + 34 + 8 * arcs
            path = f"M{_BOX[1]} {start:.0f}C{out} {start:.0f} {out} {end:.0f} {_BOX[1] + 2} {end:.0f}"
            arcs += 1
            yield _line(path, number, _BOX[1] + 26 + 6 * arcs, (start + end) / 2)


def _line(path: str, number: int, x: float, y: float) -> str:
    return (
        f'<path d="{path}" class="arrow" marker-end="url(#head)"/><circle cx="{x:.0f}" cy="{y:.0f}" r="9" class="dot"/>'
        f'<text x="{x:.0f}" y="{y + 4:.0f}" text-anchor="middle" class="dot-t">{number}</text>'
    )
