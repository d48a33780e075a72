"""playbooks/stores.yml from an inventory, and the keys of the role backup: whose dumps count, and which keys go."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.names import DumpName, utc_text
from ansible_collections.taaraxtak.production.tests.integration.plain_hosts import Plain

ROOT = Path(__file__).resolve().parents[2]
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text())
FUNCTIONS = ("production_hosts", "database_hosts", "collector_hosts", "dashboards_hosts")


def play(playbook: Path, inventory: Path, **variables: t.Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ansible", "playbook", "-i", inventory, playbook]
    return subprocess.run(
        [*command, "--extra-vars", json.dumps(variables)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
    )


def signed_by(store: Plain, key: Path, seconds: int) -> str:
    """A dump of so many *seconds* ago, signed by *key*, brought to the *store*; its name."""
    name = str(DumpName("taaraxtak", dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)))
    offer = store.offers.offer(name)
    offer.signature = store.offers.sign(offer.trailer, key=key)
    assert store.give(offer)["ok"]
    return name


@pytest.fixture(scope="module")
def store() -> t.Iterator[Plain]:
    """A box by SFTP with a dump of a former key and one of the present one."""
    with Plain("sftp") as plain:
        present = plain.offers.make_key("present")
        public = present.with_suffix(".pub").read_text()
        with plain.offers.signers.open("a") as signers:
            signers.write(f'production namespaces="taaraxtak-dump" {public}')
        signed_by(plain, plain.offers.key, 100)
        signed_by(plain, present, 50)
        yield plain


def look(store: Plain, folder: Path, **variables: t.Any) -> dict[str, t.Any]:
    """What playbooks/stores.yml reports of the box."""
    keys = folder / "keys"
    keys.mkdir()
    (keys / "box").write_text((store.folder / "sshd" / "key").read_text())
    (keys / "box").chmod(0o600)
    user, port = store.place["command"][-1].split("@")[0], store.place["command"][-4]
    host_key = (store.folder / "sshd" / "known_hosts").read_text().split(maxsplit=1)[1]
    box = {"name": "box", "kind": "sftp", "address": "127.0.0.1", "port": int(port), "user": user}
    values = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "project_folder": str(folder),
        "backup_databases": ["taaraxtak"],
        "backup_stores": [{**box, "folder": store.place["folder"], "host_key": host_key.strip()}],
        "backup_idle_timeout": 77,
        "stores_keys_folder": str(keys),
        "stores_expect": {"globals_too": False},
        **variables,
    }
    pin = {"name": "taaraxtak.production", "version": GALAXY["version"]}
    (folder / "requirements.yml").write_text(json.dumps({"collections": [pin]}))
    inventory = folder / "inventory.yml"
    hosts: dict[str, t.Any] = {"production": values}
    inventory.write_text(json.dumps({group: {"hosts": hosts} for group in FUNCTIONS}))
    stores = ROOT / "playbooks" / "stores.yml"
    done = play(stores, inventory, __backup_signing_key=str(store.offers.folder / "present"))
    report = folder / "build" / "stores" / "report.json"
    assert report.exists(), done.stdout[-3000:] + done.stderr[-2000:]
    verdict: dict[str, t.Any] = json.loads(report.read_text())["box"]["verdict"]
    assert done.returncode == (2 if verdict["level"] == "critical" else 0), done.stdout[-3000:]
    return verdict


def former(store: Plain, **until: str) -> list[dict[str, str]]:
    return [{"name": "production", "key": store.offers.key.with_suffix(".pub").read_text(), **until}]


def test_what_a_former_key_signed_counts_until_its_end(store: Plain, tmp_path: Path) -> None:
    (tmp_path / "build" / "stores").mkdir(parents=True)
    gone = tmp_path / "build" / "stores" / "gone.conf"
    gone.write_text("secret_access_key = of a bucket that is no store any more\n")
    until = utc_text(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    verdict = look(store, tmp_path, dump_store_former_signers=former(store, until=until))
    assert (verdict["level"], verdict["findings"]) == ("ok", [])
    (group,) = verdict["groups"]
    assert group["dumps"] == 2
    assert not gone.exists()
    settings = json.loads((tmp_path / "build" / "stores" / "dump-carry.json").read_text())
    assert settings["stores"][0]["idle_timeout"] == 77


def test_what_it_signed_later_or_what_nobody_names_does_not_count(store: Plain, tmp_path: Path) -> None:
    late, unnamed = tmp_path / "late", tmp_path / "unnamed"
    for folder, values in (
        (late, {"dump_store_former_signers": former(store, until="2026-01-01T00:00:00Z")}),
        (unnamed, {}),
    ):
        folder.mkdir()
        verdict = look(store, folder, **values)
        assert verdict["level"] == "critical"
        assert ["does not count" in one["sentence"] for one in verdict["findings"]] == [True]


def test_the_key_and_the_secret_of_a_store_that_is_gone_go_from_production(tmp_path: Path) -> None:
    folder = tmp_path / "store_keys"
    folder.mkdir()
    for name in ("box", "box.pub", "bucket", "gone", "gone.pub", "gone_bucket"):
        (folder / name).write_text("key")
    stores = [
        {"name": "box", "address": "192.0.2.1"},
        {"name": "bucket", "kind": "s3", "endpoint": "https://s3.invalid", "bucket": "dumps"},
    ]
    values = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "backup_stores": [{**stores[0]}, {**stores[1], "access_key_id": "AK", "secret_access_key": "VERYSECRET"}],
        "backup_user": "root",
        "backup_dumper": "root",
        "backup_recipients": [],
        "backup_idle_timeout": 1,
        "backup_overall_timeout": 1,
        "backup_max_bytes": 1,
        "role_path": str(ROOT / "roles" / "backup"),
    }
    inventory = tmp_path / "inventory.yml"
    inventory.write_text(json.dumps({"all": {"hosts": {"production": values}}}))
    trees = "{{ __backup_trees | selectattr('path', 'eq', __backup_store_key_folder) | list }}"
    files = "{{ __backup_carry_files | selectattr('path', 'match', __backup_store_key_folder) | list }}"
    task = {"name": "Own the folder", "taaraxtak.production.host_files": {"trees": trees, "files": files}}
    tasks = {"vars_files": [str(ROOT / "roles" / "backup" / "vars" / "main.yml")], "tasks": [task]}
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, **tasks}]))
    (tmp_path / "templates").symlink_to(ROOT / "roles" / "backup" / "templates")
    done = play(tmp_path / "play.yml", inventory, __backup_store_key_folder=str(folder))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    assert sorted(path.name for path in folder.iterdir()) == ["box", "box.pub", "bucket"]
    assert (folder / "box").read_text() == "key"
    assert "VERYSECRET" in (folder / "bucket").read_text()
    assert "VERYSECRET" not in done.stdout
