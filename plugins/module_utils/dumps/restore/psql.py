# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""psql, which the dump is fed to, and pg_dump, which reads the copy again: found, and started as who restores."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import subprocess
import typing as t
from pathlib import Path

from ..pipeline import ENVIRONMENT
from ..processes import Child, DumpError
from .session import APPLICATION, account_of, conninfo
from .target import UTC, Target

DEBIAN = Path("/usr/lib/postgresql")
# The first release of each major version whose psql knows \restrict: without it a dump's meta-commands would run.
FIRST_RESTRICT = {14: 19, 15: 14, 16: 10, 17: 6}
# What psql ends with, and what to do then.
_ADVICE = {
    r"permission denied|must be (superuser|owner|member|able)|superuser": (
        "what belongs to a superuser, or only one may make, restores in a sandbox alone"
    ),
    r"pg_hba\.conf|authentication failed": (
        "the server must let this role in by scram-sha-256, as the row in pg_hba.conf does that pg_access writes; or "
        "give a restore_user"
    ),
    r"max_locks_per_transaction": "a dump is restored in one transaction, which holds a lock on each table and index",
}
# Not waiting for the disk at each of the dump's statements: the swap's commit waits for all of them.
_OPTIONS = "-c synchronous_commit=off -c client_min_messages=warning -c idle_session_timeout=0 -c statement_timeout=0"


Started = t.TypeVar("Started", bound=Child)


@dataclasses.dataclass(frozen=True)
class Login:
    """Whom a program logs in as: the role *user*, by *os_user*'s peer ("": the one who runs this), or *password*."""

    user: str
    os_user: str = ""
    password: str = dataclasses.field(default="", repr=False)


def find_programs(bindir: str, major: int) -> Path:
    """The folder of psql and pg_dump of a server of the version *major*; DumpError where there is none.

    Where it is given, where Debian has it, or the first on PATH that is of the version: Debian's own in /usr/bin only
    guesses a cluster.
    """
    tried = [Path(bindir)] if bindir else [DEBIAN / str(major) / "bin", *map(Path, os.get_exec_path())]
    for folder in tried:
        if all(os.access(folder / name, os.X_OK) for name in ("psql", "pg_dump")):
            version = _version(folder / "pg_dump")
            if version[0] == major:
                _check_psql(folder / "psql")
                return folder
            if bindir:
                raise DumpError(
                    f"{folder / 'pg_dump'} is of PostgreSQL {version[0]}, and the server is PostgreSQL {major}: give "
                    "the folder of the server's own version"
                )
    where = f"in {bindir}" if bindir else "here"
    raise DumpError(f"there is no pg_dump of PostgreSQL {major} {where}: install postgresql-client-{major}")


def _check_psql(program: Path) -> None:
    version = _version(program)
    if version < (version[0], FIRST_RESTRICT.get(version[0], 0 if version[0] > max(FIRST_RESTRICT) else 1 << 16)):
        raise DumpError(
            f"{program} is {'.'.join(map(str, version))}, which does not know \\restrict: a dump could run commands "
            "here; install the newest minor version"
        )


def _version(program: Path) -> tuple[int, int]:
    child = Child(
        [str(program), "--version"],
        name=str(program),
        keep_stderr=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd="/",
        env=ENVIRONMENT,
    )
    try:
        said = child.heard(f"the version of {program} is not known").decode("utf-8", "replace")
    finally:
        child.end()
    found = re.search(r"\(PostgreSQL\) ([0-9]+)(?:\.([0-9]+))?", said)
    if found is None:
        raise DumpError(f"the version of {program} is not known: it says {said.strip()!r}")
    return int(found[1]), int(found[2] or 0)


class Psql(Child):
    """psql, whose complaint says what to do."""

    def complaint(self) -> str:
        """As `Child.complaint`."""
        problem = super().complaint()
        advice = [text for pattern, text in _ADVICE.items() if problem and re.search(pattern, problem)]
        return "; ".join([problem, *advice[:1]])


class Programs:
    """The programs of the server's version, and how they reach it."""

    def __init__(self, target: Target, address: str, major: int) -> None:
        self._target = target
        self._address = address
        self._folder = find_programs(target.bindir, major)

    def psql(self, database: str, login: Login) -> Psql:
        """psql, which runs what is written to its input and stops at the first error."""
        return self._start(
            Psql,
            "psql",
            # In one transaction a new table's rows are put behind each other: so the copy gives them back.
            ["--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"],
            database,
            login,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )

    def reader(self, database: str, login: Login, timezone: str) -> Psql:
        """psql, whose statements are written to its input and whose rows come from the output."""
        return self._start(
            Psql,
            "psql",
            ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"],
            database,
            login,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            timezone=timezone,
        )

    def pg_dump(self, database: str, login: Login, timezone: str, *options: str) -> Child:
        """pg_dump as production runs it, where times are written as in *timezone*; its text comes from the output."""
        return self._start(
            Child,
            "pg_dump",
            ["--format=plain", "--encoding=UTF8", *options],
            database,
            login,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timezone=timezone,
        )

    def _start(
        self,
        kind: type[Started],
        name: str,
        arguments: t.Sequence[str],
        database: str,
        login: Login,
        timezone: str = UTC,
        **options: t.Any,
    ) -> Started:
        where = conninfo(dbname=database, host=self._address, port=self._target.port, user=login.user)
        account = account_of(login.os_user)
        environment = {**ENVIRONMENT, "PGAPPNAME": APPLICATION, "PGTZ": timezone}
        environment["PGOPTIONS"] = f"{ENVIRONMENT['PGOPTIONS']} {_OPTIONS}"
        if account is not None:
            options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        with _password_file(login, None if account is None else account.pw_uid) as descriptor:
            # Without one it must not find that of the user who runs this.
            environment["PGPASSFILE"] = "/dev/null" if descriptor is None else f"/proc/self/fd/{descriptor}"
            return kind(
                [str(self._folder / name), *arguments, "--no-password", f"--dbname={where}"],
                name=name,
                keep_stderr=True,
                cwd="/",
                env=environment,
                pass_fds=() if descriptor is None else (descriptor,),
                **options,
            )


@contextlib.contextmanager
def _password_file(login: Login, owner: int | None) -> t.Iterator[int | None]:
    """The descriptor of a file in memory that libpq reads the password from: it is in no argument and on no disk."""
    if not login.password:
        yield None
        return
    descriptor = os.memfd_create("login")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, f"*:*:*:*:{_escaped(login.password)}\n".encode())
        if owner is not None:
            os.fchown(descriptor, owner, -1)
        yield descriptor
    finally:
        os.close(descriptor)


def _escaped(password: str) -> str:
    r"""As a password file wants it: \ and : have a \ before them."""
    if "\n" in password or "\0" in password:
        raise DumpError("the password holds a line break or NUL, which a password file can't: set another one")
    return password.replace("\\", "\\\\").replace(":", "\\:")
