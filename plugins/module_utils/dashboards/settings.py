# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grafana's own files: grafana.ini, and values of provisioning files, written so that Grafana reads what was meant."""

from __future__ import annotations

import re
import typing as t

from .leaks import check_secrets

_KEY = re.compile(r"[A-Za-z0-9_.\-]+")
# How far the clocks of two hosts may differ; the collector's check (freshness.py) has the same.
AHEAD = "5 minutes"
# Keys that hold a secret, such as smtp.password, auth.google.client_secret and security.secret_key.
_SECRET_KEY = re.compile(r"password|secret|token$|private_key")
# What ends a value, quotes it or joins it with the next line, for the parser that Grafana has for grafana.ini.
_SPECIAL = re.compile(r"[#;`\"'\\]")


def ini(settings: t.Mapping[str, t.Mapping[str, object]]) -> str:
    """grafana.ini with the sections and keys of *settings*, in their order.

    A value is a text, a number, true or false; ValueError for one that can't be written. Grafana cuts a value at ``#``
    and ``;`` unless it stands in triple quotes
    (https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/).
    """
    parts = []
    for section, values in settings.items():
        if not _KEY.fullmatch(section):
            raise ValueError(f"grafana.ini has no section {section!r}: a name has letters, digits, dots, _ and - only.")
        lines = [f"{_named(section, key)} = {_value(section, key, value)}".rstrip() for key, value in values.items()]
        parts.append("\n".join([f"[{section}]", *lines]))
    return "\n\n".join(parts) + "\n"


def _named(section: str, key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(
            f"grafana.ini has no key {key!r} in [{section}]: a name has letters, digits, dots, _ and - only."
        )
    return key


def _value(section: str, key: str, value: object) -> str:
    where = f"{key} in [{section}] of grafana.ini"
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError(f"{where} must be a text, a number, true or false.")
    text = str(value)
    if any(ord(character) < 32 for character in text):
        raise ValueError(f"{where} has a line's end or another control character: Grafana would read something else.")
    if '"""' in text or "%(" in text:
        raise ValueError(f'{where} has """ or %( in it: Grafana would read something else.')
    if _SPECIAL.search(text) or text != text.strip():
        if text.endswith('"'):
            raise ValueError(f"{where} ends with a quote, which can't be written there.")
        return f'"""{text}"""'
    return text


def bare_secrets(settings: t.Mapping[str, t.Mapping[str, object]]) -> list[str]:
    """``section.key`` of each value that is a secret by its key or looks like one; none where a file holds it.

    A value that begins with ``$__`` only says where Grafana finds it.
    """
    return [
        f"{section}.{key}"
        for section, values in settings.items()
        for key, value in values.items()
        if value and not str(value).startswith("$__") and (_SECRET_KEY.search(key.lower()) or check_secrets(str(value)))
    ]


def literal(value: object) -> object:
    """A value of a provisioning file that Grafana reads as it is: each ``$`` doubled, since ``$NAME`` is a variable.

    (https://grafana.com/docs/grafana/latest/administration/provisioning/#using-environment-variables)
    """
    if isinstance(value, t.Mapping):
        return {key: literal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [literal(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def lateness(tables: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The SQL that gives for each table how many seconds its newest row is older than it may be; above 0 it is stale.

    A table is ``{"table": "schema.name", "column": its time, "max_age": seconds}``. One row each, so that one alert
    rule watches all of them: the text becomes the alert's label. A table without a row is late too, and a row that is
    dated in the future is none: a single one would keep the alert silent until then.
    """
    return " UNION ALL ".join(_late(str(one["table"]), str(one["column"]), int(one["max_age"])) for one in tables)


def newest(tables: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The SQL of `lateness` without its bounds on time, whose plan says whether an index serves it."""
    parts = [_named_column(str(one["table"]), str(one["column"])) for one in tables]
    return " UNION ALL ".join(f"SELECT max({column})::timestamptz FROM {table}" for table, column in parts)  # noqa: S608


def _named_column(table: str, column: str) -> tuple[str, str]:
    """Both quoted."""
    schema, dot, name = table.partition(".")
    if not dot or not schema or not name or not column:
        raise ValueError(f"{table!r} and {column!r} don't name a table's column: write schema.table, and the column.")
    schema, name, column = (part.replace('"', '""') for part in (schema, name, column))
    return f'"{schema}"."{name}"', f'"{column}"'


def _late(table: str, column: str, max_age: int) -> str:
    relation, time = _named_column(table, column)
    if max_age <= 0:
        raise ValueError(f"The newest row of {table} may be {max_age} seconds old: write more than none.")
    label = table.replace("'", "''")
    # An index serves max() with a WHERE, and none serves max() FILTER. What is asked for is finite, since before
    # PostgreSQL 17 no interval is infinite.
    when = f"{time} <= now() + interval '{AHEAD}' AND {time} > '-infinity'"
    last = f"SELECT max({time}) FROM {relation} WHERE {when}"  # noqa: S608 (quoted)
    age = f"coalesce(extract(epoch FROM now() - ({last})), 1e9)"
    return f'SELECT now() AS "time", \'{label}\' AS "table", {age} - {max_age} AS late'
