# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer of the API means: done, refused, to be asked again, or unknown."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

# Seconds to wait where a 429 doesn't say how many.
UNSAID = 30
# The longest wait between two tries that the API says nothing about.
LONGEST = 30
# What Ansible says where a task's arguments can't be made, so that nothing was sent.
UNSENT = "Finalization of task args"
# A POST that is answered by an empty object.
MAKES_NOTHING = "/backups/enable"
HINTS = {
    401: "Is the token right? It is linode_token, or LINODE_TOKEN in the environment.",
    403: "The token needs the scopes linodes:read_write and firewall:read_write (to verify: read_only).",
}


@dataclass(frozen=True)
class Judged:
    """*outcome* is one of ``done``, ``planned`` (check mode), ``refused``, ``busy``, ``silent`` and ``lost``.

    After ``busy`` (429) nothing was done, after ``silent`` a call may be repeated; each after *wait* seconds. After
    ``lost`` nobody knows whether it was done.
    """

    outcome: str
    wait: int
    sentence: str


def judge(answer: t.Mapping[str, t.Any], method: str, path: str, attempt: int = 1) -> Judged:
    """Judge *answer*, what ansible.builtin.uri returned for the *attempt*-th time at *method* and *path*."""
    if answer.get("skipped"):
        return Judged("planned", 0, "")
    call = f"{method} {path.partition('?')[0]}"
    if UNSENT in str(answer.get("msg")):
        return Judged("refused", 0, f"{call} could not be written: {_what(answer, 0)}")
    status = int(answer.get("status") or 0)
    if 200 <= status < 300 and _whole(answer.get("json"), method, path):
        return Judged("done", 0, "")
    if status == 429:
        wait = _seconds(answer.get("retry_after"))
        return Judged("busy", wait, f"Linode has had too many calls and asks to wait {wait} s before {call}.")
    if 300 <= status < 500:
        hint = HINTS.get(status, "")
        return Judged("refused", 0, f"Linode refuses {call} ({status}): {_reasons(answer)}{' ' + hint if hint else ''}")
    wait = min(2 ** (attempt - 1), LONGEST)
    if method == "POST":
        return Judged("lost", wait, f"Nobody knows whether {call} was done: {_what(answer, status)}")
    return Judged("silent", wait, f"Linode gives no answer to {call}: {_what(answer, status)}")


def _whole(said: object, method: str, path: str) -> bool:
    """Whether it is what was asked for: what was made has an id, or nobody can go on with it."""
    if not isinstance(said, dict):
        return False
    return method != "POST" or path.endswith(MAKES_NOTHING) or isinstance(said.get("id"), int)


def _seconds(said: object) -> int:
    text = str(said or "").strip()
    return int(text) if text.isdecimal() else UNSAID


def _reasons(answer: t.Mapping[str, t.Any]) -> str:
    """The API's own words: ``{"errors": [{"field": …, "reason": …}]}``."""
    said = answer.get("json")
    errors = said.get("errors") if isinstance(said, dict) else None
    reasons = []
    for error in errors if isinstance(errors, list) else []:
        field = error.get("field")
        reasons.append(f"{error.get('reason')}{f' ({field})' if field else ''}".strip())
    return _sentence("; ".join(reasons) or "it does not say why")


def _what(answer: t.Mapping[str, t.Any], status: int) -> str:
    if status >= 500:
        return f"it says {status}, {_reasons(answer)}"
    if status >= 200:
        return "what came has no id." if isinstance(answer.get("json"), dict) else "what came was no whole JSON."
    return _sentence(" ".join(str(answer.get("msg") or "nothing came").split())[:200])


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
