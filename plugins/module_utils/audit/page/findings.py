# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings as HTML: those that are alike but for their object share an entry."""

from __future__ import annotations

import typing as t

from ...access.audit.findings import SEVERITIES
from ..model import Document
from ..promises import PROMISES
from ..text import block, markup
from .parts import badge, folded, plural, section

# What a page can hold and a person reads; the report has all of them.
MOST = 400
# So many objects are named in an entry: with MOST of them that is a third of what a page may have.
OBJECTS = 50
# How a remedy begins that is a statement and no sentence.
_SQL = ("ALTER ", "CREATE ", "DROP ", "GRANT ", "REVOKE ", "SET ", "UPDATE ", "REASSIGN ", "DO ", "BEGIN")


def findings(documents: t.Sequence[Document], new: t.Collection[str]) -> str:
    """The section of the findings that count, by severity."""
    if not documents:
        return section("findings", "Findings", '<p class="ok">✓ Nothing was found.</p>')
    groups = _alike(documents)
    parts, left = [], MOST
    for severity in reversed(SEVERITIES):
        own = [group for group in groups if group[0]["severity"] == severity]
        if own:
            entries = "".join(_entry(group, new) for group in own[:left])
            number = sum(len(group) for group in own)
            parts.append(f"<h3>{badge(severity)} {plural(number, 'finding')}</h3>{entries}")
            left -= len(own[:left])
    more = len(groups) - MOST
    if more > 0:
        parts.append(f'<p class="muted">{plural(more, "more entry")} in audit.json.</p>')
    return section("findings", "Findings", "".join(parts))


def accepted(documents: t.Sequence[Document]) -> str:
    """The section of what is accepted, with the reason and the last day; "" where there is nothing."""
    if not documents:
        return ""
    entries = "".join(
        f'<li id="{markup(one["id"])}"><span>{badge(one["severity"])} until {markup(one["accepted"]["expires"])}</span>'
        f"<span>{markup(one['evidence'])}<br>"
        f'<span class="muted">{markup(one["accepted"]["reason"])} · {markup(one["id"])} on {markup(one["host"])}</span>'
        "</span></li>"
        for one in documents[:MOST]
    )
    about = "Known, and staying until a day for a reason that somebody has written down. They don't count."
    return section("accepted", "Accepted deviations", f'<ul class="rows">{entries}</ul>', about)


def _alike(documents: t.Sequence[Document]) -> list[list[Document]]:
    """Findings that differ by their object alone, together; in the order of the first of each."""
    found: dict[tuple[t.Any, ...], list[Document]] = {}
    for one in documents:
        key = (one["severity"], one["rule"], one["host"], one["who"], one["what"], _kind(one), tuple(one["path"][:-1]))
        # Without somebody and something that they have in common, each stands for itself.
        found.setdefault(key if one["who"] and one["what"] else (one["id"],), []).append(one)
    return list(found.values())


def _kind(one: Document) -> str:
    return str(one["object"]).split(" ", 1)[0]


def _entry(group: list[Document], new: t.Collection[str]) -> str:
    one = group[0]
    fresh = '<span class="bad">new</span> ' if one["id"] in new else ""
    others = f" — and {plural(len(group) - 1, 'other')} like it" if len(group) > 1 else ""
    anchors = "".join(f'<span id="{markup(other["id"])}"></span>' for other in group[1:OBJECTS])
    path = f'<p class="muted">How: {markup(" → ".join(one["path"]))}</p>' if len(one["path"]) > 2 else ""
    named = [other["object"] for other in group[:OBJECTS]]
    objects = f"<p>{folded(named, 'object', len(group))}</p>" if len(group) > 1 else ""
    about = f"{one['object']} · {one['id']}" if len(group) == 1 else one["rule"]
    meta = f"{one['severity']} · {one['host']} · {about}"
    return (
        f'<article class="finding" id="{markup(one["id"])}">{anchors}'
        f"<h4>{fresh}{markup(one['evidence'])}{others}</h4>{path}{objects}{_mend(one)}"
        f'<p class="meta">{markup(meta)}<br>against: {markup(PROMISES[one["promise"]])}</p></article>'
    )


def _mend(one: Document) -> str:
    if one["mend"].startswith(_SQL):
        return f"<p>To mend it:</p><pre><code>{block(one['mend'])}</code></pre>"
    return f"<p><b>To mend it:</b> {markup(one['mend'])}</p>"
