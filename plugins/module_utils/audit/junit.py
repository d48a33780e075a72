# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as JUnit's XML: a case for each rule, in a suite for each source."""

from __future__ import annotations

from ..access.audit.findings import at_least
from .model import UNREADABLE, Document
from .text import markup

# So many findings a case tells of, the worst first; audit.json has all.
MOST = 200
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def junit(document: Document) -> str:
    """The XML of a report. What was found below the limit doesn't fail its case, and is told in it.

    A rule that could not be asked of every host that it is for has not passed, whatever was found on the others.
    """
    bad = at_least(document["fail_on"])
    unread: dict[str, list[str]] = {}
    for one in document["sources"]:
        if one["state"] == UNREADABLE:
            unread.setdefault(one["id"], []).append(one["host"])
    titles = {one["id"]: one["title"] for one in document["sources"]}
    by_rule: dict[str, list[Document]] = {}
    for one in document["findings"]:
        by_rule.setdefault(one["rule"], []).append(one)
    sources: dict[str, list[Document]] = {}
    for rule in document["rules"]:
        sources.setdefault(rule["source"], []).append(rule)
    suites = [
        _suite(
            titles.get(id_, id_), [_Case(one, by_rule.get(one["id"], []), bad, unread.get(id_, [])) for one in rules]
        )
        for id_, rules in sources.items()
    ]
    return "\n".join([_HEAD, '<testsuites name="taaraxtak.production audit">', *suites, "</testsuites>"]) + "\n"


class _Case:
    """What came of a rule: *found*, which fails it from the limit on, and the hosts that it could not be asked of."""

    def __init__(self, rule: Document, found: list[Document], bad: tuple[str, ...], unread: list[str]) -> None:
        self.rule = rule
        self.failing = sum(one["severity"] in bad for one in found)
        self.error = bool(unread) and not self.failing
        self.skipped = not self.failing and not self.error and rule["result"] in ("absent", "not asked")
        lines = [_line(one) for one in found[:MOST]]
        lines += [f"{len(found) - MOST} more in audit.json"] if len(found) > MOST else []
        lines += [markup(f"it could not be looked at on {', '.join(unread)}")] if unread else []
        self.said = "\n".join(lines)

    def xml(self) -> str:
        begin = f'    <testcase classname="{markup(self.rule["source"])}" name="{markup(self.rule["id"])}"'
        if self.failing:
            message = markup(f"{self.failing} found: {self.rule['about']}")
            return f'{begin}><failure message="{message}">{self.said}</failure></testcase>'
        if self.error:
            return f'{begin}><error message="it could not be looked at">{self.said}</error></testcase>'
        if self.skipped:
            return f'{begin}><skipped message="{markup(self.rule["result"])}"/></testcase>'
        return f"{begin}><system-out>{self.said}</system-out></testcase>" if self.said else f"{begin}/>"


def _suite(title: str, cases: list[_Case]) -> str:
    failures, errors, skipped = (
        sum(map(bool, listed)) for listed in zip(*((one.failing, one.error, one.skipped) for one in cases), strict=True)
    )
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    return "\n".join(
        [f'  <testsuite name="{markup(title)}" {counts}>', *(one.xml() for one in cases), "  </testsuite>"]
    )


def _line(one: Document) -> str:
    return markup(f"{one['severity']} {one['id']} on {one['host']}: {one['evidence']}. Mend: {one['mend']}")
