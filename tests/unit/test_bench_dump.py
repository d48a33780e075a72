# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make bench-dump` measures of processes and says of the targets is true."""

from __future__ import annotations

import os
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.benchmarks.dump import measure, results
from ansible_collections.taaraxtak.production.benchmarks.dump.ways import AGE, LIMIT, OURS, SEED


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_memory_and_cpu_are_those_of_all_processes_and_their_children() -> None:
    # Written to, page by page, in a child of the second process, and kept for a while.
    grandchild = "import time; held = bytearray(b'x') * (64 << 20); time.sleep(1.0)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}], check=True)"
    busy = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    cost = measure.pipeline([python(busy), python(parent)], os.getpid())
    assert 64 < cost.peak_mb <= cost.peak_rss_mb < 200
    assert 0.5 < cost.cpu_s < 5
    assert cost.wall_s >= 1.0


def test_what_is_written_to_a_disk_is_counted_and_what_stays_in_memory_is_not() -> None:
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
        writing = f"open({folder + '/file'!r}, 'wb').write(bytes(1 << 20))"
        assert measure.pipeline([python(writing)], os.getpid()).disk_bytes >= 1 << 20
    if Path("/dev/shm").is_dir():
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            writing = f"open({folder + '/file'!r}, 'wb').write(bytes(1 << 20))"
            assert measure.pipeline([python(writing)], os.getpid()).disk_bytes < 1 << 20


def test_a_pipeline_is_connected_and_each_exit_status_is_looked_at() -> None:
    check = "import sys; sys.exit(sys.stdin.read() != 'text')"
    measure.pipeline([python("print('text', end='')"), python(check)], os.getpid())
    with pytest.raises(RuntimeError, match="went wrong"):
        measure.pipeline([python("import sys; sys.exit('it went wrong')"), ["cat"]], os.getpid())


def row(name: str, size: str = "1 GB", **more: t.Any) -> results.Row:
    figures = {"wall_s": [10.0, 11.0, 30.0], "output_bytes": [100] * 3, "peak_mb": [90.0] * 3, "disk_bytes": [0] * 3}
    return {"name": name, "size": size, **figures, **more}


def judged(*rows: results.Row) -> dict[str, tuple[t.Any, bool | None]]:
    return {target.name.removeprefix(f"{OURS}: "): (target.value, target.met) for target in results.judge(rows)}


def test_the_targets_are_judged_by_medians_at_the_large_size_and_by_the_worst_of_memory_and_disk() -> None:
    small = row(OURS, "0.1 GB", wall_s=[1.0], peak_mb=[129.0], disk_bytes=[0, 4096])
    found = judged(
        small,
        row(LIMIT, wall_s=[8.0, 8.0, 1.0]),
        row(SEED, wall_s=[55.0, 54.0, 56.0], output_bytes=[110] * 3),
        row(OURS),
    )
    assert found["time against the limit"] == (1.375, True)
    assert found["faster than the seed"] == (5.0, True)
    assert found["smaller than the seed's output"] == (9.1, False)
    assert found["memory, any size"] == (129.0, False)
    assert found["bytes to production's disk, any size"] == (4096, False)


def test_growth_is_judged_between_the_sizes() -> None:
    found = judged(row(OURS, "0.1 GB", wall_s=[1.0] * 3, peak_mb=[80.0] * 3), row(OURS))
    assert found["time, 1 GB to 0.1 GB"] == (11.0, False)
    assert found["memory, 1 GB to 0.1 GB"] == (1.12, True)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    found = judged({"name": OURS, "size": "1 GB", "why_not": "it failed", "peak_mb": [1.0]}, row(LIMIT))
    assert {met for _value, met in found.values()} == {None}
    assert f"{AGE}: memory, any size" in found
