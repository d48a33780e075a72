# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables in a panel's SQL, put in as Grafana's browser side does before it sends the text to the server.

The forms are ``$v``, ``${v}``, ``${v:format}``, ``${v.field}``, ``[[v]]`` and ``[[v:format]]``. Without a format an
SQL datasource writes a variable that may have several values, or All, as quoted literals, and any other one as it is
with its quotes doubled. (Grafana's template_srv, formatRegistry and SqlDatasource, 7.5 to 11.)
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import typing as t
import urllib.parse

REFERENCE = re.compile(
    r"\$(?P<plain>\w+)|\[\[(?P<square>\w+?)(?::(?P<square_format>\w+))?\]\]"
    r"|\$\{(?P<curly>\w+)(?:\.(?P<field>[^:^}]+))?(?::(?P<curly_format>[^}]+))?\}",
    re.ASCII,
)
# A comment of SQL, a text in dollar quotes, and other quotes, since two hyphens in those begin no comment.
QUOTED = re.compile(
    r"""(?P<comment>--[^\n\r]*|/\*.*?\*/)|\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$"""
    r"""|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*\"""",
    re.DOTALL,
)
REGEX_CHARACTERS = re.compile(r"[\\^$*+?.()|\[\]{}/]")
# What of moment.js' date format dashboards use.
DATE_PARTS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
ALL = "$__all"
# Characters, and the repository's longest query has 555. What reads SQL here may look at each place from each other.
SQL_LIMIT = 20_000


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable with its value; ``listed``: the value is a list, of one element perhaps.

    ``quoted``: it may have several values or All. ``literal`` is the text that stands for All, where the dashboard
    gives one. ``placeholder``: nobody has said a value, so that this one only stands for some value.
    """

    values: tuple[str, ...]
    listed: bool = False
    quoted: bool = False
    literal: str | None = None
    placeholder: bool = False


@dataclasses.dataclass(frozen=True)
class Context:
    """What a panel's SQL depends on: the variables, the time range (aware), and the interval in ms."""

    start: dt.datetime
    end: dt.datetime
    variables: t.Mapping[str, Variable] = dataclasses.field(default_factory=dict)
    interval_ms: int = 60_000
    dashboard: str = ""

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("the time range has no time zone")

    def with_placeholder(self, value: str) -> Context:
        """The same with *value* for every variable of which nobody has said one."""
        changed = {
            name: dataclasses.replace(one, values=(value,)) if one.placeholder else one
            for name, one in self.variables.items()
        }
        return dataclasses.replace(self, variables=changed)


def replaced(sql: str, context: Context) -> str:
    """*sql* with the values of its variables; ValueError where one is not defined or its format not known.

    What Grafana leaves as it is stays: macros, ``$1`` and ``[[1]]``, the tags of dollar quotes; and names in comments.
    """
    length = len(sql)
    _check_length(length)
    known = {**_global_variables(context), **context.variables}
    meant_otherwise = _comments_and_tags(sql)

    def value(match: re.Match[str]) -> str:
        nonlocal length
        name = match["plain"] or match["square"] or match["curly"]
        variable = known.get(f"{name}.{match['field']}" if match["field"] else name, known.get(name))
        if variable is not None:
            text = _formatted(name, variable, match["square_format"] or match["curly_format"] or "", context)
            length += len(text)
            _check_length(length)
            return text
        macro = match["plain"] and sql.startswith("(", match.end())
        if macro or name.isdigit() or any(begin <= match.start() < end for begin, end in meant_otherwise):
            return match[0]
        raise ValueError(f"the variable {name} is not defined in the dashboard")

    return REFERENCE.sub(value, sql)


def _check_length(length: int) -> None:
    if length > SQL_LIMIT:
        raise ValueError(f"its SQL, with its variables, has more than {SQL_LIMIT} characters: shorten it")


def _comments_and_tags(sql: str) -> list[tuple[int, int]]:
    """Where comments and the tags of dollar quotes begin and end."""
    spans = []
    for match in QUOTED.finditer(sql):
        if match["comment"] is not None:
            spans.append(match.span())
        elif match["tag"] is not None:
            length = len(match["tag"]) + 2
            spans += [(match.start(), match.start() + length), (match.end() - length, match.end())]
    return spans


def interval_text(milliseconds: int) -> str:
    """An interval as Grafana writes it: the largest unit that fits, cut off."""
    for unit, size in (("y", 31_536_000_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds >= size:
            return f"{milliseconds // size}{unit}"
    return f"{max(milliseconds, 1)}ms"


def _milliseconds(moment: dt.datetime) -> int:
    return (moment - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(milliseconds=1)


def _global_variables(context: Context) -> dict[str, Variable]:
    start, end = _milliseconds(context.start), _milliseconds(context.end)
    texts = {
        "__interval": interval_text(context.interval_ms),
        "__interval_ms": str(context.interval_ms),
        "__from": str(start),
        "__to": str(end),
        "__range": f"{(end - start) // 1000}s",
        "__range_s": str((end - start) // 1000),
        "__range_ms": str(end - start),
        "__timezone": "utc",
        "__dashboard": context.dashboard,
        "__dashboard.uid": context.dashboard,
        "__org": "1",
        "__org.name": "Main Org.",
        "__user": "1",
        "__user.login": "viewer",
        "__user.email": "viewer@localhost",
        # What is typed into a variable's search box.
        "__searchFilter": "%",
    }
    return {name: Variable((text,)) for name, text in texts.items()}


def literal(value: str) -> str:
    """*value* as an SQL string."""
    return "'" + value.replace("'", "''") + "'"


def _formatted(name: str, variable: Variable, form: str, context: Context) -> str:
    values = variable.values
    if variable.literal is not None and form != "text":
        # A text of the dashboard's own for All is put in as it is; other variables may stand in it.
        others = {key: one for key, one in context.variables.items() if key != name}
        return replaced(variable.literal, dataclasses.replace(context, variables=others))
    if not form:
        if variable.listed or variable.quoted:
            return ",".join(map(literal, values))
        return values[0].replace("'", "''")
    word, _colon, argument = form.partition(":")
    if word == "date":
        return _date(values[0], argument or "iso")
    if word not in FORMATS:
        known = ", ".join([*FORMATS, "date"])
        raise ValueError(f"the variable {name} has the format {word}, which is none for SQL: write one of {known}")
    return FORMATS[word](name, values, variable.listed)


def _percent(value: str) -> str:
    return urllib.parse.quote(value, safe="-_.~")


def _each(values: t.Iterable[str], quote: str, escaped: str) -> str:
    return ",".join(f"{quote}{value.replace(quote, escaped)}{quote}" for value in values)


def _regex(_name: str, values: t.Sequence[str], _listed: bool) -> str:
    escaped = [REGEX_CHARACTERS.sub(r"\\\g<0>", value) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _glob(values: t.Sequence[str]) -> str:
    return values[0] if len(values) == 1 else "{" + ",".join(values) + "}"


def _json(_name: str, values: t.Sequence[str], listed: bool) -> str:
    value = list(values) if listed else values[0]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


FORMATS: dict[str, t.Callable[[str, t.Sequence[str], bool], str]] = {
    "raw": lambda _name, values, _listed: ",".join(values),
    "csv": lambda _name, values, _listed: ",".join(values),
    "sqlstring": lambda _name, values, _listed: _each(values, "'", "''"),
    "singlequote": lambda _name, values, _listed: _each(values, "'", "\\'"),
    "doublequote": lambda _name, values, _listed: _each(values, '"', '\\"'),
    "json": _json,
    "pipe": lambda _name, values, _listed: "|".join(values),
    "regex": _regex,
    "glob": lambda _name, values, _listed: _glob(values),
    "text": lambda _name, values, _listed: " + ".join(values),
    "distributed": lambda name, values, _listed: f",{name}=".join(values),
    "percentencode": lambda _name, values, listed: _percent("{" + ",".join(values) + "}" if listed else values[0]),
    "queryparam": lambda name, values, _listed: "&".join(f"var-{name}={_percent(value)}" for value in values),
}


def _date(value: str, form: str) -> str:
    """A moment that is given in ms, as ``iso``, ``seconds``, ``ms`` or by parts such as YYYY-MM-DD."""
    if not re.fullmatch(r"-?\d+", value):
        raise ValueError(f"the format date is for moments in ms, not for {value}")
    if form == "ms":
        return value
    if form == "seconds":
        return str(round(int(value) / 1000))
    moment = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=int(value))
    if form == "iso":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return re.sub("|".join(DATE_PARTS), lambda match: moment.strftime(DATE_PARTS[match[0]]), form)
