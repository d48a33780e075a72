# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether SQL is one query that only reads: what may be handed to EXPLAIN."""

from __future__ import annotations

import re

from ..postgres.schema_statements import split
from .variables import QUOTED

# EXPLAIN takes some others too, such as CREATE TABLE AS, and would not say what is wrong with them.
READING = {"select", "with", "values", "table"}
CHANGING = {"insert", "update", "delete", "merge", "truncate", "create", "alter", "drop", "refresh", "copy", "call"}


class ChangesError(ValueError):
    """The statement would change something, which the transaction of a panel's query may not."""

    def __init__(self, what: str) -> None:
        super().__init__(f"it does {what}, and a panel's transaction only reads")


def only_query(sql: str) -> str:
    """The one query in *sql*, without comments around it and without its semicolon.

    ChangesError where it would change something; ValueError where it is not one statement, or can't be sent.
    """
    if "\0" in sql:
        raise ValueError("there is a NUL character in it")
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise ValueError("there is half a character in it (a lone surrogate)") from error
    statements = split(sql)
    if not statements:
        raise ValueError("there is no statement in it")
    if len(statements) > 1:
        raise ValueError(f"it is {len(statements)} statements: write one, since a panel shows the answer to one")
    text, words = statements[0].text, statements[0].words
    first = words[0] if words else ""
    if first in CHANGING:
        raise ChangesError(first.upper())
    if first not in READING:
        raise ValueError(f"{first.upper() or text[:1]} is no query that can be explained: ask by SELECT")
    bare = QUOTED.sub(" ", text).lower()
    # In a query INTO is SELECT INTO, unless it is that of an INSERT in a CTE, which the plan shows.
    if re.search(r"\binto\b", bare) and not re.search(r"\b(?:insert|merge)\b", bare):
        raise ChangesError("SELECT INTO, which makes a table")
    return text
