"""A project of one's own, and a copy that a test may spoil."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.contract.projects import begin


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("projects") / "My.shop"
    done = begin(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def broken(tmp_path, project) -> Path:
    """A copy that a test may spoil."""
    subprocess.run(["cp", "-r", project, tmp_path / "copy"], check=True)
    return tmp_path / "copy"
