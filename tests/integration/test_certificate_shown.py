"""After a reload it is looked at what the running server shows: it says nothing of what it could not read."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "stand_ins"))
import authority  # noqa: E402

SCRIPT = ROOT / "roles" / "certificates" / "files" / "ask_server.py"


def ask(port: int, path: Path) -> t.Any:
    command = [sys.executable, "-I", SCRIPT, "127.0.0.1", str(port), path]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def free() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_another_certificate_than_the_files_is_told(tmp_path, free):
    made, key = authority.Authority(), authority.new_key()
    mine, other = (tmp_path / name for name in ("mine.crt", "other.crt"))
    mine.write_text(made.issue(key, "database"))
    other.write_text(made.issue(authority.new_key(), "database"))
    assert ask(free, mine).returncode == 0  # nobody listens yet
    with ScratchCluster() as cluster:
        cluster.stop()
        cluster.port = free
        cluster.settings["listen_addresses"] = "127.0.0.1"
        cluster.start()
        assert ask(free, mine).returncode == 0  # it doesn't speak TLS yet
        cluster.stop()
        for name, text in (("server.crt", mine.read_text()), ("server.key", authority.pem(key))):
            path = cluster.data / name
            path.touch(0o600)
            path.write_text(text)
            if cluster.user is not None:
                shutil.chown(path, cluster.user)
        cluster.settings["ssl"] = "on"
        cluster.start()
        assert ask(free, mine).returncode == 0
        done = ask(free, other)
    assert done.returncode == 1
    assert "shows another certificate than" in done.stderr
