"""How pg_dump's text is taken from its pipe: all of it, and not at each of its small writes."""

from __future__ import annotations

import subprocess
import sys

from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.pipeline import flowing
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import Child

# As pg_dump does, which has something to do for each.
WRITES, SIZE = 4000, 4096
WRITER = f"import os\nfor number in range({WRITES}): sum(range(2000)); os.write(1, bytes([number % 251]) * {SIZE})"


def test_small_writes_are_taken_many_at_a_time_and_whole() -> None:
    child = Child(
        [sys.executable, "-I", "-c", WRITER],
        name="writer",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    try:
        pieces = list(flowing(child.output))
        assert child.wait(60) == 0
    finally:
        child.end()
    assert b"".join(pieces) == b"".join(bytes([number % 251]) * SIZE for number in range(WRITES))
    assert len(pieces) < WRITES / 4
