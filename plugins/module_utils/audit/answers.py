# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of what tasks have registered: one that failed, or whose host was out of reach, is unreadable, with why."""

from __future__ import annotations

import typing as t

from .model import ABSENT, CONTROLLER, READ, UNREADABLE, Document, Kind
from .registry import KINDS

# A task registers its answer under this and the source's id; what a host answers for many sources, under HOST.
PREFIX = "__audit_"
HOST = PREFIX + "host"
# A source that another's answer holds, under its own id.
HELD = {"sessions": "server"}
# What Ansible itself says of a task.
_TASK = {"changed", "failed", "unreachable", "skipped", "diff", "invocation", "ansible_facts", "warnings"}
_TASK |= {"deprecations", "exception", "msg", "skip_reason", "false_condition", "attempts"}


def sources(
    registered: t.Mapping[str, t.Mapping[str, t.Any]],
    groups: t.Mapping[str, t.Sequence[str]],
    kinds: tuple[Kind, ...] = KINDS,
) -> list[Document]:
    """The sources of each host, as ``audit_report`` takes them. *registered* is by host and by variable.

    A source of which nothing was registered is left out: where it is due, the audit says that nobody looked. Where the
    host's own answer (HOST) failed, so has each source that would have been in its ``parts``.
    """
    found = []
    for host, variables in registered.items():
        parts = _parts(variables.get(HOST))
        whole = _source("", host, variables[HOST]) if HOST in variables else None
        for kind in kinds:
            answer = _answer(kind.id, variables, parts)
            one = None if answer is None else _source(kind.id, host, answer)
            if one is None and whole is not None and whole["state"] != READ and _asked_of_the_host(kind, groups[host]):
                one = {**whole, "id": kind.id}
            if one is not None:
                found.append(one)
    return found


def _answer(id_: str, variables: t.Mapping[str, t.Any], parts: t.Mapping[str, t.Any]) -> t.Any:
    if id_ in HELD and PREFIX + HELD[id_] in variables:
        whole = variables[PREFIX + HELD[id_]]
        # Where the whole could not be read, neither could what it holds.
        return whole.get(id_, whole) if isinstance(whole, dict) else whole
    return variables.get(PREFIX + id_, parts.get(id_))


def _asked_of_the_host(kind: Kind, groups: t.Sequence[str]) -> bool:
    return kind.of_host and CONTROLLER not in kind.groups and bool(set(kind.groups) & set(groups))


def _parts(answer: t.Any) -> t.Mapping[str, t.Any]:
    parts = answer.get("parts") if isinstance(answer, dict) else None
    return parts if isinstance(parts, dict) else {}


def _source(id_: str, host: str, answer: t.Any) -> Document | None:
    """The source of one answer; None where its task was skipped."""
    if not isinstance(answer, dict):
        return _unreadable(id_, host, None, "its answer is no mapping")
    if answer.get("skipped"):
        return None
    if answer.get("failed") or answer.get("unreachable"):
        # Ansible's sentence may go on with a stack of calls.
        return _unreadable(id_, host, answer.get("msg"), "its task failed and does not say why")
    if answer.get("state") == READ:
        data = answer.get("data", answer)
        if not isinstance(data, dict):
            return _unreadable(id_, host, None, "its data is no mapping")
        return {"id": id_, "host": host, "state": READ, "why": "", "data": data}
    if answer.get("state") == UNREADABLE:
        # What it could see all the same, such as who is connected now, is part of its answer.
        seen = {key: value for key, value in answer.items() if key not in {*_TASK, "state", "why"}}
        return {**_unreadable(id_, host, answer.get("why"), "it does not say why"), **({"data": seen} if seen else {})}
    if answer.get("state") == ABSENT:
        # A reason is what makes it absent.
        why = str(answer.get("why") or "").strip()
        one = {"id": id_, "host": host, "state": ABSENT, "why": why}
        return one if why else _unreadable(id_, host, None, "it is said to be absent, and not why")
    data = {key: value for key, value in answer.items() if key not in _TASK}
    return {"id": id_, "host": host, "state": READ, "why": "", "data": data}


def _unreadable(id_: str, host: str, said: t.Any, else_: str) -> Document:
    lines = str(said or "").strip().splitlines()
    return {"id": id_, "host": host, "state": UNREADABLE, "why": lines[0] if lines else else_}
