# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write README's table of who may do what, as a live catalogue has it: `make matrix`, of a project with PROJECT=.

A throw-away cluster gets the inventory's policy and tables by the same code as a host does, and is then asked.
"""

from __future__ import annotations

import contextlib
import re
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.module_utils.access.inspecting import see  # noqa: E402 - the path is set above
from plugins.module_utils.access.policy.model import Policy  # noqa: E402 - the path is set above
from plugins.module_utils.files.whole import replace  # noqa: E402 - the path is set above
from tools.policed import connect, policed, read_policy, the_database  # noqa: E402 - the path is set above

README = "README.md"
INVENTORY = Path("inventory") / "production"
BEGIN = "<!-- made by `make matrix` from a live catalogue -->\n"
END = "<!-- end of the table -->\n"
COLUMNS = {"read": "reads", "insert": "inserts", "change": "updates", "delete": "deletes", "truncate": "truncates"}
HEAD = f"| role | logs in as | {' | '.join(COLUMNS.values())} | creates, alters, drops |\n"
# At most so many tables are listed in a cell; what has more is told by what it lacks.
LISTED = 3


def live_matrix(policy: Policy, project: Path = ROOT) -> tuple[list[dict[str, t.Any]], list[str]]:
    """The matrix of a server under *policy* with the tables of the *project*'s inventory, and the names of those."""
    database = the_database(policy)
    with policed(project / INVENTORY, policy) as params:
        with contextlib.closing(connect(params, database)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT quote_ident(nspname) || '.' || quote_ident(relname)"
                " FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
                " WHERE nspname = ANY(%s) AND relkind IN ('r', 'v', 'm', 'f', 'p') ORDER BY 1",
                (list(policy.schemas),),
            )
            tables = [row[0] for row in cursor.fetchall()]
        return see(params, policy, with_objects=False).matrix, tables


def rendered(policy: Policy, matrix: list[dict[str, t.Any]], tables: list[str]) -> str:
    """The table in Markdown."""
    lines = [HEAD, re.sub(r"[^|\n]+", "---", HEAD)]
    for row in matrix:
        users = ", ".join(f"`{user}`" for user in policy.roles[row["role"]].os_users)
        direct = row["via"] == "login"
        who = f"OS user {users}" if direct else f"the same, after `{row['via']}`"
        cells = [_tables(row[word], row["tables"].get(word, []), tables) for word in COLUMNS]
        lines.append(f"| `{row['role']}` | {who} | {' | '.join(cells)} | {'yes' if row['ddl'] else 'no'} |\n")
    for name, role in policy.roles.items():
        if not role.login:
            lines.append(f"| `{name}` | nobody | | | | | | |\n")
    lines.append("| anybody else | nobody | | | | | | |\n")
    return "".join(lines)


def _tables(word: str, held: list[str], tables: list[str]) -> str:
    if word != "some":
        return {"all": "every table", "none": "no"}[word]
    lacking = [f"`{name.split('.', 1)[1]}`" for name in tables if name not in held]
    if len(held) > LISTED or len(lacking) < len(held):
        return f"all but {', '.join(lacking)}"
    return ", ".join(f"`{name.split('.', 1)[1]}`" for name in held)


def made(project: Path = ROOT) -> str:
    """The *project*'s README with the table as it is now; ValueError where it has no place for one."""
    text = (project / README).read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{project / README} has no place for the table: write these two lines there: {BEGIN}{END}")
    policy = read_policy(project / INVENTORY)
    return before + BEGIN + rendered(policy, *live_matrix(policy, project)) + END + after


def main(arguments: t.Sequence[str]) -> int:
    """Write anew README of the folder that the one argument names, or of the checkout."""
    project = Path(arguments[0]) if arguments else ROOT
    try:
        text = made(project)
        changed = text != (project / README).read_text(encoding="utf-8")
        if changed:
            replace(project / README, text.encode())
    except (OSError, ValueError) as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 1
    print(f"README.md: {'the table was written anew' if changed else 'the table is as the live catalogue has it'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
