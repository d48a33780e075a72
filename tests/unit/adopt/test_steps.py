"""What the playbooks of an adoption let nobody in by, wait for and keep, as their files say it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLAYBOOKS = ROOT / "playbooks"
INVENTORY = {"all": {"children": {"production_hosts": {"hosts": {"old": {}}}, "store_hosts": {"hosts": {"store": {}}}}}}


def read(path: Path) -> t.Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def play(folder: Path, tasks: list[t.Any], given: dict[str, t.Any], **more: t.Any) -> subprocess.CompletedProcess[str]:
    """Run *tasks*, which log in nowhere, for both hosts."""
    (folder / "hosts.json").write_text(json.dumps(INVENTORY))
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks, **more}]))
    command = [Path(sys.executable).with_name("ansible-playbook"), "-i", folder / "hosts.json", folder / "play.yml"]
    return subprocess.run(
        [*command, "-e", json.dumps(given)],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("user", "step", "confirm", "refused"),
    [
        ("root", "", "", []),
        ("root", "dumps", "dumps", []),
        ("ops", "logins", "logins", []),
        ("ops", "keys", "", []),
        ("ops", "keys", "keys", ["old"]),
        ("root", "firewall", "firewall", ["old"]),
        ("alice", "keys", "keys", []),
    ],
)
def test_whoever_becomes_root_adopts_up_to_keys_and_nobody_is_sent_to_bootstrap(tmp_path, user, step, confirm, refused):
    adopting = read(PLAYBOOKS / "adopt.yml")[0]
    assert adopting["ansible.builtin.import_playbook"] == "preflight_hosts.yml"
    task = read(PLAYBOOKS / "preflight_hosts.yml")[-1]["tasks"][-1]
    given = {"ansible_connection": "ssh", "ansible_user": user, "host_devops": [{"name": "alice"}]}
    steps = {"adopt_step": step, "adopt_confirm": confirm}
    done = play(tmp_path, [task], {**given, **steps}, vars=adopting["vars"])
    said = " ".join(done.stdout.split())
    assert [host for host in ("old", "store") if f"logs in to {host} as" in said] == refused, said
    assert done.returncode == (2 if refused else 0)
    assert "bootstrap.yml" not in said
    assert ("Make an account for alice there by hand" in said) == bool(refused)


def test_a_new_host_is_still_begun_by_bootstrap(tmp_path):
    task = read(PLAYBOOKS / "preflight_hosts.yml")[-1]["tasks"][-1]
    given = {"ansible_connection": "ssh", "ansible_user": "root", "host_devops": [{"name": "alice"}]}
    done = play(tmp_path, [task], given)
    assert done.returncode == 2
    assert "playbooks/bootstrap.yml" in done.stdout


def test_all_that_keys_writes_is_kept_before():
    """Folders of Debian's own, which hold others' files too, are no part of it."""
    written = read(ROOT / "roles" / "host" / "vars" / "main.yml")["__host_files"]
    kept = read(PLAYBOOKS / "vars" / "adopt.yml")["__adopt_host_files"]
    assert sorted(kept) == sorted(one["path"] for one in written if one.get("state") != "directory")


TABLES = [
    {"table": "public.soon", "column": "at", "max_age": 60},
    {"table": "public.daily", "column": "at", "max_age": 93600},
    {"table": "public.stale", "column": "at", "max_age": 60},
]


def test_only_a_table_that_is_written_soon_and_was_before_is_waited_for(tmp_path):
    states = {"table public.soon": "fresh", "table public.daily": "fresh", "table public.stale": "stale"}
    seen = {"outcomes": [{"about": about, "state": state} for about, state in states.items()]}
    asked = "__adopt_awaited == ['table public.soon']"
    tasks = [{"ansible.builtin.assert": {"that": [asked]}}]
    given = {"collector_freshness": TABLES, "__adopt_seen": {"stdout": json.dumps(seen)}}
    done = play(tmp_path, tasks, given, vars_files=[str(PLAYBOOKS / "vars" / "adopt.yml")])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("status", "said", "goes_on"),
    [
        (0, "", True),
        (1, "dump-store: /old/a.sql.gz is not adopted: it was cut", True),
        (1, "dump-store: there is no such archive", False),
        (2, "dump-store: x is not adopted: y", False),
    ],
)
def test_a_cut_old_dump_is_named_and_keeps_no_step_from_ending(tmp_path, status, said, goes_on):
    tasks = read(PLAYBOOKS / "tasks" / "adopt_store.yml")
    (task,) = [one for one in tasks if one["name"] == "adopt_store | Take the others over"]
    command = {"argv": [sys.executable, "-c", f"import sys; print({said!r}, file=sys.stderr); sys.exit({status})"]}
    naming = tasks[tasks.index(task) + 1]
    tried = [{**task, "ansible.builtin.command": command}, naming]
    given = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "__adopt_others": ["a"]}
    done = play(tmp_path, [{key: value for key, value in one.items() if key != "vars"} for one in tried], given)
    assert done.returncode == (0 if goes_on else 2), done.stdout
    assert not said or said in done.stdout
