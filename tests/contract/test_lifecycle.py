"""docs/lifecycle.md names each playbook of the kind and leads somewhere; a key is placed with both its halves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
TABLE = set(
    re.findall(r"`(\w+)`", "\n".join(line.split("|")[2] for line in PAGE.splitlines() if line.startswith("| [")))
)
PLACE = ROOT / "roles" / "backup" / "files" / "place_key.py"


def test_each_playbook_of_the_table_is_there_and_described():
    assert len(TABLE) >= 11
    for name in TABLE:
        assert (ROOT / "playbooks" / f"{name}.yml").is_file(), name
        assert f"playbooks/{name}.yml" in PAGE, name


def test_every_playbook_that_is_named_is_there():
    named = set(re.findall(r"playbooks/\w+\.yml", PAGE))
    assert {name for name in named - {"playbooks/NAME.yml"} if not (ROOT / name).is_file()} == set()


def test_every_link_leads_somewhere():
    headings = {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    for link in re.findall(r"\]\(([^)]+)\)", PAGE):
        path, _, anchor = link.partition("#")
        assert path or anchor in headings, link
        assert not path or (ROOT / "docs" / path).exists(), link


@pytest.mark.parametrize("name", sorted(TABLE - {"person_reach"}))
def test_each_looks_at_every_host_before_it_changes_one(name):
    """A host that does not answer would be left as it was: a key that is not taken away there opens it still."""
    first = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))[0]
    assert first["ansible.builtin.import_playbook"] == "preflight_hosts.yml"


def test_what_asks_only_changes_nothing():
    """Its modules answer, and its commands are said to change nothing."""
    tasks = yaml.safe_load((ROOT / "playbooks" / "tasks" / "person_ask.yml").read_text(encoding="utf-8"))
    modules = {key for task in tasks for key in task if "." in key}
    assert modules == {
        "taaraxtak.production.host_access_info", "ansible.builtin.command", "ansible.builtin.set_fact",
    }  # fmt: skip
    commands = [task for task in tasks if "ansible.builtin.command" in task]
    assert {task["ansible.builtin.command"]["argv"][0] for task in commands} == {"ps", "find", "runuser", "cat"}
    assert all(task["changed_when"] is False for task in commands)


def write(path: Path, text: str) -> None:
    """The two halves of a key."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"private {text}")
    Path(f"{path}.pub").write_text(f"public {text}")


def halves(path: Path) -> tuple[str, str]:
    return path.read_text(), Path(f"{path}.pub").read_text()


def test_a_key_takes_the_place_of_another_with_both_its_halves(tmp_path):
    new, place = tmp_path / "next" / "key", tmp_path / "key"
    write(place, "old")
    write(new, "new")
    subprocess.run([sys.executable, "-I", PLACE, new, place], check=True)
    assert halves(place) == ("private new", "public new")
    assert list(new.parent.iterdir()) == []


def test_a_public_half_that_an_earlier_run_has_left_follows(tmp_path):
    new, place = tmp_path / "next" / "key", tmp_path / "key"
    write(place, "old")
    write(new, "new")
    new.rename(place)
    subprocess.run([sys.executable, "-I", PLACE, new, place], check=True)
    assert halves(place) == ("private new", "public new")


def test_without_a_new_key_the_old_one_stays(tmp_path):
    place = tmp_path / "key"
    write(place, "old")
    assert subprocess.run([sys.executable, "-I", PLACE, tmp_path / "next", place], check=False).returncode != 0
    assert halves(place) == ("private old", "public old")


def test_a_new_store_that_lacks_a_dump_is_held_against_the_old_one(tmp_path):
    at = {"database": "a", "kind": "dump", "signer": "production", "archived": True, "signed": True, "sha256": ""}
    old = [{**at, "name": f"a_{day}", "started": f"2026-11-{day}T03:00:00Z"} for day in (10, 11, 12)]
    new = old[:1] + old[2:]
    plays = yaml.safe_load((ROOT / "playbooks" / "move_store.yml").read_text(encoding="utf-8"))
    (said,) = [play["vars"] for play in plays if play["name"] == "Look whether the new store has everything"]
    told = {"content": "{{ __move_lacking | to_json }}", "dest": str(tmp_path / "lacking")}
    stores = {"old": {"__move_dumps": {"dumps": old}}, "new": {"__move_dumps": {"dumps": new}}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"localhost": None, **stores}}}))
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    play["vars"] = {**said, "move_from": "old", "move_to": "new", "ansible_python_interpreter": sys.executable}
    play["tasks"] = [{"ansible.builtin.copy": told}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    words = ["ansible-playbook", "-i", tmp_path / "hosts.yml", tmp_path / "play.yml"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "lacking").read_text()) == ["a_11"]
