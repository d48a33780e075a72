# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of HTML that the page's parts share. Text is escaped here; HTML is so called."""

from __future__ import annotations

import typing as t

from ..text import markup

# So many names stand in a line; the others fold out.
NAMED = 3


def section(id_: str, title: str, html: str, about: str = "") -> str:
    """A section with its heading."""
    said = f'<p class="muted">{markup(about)}</p>' if about else ""
    heading = f'<h2 id="{id_}-title">{markup(title)}</h2>'
    return f'<section id="{id_}" aria-labelledby="{id_}-title">{heading}{said}{html}</section>'


def badge(severity: str) -> str:
    """A severity's word on its colour."""
    return f'<span class="badge {markup(severity)}">{markup(severity)}</span>'


def plural(number: int, noun: str) -> str:
    """``1 table``, ``2 tables``, ``1 entry``, ``2 entries``."""
    many = noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"
    return f"{number:,} {noun if number == 1 else many}"


def some(names: t.Sequence[str], number: int = 0) -> str:
    """The first of the names, and how many others there are; *number* says so where not all were given."""
    number = max(number, len(names))
    first = names if number <= NAMED + 1 else names[:NAMED]
    text = ", ".join(broken(one) for one in first)
    return f"{text} and {number - len(first):,} more" if len(first) < number else text


def broken(name: str) -> str:
    """A name that a narrow column may break where its words end."""
    return markup(name).replace("_", "_<wbr>").replace(".", ".<wbr>")


def folded(names: t.Sequence[str], noun: str, number: int = 0) -> str:
    """Names of things that are alike: a few stand there, many fold out; *number* says so where not all were given."""
    number = max(number, len(names))
    if number <= NAMED + 1:
        return f'<span class="names">{"<br>".join(broken(one) for one in names)}</span>'
    listed = ", ".join(markup(one) for one in names)
    listed += f" and {number - len(names):,} more in audit.json" if len(names) < number else ""
    return f'<details><summary>{plural(number, noun)} alike</summary><span class="names">{listed}</span></details>'
