# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as JUnit's XML: a case for each rule, in a suite for each source."""

from __future__ import annotations

from ..access.audit.findings import at_least
from .model import Document
from .text import markup

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def junit(document: Document) -> str:
    """The XML of a report. What was found below the limit doesn't fail its case, and is told in it."""
    bad = at_least(document["fail_on"])
    titles = {one["id"]: one["title"] for one in document["sources"]}
    by_rule: dict[str, list[Document]] = {}
    for one in document["findings"]:
        by_rule.setdefault(one["rule"], []).append(one)
    sources: dict[str, list[Document]] = {}
    for rule in document["rules"]:
        sources.setdefault(rule["source"], []).append(rule)
    suites = [_suite(titles.get(id_, id_), rules, by_rule, bad) for id_, rules in sources.items()]
    return "\n".join([_HEAD, '<testsuites name="taaraxtak.production audit">', *suites, "</testsuites>"]) + "\n"


def _suite(title: str, rules: list[Document], by_rule: dict[str, list[Document]], bad: tuple[str, ...]) -> str:
    cases, failures, errors, skipped = [], 0, 0, 0
    for rule in rules:
        found = by_rule.get(rule["id"], [])
        failing = [one for one in found if one["severity"] in bad]
        failures += bool(failing)
        errors += not failing and rule["result"] == "unreadable"
        skipped += not failing and rule["result"] in ("absent", "not asked")
        cases.append(_case(rule, found, failing))
    counts = f'tests="{len(rules)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    return "\n".join([f'  <testsuite name="{markup(title)}" {counts}>', *cases, "  </testsuite>"])


def _case(rule: Document, found: list[Document], failing: list[Document]) -> str:
    begin = f'    <testcase classname="{markup(rule["source"])}" name="{markup(rule["id"])}"'
    said = "\n".join(_line(one) for one in found)
    if failing:
        message = f"{len(failing)} found: {rule['about']}"
        return f'{begin}><failure message="{markup(message)}">{said}</failure></testcase>'
    if rule["result"] == "unreadable":
        return f'{begin}><error message="it could not be looked at"/></testcase>'
    if rule["result"] in ("absent", "not asked"):
        return f'{begin}><skipped message="{markup(rule["result"])}"/></testcase>'
    return f"{begin}><system-out>{said}</system-out></testcase>" if said else f"{begin}/>"


def _line(one: Document) -> str:
    return markup(f"{one['severity']} {one['id']} on {one['host']}: {one['evidence']}. Mend: {one['mend']}")
