# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edge to PostgreSQL that tries a policy's settings before anything is changed."""

from __future__ import annotations

import contextlib
import typing as t

from .policy import settings
from .policy.model import Policy

with contextlib.suppress(ImportError):  # said by connect(), which is called first
    import psycopg2

if t.TYPE_CHECKING:
    from .postgres import Connection

# Set for this statement alone, and back in the same row: a timeout of 1 ms shall not be this session's. A setting of an
# extension that isn't loaded becomes a placeholder. Nothing is written, so that no transaction id is assigned.
TRY = """
SELECT set_config(name, value, true), set_config(name, old, true)
FROM (SELECT name, value, current_setting(name, true) AS old FROM unnest(%(names)s::text[], %(values)s::text[])
      AS w (name, value) OFFSET 0) AS tried
"""
# ALTER ROLE ... SET only takes note of what these name, which set_config() would look up or be.
# Source: the check hooks that know PGC_S_TEST, in PostgreSQL's src/backend.
UNTRIED = frozenset(
    {
        "default_table_access_method",
        "default_tablespace",
        "default_text_search_config",
        "role",
        "session_authorization",
        "temp_tablespaces",
        "transaction_deferrable",
        "transaction_isolation",
        "transaction_read_only",
    }
)


def check_settings(connection: Connection, policy: Policy) -> None:
    """ValueError where the server knows no such setting, or not this value of it; a secret is never repeated."""
    tried = {
        (name, settings.as_text(name, elements)): where
        for where, content in _written(policy)
        for name, elements in content.items()
        if name not in UNTRIED and not settings.secret(name)
    }
    if tried and _refusal(connection, list(tried)) is not None:
        for pair, where in tried.items():
            refusal = _refusal(connection, [pair])
            if refusal is not None:
                raise ValueError(f"{where}.{pair[0]}: {refusal}: mend it, or leave it out")


def _written(policy: Policy) -> t.Iterator[tuple[str, t.Mapping[str, tuple[str, ...]]]]:
    """Each mapping of settings, and where it stands."""
    for database, content in policy.database_settings.items():
        yield f"database_settings.{database}", content
    for role in policy.roles.values():
        yield f"roles.{role.name}.settings", role.settings
        for database, content in role.database_settings.items():
            yield f"roles.{role.name}.database_settings.{database}", content


def _refusal(connection: Connection, pairs: t.Sequence[tuple[str, str]]) -> str | None:
    """What the server says against (name, value), if anything; *connection* is in autocommit mode."""
    names, values = [list(column) for column in zip(*pairs, strict=True)]
    with connection.cursor() as cursor:
        try:
            cursor.execute(TRY, {"names": names, "values": values})
        except psycopg2.Error as error:
            return error.diag.message_primary or str(error).strip()
    return None
