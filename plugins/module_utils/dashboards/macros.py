# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A panel's SQL as Grafana sends it to PostgreSQL: variables, then intervals, then macros, each in the text.

Grafana's own rules are kept where they are odd too, since the check is to say what Grafana does: the arguments of a
macro end at the first closing parenthesis and are split at each comma, and ``$__timeGroup(c,'5m'),`` with a comma
behind it is ``$__timeGroupAlias``. (Grafana's macros.go and sql_engine.go of the PostgreSQL datasource, 9 to 11,
without TimescaleDB.)
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import typing as t
from decimal import Decimal

from .variables import SQL_LIMIT, Context, interval_text, replaced

# Possessive: where no parenthesis closes, nothing is tried again from its end.
MACRO = re.compile(r"\$([_a-zA-Z0-9]++)\(([^)]*+)\)")
EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
DATE_INTERVAL = re.compile(r"([0-9]+)([dwMy])")
# Go's durations: 90s, 1h30m, 1.5h.
DURATION = re.compile(r"[-+]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|ms|s|m|h))+")
DURATION_PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
SECONDS = {"ns": "1e-9", "us": "1e-6", "µs": "1e-6", "ms": "1e-3", "s": "1", "m": "60", "h": "3600"}
# Years are counted as months, and a date ends in the year 9999.
LONGEST_NUMBER = 4


def translate(sql: str, context: Context) -> str:
    """The SQL that Grafana would send; ValueError with a sentence where it would send none."""
    text = replaced(sql, context)
    text = text.replace("$__interval_ms", str(context.interval_ms))
    text = text.replace("$__interval", interval_text(context.interval_ms))
    text = text.replace("$__unixEpochFrom()", str(_seconds(context.start)))
    text = text.replace("$__unixEpochTo()", str(_seconds(context.end)))

    def expanded(match: re.Match[str]) -> str:
        whole, name = match[0], match[1]
        # The first place of the same text decides for all of them.
        if name == "__timeGroup" and text.startswith(",", text.index(whole) + len(whole)):
            name = "__timeGroupAlias"
        return _macro(name, [argument.strip(" ") for argument in match[2].split(",")], context)

    return MACRO.sub(expanded, text)


def hint(sql: str) -> str | None:
    """A sentence about what in *sql* is read by Grafana otherwise than it looks; None where there is nothing."""
    for match in MACRO.finditer(sql[:SQL_LIMIT]):
        if "(" in match[2]:
            return f"Grafana ends the arguments of ${match[1]} at the first closing parenthesis: put no call in them"
    return None


def range_marks(context: Context) -> tuple[str, ...]:
    """The numbers by which the time range can stand in SQL: seconds, ms and ns since 1970."""
    marks = []
    for moment in (context.start, context.end):
        nanoseconds = _nanoseconds(moment)
        marks += [str(nanoseconds // 1_000_000_000), str(nanoseconds // 1_000_000), str(nanoseconds)]
    return tuple(marks)


def _nanoseconds(moment: dt.datetime) -> int:
    return ((moment - EPOCH) // dt.timedelta(microseconds=1)) * 1000


def _seconds(moment: dt.datetime) -> int:
    return _nanoseconds(moment) // 1_000_000_000


def _moment(moment: dt.datetime) -> str:
    """In UTC, whatever the dashboard's time zone is."""
    there = moment.astimezone(dt.UTC)
    fraction = f".{there.microsecond:06d}".rstrip("0").rstrip(".")
    return f"'{there.strftime('%Y-%m-%dT%H:%M:%S')}{fraction}Z'"


def _macro(name: str, arguments: list[str], context: Context) -> str:
    if name in NO_COLUMN:
        return NO_COLUMN[name](context)
    if name in ONE_COLUMN:
        if not arguments[0]:
            raise ValueError(f"${name} needs a column")
        return ONE_COLUMN[name](arguments[0], context)
    if name in GROUPS:
        return _group(name, arguments, context)
    raise ValueError(f"the macro ${name} is not known")


def _group(name: str, arguments: list[str], context: Context) -> str:
    if len(arguments) < 2 or not arguments[0]:
        raise ValueError(f"${name} needs a column and an interval, such as '5m', and may have what to fill gaps with")
    size = _number(interval_seconds(arguments[1].strip("'"), context.end))
    if len(arguments) == 3:
        _check_fill(name, arguments[2])
    inner, alias = GROUPS[name]
    text = f"floor({inner.format(arguments[0])}/{size})*{size}"
    return f'{text} AS "time"' if alias else text


def _check_fill(name: str, fill: str) -> None:
    if fill not in ("NULL", "previous") and not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", fill):
        raise ValueError(f"${name} can't fill gaps with {fill}: write NULL, previous or a number")


def interval_seconds(text: str, now: dt.datetime) -> Decimal:
    """Seconds of an interval such as 500ms, 5m, 1h30m, 7d or 1M; months and years are those that follow *now*."""
    dated = DATE_INTERVAL.fullmatch(text)
    if dated is not None and len(dated[1]) <= LONGEST_NUMBER:
        seconds = _dated(int(dated[1]), dated[2], now)
    elif DURATION.fullmatch(text):
        seconds = sum(
            (Decimal(number) * Decimal(SECONDS[unit]) for number, unit in DURATION_PART.findall(text)), Decimal()
        )
        seconds = -seconds if text.startswith("-") else seconds
    else:
        raise ValueError(f"{text or 'nothing'} is no interval: write a number and one of ms, s, m, h, d, w, M, y")
    if seconds == 0:
        raise ValueError(f"the interval {text} is zero, and the query would divide by it")
    return seconds


def _dated(number: int, unit: str, now: dt.datetime) -> Decimal:
    if unit in "dw":
        return Decimal(number * (7 if unit == "w" else 1) * 86400)
    months = now.year * 12 + now.month - 1 + number * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    if year >= dt.MAXYEAR:
        raise ValueError(f"the interval {number}{unit} ends after the year {dt.MAXYEAR}")
    # Of 31 January a month later is 3 March: the days that February lacks are counted on.
    last = calendar.monthrange(year, month + 1)[1]
    there = now.replace(year=year, month=month + 1, day=min(now.day, last))
    return Decimal((there - now).days + max(now.day - last, 0)) * 86400


def _number(seconds: Decimal) -> str:
    """As Go writes a float: 300, 0.5, 2.592e+06."""
    plain = seconds.normalize()
    if -4 <= plain.adjusted() < 6:
        return f"{plain:f}"
    digits = "".join(map(str, plain.as_tuple().digits))
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{'-' if plain < 0 else ''}{mantissa}e{plain.adjusted():+03d}"


NO_COLUMN: dict[str, t.Callable[[Context], str]] = {
    "__timeFrom": lambda context: _moment(context.start),
    "__timeTo": lambda context: _moment(context.end),
    "__unixEpochNanoFrom": lambda context: str(_nanoseconds(context.start)),
    "__unixEpochNanoTo": lambda context: str(_nanoseconds(context.end)),
}
ONE_COLUMN: dict[str, t.Callable[[str, Context], str]] = {
    "__time": lambda column, _context: f'{column} AS "time"',
    "__timeEpoch": lambda column, _context: f'extract(epoch from {column}) as "time"',
    "__timeFilter": lambda column, context: f"{column} BETWEEN {_moment(context.start)} AND {_moment(context.end)}",
    "__unixEpochFilter": lambda column, context: (
        f"{column} >= {_seconds(context.start)} AND {column} <= {_seconds(context.end)}"
    ),
    "__unixEpochNanoFilter": lambda column, context: (
        f"{column} >= {_nanoseconds(context.start)} AND {column} <= {_nanoseconds(context.end)}"
    ),
}
# What is grouped, and whether the result is named "time".
GROUPS = {
    "__timeGroup": ("extract(epoch from {})", False),
    "__timeGroupAlias": ("extract(epoch from {})", True),
    "__unixEpochGroup": ("({})", False),
    "__unixEpochGroupAlias": ("({})", True),
}
