#!/usr/bin/python
# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible module: a database schema is what a file says, or a migration makes it so."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_schema
short_description: Make a schema what its file says, by that file or by a migration
version_added: 0.1.0
description:
  - Compares a schema with the C(schema.sql) that C(make schema) made, whose header describes every relation.
  - Where nothing of it is there, the file is run. Where something differs, the module fails and names it, unless a
    migration is given, which is run and has to end every difference.
  - What is run is run in one transaction, as the role O(owner); afterwards the schema has to be what the file says,
    or all of it is undone.
  - Tables, columns (not their order), constraints, indexes, triggers, row security, sequences, views, types and
    functions are compared. A view's definition is compared only between servers that word definitions alike, which are
    those before 16 and those from 16 on.
  - Relations that only the live schema has are returned, and left alone.
options:
  database:
    description: The database.
    type: str
    required: true
  schema:
    description: The schema, the same as in the header of O(content).
    type: str
    default: public
  owner:
    description:
      - The role that everything is run as and that owns what is made.
      - O(login_user) must be a member of it and no superuser.
    type: str
    required: true
  content:
    description: The text of C(schema.sql), header and all.
    type: str
    required: true
  migration:
    description:
      - The text of a file of plain SQL, without C(BEGIN), C(COMMIT), C(SET ROLE), C(SET lock_timeout), C(COPY),
        C(DO) or commands of psql.
      - Not run where the schema already is what O(content) says, nor where nothing of it is there.
    type: str
  lock_timeout:
    description: How long a statement may wait for a lock, as PostgreSQL takes it. Whoever holds locks is named then.
    type: str
    default: 5s
extends_documentation_fragment:
  - taaraxtak.production.connection
  - taaraxtak.production.attributes
notes:
  - In check mode only the catalogues are read, so a migration is announced and neither run nor judged.
  - Nothing is run in a session of a superuser, nor of a role that may become one. A function that the file makes and
    calls, or C(set_config), can end C(SET ROLE), and would then do whatever the login may. Reading is open to all.
  - What is refused by its words (see O(migration)) is a guard against slips; the login's rights are the defence.
  - The role of O(login_user) needs C(CONNECT) and membership in O(owner), also without inheriting from it. Without
    C(pg_read_all_stats) the state of whoever holds a lock is not shown, the name is.
author:
  - The taaraxtak.production authors (@taaraxtak)
"""

EXAMPLES = r"""
- name: Make the tables of the app
  become: true
  taaraxtak.production.pg_schema:
    login_os_user: alice
    login_user: dba
    database: taaraxtak
    owner: taaraxtak_owner
    content: "{{ lookup('ansible.builtin.file', inventory_dir ~ '/schema.sql') }}"

- name: Change them
  become: true
  taaraxtak.production.pg_schema:
    login_os_user: alice
    login_user: dba
    database: taaraxtak
    owner: taaraxtak_owner
    content: "{{ lookup('ansible.builtin.file', inventory_dir ~ '/schema.sql') }}"
    migration: "{{ lookup('ansible.builtin.file', 'migrations/2026-11-22-add-index.sql') }}"
"""

RETURN = r"""
applied:
  description:
    - What was run, or would be in check mode.
    - Where in check mode the server or the database is not there yet, this is V(schema), the lists but for
      RV(relations) are empty, and C(msg) says what is missing.
  type: str
  returned: success
  choices: [none, schema, migration]
differences:
  description: What differed before, a phrase each.
  type: list
  elements: str
  returned: success
  sample: [table provider_marketshare lacks column url (character varying)]
extra:
  description: Relations that the file doesn't know.
  type: list
  elements: str
  returned: success
  sample: [table scratch]
foreign_owners:
  description:
    - Relations of the file that another role than O(owner) owns, a phrase each; each is a warning too.
    - They are left alone. A migration of theirs fails, as O(owner) may not change them.
  type: list
  elements: str
  returned: success
  sample: [table provider_marketshare is owned by scraper]
relations:
  description: The relations of the file.
  type: list
  elements: str
  returned: success
  sample: [table ip_hostname_mapping, table provider_marketshare]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.postgres import connection as pg
from ..module_utils.postgres import schema as core
from ..module_utils.postgres import schema_server, schema_statements


def argument_spec() -> dict[str, t.Any]:
    """The options."""
    return {
        **pg.login_argument_spec(),
        "database": {"type": "str", "required": True},
        "schema": {"type": "str", "default": "public"},
        "owner": {"type": "str", "required": True},
        "content": {"type": "str", "required": True},
        "migration": {"type": "str"},
        "lock_timeout": {"type": "str", "default": "5s"},
    }


def read_file(params: dict[str, t.Any]) -> core.SchemaFile:
    """The schema file; ValueError where it is no such file or of another schema."""
    wanted = core.parse(params["content"])
    if wanted.schema != params["schema"]:
        raise ValueError(f"the schema file is of the schema {wanted.schema}, not of {params['schema']}")
    return wanted


def read_migration(params: dict[str, t.Any]) -> list[schema_statements.Statement] | None:
    """The migration's statements, or None where there is no migration; ValueError where it may not be run."""
    if params["migration"] is None:
        return None
    try:
        return schema_statements.lint(params["migration"])
    except ValueError as error:
        raise ValueError(f"the migration may not be run: {error}") from error


def bring(params: dict[str, t.Any], *, check: bool) -> dict[str, t.Any]:
    """Bring the schema to what the file says; what the module returns. ValueError with a sentence where it can't."""
    wanted, migration = read_file(params), read_migration(params)
    connection = pg.connect(params, database=params["database"])
    try:
        live = schema_server.read_only(connection, params["schema"])
        plan = core.plan(wanted.relations, live, migration=migration is not None)
        after = wanted.relations if plan.action != "none" else live
        if plan.action != "none" and not check:
            statements = wanted.statements if plan.action == "schema" else migration or ()
            after = run(connection, plan.action, statements, wanted, params)
        foreign = foreign_owners(connection, wanted, params)
    finally:
        connection.close()
    return {
        "changed": plan.action != "none",
        "applied": plan.action,
        "differences": list(plan.differences),
        "extra": list(plan.extra),
        "foreign_owners": foreign,
        "relations": [relation.title for relation in wanted.relations],
        "diff": {"before": shown(live), "after": shown(after), "before_header": "live", "after_header": "wanted"},
    }


def run(
    connection: t.Any,
    action: str,
    statements: t.Sequence[schema_statements.Statement],
    wanted: core.SchemaFile,
    params: dict[str, t.Any],
) -> tuple[core.Relation, ...]:
    """Run the file or the migration; ValueError that says which of them failed."""
    given = {name: params[name] for name in ("schema", "owner", "lock_timeout")}
    try:
        return schema_server.run(connection, statements, wanted.relations, **given)
    except ValueError as error:
        raise ValueError(f"the {'schema file' if action == 'schema' else 'migration'} failed: {error}") from error


def foreign_owners(connection: t.Any, wanted: core.SchemaFile, params: dict[str, t.Any]) -> list[str]:
    """Phrases that name what of the file somebody else than the owner owns."""
    titles = {relation.title for relation in wanted.relations}
    found = schema_server.foreign_owners(connection, params["schema"], params["owner"])
    return [f"{kind} {name} is owned by {who}" for kind, name, who in found if f"{kind} {name}" in titles]


def absent(params: dict[str, t.Any]) -> dict[str, t.Any]:
    """What check mode returns where there is nothing to look at yet."""
    relations = [relation.title for relation in read_file(params).relations]
    return {"applied": "schema", "differences": [], "extra": [], "foreign_owners": [], "relations": relations}


def shown(relations: t.Iterable[core.Relation]) -> str:
    """The fingerprint's text, as --diff shows it."""
    return "".join(line + "\n" for line in core.lines(relations))


def main() -> None:
    """Read the options, bring the schema about, answer."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    try:
        answer = bring(module.params, check=module.check_mode)
    except ValueError as error:
        if module.check_mode and isinstance(error, pg.AbsentError):
            module.exit_json(**absent(module.params), **error.foretold("the tables"))
        module.fail_json(msg=str(error))
    for title in answer["extra"]:
        module.warn(f"{title} of the schema {module.params['schema']} is not in the schema file")
    for phrase in answer["foreign_owners"]:
        module.warn(f"{phrase}, not by {module.params['owner']}")
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
