# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dump_stream and dump_info: the sender as a playbook runs it, and what the store answers; check mode does nothing."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.judges.dumps import judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Expected, Source
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import read_utc
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, Server, run_module
from ansible_collections.taaraxtak.production.tests.integration.dumps_hosts import Hosts, until


@pytest.fixture
def hosts(tmp_path: Path, server: Server, database: str) -> Hosts:
    server.run("CREATE TABLE measured (a int); INSERT INTO measured SELECT generate_series(1, 5)", database=database)
    made = Hosts(tmp_path, server, database)
    keep = {"archive": str(tmp_path / "archive"), "incoming": str(made.incoming), "signers": str(made.signers)}
    (tmp_path / "keep.json").write_text(json.dumps(keep))
    return made


def stream(hosts: Hosts, *, check: bool = False, **more: t.Any) -> Result:
    given = {
        "user": getpass.getuser(),
        "command": str(hosts.folder / "sender"),
        "settings": str(hosts.folder / "sender.json"),
    }
    return run_module("dump_stream", {**given, **more}, check=check)


def info(hosts: Hosts, *, check: bool = False, **more: t.Any) -> Result:
    return run_module("dump_info", {"settings": str(hosts.folder / "keep.json"), **more}, check=check)


def everything(hosts: Hosts) -> dict[str, tuple[int, int]]:
    """Each file of both hosts and when it was last changed."""
    found = {}
    for folder, _folders, names in os.walk(hosts.folder):
        for name in names:
            status = (Path(folder) / name).stat()
            found[f"{folder}/{name}"] = (status.st_size, status.st_mtime_ns)
    return {path: what for path, what in found.items() if "__pycache__" not in path}


def test_a_dump_from_a_playbook_is_stored_and_its_manifests_come_back(hosts: Hosts, database: str) -> None:
    done = stream(hosts)

    assert not done.failed, done.msg
    assert done.changed
    assert [(one["store"], one["artefact"], one["ok"]) for one in done.values["results"]] == [
        ("vault", "globals", True),
        ("vault", database, True),
    ]
    _data, stored = hosts.dump()
    _globals, stored_globals = hosts.globals()
    assert done.values["manifests"] == [
        {"store": "vault", "trailer": stored_globals["trailer"], "signature": stored_globals["signature"]},
        {"store": "vault", "trailer": stored["trailer"], "signature": stored["signature"]},
    ]
    assert stored["trailer"]["tables"]["public.measured"]["rows"] == 5


def test_one_artefact_alone_is_dumped_where_it_is_asked_for(hosts: Hosts, database: str) -> None:
    done = stream(hosts, artefacts=[database], stores=["vault"])

    assert not done.failed, done.msg
    assert [one["artefact"] for one in done.values["results"]] == [database]
    assert not [path for path in hosts.incoming.iterdir() if ".globals." in path.name]


def test_check_mode_says_what_would_be_dumped_and_does_nothing(hosts: Hosts, database: str) -> None:
    before = everything(hosts)

    done = stream(hosts, check=True)
    one = stream(hosts, check=True, artefacts=["globals"])

    assert done.changed
    assert done.values["planned"] == [
        {"store": "vault", "artefact": "globals"},
        {"store": "vault", "artefact": database},
    ]
    assert one.values["planned"] == [{"store": "vault", "artefact": "globals"}]
    assert everything(hosts) == before


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("wrong", [{"artefacts": ["nowhere"]}, {"stores": ["nowhere"]}])
def test_what_the_settings_do_not_know_is_refused(hosts: Hosts, check: bool, wrong: dict[str, list[str]]) -> None:
    done = stream(hosts, check=check, **wrong)

    assert done.failed
    assert "nowhere" in done.msg
    assert hosts.files() == []


def test_check_mode_works_before_the_host_is_set_up(hosts: Hosts) -> None:
    nothing = str(hosts.folder / "absent.json")

    sending, holding = stream(hosts, check=True, settings=nothing), info(hosts, check=True, settings=nothing)

    assert not sending.failed
    assert sending.changed
    assert nothing in sending.msg
    assert not holding.failed
    assert holding.values["dumps"] == []
    assert nothing in holding.msg
    assert info(hosts, settings=nothing).failed


def test_a_dump_that_fails_is_a_failed_task_that_says_why(hosts: Hosts) -> None:
    hosts.configure_store(max_bytes=10)

    done = stream(hosts)

    assert done.failed
    assert not done.changed
    assert done.values["manifests"] == []
    assert [one["ok"] for one in done.values["results"]] == [False, False]
    assert all(one["reason"] and one["reason"] in done.msg for one in done.values["results"])


def test_what_was_stored_before_a_failure_is_reported_as_changed(hosts: Hosts, server: Server, database: str) -> None:
    server.run("SELECT lo_create(0)", database=database)

    done = stream(hosts)

    assert done.failed
    assert "large objects" in done.msg
    assert done.changed, "the globals are stored"
    assert [one["trailer"]["kind"] for one in done.values["manifests"]] == ["globals"]


@pytest.mark.parametrize("check", [False, True])
def test_an_account_that_is_not_there_is_named(hosts: Hosts, check: bool) -> None:
    done = stream(hosts, check=check, user="nobody-of-that-name")

    assert done.failed
    assert "nobody-of-that-name" in done.msg


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("kind", ["absent", "folder", "plain"])
def test_a_sender_that_can_not_be_run_is_named(hosts: Hosts, check: bool, kind: str) -> None:
    command = hosts.folder / kind
    if kind == "folder":
        command.mkdir()
    elif kind == "plain":
        command.write_text("#!/bin/true\n")

    done = stream(hosts, check=check, command=str(command))

    assert done.failed
    assert str(command) in done.msg


def test_a_sender_that_answers_something_else_is_a_failure(hosts: Hosts) -> None:
    done = stream(hosts, command="/bin/echo")

    assert done.failed
    assert "dump-send" in done.msg


def test_a_dump_counts_once_it_is_archived(hosts: Hosts, database: str) -> None:
    assert not stream(hosts).failed
    name = hosts.dump()[0].name

    arrived = info(hosts, database=database)
    assert [
        (one["name"], one["archived"], one["signed"]) for one in arrived.values["dumps"] if one["kind"] == "dump"
    ] == [(name, False, False)]
    assert [one["archived"] for one in arrived.values["newest"]] == [None, None]

    done = hosts.store("archive")
    assert done.returncode == 0, done.stderr
    archived = info(hosts, database=database, kind="dump")
    (dump,) = archived.values["dumps"]
    assert (dump["name"], dump["archived"], dump["signed"], dump["verified"]) == (name, True, True, False)
    assert dump["tables"] == {"public.measured": 5}
    assert 0 <= dump["age_s"] < 60
    newest = {"database": database, "kind": "dump", "signer": "production", "archived": dump, "verified": None}
    assert archived.values["newest"] == [newest]
    assert not archived.changed


def test_a_drilled_dump_is_verified(hosts: Hosts) -> None:
    assert not stream(hosts).failed
    name = hosts.dump()[0].name
    hosts.store("archive")
    note = hosts.folder / "archive" / f"{name}.drill.json"
    note.write_text(json.dumps({"ok": True, "finished": "2026-11-22T03:00:00Z"}))
    note.chmod(0o644)

    found = info(hosts, name=name).values

    assert [one["verified"] for one in found["dumps"]] == [True]
    assert found["newest"][0]["verified"]["name"] == name


DRILL = {
    "ok": False,
    "started": "2026-11-22T02:59:48Z",
    "finished": "2026-11-22T03:00:00Z",
    "sha256": "0" * 64,
    "seconds": 12.0,
    "problems": ["the table public.measured has 4 rows in the copy and 5 in the dump", "and 3 more"],
    "versions": {"dump": "15.14", "sandbox": "17.6"},
    "tables": 1,
    "rows": 4,
    "counts": {"tables": 1, "indexes": 0, "constraints": 0, "sequences": 0},
    "ddl": "equal",
    "policy": {"checked": False},
}


@pytest.mark.parametrize("mode", [0o440, 0o664])
def test_what_a_drill_has_found_is_told(hosts: Hosts, mode: int) -> None:
    """And where others than the archive's owner could have written it, nothing is."""
    assert not stream(hosts).failed
    name = hosts.dump()[0].name
    hosts.store("archive")
    note = hosts.folder / "archive" / f"{name}.drill.json"
    note.write_text(json.dumps({**DRILL, "name": name}))
    note.chmod(mode)

    dumps = {one["name"]: one for one in info(hosts).values["dumps"]}
    listed = hosts.store("list").stdout
    rows = {row["name"]: row for row in json.loads(hosts.store("list", "--json").stdout)}

    expected = DRILL if mode == 0o440 else None
    assert (dumps[name]["drill"], dumps[name]["verified"], rows[name]["drill"]) == (expected, False, expected)
    assert [one["drill"] for other, one in dumps.items() if other != name] == [None]
    sentence = f"its drill failed {DRILL['finished']}: {DRILL['problems'][0]}, and 1 more"  # type: ignore[index]
    assert (f"archived  {sentence}\n" in listed) is (mode == 0o440)

    note.write_text(json.dumps({**DRILL, "ok": True, "problems": []}))
    assert (f"archived  drilled {DRILL['finished']} on PostgreSQL 17.6, equal\n" in hosts.store("list").stdout) is (
        mode == 0o440
    )


def test_a_dump_with_a_wrong_signature_does_not_count(hosts: Hosts) -> None:
    assert not stream(hosts).failed
    hosts.store("archive")
    key = (hosts.folder / "signing_key.pub").read_text().split()[1]
    hosts.signers.write_text(hosts.signers.read_text().replace(key, key[:-4] + "AAAA"))

    found = info(hosts, kind="dump").values

    assert [(one["archived"], one["signed"]) for one in found["dumps"]] == [(True, False)]
    assert found["newest"][0]["archived"] is None
    assert found["problems"]


def test_the_store_s_own_verdict_is_told_where_it_is_asked_for(hosts: Hosts, server: Server, database: str) -> None:
    """Rows that are gone, and a file that is in both answers: the audit finds each once."""
    assert not stream(hosts).failed
    server.run("DELETE FROM measured WHERE a > 3", database=database)
    until(lambda: int(time.time()) > int(read_utc(hosts.dump()[1]["trailer"]["started"]).timestamp()), "a new second")
    assert not stream(hosts).failed
    hosts.store("archive")
    (hosts.folder / "archive" / "stray").write_text("what is this?")
    before = everything(hosts)

    answer = info(hosts, judge=True).values

    assert everything(hosts) == before
    assert "verdict" not in info(hosts).values
    verdict = answer["verdict"]
    lost = [one for one in verdict["findings"] if one["about"] == "lost"]
    assert verdict["level"] == "critical"
    assert ["public.measured went from 5 to 3 rows" in one["steady"] for one in lost] == [True]
    expected = Expected({"databases": [database]}, dt.datetime.now(dt.UTC))
    found = {one.id: one.rule for one in judge(Source("dumps", "store", "read", data=answer), expected)}
    assert sorted(found.values()) == ["dump-lost", "dump-store-problem", "dump-unverified"]


def test_asking_changes_nothing_and_check_mode_answers_the_same(hosts: Hosts) -> None:
    assert not stream(hosts).failed
    hosts.store("archive")
    (hosts.folder / "archive" / "stray").write_text("what is this?")
    before = everything(hosts)

    real, checked = info(hosts, judge=True), info(hosts, check=True, judge=True)

    assert everything(hosts) == before
    assert not real.changed
    assert not checked.changed
    ages = [[one.pop("age_s") for one in answer.values["dumps"]] for answer in (real, checked)]
    assert [len(each) for each in ages] == [2, 2]
    assert real.values["dumps"] == checked.values["dumps"]
    assert any("stray" in problem for problem in real.values["problems"])
    assert real.values["problems"] == checked.values["problems"]
