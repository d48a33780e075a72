# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The after-action report for people: after.md, made of after.yml and nothing else."""

from __future__ import annotations

import re
import typing as t

from .records import AFTER_FILE, COMMITTED, NOT_STARTED, ROLLED_BACK, AfterAction, Answered, StepDone

_OUTCOMES = {
    COMMITTED: "Committed: what follows is in the database.",
    ROLLED_BACK: "Rolled back: the data is as it was before. Sequences that were asked are not.",
    NOT_STARTED: "Not started: nothing was changed.",
}
_UNKNOWN = "Not known: whether it was committed has to be settled by hand, before anything else is done."
_EMPTY = "*Not written yet.*"


def report(after: AfterAction) -> str:
    """The text of after.md."""
    parts = [
        f"# {_line(after.incident)}: {after.outcome}",
        _OUTCOMES.get(after.outcome, _UNKNOWN),
        *([f"**Why:** {_line(after.reason)}"] if after.reason else []),
        "## What was supposed to happen, and what did",
        *_steps(after.steps),
        *_answers("Assessments", after.assess),
        *_answers("Invariants", after.invariants),
        "## What it was about",
        _table((), [(name, value) for name, value in _about(after) if value]),
        "## Who, when and where",
        _table((), [(name, value) for name, value in _facts(after) if value]),
        "## Why it went differently",
        _prose(after.why_different),
        "## What was learned",
        _prose(after.learned),
        "## Follow-ups",
        _prose(after.follow_ups),
        f"Made from [{AFTER_FILE}]({AFTER_FILE}), where the last three are written.",
    ]
    return "\n\n".join(parts) + "\n"


def _about(after: AfterAction) -> list[tuple[str, str]]:
    return [
        ("what went wrong", after.problem),
        ("why", after.cause),
        ("reported by", after.reporter),
        ("devops contacted", after.devops_contacted),
    ]


def _facts(after: AfterAction) -> list[tuple[str, str]]:
    return [
        ("host", after.host),
        ("database", after.database),
        ("server", after.server and f"PostgreSQL {after.server}"),
        ("carried out by", after.carried_out_by + (", as who ran it says" if after.vouched else "")),
        ("approved by", after.approved_by or "nobody"),
        ("break glass", after.break_glass),
        ("started", after.started),
        ("finished", after.finished),
        ("transaction", after.transaction_id),
        ("of the cluster, timeline and database", after.cluster),
        ("WAL position", after.wal_position),
        ("dump before it", after.dump),
        ("its SHA-256", after.dump_sha256),
        ("saved rows", after.saved),
        ("their SHA-256", after.saved_sha256),
        ("before.yml", after.plan_sha256),
        ("rehearsal.yml", after.rehearsal_sha256),
        ("approval.sig", after.approval_sha256),
    ]


def _steps(steps: t.Sequence[StepDone]) -> list[str]:
    if not steps:
        return ["No step was run."]
    rows = [
        (
            step.id,
            step.why,
            step.expected or "no count",
            _count(step.rows),
            _count(step.saved),
            f"{step.milliseconds} ms" if step.milliseconds else "",
            step.problem,
        )
        for step in steps
    ]
    head = ("step", "why", "rows expected", "rows", "saved", "time", "problem")
    statements = [f"`{_plain(step.id)}`\n\n{_fenced(step.sql)}" for step in steps]
    return [_table(head, rows), *statements]


def _answers(title: str, answers: t.Sequence[Answered]) -> list[str]:
    if not answers:
        return []
    rows = [
        (
            one.id,
            one.expected_before,
            _asked(one.before),
            one.expected_after,
            _asked(one.after),
            "as expected" if one.met else "**not as expected**",
        )
        for one in answers
    ]
    marked = [(*(_line(cell) for cell in row[:-1]), row[-1]) for row in rows]
    head = ("query", "expected before", "before", "expected after", "after", "")
    queries = [f"`{_plain(one.id)}`\n\n{_fenced(one.query)}" for one in answers]
    return [f"### {title}", _lines(head, marked), *queries]


def _asked(answer: str | None) -> str:
    return "not asked" if answer is None else answer


def _count(rows: int | None) -> str:
    return "" if rows is None else str(rows)


def _table(head: t.Sequence[str], rows: t.Sequence[t.Sequence[str]]) -> str:
    return _lines(head, [tuple(_line(cell) for cell in row) for row in rows])


def _lines(head: t.Sequence[str], rows: t.Sequence[t.Sequence[str]]) -> str:
    width = len(head) or 2
    first = "| " + " | ".join(head or ("", "")) + " |"
    return "\n".join([first, "|" + "---|" * width, *("| " + " | ".join(row) + " |" for row in rows)])


def _line(text: str) -> str:
    """*text* on one line, in which nothing is Markdown or HTML."""
    plain = re.sub(r"\s+", " ", text).strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|])", r"\\\1", plain)


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]", "", text)


def _fenced(sql: str) -> str:
    """A statement as a block of code that no statement can leave."""
    longest = max((len(run) for run in re.findall("`+", sql)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sql\n{sql.strip()}\n{fence}"


def _prose(text: str) -> str:
    """What a person wrote: paragraphs stay; headings and HTML are taken as text."""
    if not text.strip():
        return _EMPTY
    escaped = text.strip().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"^( {0,3})(#|```|~~~|={3,}|-{3,})", r"\1\\\2", escaped, flags=re.MULTILINE)
