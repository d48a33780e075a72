# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask sshd what it makes of its files and have it read them; ask the system who came how."""

from __future__ import annotations

import concurrent.futures
import grp
import os
import pwd
import typing as t
from pathlib import Path

from ..hosts.running import attempt
from .effective import Person, Session, read

SSHD = "/usr/sbin/sshd"
RELOAD = ("/usr/bin/systemctl", "reload", "ssh.service")
# For a unit that sshd starts after: it does not wait, and where sshd does not run yet there is nothing to do.
RELOAD_AFTER = ("/usr/bin/systemctl", "--no-block", "try-reload-or-restart", "ssh.service")


def effective(name: str, session: Session | None) -> dict[str, list[str]]:
    """What sshd would do for *name*; ValueError where its files are no good."""
    came = f"host={session.client},addr={session.client},laddr={session.server},lport={session.port}" if session else ""
    return read(_run([SSHD, "-T", "-C", f"user={name},{came or 'host=any,addr=192.0.2.1'}"], "sshd refuses its files"))


def effective_of_all(names: t.Iterable[str], session: Session | None) -> dict[str, dict[str, list[str]]]:
    """What sshd would do for each of *names*, several asked at a time."""
    wanted = list(dict.fromkeys(names))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        return dict(zip(wanted, pool.map(lambda name: effective(name, session), wanted), strict=True))


def reload() -> None:
    """Have the running sshd read its files; who is logged in stays so."""
    _run(RELOAD, "sshd could not be told to read its files")


def _run(command: t.Sequence[str], otherwise: str) -> str:
    done = attempt(command)
    if done.returncode != 0:
        raise ValueError(f"{otherwise}: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "replace")


def person(name: str) -> Person | None:
    """The account *name*; None where there is none."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    numbers = os.getgrouplist(name, account.pw_gid)
    return Person(name, tuple(group.gr_name for group in grp.getgrall() if group.gr_gid in numbers))


def session() -> Session | None:
    """The ssh connection by which we have come, None where there is none.

    sudo takes SSH_CONNECTION out of the environment: that of the processes above still has it.
    """
    process = os.getpid()
    while process > 1:
        try:
            words = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            status = Path(f"/proc/{process}/stat").read_bytes()
        except OSError:
            return None
        for word in words:
            if word.startswith(b"SSH_CONNECTION="):
                return _session_of(word.partition(b"=")[2].decode("ascii", "replace"))
        # the parent's number is the second word behind the name, which stands in brackets and may hold anything
        process = int(status.rpartition(b")")[2].split()[1])
    return None


def _session_of(value: str) -> Session | None:
    words = value.split()
    return Session(words[0], words[2], int(words[3])) if len(words) == 4 and words[3].isdigit() else None
