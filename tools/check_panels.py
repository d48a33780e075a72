# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which panels of the dashboards in the repository would work in production: `make check-panels`.

A throw-away server gets the inventory's tables and policy by the same code as a host does, and plans every query as
the role that Grafana logs in as. It is told that each table is large, so that a panel that production would be slow
with is seen here too.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import sys
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "sample" / "collector")]

import psycopg2  # noqa: E402 - the path is set above
import world  # noqa: E402 - the path is set above

from plugins.module_utils.access.policy.model import Policy  # noqa: E402 - the path is set above
from plugins.module_utils.dashboards import swap, tree  # noqa: E402 - the path is set above
from plugins.module_utils.dashboards.checking import (  # noqa: E402 - the path is set above
    SLOW_ROWS,
    check,
    check_dashboards,
)
from plugins.module_utils.dashboards.document import Dashboard  # noqa: E402 - the path is set above
from plugins.module_utils.dashboards.panels import Query  # noqa: E402 - the path is set above
from plugins.module_utils.dashboards.settings import lateness, newest  # noqa: E402 - the path is set above
from plugins.module_utils.dashboards.variables import Context  # noqa: E402 - the path is set above
from plugins.module_utils.dashboards.verdicts import (  # noqa: E402 - the path is set above
    KNOWN_BROKEN,
    WORKS,
    Checked,
    Known,
    Verdict,
    judge,
    named,
    read_known,
    summary,
)
from tools.policed import (  # noqa: E402 - the path is set above
    FOLDER,
    changing,
    policed,
    read_policy,
    read_yaml,
    the_database,
)

READER = "grafanareader"
# The kind of a query that is no dashboard's.
ALERT = "alert"
KNOWN_FILE = "known_broken.yml"
# About what a gigabyte of dump holds of the sample's rows.
LARGE = 10_000_000
SAMPLE_ROWS = 300
STEP = dt.timedelta(minutes=5)
WORDS = {"works": "work", "slow": "slow", "refused": "refused", "broken": "broken", KNOWN_BROKEN: "known to be broken"}


def read_known_file(folder: Path) -> tuple[Known, ...]:
    """The list of known broken panels beside the dashboards; none without the file."""
    path = folder / KNOWN_FILE
    if not path.exists():
        return ()
    held = read_yaml(path)
    entries = held.get("known_broken") if isinstance(held, dict) and set(held) == {"known_broken"} else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{path} has to hold known_broken, a list of entries, and nothing else")
    return read_known(entries)


def insert(cursor: t.Any, table: str, rows: t.Sequence[tuple[t.Any, ...]]) -> None:
    """Put *rows* into *table*; a table of the same name with other columns stays empty, and its panels are checked."""
    marks = ", ".join(["%s"] * len(rows[0]))
    cursor.execute("SAVEPOINT before")
    try:
        cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - as regclass has it
    except (psycopg2.DataError, psycopg2.IntegrityError, psycopg2.ProgrammingError):
        cursor.execute("ROLLBACK TO SAVEPOINT before")


def fill(params: t.Mapping[str, t.Any], policy: Policy) -> None:
    """Give the sample's tables some rows, so that the planner knows their values, and call every table large."""
    made_up = world.World(seed=1)
    end = dt.datetime.now(dt.UTC)
    times = made_up.times(SAMPLE_ROWS, end - STEP * SAMPLE_ROWS, end)
    rows: dict[str, t.Sequence[tuple[t.Any, ...]]] = {
        "provider_marketshare": made_up.shares(times),
        "pop_weighted_gini": made_up.ginis(times),
        "ip_hostname_mapping": made_up.mappings(times),
        "ooni_web_connectivity_test": made_up.tests(times),
    }
    with changing(params, the_database(policy)) as cursor:
        cursor.execute(
            "SELECT c.oid::regclass::text, relname, relnatts FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind IN ('r', 'p') AND nspname = ANY(%s)",
            (list(policy.schemas),),
        )
        for table, name, columns in cursor.fetchall():
            held = rows.get(name, ())
            if held and len(held[0]) == columns:
                insert(cursor, table, held)
        cursor.execute("ANALYZE")
        cursor.execute(
            "UPDATE pg_class c SET reltuples = %s FROM pg_namespace n"
            " WHERE n.oid = c.relnamespace AND c.relkind = 'r' AND n.nspname = ANY(%s)",
            (LARGE, list(policy.schemas)),
        )


def read_stale(inventory: Path) -> list[dict[str, t.Any]]:
    """The tables that the alert watches: ``dashboards_stale``, else ``collector_freshness``; none without either."""
    for name, key in (("dashboards.yml", "dashboards_stale"), ("collector.yml", "collector_freshness")):
        path = inventory / FOLDER / name
        held = read_yaml(path) if path.exists() else None
        tables = held.get(key) if isinstance(held, dict) else None
        if tables is None or isinstance(tables, str):
            continue  # not given, or the other by a variable
        wanted = {"table": str, "column": str, "max_age": int}
        if not isinstance(tables, list) or not all(
            isinstance(one, dict) and all(isinstance(one.get(word), kind) for word, kind in wanted.items())
            for one in tables
        ):
            raise ValueError(f"{key} of {path} has to be a list of table, column and max_age")
        return tables
    return []


def alert_queries(tables: t.Sequence[t.Mapping[str, t.Any]]) -> list[Query]:
    """What the alert asks, and the same without its bounds: a time filter saves a whole table no reading here."""
    return [
        Query("", "Alerts", "Data is stale", None, ref, sql, "time_series", ALERT)
        for ref, sql in (("A", lateness(tables)), ("newest", newest(tables)))
    ]


def check_alert(login: t.Mapping[str, t.Any], database: str, tables: t.Any, slow_rows: int) -> list[Checked]:
    """What came of the alert's queries, slow with another sentence than a panel's."""
    now = dt.datetime.now(dt.UTC)
    pairs = [(query, Context(now - STEP, now)) for query in (alert_queries(tables) if tables else ())]
    return [
        dataclasses.replace(one, why=one.why.replace("without a time filter", "at each look, for want of an index"))
        for one in check(login, database, pairs, slow_rows=slow_rows)
    ]


def checked(
    inventory: Path, dashboards: t.Sequence[Dashboard], values: t.Mapping[str, str], slow_rows: int
) -> list[Checked]:
    """What came of every query of *dashboards* on a server as *inventory* wants it."""
    policy, stale = read_policy(inventory), read_stale(inventory)
    with policed(inventory, policy) as params:
        fill(params, policy)
        login = {**params, "login_user": READER}
        now = dt.datetime.now(dt.UTC)
        database = the_database(policy)
        found = check_dashboards(login, database, dashboards, now, values=values, slow_rows=slow_rows)
        return found + check_alert(login, database, stale, slow_rows)


def screen(dashboards: t.Sequence[Dashboard], verdicts: t.Sequence[Verdict], stale: t.Sequence[str]) -> str:
    """One screen: a line for each dashboard, one or two for each panel that does not simply work, and the sum."""
    lines = [f"Every panel's query, planned as {READER} with the inventory's tables and policy; nothing is run.", ""]
    names = {one.uid: f"{one.folder} / {one.title}" if one.folder else one.title for one in dashboards}
    names |= {one.dashboard: one.title for one in verdicts if one.kind == ALERT}
    width = max(map(len, names.values()))
    for uid, name in names.items():
        of_this = [one for one in verdicts if one.dashboard == uid]
        lines.append(f"  {name:{width}}  {_counted(of_this)}")
        for one in of_this:
            if one.result != WORKS:
                number = f" (id {one.panel_id})" if one.panel_id is not None else ""
                lines.append(f"    {one.result.replace('_', ' ').upper()}  {named(one)}{number}: {one.why}")
            if one.reason:
                lines.append(f"      known: {one.reason}")
    lines += [f"  {sentence}" for sentence in stale]
    lines += [
        "",
        f"{len(dashboards)} dashboards, {len(verdicts)} panels, variables, annotations, alerts: {_counted(verdicts)}.",
    ]
    return "\n".join(lines)


def _counted(verdicts: t.Sequence[Verdict]) -> str:
    counts = summary(verdicts)
    said = [f"{count} {WORDS[word]}" for word, count in counts.items() if count]
    if said == [f"{len(verdicts)} {WORDS[WORKS]}"]:
        return f"all {len(verdicts)} work" if len(verdicts) > 1 else "1 works"
    return ", ".join(said) or "nothing to check"


def read(folder: Path) -> list[Dashboard]:
    """The dashboards in *folder*; ValueError where they are not what the repository may hold."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    files = swap.read(folder)
    problems = tree.validate(files)
    if problems:
        raise tree.TreeError(problems)
    dashboards, _none = tree.read(files)
    if not dashboards:
        raise ValueError(f"there is no dashboard in {folder}: it holds FOLDER/NAME.json")
    return dashboards


def main(arguments: t.Sequence[str] | None = None) -> int:
    """Print the screen; 1 where a panel is refused or broken, or the list is wrong."""
    parser = argparse.ArgumentParser(description="Say which panels would work in production.")
    parser.add_argument("--dashboards", type=Path, default=ROOT / "dashboards", metavar="FOLDER")
    parser.add_argument("--inventory", type=Path, default=ROOT / "inventory" / "production", metavar="FOLDER")
    parser.add_argument("--value", type=_value, default=[], action="append", metavar="VARIABLE=VALUE")
    parser.add_argument("--slow-rows", type=int, default=SLOW_ROWS, metavar="N", help="0 is never")
    given = parser.parse_args(arguments)
    try:
        dashboards, known = read(given.dashboards), read_known_file(given.dashboards)
        found = checked(given.inventory, dashboards, dict(given.value), given.slow_rows)
    except psycopg2.Error as error:
        return _failed(f"the throw-away server says: {str(error).strip()}")
    except OSError as error:
        return _failed(f"{error.strerror}: {error.filename}")
    except ValueError as error:
        return _failed(str(error))
    verdicts, stale = judge(found, known)
    print(screen(dashboards, verdicts, stale))
    counts = summary(verdicts)
    if counts["refused"] or counts["broken"]:
        print(
            "Mend the query, or grant what is missing in access_policy.yml where people may see it;"
            f" or list the panel in {given.dashboards / KNOWN_FILE} with a reason."
        )
    return 1 if counts["refused"] or counts["broken"] or stale else 0


def _value(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise argparse.ArgumentTypeError(f"{text} is not VARIABLE=VALUE")
    return name, value


def _failed(why: str) -> int:
    print(f"The panels could not be checked: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
