# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access matrix: roles by objects, where objects that all roles reach alike share a row.

It is made of what ``pg_access_info`` answers: ``effective`` says what roles can do and by which path, ``findings`` and
the violations of ``assertions`` what of it they should not.
"""

from __future__ import annotations

import typing as t

from ..access.plan.statements import shown
from ..access.policy.model import PUBLIC
from .model import Document

# What comes first in the matrix; other kinds follow by name.
KINDS = ("table", "sequence", "schema", "database", "routine")
_EVERYBODY = "PUBLIC"
_SUPERUSER = "superuser"
# How a step of a path begins that rests on a membership.
_STEPS = ("member of ", "SET ROLE ")
_MEMBERSHIPS = ("excess-membership", "unlisted-membership")
_COLUMNS = " (columns)"

# By privilege the ids of findings; "*" is every privilege.
_Wrong = dict[str, tuple[str, ...]]
_EVERY = "*"
# A way names so many findings of one privilege; the others are alike.
MOST_IDS = 20


def grids(answer: Document) -> list[Document]:
    """One matrix for each database of *answer*: ``database``, ``roles``, ``ways`` and ``rows``.

    A way is what one role can do by one path: ``role``, ``privileges``, ``path``, ``usable``, and in ``excess`` by
    privilege the ids of findings about it, MOST_IDS at most. A row is a ``kind``, the ``objects``, and the numbers of
    its ``ways``.
    """
    effective = answer.get("effective") or []
    found = []
    for database in sorted({str(one["database"]) for one in effective}):
        wrong = _Wrongs(database, answer)
        found.append(_grid(database, [one for one in effective if one["database"] == database], wrong))
    return found


def read(document: Document) -> Document:
    """A matrix that was made on the host; KeyError, TypeError or ValueError where it is none."""
    ways: list[Document] = [
        {
            "role": str(way["role"]),
            "privileges": [str(word) for word in way["privileges"]],
            "path": [str(step) for step in way["path"]],
            "usable": bool(way["usable"]),
            "excess": {str(word): [str(one) for one in ids] for word, ids in way["excess"].items()},
        }
        for way in document["ways"]
    ]
    rows = [
        {"kind": str(row["kind"]), "objects": [str(one) for one in row["objects"]], "ways": [*map(int, row["ways"])]}
        for row in document["rows"]
    ]
    roles = sorted({way["role"] for way in ways})
    if any(not row["objects"] or not set(row["ways"]) <= set(range(len(ways))) for row in rows):
        raise ValueError("a row of a matrix has no object, or a way that is not there")
    return {"database": str(document["database"]), "roles": roles, "ways": ways, "rows": rows}


def superusers(answer: Document) -> set[str]:
    """The roles of *answer* that are superusers themselves."""
    ways = [way for matrix in answer.get("grid") or [] for way in matrix["ways"]]
    return {one["role"] for one in [*(answer.get("effective") or []), *ways] if one["path"][1:] == [_SUPERUSER]}


def _grid(database: str, effective: list[Document], wrongs: _Wrongs) -> Document:
    # By role, privileges, path, use and what of the privileges is too much: the way's number.
    numbers: dict[tuple[t.Any, ...], int] = {}
    ids: list[dict[str, set[str]]] = []
    reached: dict[tuple[str, str], set[int]] = {}
    for one in effective:
        plain = (one["role"], tuple(one["privileges"]), tuple(one["path"]), bool(one["usable"]))
        always = _by_word(plain[1], wrongs.of_route(one))
        by_object = wrongs.of_objects(one)
        usual = _number(numbers, ids, plain, always)
        for name in one["objects"]:
            number = usual
            about = by_object.get(f"{one['kind']} {name}") if by_object else None
            if about:
                number = _number(numbers, ids, plain, _merged(always, _by_word(plain[1], about)))
            reached.setdefault((one["kind"], name), set()).add(number)
    rows: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (kind, name), by in reached.items():
        rows.setdefault((kind, tuple(sorted(by))), []).append(name)
    ways = [_way(key, found) for key, found in zip(numbers, ids, strict=True)]
    return _ordered(database, ways, rows)


def _number(
    numbers: dict[tuple[t.Any, ...], int], ids: list[dict[str, set[str]]], plain: tuple[t.Any, ...], wrong: _Wrong
) -> int:
    """The number of a way, which notes the ids of what is *wrong* with it."""
    number = numbers.setdefault((*plain, *sorted(wrong)), len(numbers))
    if number == len(ids):
        ids.append({word: set() for word in wrong})
    for word, found in wrong.items():
        ids[number][word].update(found)
    return number


def _way(key: tuple[t.Any, ...], ids: t.Mapping[str, set[str]]) -> Document:
    role, privileges, path, usable = key[:4]
    return {
        "role": role,
        "privileges": list(privileges),
        "path": list(path),
        "usable": usable,
        "excess": {word: sorted(found)[:MOST_IDS] for word, found in sorted(ids.items())},
    }


def _by_word(privileges: t.Sequence[str], wrong: _Wrong) -> _Wrong:
    """What is wrong by those of the *privileges* that it is about, in their order."""
    if not wrong:
        return {}
    every = wrong.get(_EVERY, ())
    found = {word: (*every, *_of_word(wrong, word)) for word in privileges}
    return {word: ids for word, ids in found.items() if ids}


def _of_word(wrong: _Wrong, word: str) -> tuple[str, ...]:
    # A finding on a column names the plain privilege.
    return (*wrong.get(word, ()), *(wrong.get(word.removesuffix(_COLUMNS), ()) if word.endswith(_COLUMNS) else ()))


def _merged(one: _Wrong, other: _Wrong) -> _Wrong:
    if not one or not other:
        return one or other
    return {key: (*one.get(key, ()), *other.get(key, ())) for key in sorted({*one, *other})}


def _ordered(database: str, ways: list[Document], rows: t.Mapping[tuple[str, tuple[int, ...]], list[str]]) -> Document:
    """The matrix in an order that doesn't hang on that of the answer."""
    used = {number for _kind, by in rows for number in by}
    order = sorted(used, key=lambda number: _rank_of_way(ways[number]))
    new = {old: number for number, old in enumerate(order)}
    listed = [
        {"kind": kind, "objects": sorted(names), "ways": sorted(new[number] for number in by)}
        for (kind, by), names in rows.items()
    ]
    listed.sort(key=lambda row: (KINDS.index(row["kind"]) if row["kind"] in KINDS else len(KINDS), *_names(row)))
    return {
        "database": database,
        "roles": sorted({way["role"] for way in ways}),
        "ways": [ways[number] for number in order],
        "rows": listed,
    }


def _names(row: Document) -> tuple[str, str]:
    return (row["kind"], row["objects"][0])


def _rank_of_way(way: Document) -> tuple[str, list[str], str]:
    return (way["role"], way["path"], repr((way["privileges"], way["usable"], way["excess"])))


class _Wrongs:
    """What the findings and the broken assertions of an answer say of ways in one database."""

    def __init__(self, database: str, answer: Document) -> None:
        # By who holds it: by kind and name of the object.
        self.held: dict[str, dict[str, _Wrong]] = {}
        # By (member, role that it leads to), and (role, "") for what is wrong with a role that is a superuser.
        self.members: dict[tuple[str, str], tuple[str, ...]] = {}
        # By (role, path): by object.
        self.broken: dict[tuple[str, tuple[str, ...]], dict[str, _Wrong]] = {}
        for one in answer.get("findings") or []:
            if one["database"] in (None, database) and not one["rule"].startswith("missing-"):
                self._add(one)
        for assertion in answer.get("assertions") or []:
            for one in assertion["violations"]:
                if one["database"] == database:
                    by = self.broken.setdefault((one["role"], tuple(one["path"])), {})
                    wrong = {word: tuple(one["findings"]) for word in one["privileges"]}
                    for about in one["objects"]:
                        by[about] = _merged(by.get(about, {}), wrong)

    def _add(self, one: Document) -> None:
        who = PUBLIC if one["role"] == PUBLIC else shown(one["role"])
        about = str(one["object"])
        if about.startswith("role "):
            led = about.removeprefix("role ")
            if one["rule"] in _MEMBERSHIPS or one["privilege"] == "SUPERUSER":
                key = (who, led if one["rule"] in _MEMBERSHIPS else "")
                self.members[key] = (*self.members.get(key, ()), one["id"])
            return
        if about.startswith("column "):
            about = "table " + about.removeprefix("column ").rpartition(".")[0]
        by = self.held.setdefault(who, {})
        by[about] = _merged(by.get(about, {}), {one["privilege"]: (one["id"],)})

    def of_route(self, one: Document) -> _Wrong:
        """The findings on the memberships that a path leads through, and on a superuser: on every privilege."""
        acting = shown(one["role"])
        found: tuple[str, ...] = ()
        for step in one["path"][1:]:
            for led in _led(step):
                found = (*found, *self.members.get((acting, led), ()))
                acting = led
            if step == _SUPERUSER:
                found = (*found, *self.members.get((acting, ""), ()))
        return {_EVERY: found} if found else {}

    def of_objects(self, one: Document) -> dict[str, _Wrong]:
        """By object what is wrong with it, of this role by this path."""
        holder = shown(one["role"])
        for step in one["path"][1:]:
            holder = PUBLIC if step == _EVERYBODY else (_led(step) or [holder])[-1]
        against = self.broken.get((one["role"], tuple(one["path"])), {})
        held = self.held.get(holder, {})
        return (
            held if not against else {key: _merged(held.get(key, {}), against.get(key, {})) for key in held | against}
        )


def _led(step: str) -> list[str]:
    """The roles that a step of a path leads through, the last of them the one it leads to."""
    word = next((word for word in _STEPS if step.startswith(word)), "")
    if not word:
        return []
    name, _word, by = step.removeprefix(word).removesuffix(")").partition(" (by ")
    return [*(by.split(", ") if by else []), name if by else step.removeprefix(word)]
