# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of the dumps as two small charts of one scale each, with all figures in a table below them."""

from __future__ import annotations

import typing as t

from ..model import Document
from ..text import markup
from .parts import section

# The newest ones are drawn.
MOST = 60
_WIDTH, _HEIGHT = 400, 150
_TOP, _BOTTOM = 26, 128
_CLASSES = {"verified": "verified", "archived": "archived", "drill failed": "failed"}
_STEPS = ("B", "kB", "MB", "GB", "TB", "PB")


def histories(documents: t.Sequence[Document]) -> str:
    """The section with a history for each store and database."""
    if not documents:
        return section("dumps", "Dumps", '<p class="muted">No source has said which dumps there are.</p>')
    return section("dumps", "Dumps", "".join(_history(one) for one in documents))


def _history(one: Document) -> str:
    dumps = one["dumps"][-MOST:]
    states = list(dict.fromkeys(dump["state"] for dump in dumps))
    legend = "".join(
        '<li><svg viewBox="0 0 10 10" aria-hidden="true">'
        f'<rect x="1" y="1" width="8" height="8" class="{_class(state)}"/></svg>{markup(state)}</li>'
        for state in states
    )
    cut = f" (the newest {MOST} of {len(one['dumps'])})" if len(dumps) < len(one["dumps"]) else ""
    return (
        f"<h3>Database {markup(one['database'])} at {markup(one['host'])}{cut}</h3>"
        f'<ul class="legend">{legend}</ul>'
        f'<div class="pair">{_bars(dumps, "Size of the file", "bytes", size)}{_bars(dumps, "Rows", "rows", _number)}'
        f"</div>{_table(dumps)}"
    )


def _bars(dumps: list[Document], title: str, key: str, said: t.Callable[[int], str]) -> str:
    """A bar for each dump; the highest is as high as there is room."""
    highest = max((dump[key] for dump in dumps), default=0) or 1
    step = _WIDTH / max(len(dumps), 8)
    wide = max(2.0, step - max(1.5, step * 0.2))
    bars = []
    for number, dump in enumerate(dumps):
        high = max(1.5, (dump[key] / highest) * (_BOTTOM - _TOP))
        bars.append(
            f'<rect x="{number * step:.1f}" y="{_BOTTOM - high:.1f}" width="{wide:.1f}" height="{high:.1f}" '
            f'class="{_class(dump["state"])}"><title>{markup(dump["name"])}: {said(dump[key])}, {markup(dump["state"])}'
            "</title></rect>"
        )
    first, last = _day(dumps[0]), _day(dumps[-1])
    dates = f'<text x="0" y="146" class="small">{first}</text>'
    if len(dumps) > 1:
        end = max((len(dumps) - 1) * step + wide, 190.0)
        dates += f'<text x="{end:.0f}" y="146" text-anchor="end" class="small">{last}</text>'
    told = f"{title}: {len(dumps)} dumps from {first} to {last}, the newest {said(dumps[-1][key])}"
    return (
        f'<figure><figcaption>{markup(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{markup(told)}"><line x1="0" y1="{_TOP}" x2="{_WIDTH}" y2="{_TOP}" class="axis"/>'
        f'<text x="0" y="{_TOP - 7}" class="small">{said(highest)}</text>{"".join(bars)}'
        f'<line x1="0" y1="{_BOTTOM}" x2="{_WIDTH}" y2="{_BOTTOM}" class="axis"/>{dates}</svg></figure>'
    )


def _table(dumps: list[Document]) -> str:
    rows = "".join(
        f"<tr><td>{markup(one['name'])}</td><td>{markup(one['received'])}</td><td>{size(one['bytes'])}</td>"
        f"<td>{_number(one['rows'])}</td><td>{markup(one['state'])}</td></tr>"
        for one in reversed(dumps)
    )
    heads = "".join(f'<th scope="col">{head}</th>' for head in ("dump", "received", "size", "rows", "state"))
    return (
        '<details><summary>The same in figures</summary><div class="scroll" role="region" tabindex="0" '
        f'aria-label="Dumps in figures"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</details>"
    )


def _class(state: str) -> str:
    return _CLASSES.get(state, "other")


def _day(dump: Document) -> str:
    return markup(str(dump["received"])[:10])


def _number(number: int) -> str:
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes with three figures, in steps of a thousand."""
    value, step = float(number), 0
    while value >= 999.5 and step < len(_STEPS) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.3g} {_STEPS[step]}"
