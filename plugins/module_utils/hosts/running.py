# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one program of the host and give back what it says: without a shell, our environment, or anybody to ask."""

from __future__ import annotations

import os
import subprocess
import typing as t

# What is asked answers in a few seconds; dpkg reads every file of every package, on a busy disk for minutes.
PATIENCE_S = 120
SEARCH_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def run(command: t.Sequence[str], *, statuses: t.Sequence[int] = (0,), warned: bool = True) -> str:
    """What *command* prints; ValueError where it can't be run, hangs, or ends with none of *statuses*.

    Without *warned*, what it says beside that counts as an error too, whatever the status.
    """
    done = attempt(command)
    if done.returncode not in statuses or (done.stderr.strip() and not warned):
        said = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[0]
        raise ValueError(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return os.fsdecode(done.stdout)


def attempt(
    command: t.Sequence[str], *, given: bytes = b"", together: bool = False, patience: float = PATIENCE_S
) -> subprocess.CompletedProcess[bytes]:
    """*command*, ended with any status; ValueError where it can't be run or takes longer than *patience* seconds.

    *given* is what it reads. With *together* what it says of errors comes in its output.
    """
    try:
        # run_command, which sanity would have here, knows no timeout
        return subprocess.run(  # pylint: disable=ansible-bad-function
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if together else subprocess.PIPE,
            env={"PATH": SEARCH_PATH, "LC_ALL": "C"},
            cwd="/",
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"{' '.join(command)} gave no answer within {patience:g} s") from None
    except OSError as error:
        raise ValueError(f"{' '.join(command)} can't be run: {error.strerror}") from error
