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


class _Loader(yaml.SafeLoader):
    """With the two tags of Ansible's that an inventory has; what is vaulted is a text that nobody reads here."""


for _tag in ("!vault", "!unsafe"):
    _Loader.add_constructor(_tag, yaml.SafeLoader.construct_yaml_str)


def read_policy(inventory: Path) -> Policy:
    """The access policy of *inventory*; ValueError where its file doesn't hold one."""
    path = inventory / FOLDER / "access_policy.yml"
    held = read_yaml(path)
    if not isinstance(held, dict) or "access_policy" not in held:
        raise ValueError(f"{path} has to hold access_policy")
    return parse(held["access_policy"])


def read_yaml(path: Path) -> t.Any:
    """What the file holds; ValueError where it is no YAML."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a safe loader's child
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {error}") from error


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
        schema = inventory / FOLDER / "schema.sql"
        try:
            with changing(params, database) as cursor:
                cursor.execute(schema.read_text(encoding="utf-8"))
        except psycopg2.Error as error:
            raise ValueError(f"{schema} can't be carried out: {str(error).strip()}") from error
        enforce(params, policy, options)
        yield params


@contextlib.contextmanager
def changing(params: t.Mapping[str, t.Any], database: str) -> t.Iterator[t.Any]:
    """A cursor in a transaction that is committed in the end."""
    connection = connect(params, database)
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def connect(params: t.Mapping[str, t.Any], database: str) -> t.Any:
    """A psycopg2 connection as *params* say; as a context manager it is a transaction."""
    return psycopg2.connect(
        host=params["login_unix_socket"], port=params["login_port"], user=params["login_user"], dbname=database
    )
