# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one program of the host, which only reads, and give back what it says."""

from __future__ import annotations

import os
import subprocess
import typing as t

# What is asked answers in a few seconds; dpkg reads every file of every package, on a busy disk for minutes.
PATIENCE_S = 120


def run(command: t.Sequence[str], *, statuses: t.Sequence[int] = (0,), warned: bool = True) -> str:
    """What *command* prints; ValueError where it can't be run, hangs, or ends with none of *statuses*.

    Without *warned*, what it says beside that counts as an error too, whatever the status.
    """
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            command, stdin=subprocess.DEVNULL, capture_output=True, cwd="/", timeout=PATIENCE_S, check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(f"{' '.join(command)} can't be run: {error}") from error
    if done.returncode not in statuses or (done.stderr.strip() and not warned):
        said = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[0]
        raise ValueError(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return os.fsdecode(done.stdout)
