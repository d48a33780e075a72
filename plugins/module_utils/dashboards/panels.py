# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queries of a dashboard's panels, variables and annotations, and the values that its variables have."""

from __future__ import annotations

import dataclasses
import re
import typing as t

from .document import panels
from .variables import ALL, Variable

PANEL, VARIABLE, ANNOTATION = "panel", "variable", "annotation"
# The datasource's type from Grafana 10 on, and before.
POSTGRESQL = ("grafana-postgresql-datasource", "postgres")
# What Grafana answers by itself; a query that is left over from before it was chosen is not sent.
BUILT_IN = ("-- Grafana --", "-- Dashboard --", "grafana", "__expr__")
# Stands for a value that nobody has said: a number and a text.
PLACEHOLDER = "1"
# Between the values of a variable of type custom; ``\,`` is a comma in one of them.
SEPARATOR = re.compile(r"(?<!\\),")

Data = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Query:
    """One text of SQL in a dashboard.

    ``dashboard`` is its uid; ``panel`` the title of a panel, or the name of a variable or an annotation, as ``kind``
    says. ``panel_id`` is None for the latter two.
    """

    dashboard: str
    title: str
    panel: str
    panel_id: int | None
    ref_id: str
    sql: str
    format: str
    kind: str = PANEL


def queries(data: Data) -> list[Query]:
    """The SQL of the dashboard *data* in the order of the file; ValueError where it is not built as one is.

    Panels in rows count, the old ``rows`` and collapsed ones too, and hidden queries. Queries of other kinds of
    datasources don't.
    """
    uid, title = _text(data.get("uid")), _text(data.get("title"))
    found: list[Query] = []
    for panel in panels(data):
        for target in _dicts(panel.get("targets"), "targets"):
            sql = target.get("rawSql")
            if (
                not isinstance(sql, str)
                or not sql.strip()
                or _foreign(target.get("datasource", panel.get("datasource")))
            ):
                continue
            name = _text(panel.get("title")) or f"panel {panel.get('id')}"
            ref_id, form = _text(target.get("refId")), _text(target.get("format"))
            number = panel.get("id")
            found.append(Query(uid, title, name, number if isinstance(number, int) else None, ref_id, sql, form))
    for variable in _listed(data, "templating"):
        sql = _query_text(variable.get("query"))
        if variable.get("type") == "query" and sql.strip() and not _foreign(variable.get("datasource")):
            found.append(Query(uid, title, _text(variable.get("name")), None, "", sql, "table", VARIABLE))
    for annotation in _listed(data, "annotations"):
        sql = _query_text(annotation.get("target")) or _query_text(annotation.get("rawQuery"))
        if sql.strip() and not _foreign(annotation.get("datasource")):
            found.append(Query(uid, title, _text(annotation.get("name")), None, "", sql, "table", ANNOTATION))
    return found


def variables(data: Data, given: t.Mapping[str, t.Any] | None = None) -> dict[str, Variable]:
    """The variables of the dashboard *data* by name, each with a value.

    *given* values (a text or a list of texts) come first, then what the dashboard has saved, then its options. A query
    variable whose values are not in the file gets a placeholder. ValueError where *given* holds something else.
    """
    said = given or {}
    found = {}
    for variable in _listed(data, "templating"):
        name = _text(variable.get("name"))
        if variable.get("type") != "adhoc":
            found[name] = _variable(variable, said.get(name))
    return found


def _variable(variable: Data, given: t.Any) -> Variable:
    quoted = bool(variable.get("multi")) or bool(variable.get("includeAll"))
    options = _options(variable)
    value = _saved(variable) if given is None else _given(variable, given)
    values = tuple(map(_text, value)) if isinstance(value, list) else (_text(value),)
    if values[:1] == (ALL,):
        text = _text(variable.get("allValue")) or None
        placeholder = text is None and not options
        return Variable(tuple(options) or (PLACEHOLDER,), True, quoted, literal=text, placeholder=placeholder)
    if values and all(values):
        return Variable(values, isinstance(value, list), quoted)
    if value == "" and (variable.get("type") == "textbox" or not options):
        # An empty box, or a variable that had no value to choose when the dashboard was saved.
        return Variable(("",), quoted=quoted)
    return Variable((options[0] if options else PLACEHOLDER,), quoted=quoted, placeholder=not options)


def _saved(variable: Data) -> t.Any:
    """What the dashboard was saved with; None where it says nothing that can be used."""
    current = variable.get("current")
    value = current.get("value") if isinstance(current, dict) else None
    return None if isinstance(value, str) and value.startswith("$__auto_interval") else value


def _given(variable: Data, value: t.Any) -> t.Any:
    """What somebody has given, looked at: a text or number, or a list of them."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise ValueError(f"the value of the variable {variable.get('name')} has to be a text or a list of texts")
    return value


def _options(variable: Data) -> list[str]:
    """The values to choose from, without All; of constants and texts the one that there is."""
    listed = [_text(one.get("value")) for one in _dicts(variable.get("options"), "options")]
    found = [value for value in listed if value and value != ALL]
    kind, query = variable.get("type"), variable.get("query")
    if found or not isinstance(query, str):
        return found
    if kind in ("constant", "textbox", "datasource"):
        return [query] if query else []
    if kind in ("custom", "interval"):
        parts = [part.replace("\\,", ",").strip() for part in SEPARATOR.split(query)]
        # "text : value"
        return [part.rpartition(" : ")[2].strip() for part in parts if part]
    return []


def _query_text(query: t.Any) -> str:
    """The SQL of a variable's or an annotation's query: a text, or from Grafana 8 on an object that has it."""
    if isinstance(query, dict):
        for key in ("rawSql", "query"):
            if isinstance(query.get(key), str):
                return _text(query[key])
        return ""
    return query if isinstance(query, str) else ""


def _foreign(datasource: t.Any) -> bool:
    """Whether this is surely no PostgreSQL: old dashboards name no type, or no datasource at all."""
    name, kind = datasource, None
    if isinstance(datasource, dict):
        name, kind = datasource.get("uid"), datasource.get("type")
    if name == "-- Mixed --":
        return False
    return name in BUILT_IN or (kind is not None and kind not in POSTGRESQL)


def _listed(data: Data, key: str) -> list[Data]:
    held = data.get(key)
    if held is None:
        return []
    if not isinstance(held, dict):
        raise ValueError(f"{key} is no object")
    return _dicts(held.get("list"), f"{key}.list")


def _dicts(held: t.Any, what: str) -> list[Data]:
    if held is None:
        return []
    if not isinstance(held, list) or not all(isinstance(one, dict) for one in held):
        raise ValueError(f"{what} is no list of objects")
    return held


def _text(value: t.Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
