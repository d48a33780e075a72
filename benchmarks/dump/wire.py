# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real sshd on loopback that the benchmark starts itself: the way to the store."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
import types
from pathlib import Path

from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ordinary_user

from ..common import ROOT

# The package's, or, where that is not installed, its files unpacked by `make`: no service is started on this machine.
PLACES = (Path("/usr/sbin/sshd"), ROOT / "build" / "openssh-server" / "usr" / "sbin" / "sshd")
PATIENCE = 10.0
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
Compression no
LogLevel ERROR
Subsystem sftp internal-sftp
"""


class Sshd:
    """Lives as long as the ``with`` block; `allow` gives each key its forced command."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # An sshd of root's would need an account of its own and /run/sshd; this one lets its own user in.
        self.user = ordinary_user()
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Sshd:
        program = next((place for place in PLACES if place.exists()), None)
        if program is None:
            raise ValueError("sshd is missing: run `make bench-dump`, which fetches it")
        public = make_key(self._folder / "host_key")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        config = self._folder / "sshd_config"
        config.write_text(CONFIG.format(port=self._port, folder=self._folder) + _parts(program))
        (self._folder / "authorized_keys").touch()
        self._folder.chmod(0o755)
        self.own(self._folder / "host_key")
        (self._folder / "known_hosts").write_text(f"[127.0.0.1]:{self._port} {public}\n")
        arguments = [program, "-D", "-e", "-f", config]
        self._process = subprocess.Popen(
            arguments, user=self.user, cwd="/", stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def allow(self, name: str, options: str) -> list[str]:
        """A new key with *options* in authorized_keys; the command that goes the way to the store with it."""
        public = make_key(self._folder / name)
        with (self._folder / "authorized_keys").open("a") as keys:
            keys.write(f"{options} {public}\n")
        settings = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self._folder / "known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
            "UpdateHostKeys": "no",
            "Compression": "no",
            "ServerAliveInterval": "15",
        }
        given = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
        to = ["-p", str(self._port), "-i", str(self._folder / name), f"{self.user or getpass.getuser()}@127.0.0.1"]
        return ["/usr/bin/ssh", "-F", "none", "-T", *given, *to]

    def own(self, path: Path) -> None:
        """Give *path* to the user whom the store's commands run as."""
        if self.user is not None:
            shutil.chown(path, self.user)

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        raise ValueError(f"sshd did not listen on port {self._port} within {PATIENCE:g} s")


def make_key(path: Path) -> str:
    """A key pair of ssh's; its public half without the comment."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", path], check=True)
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def _parts(program: Path) -> str:
    """Since OpenSSH 9.8 sshd is several programs, which it looks for where its package puts them."""
    if program == PLACES[0]:
        return ""
    folder = program.parents[1] / "lib" / "openssh"
    names = {"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"}
    return "".join(f"{key} {folder / name}\n" for key, name in names.items() if (folder / name).exists())
