"""A server with the inventory's own policy and tables, and what the tests of the panel check ask of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import typing as t
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards import checking, panels
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.variables import Context, Variable
from ansible_collections.taaraxtak.production.plugins.module_utils.dashboards.verdicts import Checked
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.pg_access_host import (
    DATABASE,
    POLICY_FILE,
    Host,
    default_policy,
)

READER = "grafanareader"
END = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
START = END - dt.timedelta(hours=6)
SCHEMA = POLICY_FILE.with_name("schema.sql").read_text(encoding="utf-8")
ROWS = """
INSERT INTO provider_marketshare
  SELECT 'p' || n, 'https://p' || n || '.example', 'DE', 'all', 'web-hosting', n / 1000.0,
  timestamptz '2026-11-22' - n * interval '1 hour' FROM generate_series(1, 500) n;
INSERT INTO ip_hostname_mapping SELECT 'h' || n, '192.0.2.1', now() FROM generate_series(1, 50) n;
ANALYZE;
"""


@contextlib.contextmanager
def policed_tables(folder: Path, bindir: Path | None = None) -> t.Iterator[Host]:
    """A server on which the inventory's schema and policy are applied, as on a host."""
    with ScratchCluster(bindir=bindir, settings={"autovacuum": "off"}) as cluster:
        host = Host(Server(cluster), default_policy(), folder)
        host.apply(missing_objects="skip")
        host.sql("SET ROLE taaraxtak_owner;" + SCHEMA)
        host.apply()
        host.sql(ROWS)
        yield host


def login(host: Host, user: str = READER) -> dict[str, t.Any]:
    """A module's login options, as *user*."""
    return {**host.server.login, "login_user": user}


def query(sql: str, panel: str = "A panel") -> panels.Query:
    return panels.Query("uid", "A dashboard", panel, 1, "A", sql, "table")


def check_all(host: Host, *texts: str, variables: dict[str, Variable] | None = None, **options: t.Any) -> list[Checked]:
    """What comes of *texts*, each the SQL of a panel."""
    context = Context(START, END, variables or {})
    return checking.check(login(host), DATABASE, [(query(text), context) for text in texts], **options)


def check(host: Host, sql: str, variables: dict[str, Variable] | None = None, **options: t.Any) -> Checked:
    """What comes of one panel."""
    (found,) = check_all(host, sql, variables=variables, **options)
    return found
