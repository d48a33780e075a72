"""What stops a restore that would lose data, or can't go well, before anything is done: tasks of playbooks, by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RESTORE, HOSTS, LOCAL = "restore.yml", "preflight_hosts.yml", "local_preflight.yml"
TASKS, VARS = "tasks/local_restore.yml", ROOT / "playbooks" / "vars" / "local.yml"
EMPTY = "Stop where something is said and is empty"
YOUNGER = "Stop where rows that are younger than the dump would be dropped"
STORE = "Stop where a host is production and a store"
ENCRYPTED = "Stop where the dump is encrypted"
ADDRESS = "Stop where the store's address is none"
KEPT = "local_restore | Keep what was restored"
FINE = ""

DUMP = {"started": "2026-11-22T03:00:00Z"}
LATER = [{"name": "x__previous", "until": "2026-11-22T03:00:01Z"}]
AT_ONCE = [{"name": "x__previous", "until": "2026-11-22T03:00:00Z"}]
BEFORE = [{"name": "x__previous", "until": "2026-11-22T02:59:59Z"}]


def asked(would_drop: list[dict[str, str]], **more: t.Any) -> dict[str, t.Any]:
    return {"__restore_asked": {"dump": DUMP, "would_drop": would_drop}, **more}


# The playbook, the task, the variables, and what is said; `FINE` where it goes on.
CASES: dict[str, tuple[str, str, dict[str, t.Any], str]] = {
    "nothing more is said": (RESTORE, EMPTY, {}, FINE),
    "a database is said": (RESTORE, EMPTY, {"restore_database": "x"}, FINE),
    "an empty database": (RESTORE, EMPTY, {"restore_database": ""}, "restore_database is given and is empty"),
    "an empty name": (RESTORE, EMPTY, {"restore_name": ""}, "restore_name is given and is empty"),
    "no number to keep": (RESTORE, EMPTY, {"restore_keep_previous": ""}, "restore_keep_previous is given and is empty"),
    "nothing is dropped": (RESTORE, YOUNGER, asked([]), FINE),
    "what is older is dropped": (RESTORE, YOUNGER, asked(BEFORE), FINE),
    "what is younger": (RESTORE, YOUNGER, asked(LATER), "x__previous would be dropped, and was in use until"),
    "what is as young": (RESTORE, YOUNGER, asked(AT_ONCE), "-e restore_keep_previous=2 keeps it"),
    "what is younger, as was said": (RESTORE, YOUNGER, asked(LATER, restore_keep_previous="1"), FINE),
    "a store of its own": (HOSTS, STORE, {}, FINE),
    "a store on production": (HOSTS, STORE, {"groups": {"production_hosts": ["p"], "store_hosts": ["s", "p"]}},
                              "p is both in production_hosts and in store_hosts"),
    "a dump that can be read": (LOCAL, ENCRYPTED, {"local_dump": "x.sql.zst"}, FINE),
    "an encrypted dump": (LOCAL, ENCRYPTED, {"local_dump": "x.sql.zst.age"}, "a local environment takes no key of age"),
    "a store and its port": (LOCAL, ADDRESS, {"local_store": "me@store.example.org:2222"}, FINE),
    "a store of IPv6": (LOCAL, ADDRESS, {"local_store": "me@2001:db8::1"}, FINE),
    "a store and no port": (LOCAL, ADDRESS, {"local_store": "store:ssh"}, "is no address of a store"),
}  # fmt: skip

# What make local has restored before, and whether SIGNERS are given now: what is kept of it.
KNOWN = {"data": {"restored": {"sha256": "abc", "signed_by": ""}}}
SAID = {"dump": {"name": "n", "sha256": "abc"}, "tables": {}, "signed_by": "production"}
ADDRESSES = {"store": ("-p22", "dumps-read@store"), "me@h:2222": ("-p2222", "me@h"), "::1": ("-p22", "dumps-read@::1")}


def tasks(document: t.Any) -> t.Iterator[dict[str, t.Any]]:
    """Every task of a playbook or a part of one."""
    for item in document:
        yield item
        for part in ("tasks", "block", "rescue", "always"):
            yield from tasks(item.get(part, []))


def task(playbook: str, name: str) -> dict[str, t.Any]:
    document = yaml.safe_load((ROOT / "playbooks" / playbook).read_text())
    (found,) = (one for one in tasks(document) if one.get("name") == name)
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> t.Any:
    """What each of the tasks answered, and what make local would keep and connect to."""
    folder = tmp_path_factory.mktemp("guards")

    def write(name: str, content: str) -> dict[str, t.Any]:
        return {"ansible.builtin.copy": {"content": content, "dest": f"{folder}/{name}.json"}}

    plays = []
    for number, (playbook, name, given, _) in enumerate(CASES.values()):
        one = task(playbook, name)
        one["vars"] = {**one.get("vars", {}), **{key: value for key, value in given.items() if key != "groups"}}
        text = json.dumps(one)
        if "groups" in given:
            text = text.replace("groups[", "planted[")
            one = {**json.loads(text), "vars": {**one["vars"], "planted": given["groups"]}}
        plays.append({"block": [one, write(str(number), "{}")], "rescue": [write(str(number), FAILED)]})
    block = next(one for one in tasks(yaml.safe_load((ROOT / "playbooks" / TASKS).read_text())) if "block" in one)
    for signers in ("", "signers"):
        given = {"local_signers": signers, "local_dump": "", "local_store": "store", "__local_known": KNOWN}
        given |= {"__local_done": {"skipped": True}, "__local_asked": SAID, "__local_restored": None}
        kept = {**task(TASKS, KEPT)}
        shown = write(f"kept{signers}", "{{ __local_restored | to_json }}")
        plays.append({"vars": {**block["vars"], **given}, "block": [{**kept, "register": "ignored"}, shown]})
    for number, store in enumerate(ADDRESSES):
        shown = write(f"ssh{number}", "{{ __local_ssh | to_json }}")
        plays.append({**shown, "vars": {"local_store": store}})
    groups = {"production_hosts": {"hosts": {"p": {}}}, "store_hosts": {"hosts": {"s": {}}}}
    here = {"ansible_python_interpreter": sys.executable}
    (folder / "inventory.yml").write_text(json.dumps({"all": {"hosts": {"localhost": here}, "children": groups}}))
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(VARS)],
        "tasks": plays,
    }
    (folder / "play.yml").write_text(json.dumps([play]))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", folder / "inventory.yml", folder / "play.yml"]
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **settings})
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
    return lambda name: json.loads((folder / f"{name}.json").read_text())


FAILED = "{{ ansible_failed_result | to_json }}"


@pytest.mark.parametrize("case", CASES)
def test_what_would_lose_data_or_fail_is_stopped_before(done: t.Any, case: str) -> None:
    sentence, found = CASES[case][3], done(list(CASES).index(case))
    said = json.dumps(found)
    assert (sentence in said) if sentence else found == {}, said


def test_who_gives_signers_learns_who_signed_what_is_there_already(done: t.Any) -> None:
    known = done("keptsigners")
    assert known["restored"]["signed_by"] == "production"
    assert "Signed by production, and the copy is equal." in known["sentences"]
    # Who gives none is asked nothing, and what is known stays.
    assert done("kept") is None


@pytest.mark.parametrize("store", ADDRESSES)
def test_a_store_s_port_is_given_to_ssh(done: t.Any, store: str) -> None:
    words = done(f"ssh{list(ADDRESSES).index(store)}")
    assert (words[-2], words[-1]) == ADDRESSES[store]
