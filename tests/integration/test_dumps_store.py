"""The store alone: what it takes in under which name, what the sending key may ask, what it lists."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.store import PARTIAL_AGE, Folder, sweep
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts

DATABASE = "taaraxtak"


@pytest.fixture
def hosts(tmp_path: Path, server: Server, database: str) -> Hosts:
    return Hosts(tmp_path, server, database)


def test_what_a_killed_store_leaves_is_swept_a_day_later(hosts: Hosts) -> None:
    old = hosts.incoming / f"{DATABASE}_2026-01-01-00.00.00.sql.zst.partial"
    young = hosts.incoming / f"{DATABASE}_2026-01-02-00.00.00.sql.zst.partial"
    stuck = hosts.incoming / f"{DATABASE}_2026-01-03-00.00.00.sql.zst"
    for path in (old, young, stuck):
        path.write_bytes(b"x")
    # A run that died between the two links.
    os.link(stuck, f"{stuck}.partial")
    yesterday = time.time() - 24 * 3600 - 60
    for path in (old, stuck):
        os.utime(path, (yesterday, yesterday))

    assert hosts.send().returncode == 0

    assert not old.exists()
    assert not stuck.exists()
    assert young.exists()


# The link, the removal or the bringing to the disk with a number, and what happens right after or instead.
STRIKE = """
import os, signal
calls, real = [], store.Folder.{method}
def strike(self, *names):
    calls.append(names)
    if {failing} and len(calls) == {number}:
        raise OSError(5, "Input/output error")
    real(self, *names)
    if len(calls) == {number}:
        os.kill(os.getpid(), signal.{signal})
store.Folder.{method} = strike
"""


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT", "SIGHUP"])
@pytest.mark.parametrize(("method", "call"), [("link", 1), ("sync", 1), ("link", 2), ("unlink", 1), ("sync", 3)])
def test_a_signal_does_not_tear_a_commit(hosts: Hosts, method: str, call: int, number: str) -> None:
    hosts.sabotage_store(STRIKE.format(method=method, failing=False, number=call, signal=number))
    done = hosts.send()
    assert done.returncode == 0, done.stderr
    hosts.dump()


def test_a_signal_before_the_commit_leaves_nothing(hosts: Hosts) -> None:
    hosts.sabotage_store(STRIKE.format(method="stat", failing=False, number=1, signal="SIGTERM"))
    done = hosts.send()
    assert done.returncode == 1
    assert "interrupted by SIGTERM" in done.stderr
    assert hosts.files() == []


@pytest.mark.parametrize(("method", "call"), [("link", 1), ("sync", 1), ("link", 2), ("sync", 2)])
def test_a_commit_that_the_disk_fails_leaves_nothing(hosts: Hosts, method: str, call: int) -> None:
    hosts.sabotage_store(STRIKE.format(method=method, failing=True, number=call, signal="SIGTERM"))
    done = hosts.send()
    assert done.returncode == 1
    assert "the dump could not be written" in done.stderr
    assert hosts.files() == []


@pytest.mark.parametrize(("method", "call"), [("unlink", 1), ("unlink", 2), ("sync", 3)])
def test_a_fault_after_the_commit_does_not_deny_it(hosts: Hosts, method: str, call: int) -> None:
    hosts.sabotage_store(STRIKE.format(method=method, failing=True, number=call, signal="SIGTERM"))
    done = hosts.send()
    assert done.returncode == 0, done.stderr
    assert json.loads(hosts.store("list", "--json").stdout)[0]["database"] == hosts.database


@pytest.mark.parametrize("call", [1, 2])
def test_a_name_taken_at_the_last_moment_is_left_alone(hosts: Hosts, call: int) -> None:
    hosts.sabotage_store(f"""
calls, real = [], store.Folder.link
def late(self, name, new):
    calls.append(new)
    if len(calls) == {call}:
        open({str(hosts.incoming)!r} + "/" + new, "w").close()
    real(self, name, new)
store.Folder.link = late
""")
    done = hosts.send()
    assert done.returncode == 1
    assert "is here already" in done.stderr
    assert [(hosts.incoming / name).stat().st_size for name in hosts.files()] == [0]


def test_data_without_a_manifest_is_swept_a_day_later(hosts: Hosts) -> None:
    assert hosts.send().returncode == 0
    whole = hosts.files()
    alone = hosts.incoming / f"{DATABASE}_2026-01-03-00.00.00.sql.zst"
    alone.write_bytes(b"x")
    # Its own age counts, not that of what was copied there with the times kept.
    os.utime(alone, (0, 0))
    other = hosts.incoming / "notes.txt"
    other.write_bytes(b"x")
    folder = Folder(str(hosts.incoming))

    sweep(folder, time.time() + PARTIAL_AGE - 60)
    assert alone.exists()

    sweep(folder, time.time() + PARTIAL_AGE + 60)
    assert not alone.exists()
    assert hosts.files() == sorted([*whole, other.name])


@pytest.mark.parametrize("taken", ["", ".manifest.json", ".partial"])
def test_a_name_is_never_used_again(hosts: Hosts, taken: str) -> None:
    name = f"{DATABASE}_2026-01-01-00.00.00.sql.zst"
    (hosts.incoming / f"{name}{taken}").write_bytes(b"first")
    header = {"protocol": 1, "name": name, "database": DATABASE, "started": "2026-01-01T00:00:00Z"}
    done = offer(hosts, header, b"data", {"ok": False, "reason": "never read", "statuses": {}})
    assert done["ok"] is False
    assert "already" in done["reason"]
    assert [(path.name, path.read_bytes()) for path in hosts.incoming.iterdir()] == [(f"{name}{taken}", b"first")]


@pytest.mark.parametrize(
    "name",
    [
        "../escape_2026-01-01-00.00.00.sql.zst",
        "/tmp/x_2026-01-01-00.00.00.sql.zst",
        "",
        ".",
        "x.sql.zst",
        "a\nb",
        "a\0b",
    ],
)
def test_a_hostile_name_is_refused(hosts: Hosts, name: str) -> None:
    header = {"protocol": 1, "name": name, "database": DATABASE, "started": "2026-01-01T00:00:00Z"}
    done = offer(hosts, header, b"data", {})
    assert done["ok"] is False
    assert "is not the name of a dump" in done["reason"]
    assert hosts.files() == []


def test_a_link_planted_in_the_store_is_not_followed(hosts: Hosts, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"safe")
    name = f"{DATABASE}_2026-01-01-00.00.00.sql.zst"
    (hosts.incoming / f"{name}.partial").symlink_to(victim)
    header = {"protocol": 1, "name": name, "database": DATABASE, "started": "2026-01-01T00:00:00Z"}
    assert offer(hosts, header, b"data", {})["ok"] is False
    assert victim.read_bytes() == b"safe"


def test_another_protocol_is_refused(hosts: Hosts) -> None:
    header = {"protocol": 2, "name": "x", "database": DATABASE, "started": "2026-01-01T00:00:00Z"}
    assert "speaks protocol 2" in offer(hosts, header, b"data", {})["reason"]


def offer(hosts: Hosts, header: dict[str, t.Any], data: bytes, trailer: dict[str, t.Any]) -> dict[str, t.Any]:
    """Give the store a stream made by hand; its answer, with an exit status that agrees."""

    def frame(content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + content + b"\0\0\0\0"

    def text(document: dict[str, t.Any]) -> bytes:
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    done = subprocess.run(
        [hosts.folder / "sshd", "receive"],
        input=frame(text(header)) + frame(data) + frame(text(trailer)),
        capture_output=True,
        check=False,
    )
    answer: dict[str, t.Any] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["ok"] else 1)
    return answer


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "receive; ls",
        "receive x",
        " receive",
        "RECEIVE",
        "stat",
        "stat ../x",
        "stat a b",
        "list",
        "scp -t x",
        "x" * 9999,
    ],
)
def test_the_sending_key_may_receive_and_stat_only(hosts: Hosts, command: str) -> None:
    done = hosts.store("ssh", command=command)
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["ok"] is False
    assert len(answer["reason"]) < 500


def test_stat_tells_of_a_dump_and_of_none(hosts: Hosts) -> None:
    assert hosts.send().returncode == 0
    data, manifest = hosts.dump()
    found = hosts.store("ssh", command=f"stat {data.name}")
    assert found.returncode == 0
    trailer = manifest["trailer"]
    assert json.loads(found.stdout) == {
        "ok": True,
        "name": data.name,
        "bytes": trailer["bytes"],
        "sha256": trailer["sha256"],
    }
    other = hosts.store("ssh", command=f"stat {DATABASE}_2026-01-01-00.00.00.sql.zst")
    assert other.returncode == 1
    assert "there is no dump" in json.loads(other.stdout)["reason"]


def test_the_store_lists_what_it_holds(hosts: Hosts, server: Server, database: str) -> None:
    server.run("CREATE TABLE few (a int); INSERT INTO few VALUES (1), (2)", database=database)
    assert hosts.send().returncode == 0
    data, manifest = hosts.dump()

    plain, as_json = hosts.store("list"), hosts.store("list", "--json")

    assert plain.returncode == as_json.returncode == 0
    assert data.name in plain.stdout
    assert json.loads(as_json.stdout) == [
        {
            "name": data.name,
            "database": database,
            "bytes": data.stat().st_size,
            "sha256": manifest["trailer"]["sha256"],
            "rows": 2,
            "tables": {"public.few": 2},
            "started": manifest["trailer"]["started"],
            "received": manifest["received"],
        }
    ]


def test_the_list_tells_of_what_is_no_dump(hosts: Hosts, server: Server, database: str) -> None:
    assert hosts.send().returncode == 0
    data, _manifest = hosts.dump()
    data.unlink()
    data.write_bytes(b"short")
    (hosts.incoming / f"{database}_2026-01-01-00.00.00.sql.zst").write_bytes(b"no manifest")

    listed = hosts.store("list")

    assert listed.returncode == 1
    assert listed.stdout == ""
    assert "5 bytes" in listed.stderr
    assert "_2026-01-01-00.00.00.sql.zst has no manifest, so it is no dump: remove it" in listed.stderr


def test_what_is_in_the_store_belongs_to_its_reader_alone(hosts: Hosts) -> None:
    assert hosts.send().returncode == 0
    found = [path.stat() for path in hosts.incoming.iterdir()]
    assert [(file.st_mode & 0o777, file.st_nlink) for file in found] == [(0o400, 1)] * 2
