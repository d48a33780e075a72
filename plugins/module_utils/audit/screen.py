# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one screen of a terminal."""

from __future__ import annotations

import textwrap

from .model import Document
from .text import cut, plain

WIDTH = 100
# So many findings are named on it, the worst of them.
WORST = 5
_VERDICTS = {
    0: "clean: nothing was found that is {fail_on} or worse",
    2: "findings that are {fail_on} or worse",
    3: "could not look at everything, so that nobody knows whether it is clean",
}


def screen(document: Document, page: str) -> str:
    """What is printed at the end; *page* says where the page is."""
    counts = document["summary"]["findings"]
    states = document["summary"]["sources"]
    hosts = ", ".join(one["name"] for one in document["hosts"])
    lines = [
        cut(f"Audit of {hosts}, {document['run']['at']}", WIDTH),
        f"  {_VERDICTS[document['status']].format(fail_on=document['fail_on'])}",
        "",
        "  findings  " + "  ".join(f"{number} {severity}" for severity, number in counts.items())
        + f"  ({document['summary']['accepted']} accepted)",
        "  sources   " + "  ".join(f"{number} {state}" for state, number in states.items()),
        f"  since the last run  {_since(document['run']['since'])}",
    ]  # fmt: skip
    worst = document["findings"][:WORST]
    if worst:
        lines += ["", "The worst:" if len(document["findings"]) > WORST else "All of them:"]
    for one in worst:
        lines += _wrapped(f"{one['severity']:<8}  {one['host']}: {one['evidence']}", "  ", " " * 12)
    more = len(document["findings"]) - len(worst)
    lines += [f"  and {more} more"] if more else []
    return "\n".join([*lines, "", f"The page: {plain(page)}"]) + "\n"


def _since(since: Document) -> str:
    if since["why"]:
        return str(plain(since["why"]))
    return f"{len(since['new'])} new, {len(since['gone'])} gone"


def _wrapped(text: str, first: str, then: str) -> list[str]:
    """*text* on at most three lines."""
    room = 3 * (WIDTH - len(then)) - 8
    return textwrap.wrap(cut(text, room), WIDTH, initial_indent=first, subsequent_indent=then, break_on_hyphens=False)
