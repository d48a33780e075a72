"""docs/runbook.md's ways out of a disaster, taken: each test runs the commands of its section as they stand there."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import shlex
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RECOVERY = ROOT / "build" / "recovery.json"
ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
MARKETSHARE = "public.provider_marketshare"
# What a person puts for the capitals.
GIVEN = {
    "PRODUCTION": "production",
    "STORE": "store",
    "KEY": str(ROOT / "build" / "molecule" / "restore" / "reader"),
}


@pytest.fixture
def run(commands: list[str], play: t.Any, production: t.Any, store: t.Any) -> t.Callable[..., list[str]]:
    """A function that runs the commands of this test's section in their order; what each says.

    `ssh HOST sudo` is `podman exec` here. *words* are what a person puts for the
    capitals, *variables* what is written into the inventory; *after* is done after the playbook of that name.
    """
    containers = {"PRODUCTION": production.backend.name, "STORE": store.backend.name}

    def follow(
        words: dict[str, str] | None = None, after: dict[str, t.Callable[[], None]] | None = None, **variables: t.Any
    ) -> list[str]:
        said = []
        for line in commands:
            argv = shlex.split(line)
            if argv[:3] == ["ansible-playbook", "-i", "INVENTORY"]:
                options = dict(pair.split("=", 1) for pair in argv[5::2])
                given = {key: {**GIVEN, **(words or {})}.get(value, value) for key, value in options.items()}
                said.append(play(argv[3], **given, **variables))
                (after or {}).get(argv[3], lambda: None)()
            else:
                assert (argv[0], argv[2]) == ("ssh", "sudo"), line
                command = ["podman", "exec", containers[argv[1]], *argv[3:]]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{line}: {done.stderr}"
                said.append(done.stdout)
        return said

    return follow


def dumps(store: t.Any) -> list[dict[str, t.Any]]:
    return [row for row in json.loads(store.run("dump-store list --json").stdout) if row["kind"] == "dump"]


def verified(store: t.Any) -> bool:
    """Whether a drill has proved the newest dump."""
    return drilled_well(store, dumps(store)[-1]["name"])


def counted(postgres: t.Any, table: str = MARKETSHARE) -> int:
    return int(postgres.commit(f"SELECT count(*) FROM {table}").stdout or -1)


def writes(postgres: t.Any) -> bool:
    """Whether the collector adds rows."""
    before, end = counted(postgres), time.monotonic() + 20
    while time.monotonic() < end:
        if counted(postgres) > before:
            return True
        time.sleep(0.5)
    return False


def lose(name: str) -> None:
    """The container is removed with all that is in it."""
    container = f"taaraxtak-restore-{name}"
    subprocess.run(["podman", "rm", "--force", "--time=10", container], check=True, capture_output=True)


def order_a_new_host(play: t.Any) -> None:
    """There is a fresh one by the name of the one that was lost."""
    play("molecule/shared/create.yml", "molecule/shared/prepare.yml")


def test_a_table_was_emptied(run, store, postgres, dba):
    dump = dumps(store)[-1]
    assert dba.commit(f"SET ROLE taaraxtak_owner; TRUNCATE {MARKETSHARE}").rc == 0
    run({"DUMP": dump["name"]})
    assert counted(postgres) >= dump["tables"][MARKETSHARE] > 0
    assert postgres.commit("SELECT datname FROM pg_database WHERE datname LIKE 'taaraxtak%'").stdout == "taaraxtak\n"


def test_the_database_is_gone(run, production, store, postgres):
    dump = dumps(store)[-1]
    drop = "DROP DATABASE taaraxtak WITH (FORCE)"
    production.check_output("runuser -u postgres -- psql -Xqd postgres -c %s", drop)
    assert counted(postgres) == -1
    run()
    assert counted(postgres) >= dump["tables"][MARKETSHARE] > 0
    assert writes(postgres)


def test_a_key_leaked(run, production, store, nobody_else_needs_the_hosts):
    folder, kept = "/etc/taaraxtak", "/root/leaked"
    production.check_output("install -d -m 0700 %s", kept)
    production.check_output("cp -p %s %s %s", f"{folder}/store_keys/store", f"{folder}/dump_signing_key", kept)
    older = dumps(store)[-1]["name"]
    run()
    assert verified(store)
    words = json.loads(production.file(f"{folder}/dump-send.json").content_string)["stores"][0]["command"]
    leaked = [f"-oIdentityFile={kept}/store" if word.startswith("-oIdentityFile=") else word for word in words]
    asked = "stat taaraxtak_2020-01-01-00.00.00.sql.zst"
    assert production.run(shlex.join([*leaked, asked]) + " </dev/null").rc == 255
    assert production.run("runuser -u pgbackup -- " + shlex.join([*words, asked]) + " </dev/null").rc != 255
    drilled = store.run("runuser -u dumps-archive -- dump-store drill %s", older)
    assert drilled.rc != 0
    assert "sign" in drilled.stdout + drilled.stderr


def test_the_store_is_gone(run, play, store, nobody_else_needs_the_hosts):
    lose("store")
    order_a_new_host(play)
    run()
    assert len(dumps(store)) == 1
    assert verified(store)


class Clock:
    """The seconds from the loss of the host, by what was reached."""

    def __init__(self) -> None:
        self.begun, self.reached = time.monotonic(), dict[str, float]()

    def note(self, what: str) -> None:
        self.reached[what] = round(time.monotonic() - self.begun, 1)


def age(store: t.Any) -> float:
    """Seconds since the newest verified dump was begun: what was written later would be lost."""
    times = [row["started"] for row in dumps(store) if row["archived"] and drilled_well(store, row["name"])]
    begun = dt.datetime.fromisoformat(max(times))
    return round((dt.datetime.now(dt.UTC) - begun).total_seconds(), 1)


def drilled_well(store: t.Any, name: str) -> bool:
    result = store.file(f"{ARCHIVE}/{name}.drill.json")
    return result.exists and json.loads(result.content_string)["ok"]


def test_the_host_is_gone(run, play, production, store, postgres, nobody_else_needs_the_hosts):
    dump = dumps(store)[-1]
    signers = re.findall(
        r"^production .*(ssh-ed25519 \S+)$", store.file("/etc/taaraxtak/dump_signers").content_string, re.M
    )
    lose("production")
    point, clock = age(store), Clock()
    order_a_new_host(play)
    clock.note("a fresh host")

    def restored() -> None:
        assert writes(postgres)
        clock.note("the data are back and the collector writes")

    run(
        after={
            "playbooks/site.yml": lambda: clock.note("site.yml"),
            "playbooks/restore.yml": restored,
            "playbooks/restore_drill.yml": lambda: clock.note("a dump of it is verified"),
        },
        dump_store_former_signers=[{"name": "production", "key": key} for key in signers],
    )
    assert counted(postgres) >= dump["tables"][MARKETSHARE] > 0
    assert verified(store)
    record(clock, dump, point)


def record(clock: Clock, dump: dict[str, t.Any], point: float) -> None:
    """Write down the figures, which conftest.py shows: they are measured, and no limit is held against them."""
    time_s = clock.reached["the data are back and the collector writes"]
    figures = {
        "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}",
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[1], "system": platform.platform()},
        "recovery_time_s": time_s,
        "recovery_point_s": point,
        "dump": {key: dump[key] for key in ("name", "rows", "bytes")},
        "seconds_since_the_loss": clock.reached,
    }
    RECOVERY.write_text(json.dumps(figures, indent=2) + "\n")
