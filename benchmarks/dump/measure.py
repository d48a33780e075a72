# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pipeline costs production: time, CPU, memory of all its processes at once, and bytes sent to a disk."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import subprocess
import tempfile
import threading
import time
import typing as t
from pathlib import Path

# So often the memory is looked at: a look costs about 2 ms.
INTERVAL = 0.1
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of the processes of one run, children included: seconds, seconds of CPU, MiB, bytes.

    ``peak_mb`` sums the proportional set sizes, so that what two processes share counts once; ``peak_rss_mb`` sums the
    resident ones, shared pages as often as they are mapped. ``server_cpu_s`` is the database server's, which is in none
    of the others. ``disk_bytes`` is what the kernel charges for pages made dirty in files on a disk: not in tmpfs.
    """

    wall_s: float
    cpu_s: float
    server_cpu_s: float
    peak_mb: float
    peak_rss_mb: float
    disk_bytes: int


def pipeline(commands: t.Sequence[t.Sequence[str]], postmaster: int) -> Cost:
    """Run *commands*, each one's output the next one's input, the last one's to /dev/null.

    RuntimeError with its last words where one fails: each exit status is looked at.
    """
    with tempfile.TemporaryFile() as said:
        server, used, disk = _server_cpu(postmaster), _children_cpu(), _disk_bytes()
        begun = time.monotonic()
        started = _start(commands, said)
        with _Sampler([process.pid for process in started]) as sampler:
            statuses = [process.wait() for process in started]
        wall = time.monotonic() - begun
        # The kernel adds what a child used to its parent's account when the parent waits for it.
        cost = Cost(
            wall_s=wall,
            cpu_s=_children_cpu() - used,
            server_cpu_s=_server_cpu(postmaster) - server,
            peak_mb=sampler.pss / 1024,
            peak_rss_mb=sampler.rss / 1024,
            disk_bytes=_disk_bytes() - disk,
        )
        if any(statuses):
            said.seek(0)
            words = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{[command[0] for command in commands]} failed with {statuses}: {words}")
    return cost


def _start(commands: t.Sequence[t.Sequence[str]], said: t.IO[bytes]) -> list[subprocess.Popen[bytes]]:
    started: list[subprocess.Popen[bytes]] = []
    given: t.Any = subprocess.DEVNULL
    for command in commands:
        last = command is commands[-1]
        process = subprocess.Popen(
            command,
            stdin=given,
            stdout=subprocess.DEVNULL if last else subprocess.PIPE,
            stderr=said,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        )
        if given is not subprocess.DEVNULL:
            # Ours alone would keep the pipe open when its reader is gone.
            given.close()
        given = process.stdout
        started.append(process)
    return started


class _Sampler:
    """Looks at the memory of processes and all below them until they have ended; KiB."""

    def __init__(self, pids: t.Sequence[int]) -> None:
        self._pids = pids
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.pss = 0
        self.rss = 0

    def __enter__(self) -> _Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_why: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            found = [_memory(pid) for pid in _tree(self._pids)]
            self.pss = max(self.pss, sum(pss for pss, _ in found))
            self.rss = max(self.rss, sum(rss for _, rss in found))
            if self._done.wait(INTERVAL):
                return


def _tree(pids: t.Sequence[int]) -> list[int]:
    found, todo = [], list(pids)
    while todo:
        pid = todo.pop()
        found.append(pid)
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            # It may have ended a moment ago.
            with contextlib.suppress(OSError):
                todo += map(int, path.read_text().split())
    return found


def _memory(pid: int) -> tuple[int, int]:
    """PSS and RSS, 0 where the process is gone or a zombie."""
    with contextlib.suppress(OSError):
        values = dict(
            line.split()[:2] for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
        )
        return int(values.get("Pss:", 0)), int(values.get("Rss:", 0))
    return 0, 0


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _disk_bytes() -> int:
    """By this process and by all it waited for."""
    values = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(values["write_bytes"])


def _server_cpu(postmaster: int) -> float:
    """Of the server's processes, ended ones included: a backend's is added to the postmaster's when it ends."""
    own = _ticks(postmaster)
    ended = own[0] + own[1] + own[2] + own[3]
    living = sum(sum(_ticks(pid)[:2]) for pid in _tree([postmaster])[1:])
    return (ended + living) / TICKS


def _ticks(pid: int) -> tuple[int, ...]:
    """utime, stime, cutime, cstime; zeros where the process is gone."""
    with contextlib.suppress(OSError):
        line = Path(f"/proc/{pid}/stat").read_text()
        return tuple(map(int, line[line.rindex(")") + 2 :].split()[11:15]))
    return (0, 0, 0, 0)
