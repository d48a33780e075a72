# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cluster's databases share, before a dump is run and after it: none of it is a dump's to change.

Who restores is a member of the roles that own what the dump holds, and could change their passwords and settings, and
the privileges of databases that they own. PostgreSQL has no way to forbid that; here it is seen.
"""

from __future__ import annotations

import typing as t

from ..processes import DumpError
from .session import Session, composed

# One row for each thing: what it is called, and all that may not change of it. Of a password it is a hash.
_STATE = """
SELECT 'the role ' || quote_ident(rolname), md5(to_jsonb(a)::text) FROM pg_authid a WHERE rolname <> ALL ({})
UNION ALL
SELECT format('the membership of %s in %s', m.member::regrole, m.roleid::regrole), md5(string_agg(
         (to_jsonb(m) - 'oid')::text, ' ' ORDER BY m.grantor))
  FROM pg_auth_members m WHERE NOT ARRAY[m.member, m.roleid] && {}::regrole[]::oid[] GROUP BY m.member, m.roleid
UNION ALL
SELECT 'the database ' || quote_ident(datname), md5(format('%s %s %s %s %s %s', datdba, datistemplate, datallowconn,
         datconnlimit, datacl, dattablespace)) FROM pg_database WHERE datname <> {}
UNION ALL
SELECT format('the settings of %s', CASE WHEN s.setrole = 0 THEN 'the database ' || quote_ident(d.datname)
         ELSE 'the role ' || s.setrole::regrole || coalesce(' in ' || quote_ident(d.datname), '') END),
       md5(s.setconfig::text)
  FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname IS DISTINCT FROM {}
UNION ALL
SELECT 'the tablespace ' || quote_ident(spcname), md5(to_jsonb(s)::text) FROM pg_tablespace s
"""


def state(session: Session, copy: str, roles: t.Sequence[str]) -> dict[str, str]:
    """By its name a hash of each thing that is shared, but for the database *copy* and the restore's own *roles*."""
    quoted = ['"' + role.replace('"', '""') + '"' for role in roles]
    return dict(session.rows(composed(_STATE, list(roles), quoted, copy, copy)))


def refuse_changes(before: t.Mapping[str, str], after: t.Mapping[str, str]) -> None:
    """DumpError that names what differs."""
    differs = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if differs:
        raise DumpError(
            f"while the dump was run {', '.join(differs)} changed, which no dump may: look at it before anything else, "
            "and if it was somebody's intention, restore again"
        )
