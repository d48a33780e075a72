# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What belongs to a database itself and is in no dump of it: who may connect, its settings, its limit.

Where a policy is applied, the policy says that. Without one the copy takes it over from the database that it replaces.
"""

from __future__ import annotations

import re
import typing as t

from .session import Session, composed, named

# The owner's are the owner's of the copy too.
_PRIVILEGES = """
SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable
  FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
 WHERE d.datname = {} AND a.grantee <> d.datdba
"""
_SETTINGS = """
SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END, unnest(s.setconfig)
  FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = {}
"""
_LIMIT = "SELECT datconnlimit FROM pg_database WHERE datname = {}"
# Each name in these is quoted where it is kept (GUC_LIST_QUOTE in guc_tables.c).
_LISTS = (
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
)
_NAME = re.compile(r'"((?:[^"]|"")*)"|([^\s,"]+)')


def inherit(session: Session, database: str, copy: str) -> None:
    """Give *copy* what *database* has; nothing where that is not there."""
    with session.transaction():
        for role, privilege, grantable in session.rows(composed(_PRIVILEGES, database)):
            who = composed("PUBLIC") if role is None else named(role)
            option = composed(" WITH GRANT OPTION" if grantable else "")
            session.rows(composed("GRANT {} ON DATABASE {} TO {}{}", composed(privilege), named(copy), who, option))
        for role, setting in session.rows(composed(_SETTINGS, database)):
            name, value = setting.split("=", 1)
            whose = composed("DATABASE {}", named(copy))
            if role is not None:
                whose = composed("ROLE {} IN DATABASE {}", named(role), named(copy))
            session.rows(composed("ALTER {} SET {} TO {}", whose, named(name), _value(name, value)))
        for (limit,) in session.rows(composed(_LIMIT, database)):
            session.rows(composed("ALTER DATABASE {} CONNECTION LIMIT {}", named(copy), limit))


def _value(name: str, value: str) -> t.Any:
    """A setting's value as SQL: a list is of names, each of which may hold a comma."""
    if name.lower() not in _LISTS:
        return composed("{}", value)
    names = [quoted.replace('""', '"') or plain for quoted, plain in _NAME.findall(value)] or [""]
    return composed(", ".join(["{}"] * len(names)), *names)
