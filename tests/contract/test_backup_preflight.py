"""What can't become a dump is refused by the backup's preflight: one sentence, and nothing on the host is changed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import (
    GLOBALS,
    SUFFIX,
    DumpName,
    read_utc,
)

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "roles" / "backup"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbAB9yrkTIMSqSyzzjmXBnNzxBcGSG/DuLvHHHPjBqX"
FINE = "fine"

DATABASES = "A dump is called by its database"
UNKNOWN = "backup_databases must be some of the policy's databases"
STORES = "backup_stores must name at least one store, and none of them twice"
NAME = "The name of a store is that of its key's file"
HOST_KEY = "Each of backup_stores must have a name of its own"
ADDRESS = "must have a name or an address without any other sign"
KIND = "kind is dump_store, ssh_files, sftp or s3"
HALVES = "there must be both, as ordinary files, or none"
RECIPIENTS = "backup_recipients must hold at least two public keys"

# Those of databases, all of which the policy knows.
NAMES = {
    "empty": "",
    "of 64 bytes": "x" * 64,
    "of 63 letters that are more bytes": "ä" * 63,
    "a path": "../../etc/cron.d/x",
    "absolute": "/etc/passwd",
    "an option": "--help",
    "connection options": "dbname=postgres host=192.0.2.1",
    "of two lines": "taaraxtak\nother",
    "with an end of line": "taaraxtak\n",
    "of a shell": "$(id)",
    "hidden": ".taaraxtak",
    "that of the roles": GLOBALS,
}


def store(**more: t.Any) -> dict[str, t.Any]:
    return {"name": "vault", "address": "127.0.0.1", "host_key": KEY, **more}


def second(**more: t.Any) -> dict[str, t.Any]:
    return {"backup_stores": [store(), store(**{"name": "second", "address": "127.0.0.2", **more})]}


def one(**more: t.Any) -> dict[str, t.Any]:
    return {"backup_stores": [store(**more)]}


def bucket(**more: t.Any) -> dict[str, t.Any]:
    what = {"kind": "s3", "endpoint": "https://s3.example.org", "bucket": "dumps", "access_key_id": "AK"}
    return {"backup_stores": [{"name": "vault", **what, "secret_access_key": "SK", **more}]}


# What is said, and the variables that differ from those that are well; `keys` are files of the host.
CASES: dict[str, tuple[str, dict[str, t.Any]]] = {
    FINE: ("", {}),
    "two stores": ("", second()),
    "a database of 63 bytes": ("", {"backup_databases": ["x" * 63]}),
    "both halves of a key": ("", {"keys": ["dump_signing_key", "dump_signing_key.pub", "store_keys/other"]}),
    "two recipients": ("", {"backup_recipients": ["age1abc", f"{KEY} alice"]}),
    **{f"a name {what}": (DATABASES, {"backup_databases": ["taaraxtak", name]}) for what, name in NAMES.items()},
    "a database twice": (DATABASES, {"backup_databases": ["taaraxtak", "taaraxtak"]}),
    "no database": (UNKNOWN, {"backup_databases": []}),
    "a database that the policy has not": (UNKNOWN, {"backup_databases": ["taaraxtak", "elsewhere"]}),
    "no store": (STORES, {"backup_stores": []}),
    "a store twice": (STORES, second(name="vault")),
    "an address twice": (STORES, second(address="127.0.0.1")),
    **{
        f"a store called {name!r}"[:60]: (NAME, one(name=name))
        for name in ("", "..", "../vault", "/vault", "va ult", "vault\n", "-vault", "vault.pub", "x" * 64, "würfel")
    },
    "no host key": (HOST_KEY, {"backup_stores": [{"name": "vault", "address": "127.0.0.1"}]}),
    "a host key of another kind": (HOST_KEY, one(host_key="ssh-rsa AAAAB3NzaC1yc2E=")),
    "half a host key": (HOST_KEY, one(host_key=KEY[:40])),
    "two host keys": (HOST_KEY, one(host_key=f"{KEY}\n* {KEY}")),
    **{
        f"an address {address!r}": (ADDRESS, one(address=address))
        for address in ("", "-oProxyCommand=id", "a b", "192.0.2.1\nother", "*", "x@192.0.2.1", "192.0.2.1,192.0.2.2")
    },
    "a user that is an option": (ADDRESS, one(user="-oProxyCommand=id")),
    "a port that is none": (ADDRESS, one(port=70000)),
    "no address": (ADDRESS, {"backup_stores": [{"name": "vault", "host_key": KEY}]}),
    "a box and an SFTP server": ("", second(kind="sftp", folder="/dumps")),
    "two folders of one server": ("", second(address="127.0.0.1", kind="sftp", folder="other")),
    "a bucket": ("", bucket()),
    "a bucket without encryption over http": (KIND, bucket(endpoint="http://192.0.2.1:9000")),
    "a bucket with encryption over http": (
        "",
        {**bucket(endpoint="http://192.0.2.1:9000"), "backup_recipients": ["age1abc", "age1def"]},
    ),
    "a bucket without a key": (KIND, bucket(secret_access_key="")),
    "a bucket whose key has another line": (KIND, bucket(secret_access_key="VERYSECRET\nenv_auth = true")),
    "a bucket without a name": (KIND, bucket(bucket="")),
    "a kind that is none": ("value of kind must be one of", one(kind="ftp")),
    "a folder above": (KIND, one(kind="sftp", folder="../other")),
    "a folder of a shell": (KIND, one(kind="ssh_files", folder="dumps; id")),
    "a folder of a dump store": (KIND, one(folder="dumps")),
    "a key without its public half": (HALVES, {"keys": ["dump_signing_key"]}),
    "a store's key without its private half": (HALVES, {"keys": ["store_keys/vault.pub"]}),
    "a link for a key": (HALVES, {"keys": ["dump_signing_key", "dump_signing_key.pub ->"]}),
    "a folder for a key": (HALVES, {"keys": ["dump_signing_key", "dump_signing_key.pub/"]}),
    "one recipient": (RECIPIENTS, {"backup_recipients": ["age1abc"]}),
    "a recipient twice": (RECIPIENTS, {"backup_recipients": ["age1abc", "age1abc"]}),
    "a recipient's key twice": (RECIPIENTS, {"backup_recipients": [KEY, f"{KEY} alice", f"{KEY} at home"]}),
    "a recipient that is none": (RECIPIENTS, {"backup_recipients": ["age1abc", "-o/etc/cron.d/x"]}),
    "an empty recipient": (RECIPIENTS, {"backup_recipients": ["age1abc", ""]}),
    "a private key for a recipient": (RECIPIENTS, {"backup_recipients": ["age1abc", "AGE-SECRET-KEY-1ABC"]}),
}


def plant(folder: Path, keys: list[str]) -> None:
    """Make the host's folder, and the files *keys* in that of its keys."""
    folder.mkdir()
    for key in keys:
        path = folder / "taaraxtak" / key.removesuffix(" ->")
        path.parent.mkdir(parents=True, exist_ok=True)
        if key.endswith("/"):
            path.mkdir()
        elif key.endswith("->"):
            path.symlink_to("/etc/hostname")
        else:
            path.touch()


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[dict[str, str]]:
    """What the preflight says in each case, "" where it has no objection: each is a host, and this machine."""
    folder = tmp_path_factory.mktemp("preflight")
    with socket.create_server(("127.0.0.1", 0)) as here, socket.create_server(("127.0.0.2", 0)) as there:
        ports = {"127.0.0.1": here.getsockname()[1], "127.0.0.2": there.getsockname()[1]}
        hosts = {}
        for number, (_, case) in enumerate(CASES.values()):
            values: dict[str, t.Any] = {"backup_databases": ["taaraxtak"], "backup_stores": [store()], **case}
            plant(folder / f"host{number}", values.pop("keys", []))
            for each in values["backup_stores"]:
                each.setdefault("port", ports.get(each.get("address"), 22))
            hosts[f"host{number}"] = values
        yield _play(folder, hosts)


def _play(folder: Path, hosts: dict[str, dict[str, t.Any]]) -> dict[str, str]:
    known = ["taaraxtak", "x" * 63, *NAMES.values()]
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "backup_bindir": "/nonexistent",
        "access_policy": {"scope": {"databases": known}, "roles": {"dumper": {"os_users": ["pgdumper"]}}},
    }
    (folder / "inventory.yml").write_text(json.dumps({"all": {"hosts": hosts, "vars": common}}))
    role = {"name": "taaraxtak.production.backup", "tasks_from": "preflight"}
    told = {"content": "{{ ansible_failed_result | to_json }}", "dest": f"{folder}/{{{{ inventory_hostname }}}}.json"}
    tasks = [
        {
            "block": [{"ansible.builtin.import_role": role}],
            "rescue": [{"ansible.builtin.copy": {**told, "mode": "0600"}}],
        }
    ]
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    # The role's own variables, where this machine's files are not to be looked at.
    keys = {
        "__backup_signing_key": f"{folder}/{{{{ inventory_hostname }}}}/taaraxtak/dump_signing_key",
        "__backup_store_key_folder": f"{folder}/{{{{ inventory_hostname }}}}/taaraxtak/store_keys",
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", folder / "inventory.yml", folder / "play.yml"]
    done = subprocess.run(
        [*command, "--extra-vars", json.dumps(keys)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORKS": "4"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert "WARNING" not in done.stderr
    assert "VERYSECRET" not in done.stdout + done.stderr
    answers = {}
    for name, case in zip(hosts, CASES, strict=True):
        path = folder / f"{name}.json"
        failed = json.loads(path.read_text()) if path.exists() else {}
        results = [one["msg"] for one in failed.get("results", []) if one.get("failed")]
        answers[case] = "; ".join(results) or failed.get("msg", "")
    return answers


@pytest.mark.parametrize("case", CASES)
def test_it_says_in_a_sentence_what_is_wrong_and_has_no_objection_else(said: dict[str, str], case: str) -> None:
    sentence, _ = CASES[case]
    if sentence:
        assert sentence in " ".join(said[case].split())
    else:
        assert said[case] == ""


def test_it_changes_nothing() -> None:
    tasks = yaml.safe_load((ROLE / "tasks" / "preflight.yml").read_text())
    only_look = {"ansible.builtin.assert", "ansible.builtin.find", "ansible.builtin.wait_for"}
    assert [task["name"] for task in tasks if not only_look & task.keys()] == []


@pytest.mark.parametrize("name", [name for name in NAMES.values() if name != GLOBALS])
def test_what_it_refuses_as_a_database_the_source_refuses_too(name: str) -> None:
    with pytest.raises(ValueError, match=f"can't be part of a file name|{SUFFIX}"):
        DumpName(name, read_utc("2026-01-01T00:00:00Z"))
