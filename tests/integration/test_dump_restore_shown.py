"""dump_restore in a play: how far it is can be seen while it goes on, on a terminal and in a log."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.processes import DumpError
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.restore import told
from ansible_collections.taaraxtak.production.tests.integration.conftest import COLLECTIONS, Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_restored import DATABASE, Shop

PATIENCE = 60.0
# The rows of a table can be loaded while nobody holds this lock, in whatever database.
STOP = 20261123
SLOW = f"""
CREATE FUNCTION waits() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  WHILE EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND objid = {STOP}) LOOP
    PERFORM pg_catalog.pg_sleep(0.05);
  END LOOP;
  RETURN true;
END $$;
CREATE TABLE slow (a int CHECK (waits()), b text);
ALTER FUNCTION waits() OWNER TO shop_owner;
ALTER TABLE slow OWNER TO shop_owner;
INSERT INTO slow SELECT i, repeat(md5(i::text), 100) FROM generate_series(1, 1000) i;
"""  # noqa: S608
# What is shown: of how many bytes how many, the rate, and the time that is left.
SHOWN = re.compile(
    r"restoring: (\S+, )?\d+ rows, \d+\.\d MB of about \d+\.\d MB \(\d+ %\), \d+\.\d MB/s"
    r"(, about (\d+ min )?\d+ s left)?"
)


@pytest.fixture
def slow(tmp_path: Path, fresh_server: Server) -> tuple[Shop, str]:
    """The shop, and a dump of it that can be restored no further than somebody lets it."""
    shop = Shop(tmp_path, fresh_server)
    shop.server.run(SLOW, database=DATABASE)
    return shop, shop.dump()


def source(shop: Shop, name: str, kind: str) -> dict[str, t.Any]:
    """The options that name the dump: a file, or a store that a reading key opens."""
    if kind == "file":
        path = shop.folder / "own.sql"
        path.write_bytes(shop.text(name))
        return {"file": str(path), "unproved": True, "database": DATABASE}
    ssh = shop.folder / "ssh"
    ssh.write_text(
        f"#!{sys.executable} -I\nimport os, sys\nos.environ['SSH_ORIGINAL_COMMAND'] = ' '.join(sys.argv[1:])\n"
        f"os.execv({str(shop.folder / 'store')!r}, ['store', 'read'])\n"
    )
    ssh.chmod(0o755)
    return {"command": [str(ssh)], "signers": str(shop.hosts.signers), "database": DATABASE}


def start(shop: Shop, options: dict[str, t.Any], output: int) -> subprocess.Popen[bytes]:
    """ansible-playbook that restores, on this host."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [
            {
                "name": "Restore",
                "taaraxtak.production.dump_restore": {
                    **shop.server.login,
                    "bindir": str(shop.server.cluster.bindir),
                    "progress": str(shop.folder / "progress"),
                    **options,
                },
            }
        ],
    }
    (shop.folder / "play.yml").write_text(json.dumps([play]))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")},
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_LOCAL_TEMP": str(shop.folder / "local"),
        "ANSIBLE_REMOTE_TEMP": str(shop.folder / "remote"),
        "ANSIBLE_LOG_PATH": str(shop.folder / "log"),
        "PYTHONUNBUFFERED": "1",
    }
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", shop.folder / "play.yml"]
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=shop.folder
    )


def read_until(descriptor: int, wanted: t.Callable[[str], bool]) -> str:
    """What comes, until it is as *wanted* or it ends."""
    said, end = "", time.monotonic() + PATIENCE
    while not wanted(said) and time.monotonic() < end:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            piece = os.read(descriptor, 1 << 16)
        except OSError:  # the other end of a terminal is closed
            break
        if not piece:
            break
        said += piece.decode("utf-8", "replace")
    return said


def watched(shop: Shop, options: dict[str, t.Any], ends: tuple[int, int]) -> str:
    """All that such a play shows; it is let go once it has shown how far it is, and must end well."""
    ours, theirs = ends
    holding = shop.server.connect()
    try:
        holding.cursor().execute("SELECT pg_advisory_lock(%s)", (STOP,))
        with start(shop, options, theirs) as running:
            os.close(theirs)
            try:
                said = read_until(ours, lambda text: SHOWN.search(text) is not None)
                holding.close()
                said += read_until(ours, lambda _text: False)
                assert running.wait(PATIENCE) == 0, said
            finally:
                running.kill()
    finally:
        holding.close()
        os.close(ours)
    assert shop.rows("slow") == 1000
    assert not (shop.folder / "progress").exists()
    return said


@pytest.mark.parametrize("kind", ["file", "store"])
def test_a_terminal_shows_one_line_that_is_gone_afterwards(slow: tuple[Shop, str], kind: str) -> None:
    shop, name = slow
    said = watched(shop, source(shop, name, kind), pty.openpty())
    drawn = SHOWN.search(said)
    assert drawn, said
    assert said[: drawn.start()].endswith("\r"), said
    # On one line, which is cleared before the next word.
    after = min(said.index(word) for word in ("[WARNING]", "changed: [localhost]") if word in said)
    assert "\n" not in said[drawn.start() : after], said
    assert "\r\x1b[K" in said[drawn.end() :]
    assert SHOWN.search((shop.folder / "log").read_text()) is None


def test_a_log_gets_lines(slow: tuple[Shop, str]) -> None:
    shop, name = slow
    said = watched(shop, source(shop, name, "store"), os.pipe())
    assert SHOWN.search(said), said
    assert "\r" not in said
    assert "\x1b" not in said
    line = next(line for line in said.splitlines() if SHOWN.search(line))
    assert line.startswith("localhost: restoring: ")


def test_without_the_option_nothing_is_told(slow: tuple[Shop, str]) -> None:
    shop, name = slow
    done = shop.restore(name=name)
    assert not done.failed, done.msg
    assert not (shop.folder / "progress").exists()


def test_a_file_that_can_not_be_made_is_said_before_anything_is_made(slow: tuple[Shop, str]) -> None:
    shop, name = slow
    done = shop.restore(name=name, progress=str(shop.folder / "nowhere" / "progress"))
    assert done.failed
    assert "nowhere/progress can't be made" in done.msg
    assert done.msg.endswith("is as it was")


def test_what_lies_in_the_files_place_is_not_written_through(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "progress"
    other.write_text("kept")
    path.symlink_to(other)
    with told.Told(str(path)) as telling:
        telling.show("restoring", {"rows": 1, "bytes": 10, "estimate": 20})
        telling.show("x", {})
        assert told.read(path.read_bytes()) == ("x", {"what": "x"})
        assert path.stat().st_mode & 0o777 == 0o600
    assert other.read_text() == "kept"
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"1", b'{"what": 1}', b'{"rows": 1}', b"[" * 100_000, b"\xff"])
def test_what_can_not_be_read_is_nothing(content: bytes) -> None:
    assert told.read(content) is None


def test_a_disk_that_takes_nothing_stops_no_restore() -> None:
    telling = told.Told("/dev/full")
    telling._descriptor = os.open("/dev/full", os.O_WRONLY)
    telling.show("restoring", {})
    os.close(telling._descriptor)
    with pytest.raises(DumpError, match="can't be made"), told.Told("/proc/progress"):
        pass
