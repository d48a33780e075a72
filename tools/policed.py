# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away server that gets an inventory's access policy and tables by the same code as a host does."""

from __future__ import annotations

import contextlib
import tempfile
import typing as t
from pathlib import Path

import psycopg2
import yaml

from plugins.module_utils.access.enforce import Options, enforce
from plugins.module_utils.access.policy.model import Policy
from plugins.module_utils.access.policy.reader import parse
from plugins.module_utils.postgres.scratch import SUPERUSER, ScratchCluster

# Below an inventory.
FOLDER = Path("group_vars") / "production_hosts"


def read_policy(inventory: Path) -> Policy:
    """The access policy of *inventory*."""
    text = (inventory / FOLDER / "access_policy.yml").read_text(encoding="utf-8")
    return parse(yaml.safe_load(text)["access_policy"])


def the_database(policy: Policy) -> str:
    """The one database of *policy*; ValueError where there are several, of which none is the one with the tables."""
    if len(policy.databases) != 1:
        raise ValueError(f"the policy is about {len(policy.databases)} databases, and schema.sql about one")
    return policy.databases[0]


@contextlib.contextmanager
def policed(inventory: Path, policy: Policy) -> t.Iterator[dict[str, t.Any]]:
    """Login options, as a module's, of the superuser of a server with *policy* and the tables of *inventory*."""
    database = the_database(policy)
    with ScratchCluster(settings={"autovacuum": "off"}) as cluster, tempfile.TemporaryDirectory() as folder:
        params = {"login_unix_socket": str(cluster.socket), "login_port": cluster.port, "login_user": SUPERUSER}
        options = Options(check=False, lock_file=str(Path(folder) / "lock"), hba=False, skip_missing=True)
        enforce(params, policy, options)
        with contextlib.closing(connect(params, database)) as connection, connection, connection.cursor() as cursor:
            cursor.execute((inventory / FOLDER / "schema.sql").read_text(encoding="utf-8"))
        enforce(params, policy, options)
        yield params


def connect(params: t.Mapping[str, t.Any], database: str) -> t.Any:
    """A psycopg2 connection as *params* say; as a context manager it is a transaction."""
    return psycopg2.connect(
        host=params["login_unix_socket"], port=params["login_port"], user=params["login_user"], dbname=database
    )
