"""A key that is bound to the copies for developers, over ssh from a developer's host: it gets copies, nothing else."""

from __future__ import annotations

import hashlib
import json
import subprocess
import typing as t
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "build" / "molecule" / "restore"
ARCHIVE = "/var/lib/taaraxtak-dumps/archive"
# The one that grafanareader can't read.
EXCLUDED = "public.ip_hostname_mapping"
RUN = "/run/planted-bound"
SSH = ["-F/dev/null", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes", "-oIdentitiesOnly=yes", "-oIdentityAgent=none"]


@pytest.fixture(scope="module")
def ask(developer: t.Any) -> t.Iterator[t.Callable[..., subprocess.CompletedProcess[bytes]]]:
    """A function that asks the store something by the bound key, as one account of it; keys are there meanwhile."""
    inside = ["podman", "exec", "-i", developer.backend.name]
    subprocess.run([*inside, "install", "-d", "-m", "0700", RUN], check=True)
    for name in ("bound", "known_hosts"):
        write = [*inside, "install", "-m", "0600", "/dev/stdin", f"{RUN}/{name}"]
        subprocess.run(write, input=(FOLDER / name).read_bytes(), check=True)

    def run(*words: str, account: str = "dumps-developer") -> subprocess.CompletedProcess[bytes]:
        given = [f"-oUserKnownHostsFile={RUN}/known_hosts", f"-oIdentityFile={RUN}/bound", f"{account}@store"]
        return subprocess.run([*inside, "ssh", *SSH, *given, *words], capture_output=True, check=False)

    yield run
    subprocess.run([*inside, "rm", "-r", RUN], check=True)


@pytest.fixture(scope="module")
def copies(ask: t.Any) -> list[dict[str, t.Any]]:
    done = ask("list")
    assert done.returncode == 0, done.stderr
    return [row for row in json.loads(done.stdout) if row["name"].startswith("taaraxtak_")]


@pytest.fixture(scope="module")
def whole(store: t.Any) -> dict[str, dict[str, t.Any]]:
    """What the archive holds, by name."""
    return {row["name"]: row for row in json.loads(store.run("dump-store list --json").stdout)}


def test_the_list_has_copies_alone(copies, whole):
    """Neither the cluster's roles nor what no drill has verified; nothing under a copy's name is the dump itself."""
    assert copies
    for copy in copies:
        assert copy["kind"] == "dump"
        assert copy["sha256"] != whole[copy["name"]]["sha256"]
    assert set(whole) - {copy["name"] for copy in copies}


def test_a_copy_is_fetched_without_the_rows_that_a_developer_may_not_see(ask, copies, whole, store, postgres):
    name = copies[-1]["name"]
    manifest, fetched = json.loads(ask(f"manifest {name}").stdout), ask(f"fetch {name}")
    assert fetched.returncode == 0, fetched.stderr
    assert hashlib.sha256(fetched.stdout).hexdigest() == manifest["trailer"]["sha256"] == copies[-1]["sha256"]
    assert manifest["derived_from"] == {"name": name, "sha256": whole[name]["sha256"]}
    tables = whole[name]["tables"]
    assert tables[EXCLUDED] > 0
    assert copies[-1]["tables"] == {table: rows for table, rows in tables.items() if table != EXCLUDED}

    unpack = ["podman", "exec", "-i", store.backend.name, "zstd", "-dcq"]
    text = subprocess.run(unpack, input=fetched.stdout, check=True, capture_output=True).stdout
    all_of_it = subprocess.run([*unpack, f"{ARCHIVE}/{name}"], check=True, capture_output=True).stdout
    rows = all_of_it.split(f"COPY {EXCLUDED} ".encode(), 1)[1].split(b"\n\\.\n", 1)[0].splitlines()[1:]
    assert len(rows) == tables[EXCLUDED]
    assert not set(rows) & set(text.splitlines())


def test_nothing_else_is_fetched(ask, copies, whole):
    for name in sorted(set(whole) - {copy["name"] for copy in copies}):
        for verb in ("fetch", "manifest"):
            done = ask(f"{verb} {name}")
            assert (done.returncode, done.stdout) == (1, b""), name
            assert b"there is no dump" in done.stderr


@pytest.mark.parametrize(
    "asked", ["", "id", f"cat {ARCHIVE}/x", "fetch ../archive/x", "receive", "read list", "list; id"]
)
def test_nothing_else_is_run(ask, asked):
    done = ask(*([asked] if asked else []))
    assert done.returncode != 0
    assert done.stdout == b""


# No more of them: sshd shuts an address out for a while that has failed too often.
@pytest.mark.parametrize("account", ["dumps", "dumps-read"])
def test_the_key_opens_no_other_account(ask, account):
    done = ask("list", account=account)
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"Permission denied" in done.stderr
