"""What a trusted host does for a plain store, by the dump store's own arithmetic; a whole way from pg_dump to psql."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName, utc_text
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.plain.guarantees import LOST, loses, sentences
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.scan import TableData
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts
from ansible_collections.taaraxtak.production.tests.integration.dumps_offers import name_of
from ansible_collections.taaraxtak.production.tests.integration.dumps_restored import DATABASE, POLICY, Shop
from ansible_collections.taaraxtak.production.tests.integration.plain_hosts import KINDS, Plain

NONE_KEPT = {"daily": 0, "weekly": 0, "monthly": 0, "young_hours": 0}


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest) -> t.Iterator[Plain]:
    with Plain(request.param) as plain:
        yield plain


def now_name() -> str:
    return str(DumpName("taaraxtak", dt.datetime.now(dt.UTC)))


def test_a_fresh_dump_is_ok_and_what_the_store_loses_is_said(store: Plain) -> None:
    store.configure(expect={"databases": ["taaraxtak"], "globals_too": False})
    assert store.give(store.offers.offer(now_name()))["ok"]
    done = store.carry("check")
    assert done.returncode == 0, done
    lines = done.stdout.decode().splitlines()
    assert lines == [*(f"not promised: {sentence}" for sentence in sentences(store.kind)), "the dumps at box are ok"]
    told = json.loads(store.carry("check", "--json").stdout)["store"]
    assert told == {"kind": store.kind, "loses": list(sentences(store.kind))}


def test_a_store_without_a_dump_is_an_alarm(store: Plain) -> None:
    store.configure(expect={"databases": ["taaraxtak"]})
    done = store.carry("check")
    assert (done.returncode, "there is no archived dump" in done.stdout.decode()) == (2, True)


def test_a_host_that_does_not_know_who_signs_counts_and_removes_nothing(store: Plain) -> None:
    store.configure(signers="", keep={**NONE_KEPT, "minimum": 1})
    for day in (1, 2):
        assert store.give(store.offers.offer(name_of(day)))["ok"]
    assert store.carry("prune").returncode == 0
    assert len(store.dumps()) == 2
    assert store.carry("check").returncode == 2


def test_what_nothing_keeps_goes_and_the_newest_stays(store: Plain) -> None:
    for day in (1, 2, 3):
        assert store.give(store.offers.offer(name_of(day)))["ok"]
    store.configure(keep={**NONE_KEPT, "minimum": 1})
    before = store.files()
    dry = json.loads(store.carry("prune", "--dry-run", "--json").stdout)
    assert [row["keep"] for row in dry] == [False, False, True]
    assert store.files() == before
    assert store.carry("prune").returncode == 0
    assert store.dumps() == [name_of(3)]
    assert store.files() == [name_of(3), f"{name_of(3)}.manifest.json"]
    assert "has no manifest" not in store.carry("check").stdout.decode()


def test_what_is_no_dump_is_named_and_stays(store: Plain) -> None:
    if store.kind == "ssh_files":
        pytest.skip("without a list nobody sees it: listed-there is what this kind loses")
    store.put("notes.txt", b"mine")
    assert store.carry("prune").returncode == 0
    assert "'notes.txt' is no part of a dump" in store.carry("check").stdout.decode()
    assert store.files() == ["notes.txt"]


def test_data_whose_manifest_was_lost_stay_and_are_told_of(store: Plain) -> None:
    assert store.give(store.offers.offer())["ok"]
    if store.kind == "s3":
        store.remove(f"{name_of(1)}.manifest.json")
    else:
        (store.on_disk / f"{name_of(1)}.manifest.json").unlink()
    assert store.carry("prune").returncode == 0
    assert f"{name_of(1)} has no manifest, so it is no dump" in store.carry("check").stdout.decode()
    assert store.files() == [name_of(1)]


def test_a_dump_of_which_bytes_are_missing_is_an_alarm(store: Plain) -> None:
    if store.kind == "ssh_files":
        pytest.skip("it does not say them: sizes is what this kind loses")
    name = now_name()
    assert store.give(store.offers.offer(name))["ok"]
    store.put(name, b"cut")
    done = store.carry("check")
    assert (done.returncode, f"{name} should have" in done.stdout.decode()) == (2, True)


def test_from_pg_dump_to_a_plain_store_and_back_into_a_server(
    store: Plain, tmp_path: Path, fresh_server: Server
) -> None:
    shop = Shop(tmp_path, fresh_server)
    store.offers.signers.write_text(shop.hosts.signers.read_text())
    command = [str(store.folder / "carry"), "--store=box"]
    shop.hosts.configure_sender(stores=[{"name": "box", "command": command}])
    done = shop.hosts.send()
    assert done.returncode == 0, done.stderr
    assert "is stored at box: 2000 rows of 2 tables" in done.stdout
    shop.server.run("DELETE FROM goods", database=DATABASE)
    restored = shop.restore(command=command, database=DATABASE, policy=POLICY)
    assert not restored.failed, restored.msg
    assert restored.values["signed_by"] == "production"
    assert restored.values["proof"] == {"tables": 2, "rows": 2000, "ddl": "equal"}
    assert shop.rows() == 2000


def test_dump_info_says_what_is_there_and_what_the_store_loses(store: Plain) -> None:
    store.configure(expect={"databases": ["taaraxtak"], "globals_too": False})
    name = now_name()
    assert store.give(store.offers.offer(name))["ok"]
    done = run_module("dump_info", {"store": "box", "settings": str(store.folder / "carry.json"), "judge": True})
    assert not done.failed, done.msg
    assert done.values["store"] == {"kind": store.kind, "loses": list(sentences(store.kind))}
    (dump,) = done.values["dumps"]
    assert (dump["name"], dump["archived"], dump["signed"], dump["verified"]) == (name, True, True, False)
    assert done.values["verdict"]["level"] == "ok"
    assert not done.changed
    unknown = run_module("dump_info", {"store": "other", "settings": str(store.folder / "carry.json")})
    assert (unknown.failed, "there is no plain store 'other' in the settings: box" in unknown.msg) == (True, True)


def test_a_dump_that_fails_on_its_way_is_at_no_plain_store(store: Plain, tmp_path: Path, server: Server) -> None:
    hosts = Hosts(tmp_path, server, "postgres")
    store.offers.signers.write_text(hosts.signers.read_text())
    command = [str(store.folder / "carry"), "--store=box"]
    wire = [str(hosts.folder / "wire"), "source", "flip", "100", str(hosts.held), str(hosts.folder / "source")]
    hosts.configure_sender(source_command=wire, stores=[{"name": "box", "command": command}])
    assert hosts.send().returncode == 1
    assert store.dumps() == []
    assert store.files() == []


def test_a_dump_is_fetched_whole_with_its_manifest_or_not_at_all(store: Plain, tmp_path: Path) -> None:
    for day in (1, 2):
        assert store.give(store.offers.offer(name_of(day), data=b"x" * day * 100_000))["ok"]
    done = store.carry("get", f"--to={tmp_path}")
    assert done.stdout.decode() == f"{tmp_path / name_of(2)}\n", done.stderr
    assert (tmp_path / name_of(2)).read_bytes() == b"x" * 200_000
    assert (tmp_path / f"{name_of(2)}.manifest.json").exists()
    assert "is there already" in store.carry("get", f"--to={tmp_path}").stderr.decode()
    store.put(name_of(1), b"y" * 100_000)
    done = store.carry("get", name_of(1), f"--to={tmp_path}")
    assert (done.returncode, "it is not the dump that was sent" in done.stderr.decode()) == (1, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name_of(2), f"{name_of(2)}.manifest.json"]


def test_the_reading_side_is_what_a_restore_asks(store: Plain) -> None:
    assert store.give(store.offers.offer())["ok"]
    words = "from dumps.restore.material import from_command\nimport sys\n"
    code = f"import sys; sys.path.insert(0, {str(store.offers.lib)!r})\n{words}" + (
        "material = from_command(sys.argv[1:], database='taaraxtak')\nprint(material.file, material.size)\n"
    )
    python = "/usr/bin/python3"
    done = subprocess.run(
        [python, "-I", "-c", code, store.folder / "carry", "--store=box"], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [name_of(1), "30"], done.stderr


def test_a_dump_whose_data_are_gone_is_an_alarm_and_keeps_no_other_from_staying(store: Plain) -> None:
    for day in (1, 2):
        assert store.give(store.offers.offer(name_of(day)))["ok"]
    if store.kind == "s3":
        store.remove(name_of(2))
    else:
        (store.on_disk / name_of(2)).unlink()
    store.configure(keep={**NONE_KEPT, "minimum": 1})
    done = store.carry("check")
    assert (done.returncode, f"{name_of(2)} should have 30 bytes, and there are none" in done.stdout.decode()) == (
        2,
        True,
    )
    assert store.carry("prune").returncode == 0
    assert name_of(1) in store.files()


def test_a_prune_that_is_cut_anywhere_is_ended_by_the_next(store: Plain) -> None:
    for day in (1, 2):
        assert store.give(store.offers.offer(name_of(day)))["ok"]
    store.configure(keep={**NONE_KEPT, "minimum": 1})
    left = [name_of(2), f"{name_of(2)}.manifest.json"]
    store.sabotage("remove", "if name.endswith('.zst'):\n    os._exit(9)\nreal(self, name)")
    assert store.carry("prune").returncode == 9
    assert name_of(1) in store.files()
    assert f"{name_of(1)}.manifest.json" not in store.files()
    store.script("")
    assert store.dumps() == [name_of(2)]
    assert store.carry("prune").returncode == 0
    assert store.files() == left
    assert "has no manifest" not in store.carry("check").stdout.decode()


@pytest.mark.parametrize("last", [".manifest.json.partial", ".zst.partial"])
def test_a_get_that_is_killed_at_any_name_is_made_again(tmp_path: Path, last: str) -> None:
    with Plain("sftp") as store:
        assert store.give(store.offers.offer())["ok"]
        store.script(
            "import os\nfrom pathlib import Path\n"
            "def rename(self, target, real=Path.rename):\n"
            f"    if self.name.endswith({last!r}):\n        os._exit(9)\n"
            "    real(self, target)\n"
            "Path.rename = rename\n"
        )
        assert store.carry("get", f"--to={tmp_path}").returncode == 9
        assert not (tmp_path / name_of(1)).exists()
        store.script("")
        done = store.carry("get", f"--to={tmp_path}")
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == [name_of(1), f"{name_of(1)}.manifest.json"]


def test_a_manifest_that_is_another_is_not_overwritten(tmp_path: Path) -> None:
    with Plain("sftp") as store:
        assert store.give(store.offers.offer())["ok"]
        mine = tmp_path / f"{name_of(1)}.manifest.json"
        mine.write_text("mine")
        assert f"{mine} is there already" in store.carry("get", f"--to={tmp_path}").stderr.decode()
        assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_an_sftp_server_that_knows_no_fsync_does_not_promise_the_disk(tmp_path: Path) -> None:
    with Plain("sftp") as store:
        store.script("from dumps.plain import sftp_wire\nsftp_wire.FSYNC = b'fsync@nobody'\n")
        assert store.give(store.offers.offer())["ok"]
        manifest = json.loads(store.read(f"{name_of(1)}.manifest.json"))
        assert manifest["store"]["loses"] == [*loses("sftp"), "on-disk"]
        assert f"not promised: {LOST['on-disk']}" in store.carry("check").stdout.decode()


def test_an_incident_explains_rows_that_are_gone_as_on_a_dump_store(store: Plain) -> None:
    now, folder = dt.datetime.now(dt.UTC), store.folder / "incidents"
    names = [str(DumpName("taaraxtak", now - dt.timedelta(seconds=back))) for back in (100, 50)]
    few = {"public.few": TableData(rows=1, bytes=2, sha256="0" * 64)}
    assert store.give(store.offers.offer(names[0]))["ok"]
    time.sleep(1.1)
    assert store.give(store.offers.offer(names[1], tables=few))["ok"]
    store.configure(expect={"databases": ["taaraxtak"], "globals_too": False}, incidents=str(folder))
    done = store.carry("check")
    assert (done.returncode, "and no incident says why" in done.stdout.decode()) == (2, True), done
    folder.mkdir()
    (folder / "other.json").write_text("{")
    said = {"tables": ["public.few"], "reason": "an action", "rows": 1}
    times = {"from": utc_text(now - dt.timedelta(hours=1)), "until": utc_text(now + dt.timedelta(hours=1))}
    (folder / "action.json").write_text(json.dumps({**said, **times}))
    done = store.carry("check")
    assert "no incident says why" not in done.stdout.decode()
    assert (done.returncode, "other.json explains nothing" in done.stdout.decode()) == (1, True), done
