# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A throw-away PostgreSQL cluster in a folder of its own: reached by a unix socket only, run as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import types
import typing as t
from pathlib import Path

SUPERUSER = "postgres"
# Port numbers name the socket file only: nothing listens on TCP, and each cluster has a folder of its own.
PORT = 5432


def newest_bindir(root: Path = Path("/usr/lib/postgresql")) -> Path:
    """The folder with the newest server's programs below Debian's *root*; ValueError where no server is installed."""
    versions = [int(path.name) for path in root.glob("[0-9]*") if (path / "bin" / "initdb").exists()]
    if not versions:
        raise ValueError(f"no PostgreSQL server below {root}: install the package postgresql")
    return root / str(max(versions)) / "bin"


def ordinary_user() -> str | None:
    """Whom to run the server as: PostgreSQL refuses root; None means the one who calls."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise ValueError("root may not run PostgreSQL and there is no user postgres or nobody to run it as")


class ScratchCluster:
    """A cluster that lives as long as the ``with`` block.

    ``settings`` are given to the server on its command line, so they can't be altered by what runs in it.
    ``hba`` and ``ident`` are the lines of pg_hba.conf and pg_ident.conf; then every account of the host reaches the
    socket, and these lines say who may log in. Without them root and the server's own account alone reach the socket,
    and may log in as whom they like.
    """

    def __init__(
        self,
        *,
        bindir: Path | None = None,
        settings: t.Mapping[str, str] | None = None,
        hba: t.Sequence[str] = (),
        ident: t.Sequence[str] = (),
    ) -> None:
        self.hba = tuple(hba)
        self.ident = tuple(ident)
        self.bindir = bindir or newest_bindir()
        self.settings = {
            "listen_addresses": "",
            "fsync": "off",
            "full_page_writes": "off",
            "timezone": "UTC",
            **(settings or {}),
        }
        self.user = ordinary_user()
        self.folder = Path()
        self.port = PORT

    @property
    def socket(self) -> Path:
        """The folder of the unix socket: what libpq takes as ``host``."""
        return self.folder

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "data"

    def __enter__(self) -> ScratchCluster:
        # Short, since the path of a unix socket has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        try:
            if self.user is not None:
                shutil.chown(self.folder, self.user)
            fixed = [
                "--username",
                SUPERUSER,
                "--auth",
                "trust",
                "--encoding",
                "UTF8",
                "--locale",
                "C.UTF-8",
                "--no-sync",
            ]
            self._run("initdb", "--pgdata", str(self.data), *fixed)
            self._admit()
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop(mode="immediate")
        shutil.rmtree(self.folder)

    def _admit(self) -> None:
        """Write who may log in, before the first start."""
        if not self.hba:
            return
        for name, lines in (("pg_hba.conf", self.hba), ("pg_ident.conf", self.ident)):
            (self.data / name).write_text("".join(line + "\n" for line in lines))
        self.folder.chmod(0o711)  # its socket; PGDATA below it stays the server's own

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {**self.settings, "unix_socket_directories": str(self.folder), "port": str(self.port)}
        arguments = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = str(self.folder / "log")
        self._run("pg_ctl", "start", "--wait", "--pgdata", str(self.data), "--log", log, "--options", arguments)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; *mode* is pg_ctl's: smart, fast or immediate."""
        self._run("pg_ctl", "stop", "--wait", "--pgdata", str(self.data), "--mode", mode)

    def log(self) -> str:
        """What the server has logged since it was started."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _run(self, program: str, *arguments: str) -> None:
        # Tests and tools use this without Ansible: there is no module whose run_command could be called.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(
            [self.bindir / program, *arguments],
            user=self.user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            check=False,
        )
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip()
            raise ValueError(f"{program} failed with exit status {done.returncode}: {said}\n{self.log()}".strip())
