"""docs/runbook.md's ways out of a disaster, taken: each test runs the commands of its section as they stand there."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
MARKETSHARE = "public.provider_marketshare"
# What a person puts for the capitals.
GIVEN = {
    "PRODUCTION": "production",
    "STORE": "store",
    "KEY": str(ROOT / "build" / "molecule" / "restore" / "reader"),
}


def commands(test: str) -> list[str]:
    """The commands of the section that says that *test* runs it."""
    block = re.search(rf"<!-- run by \S+: {test} -->\n```sh\n(.*?)```", RUNBOOK, re.DOTALL)
    assert block
    return block[1].splitlines()


@pytest.fixture
def run(request: t.Any, play: t.Any, production: t.Any, store: t.Any) -> t.Callable[..., list[str]]:
    """A function that runs the commands of this test's section in their order; what each says.

    `ssh HOST sudo` is `podman exec` here. *words* are what a person puts for the
    capitals, *variables* what is written into the inventory.
    """
    containers = {"PRODUCTION": production.backend.name, "STORE": store.backend.name}

    def follow(words: dict[str, str] | None = None, **variables: t.Any) -> list[str]:
        said = []
        for line in commands(request.node.originalname):
            argv = shlex.split(line)
            if argv[:3] == ["ansible-playbook", "-i", "INVENTORY"]:
                options = dict(pair.split("=", 1) for pair in argv[5::2])
                given = {key: {**GIVEN, **(words or {})}.get(value, value) for key, value in options.items()}
                said.append(play(argv[3], **given, **variables))
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
    return store.file(f"/var/lib/taaraxtak-dumps/archive/{dumps(store)[-1]['name']}.drill.json").exists


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


def a_new_host(name: str, play: t.Any) -> None:
    """The container is removed with all that is in it, and there is a fresh one by its name."""
    container = f"taaraxtak-restore-{name}"
    subprocess.run(["podman", "rm", "--force", "--time=10", container], check=True, capture_output=True)
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


def test_a_key_leaked(run, production, store):
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


def test_the_store_is_gone(run, play, store):
    a_new_host("store", play)
    run()
    assert len(dumps(store)) == 1
    assert verified(store)


def test_the_host_is_gone(run, play, production, store, postgres):
    dump = dumps(store)[-1]
    (signer,) = re.findall(
        r"^production .*(ssh-ed25519 \S+)$", store.file("/etc/taaraxtak/dump_signers").content_string, re.M
    )
    a_new_host("production", play)
    begun = time.monotonic()
    run(dump_store_former_signers=[{"name": "production", "key": signer}])
    assert writes(postgres)
    print(f"from a fresh host to a collector that writes, a dump and its drill: {time.monotonic() - begun:.0f} s")
    assert counted(postgres) >= dump["tables"][MARKETSHARE] > 0
    assert verified(store)
