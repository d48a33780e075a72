"""Some of the faults of `make faults`: nothing bad is published, the reason is said, nothing is left behind."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / ".ansible" / "collections")]

from faults.hosts import Estate  # noqa: E402 (the repository's own path must be known first)
from faults.running import measure  # noqa: E402
from faults.table import QUICK  # noqa: E402


@pytest.fixture(scope="module")
def estate():
    """The hosts, with a dump that is long enough to be struck in the middle and has arrived once."""
    hosts = Estate(f"taaraxtak-{os.environ.get('MOLECULE_SCENARIO_NAME', 'up')}")
    with hosts.prepared():
        yield hosts


@pytest.mark.parametrize("fault", QUICK, ids=[fault.name for fault in QUICK])
def test_a_fault_is_held(estate, fault):
    row = measure(estate, fault)
    assert row.held, row.seen
