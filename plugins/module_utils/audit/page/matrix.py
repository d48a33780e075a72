# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The access matrix as HTML: a table of roles and objects, and below it how each role got what it has."""

from __future__ import annotations

import typing as t

from ..model import Document
from ..text import markup
from .parts import NAMED, folded, plural, section, some

# What a page of five megabytes can hold and a browser opens at once; the report has all of it.
MOST_ROWS = 300
MOST_CELLS = 12_000
MOST_WAYS = 2_500
# Beyond, nobody sees a table whole.
MOST_COLUMNS = 24
_WITHOUT = ("database", "schema", "language", "parameter", "tablespace", "large object")
_POWER = {"OWNER", "DELETE", "TRUNCATE"}
_READ = {"SELECT", "USAGE", "CONNECT", "EXECUTE"}
_ABOUT = (
    "A row for objects that all roles reach alike, a column for roles that are alike. Red and framed is what the "
    "policy does not grant; struck out is what is of no use, since the schema's USAGE is missing."
)


class Matrix:
    """One database's matrix, with roles that are alike in every row put together."""

    def __init__(self, document: Document, number: int) -> None:
        self.document = document
        self.prefix = f"m{number}"
        self.ways: list[Document] = document["ways"]
        by_role: dict[str, list[tuple[int, int]]] = {role: [] for role in document["roles"]}
        # Of a way by kind: the first names, and how many there are.
        self.objects: dict[int, dict[str, tuple[list[str], int]]] = {}
        for row, one in enumerate(document["rows"]):
            for way in one["ways"]:
                by_role[self.ways[way]["role"]].append((row, way))
                first, number = self.objects.setdefault(way, {}).get(one["kind"], ([], 0))
                kept = first if len(first) > NAMED else [*first, *one["objects"][: NAMED + 1]]
                self.objects[way][one["kind"]] = (kept, number + len(one["objects"]))
        gists: dict[tuple[t.Any, ...], int] = {}
        gist = [gists.setdefault(self._gist(way), len(gists)) for way in range(len(self.ways))]
        alike: dict[tuple[t.Any, ...], list[str]] = {}
        for role, cells in by_role.items():
            alike.setdefault(tuple((row, gist[way]) for row, way in cells), []).append(role)
        self.columns = list(alike.values())
        # Much is drawn only once it is near to being seen.
        self.late = " late" if len(self.columns) > MOST_COLUMNS else ""
        self.cells: list[dict[int, list[int]]] = []
        for roles in self.columns:
            column: dict[int, list[int]] = {}
            for row, way in by_role[roles[0]]:
                column.setdefault(row, []).append(way)
            self.cells.append(column)

    def _gist(self, number: int) -> tuple[t.Any, ...]:
        """A way without whose it is."""
        way = self.ways[number]
        excess = tuple((word, *ids) for word, ids in way["excess"].items())
        return (*way["privileges"], tuple(way["path"][1:]), way["usable"], excess)

    def rows(self) -> list[int]:
        """The rows that the page has, in their order: those with too much in them first to be kept."""
        wrong = {row for column in self.cells for row, ways in column.items() if self._too_much(ways)}
        kept: list[int] = []
        cells = 0
        for row in sorted(range(len(self.document["rows"])), key=lambda row: row not in wrong):
            cells += sum(row in column for column in self.cells)
            if len(kept) >= MOST_ROWS or cells > MOST_CELLS:
                break
            kept.append(row)
        return sorted(kept)

    def _too_much(self, ways: t.Iterable[int]) -> bool:
        return any(self.ways[number]["excess"] for number in ways)

    def tables(self) -> str:
        """The table; where there are many roles one for each schema, with the roles that reach something there."""
        kept = self.rows()
        left = len(self.document["rows"]) - len(kept)
        more = f'<p class="muted">{plural(left, "more row")} in audit.json.</p>' if left else ""
        if len(self.columns) <= MOST_COLUMNS:
            return self._table(kept, range(len(self.columns)), "") + more
        parts: dict[str, list[int]] = {}
        for row in kept:
            parts.setdefault(_schema(self.document["rows"][row]), []).append(row)
        html = ""
        for name, rows in sorted(parts.items()):
            columns = [n for n, column in enumerate(self.cells) if any(row in column for row in rows)]
            heading = f"schema {name}" if name else "beside the schemas"
            html += f"<h4>{markup(heading)}</h4>{self._table(rows, columns, f', {heading}')}"
        return html + more

    def _table(self, rows: t.Sequence[int], columns: t.Sequence[int], of: str) -> str:
        heads = "".join(
            f'<th scope="col"><a href="#{self.prefix}-{n}">{some(self.columns[n])}</a></th>' for n in columns
        )
        body = "".join(self._row(row, columns) for row in rows)
        name = markup(f"{self.document['database']} on {self.document['host']}{of}")
        return (
            f'<div class="scroll{self.late}" role="region" tabindex="0" aria-label="Access matrix of {name}">'
            f'<table class="matrix"><thead><tr><th scope="col">object</th>{heads}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def _row(self, row: int, columns: t.Iterable[int]) -> str:
        one = self.document["rows"][row]
        names = folded(one["objects"], one["kind"])
        head = f'<th scope="row"><span class="kind">{markup(one["kind"])}</span><br>{names}</th>'
        return f"<tr>{head}{''.join(self._cell(self.cells[n].get(row, ())) for n in columns)}</tr>"

    def _cell(self, ways: t.Sequence[int]) -> str:
        if not ways:
            return "<td></td>"
        held = [self.ways[number] for number in ways]
        # Who rightly has it too has nothing too much; the text tells of the other path.
        rightly = {word for way in held if way["usable"] for word in way["privileges"] if word not in way["excess"]}
        wrong = {word for way in held for word in way["excess"]} - rightly
        usable = {word for way in held if way["usable"] for word in way["privileges"]}
        words = dict.fromkeys(word for way in held for word in way["privileges"])
        lines = "&#10;".join(markup(f"{_said(way)}: {_path(way)}") for way in held)
        ordered = sorted(words, key=lambda word: word not in wrong)
        return f'<td title="{lines}">{"".join(_word(word, word in wrong, word in usable) for word in ordered)}</td>'

    def text(self) -> str:
        """For each column what its roles can do, and by which path; what is too much first."""
        found, left = [], MOST_WAYS
        for number, roles in enumerate(self.columns):
            own = sorted({way for ways in self.cells[number].values() for way in ways})
            own.sort(key=lambda way: not self.ways[way]["excess"])
            listed = "".join(self._way(way) for way in own[:left])
            cut = len(own) - len(own[:left])
            left -= len(own[:left])
            more = f"<p class=muted>{plural(cut, 'more way')} in audit.json.</p>" if cut else ""
            heading = f'<h4 id="{self.prefix}-{number}">{some(roles)}</h4>'
            found.append(f'<div class="role{self.late}">{heading}<ul class="ways">{listed}</ul>{more}</div>')
        return "".join(found)

    def _way(self, number: int) -> str:
        way = self.ways[number]
        words = "".join(_word(word, word in way["excess"], way["usable"]) for word in way["privileges"])
        on = "; ".join(f"{markup(kind)} {some(*names)}" for kind, names in self.objects[number].items())
        ids = sorted({id_ for listed in way["excess"].values() for id_ in listed})
        links = ", ".join(f'<a href="#{markup(id_)}">{markup(id_)}</a>' for id_ in ids[:3])
        against = f' <span class="bad">too much:</span> {links}' if ids else ""
        return f'<li>{words} on {on} <span class="muted">by {markup(_path(way))}</span>{against}</li>'


def matrices(documents: t.Sequence[Document]) -> str:
    """The section with every matrix."""
    if not documents:
        return section("access", "Who can do what", '<p class="muted">No source has said who can do what.</p>')
    parts = []
    for number, one in enumerate(documents):
        matrix = Matrix(one, number)
        parts.append(
            f"<h3>Database {markup(one['database'])} on {markup(one['host'])}</h3>{matrix.tables()}"
            f"<h3>How each role got it</h3>{matrix.text()}"
        )
    return section("access", "Who can do what", "".join(parts), _ABOUT)


def _schema(row: Document) -> str:
    """The schema of a row's first object; "" where its kind has none."""
    name = str(row["objects"][0])
    if row["kind"] in _WITHOUT:
        return ""
    # A quoted name may hold a dot.
    end = name.find('".', 1) + 1 if name.startswith('"') else name.find(".")
    return name[:end] if end > 0 else ""


def _word(word: str, wrong: bool, usable: bool) -> str:
    plain = word.removesuffix(" (columns)")
    letter = "x" if wrong else "u" if not usable else "d" if plain in _POWER else "r" if plain in _READ else "i"
    mark = "! " if wrong else ""
    return f'<span class="w {letter}">{mark}{markup(word.lower())}</span>'


def _said(way: Document) -> str:
    return ", ".join(word.lower() for word in way["privileges"])


def _path(way: Document) -> str:
    steps = " → ".join(way["path"]) if len(way["path"]) > 1 else "a grant to itself"
    return steps if way["usable"] else f"{steps}, without the schema's USAGE"
