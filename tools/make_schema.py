# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make schema.sql from an app: run its create_tables.py in a throw-away cluster and write down what came of it.

The app's code runs in a copy of its folder, as an ordinary role that may log in to its own database alone. Where root
runs this, the code runs as the user nobody and the server as another, so it reaches neither the server's files nor its
superuser. Where an ordinary user runs this, both are that user: nothing is out of the code's reach that is the user's.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg2
from psycopg2.sql import SQL, Identifier

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from plugins.module_utils.files.whole import replace  # noqa: E402 - the path is set above
from plugins.module_utils.postgres import schema, schema_server  # noqa: E402 - the path is set above
from plugins.module_utils.postgres.scratch import SUPERUSER, ScratchCluster, ordinary_user  # noqa: E402

OUTPUT = "inventory/production/group_vars/production_hosts/schema.sql"
SCHEMA = "public"
ROLE = "app"
DATABASE = "app"
# The account that owns nothing, for the app's code when root runs this.
NOBODY = "nobody"
# The app only creates tables: an app that hangs is stopped after five minutes.
PATIENCE = 300

CONFIG = """\
# Written by make_schema.py: the keys that create_tables.py may read.
config = {{
    "postgres": {{"user": {user!r}, "password": "", "host": {host!r}, "port": {port!r}, "database": {database!r}}},
    "tld_cache_dir": {folder!r},
    "logging": {{"level": 20, "file": False}},
    "log_file": None,
}}
"""

# Runs in the app's own interpreter. When root started it, it becomes the ordinary user before any code of the app is
# read. The interpreter's own folders may lie where that user can't go (below /root), so they are opened beforehand and
# reached through the open descriptors.
LAUNCHER = """
import os, runpy, sys
folder, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if uid >= 0:
    opened = {path: "/proc/self/fd/%d" % os.open(path, os.O_PATH | os.O_DIRECTORY)
              for path in sys.path if path and os.path.isdir(path)}
    def reach(path):
        for start in sorted(opened, key=len, reverse=True):
            if path == start or path.startswith(start + os.sep):
                return opened[start] + path[len(start):]
        return path
    sys.path[:] = [reach(path) for path in sys.path]
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        if isinstance(getattr(module, "__path__", None), list):
            module.__path__[:] = [reach(path) for path in module.__path__]
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
os.chdir(folder)
sys.path.insert(0, folder)
sys.argv = ["create_tables.py"]
runpy.run_path("create_tables.py", run_name="__main__")
"""


def accounts() -> tuple[str, pwd.struct_passwd | None]:
    """Who calls, and whom the app's code runs as (None: the caller). ValueError where root has nobody for it."""
    try:
        caller = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() != 0:
            return caller, None
        account = pwd.getpwnam(NOBODY)
    except KeyError as error:
        raise ValueError(f"an account is missing on this machine: {error.args[0]}") from error
    if ordinary_user() == NOBODY:
        raise ValueError("there is no user postgres to run the server, apart from nobody, who runs the app's code")
    return caller, account


def throw_away(caller: str, account: pwd.struct_passwd | None) -> ScratchCluster:
    """A cluster that lets the app in to its own database as its own role, and the caller everywhere."""
    return ScratchCluster(
        hba=[f"local {DATABASE} {ROLE} peer map=app", f"local all {SUPERUSER} peer map=caller"],
        ident=[f'app "{account.pw_name if account else caller}" {ROLE}', f'caller "{caller}" {SUPERUSER}'],
    )


def run_app(app: Path, python: str, cluster: ScratchCluster, folder: Path, account: pwd.struct_passwd | None) -> None:
    """Run create_tables.py of the app's copy in *folder* as *account*. ValueError with what it said where it fails."""
    copy = folder / "app"
    shutil.copytree(app, copy, ignore=shutil.ignore_patterns("config.py", "__pycache__", ".git", ".venv"))
    config = CONFIG.format(
        user=ROLE, host=str(cluster.socket), port=str(cluster.port), database=DATABASE, folder=str(folder)
    )
    (copy / "config.py").write_text(config)
    uid = gid = -1
    if account is not None:
        uid, gid = account.pw_uid, account.pw_gid
        for path in (folder, *folder.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)
    try:
        done = subprocess.run(
            [python, "-E", "-s", "-B", "-c", LAUNCHER, str(copy), str(uid), str(gid)],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(folder), "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"create_tables.py did not end within {PATIENCE} s") from error
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip()
        raise ValueError(f"create_tables.py failed with exit status {done.returncode}:\n{said}")


def interpreter(name: str) -> str:
    """The full path of an interpreter, not resolved: a virtual environment is known by its link's place."""
    found = shutil.which(name)
    if found is None:
        raise ValueError(f"there is no interpreter {name}")
    return str(Path(found).absolute())


def dump(cluster: ScratchCluster) -> str:
    """What pg_dump says of the database's definitions."""
    arguments = ["--schema-only", "--no-owner", "--no-privileges", "--host", str(cluster.socket)]
    done = subprocess.run(
        [cluster.bindir / "pg_dump", *arguments, "--port", str(cluster.port), "--username", SUPERUSER, DATABASE],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ValueError(f"pg_dump failed with exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def connect(cluster: ScratchCluster, database: str) -> psycopg2.extensions.connection:
    """A superuser's connection to the throw-away cluster."""
    return psycopg2.connect(host=str(cluster.socket), port=cluster.port, user=SUPERUSER, dbname=database)


def prepare(cluster: ScratchCluster) -> None:
    """An ordinary role with a database of its own, as an app expects one."""
    connection = connect(cluster, "postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(ROLE)))
        cursor.execute(SQL("CREATE DATABASE {} OWNER {}").format(Identifier(DATABASE), Identifier(ROLE)))
    connection.close()


def read(cluster: ScratchCluster) -> tuple[schema.Relation, ...]:
    """What the app made. ValueError where that is nothing, or lies outside the one schema that the file describes."""
    connection = connect(cluster, DATABASE)
    try:
        relations = schema_server.read_only(connection, SCHEMA)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%%' AND nspname <> ALL (%s) ORDER BY 1",
                ([SCHEMA, "information_schema"],),
            )
            others = [str(row[0]) for row in cursor.fetchall()]
    finally:
        connection.close()
    if others:
        raise ValueError(f"create_tables.py made the schema {', '.join(others)}: only {SCHEMA} is supported")
    if not relations:
        raise ValueError("create_tables.py made nothing")
    return relations


def make(app: Path, python: str) -> str:
    """The text of schema.sql. ValueError with a sentence for the user where it can't be made."""
    if not (app / "create_tables.py").is_file():
        raise ValueError(f"there is no create_tables.py in {app}")
    caller, account = accounts()
    with throw_away(caller, account) as cluster, tempfile.TemporaryDirectory(prefix="app-") as folder:
        prepare(cluster)
        run_app(app, interpreter(python), cluster, Path(folder), account)
        text = schema.render(dump(cluster), read(cluster), schema=SCHEMA)
    schema.parse(text)  # what it writes, the module must be able to read
    return text


def main(arguments: list[str] | None = None) -> int:
    """Write the file, or say in one sentence why not."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--app", type=Path, default=ROOT / "sample" / "collector", help="folder with create_tables.py")
    parser.add_argument("--python", default=sys.executable, help="the app's own interpreter")
    parser.add_argument("--output", type=Path, default=ROOT / OUTPUT)
    given = parser.parse_args(arguments)
    try:
        text = make(given.app, given.python)
        replace(given.output, text.encode())
    except ValueError as error:
        print(f"make_schema: {error}", file=sys.stderr)
        return 1
    print(f"{given.output}: {text.count(schema.RELATION)} relations")
    return 0


if __name__ == "__main__":
    sys.exit(main())
