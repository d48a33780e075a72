"""Which dump a restore into production takes: another host's only where nobody else brings a database of that name."""

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
HOST = "b"


def dump(signer: str, *, verified: bool, hour: int = 3, rows: int = 100) -> dict[str, t.Any]:
    name = f"{signer}{hour}"
    more = {"bytes": 1, "raw_bytes": 1, "received": f"{hour}", "database": "taaraxtak", "signed": True}
    return {"name": name, "signer": signer, "verified": verified, "rows": rows, "tables": {}, **more}


def newest(signer: str, archived: dict[str, t.Any] | None, verified: dict[str, t.Any] | None) -> dict[str, t.Any]:
    return {"database": "taaraxtak", "kind": "dump", "signer": signer, "archived": archived, "verified": verified}


DRILLED = {signer: newest(signer, *[dump(signer, verified=True)] * 2) for signer in ("a", "b")}
UNDRILLED = {signer: newest(signer, dump(signer, verified=False), None) for signer in ("a", "b")}
OLDER_DRILLED = newest("b", dump("b", verified=False, hour=4), dump("b", verified=True))
EMPTIED = {"b": dump("b", verified=False, hour=4, rows=49), "c": dump("b", verified=False, hour=4, rows=50)}
VERIFIED = {"restore_verified": "true"}

# What is taken, or words of why nothing is; what the store lists, and what else is said by -e.
CASES: dict[str, tuple[str, list[dict[str, t.Any]], dict[str, t.Any]]] = {
    "its own of two": ("b3", [DRILLED["a"], DRILLED["b"]], {}),
    "its own of two, undrilled": ("b3", [DRILLED["a"], UNDRILLED["b"]], {}),
    "its own verified one of two": ("b3", [DRILLED["a"], OLDER_DRILLED], VERIFIED),
    "another's drilled, its own not": ("several hosts", [DRILLED["a"], UNDRILLED["b"]], VERIFIED),
    "two of others": ("several hosts", [newest("c", dump("c", verified=True), None), DRILLED["a"]], {}),
    "the only one, of another": ("a3", [DRILLED["a"]], {}),
    "the only one, of another and drilled": ("a3", [DRILLED["a"]], VERIFIED),
    "the only one, undrilled": ("no verified dump", [UNDRILLED["b"]], VERIFIED),
    "none that counts": ("no archived dump", [newest("", None, None)], {}),
    "one of a new and empty database": (
        "-e restore_name=b3 or",
        [newest("b", EMPTIED["b"], dump("b", verified=True))],
        {},
    ),
    "one of another's emptied": ("-e restore_name=a3 or", [newest("b", EMPTIED["b"], None), DRILLED["a"]], {}),
    "one with half of the rows": ("b4", [newest("b", EMPTIED["c"], dump("b", verified=True))], {}),
    "an empty one, by its name": ("b4", [newest("b", EMPTIED["b"], DRILLED["a"]["verified"])], {"restore_name": "b4"}),
    "another's, by its name": ("a3", [DRILLED["a"], DRILLED["b"]], {"restore_name": "a3"}),
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, t.Any]]:
    """What the play that asks the store has found in each case, each of which is a store, or its failure."""
    folder = tmp_path_factory.mktemp("restore")
    play = yaml.safe_load((ROOT / "playbooks" / "restore.yml").read_text())[2]
    assert play["hosts"] == "restore_from"
    asks, *chooses, reads = play["tasks"]
    assert "taaraxtak.production.dump_info" in asks
    assert "ansible.builtin.slurp" in reads
    (shows,) = (task for task in chooses if "ansible.builtin.debug" in task)
    shows["register"] = "shown"

    def write(content: str) -> dict[str, t.Any]:
        return {"ansible.builtin.copy": {"content": content, "dest": f"{folder}/{{{{ inventory_hostname }}}}.json"}}

    well = write("{{ {'name': __restore_dump.name, 'msg': shown.msg} | to_json }}")
    play["tasks"] = [{"block": [*chooses, well], "rescue": [write("{{ ansible_failed_result | to_json }}")]}]
    (folder / "play.yml").write_text(json.dumps([{**play, "any_errors_fatal": False}]))
    stores = {}
    for number, (_, listed, said) in enumerate(CASES.values()):
        dumps = [one["archived"] for one in listed if one["archived"]]
        if "restore_name" in said:
            dumps = [one for one in dumps if one["name"] == said["restore_name"]]
        stores[f"store{number}"] = {"__restore_listed": {"newest": listed, "dumps": dumps}, **said}
    hosts = {
        "restore_from": {"hosts": stores},
        "restore_to": {"hosts": {HOST: {"access_policy": {"scope": {"databases": ["taaraxtak"]}}}}},
    }
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "inventory.yml").write_text(json.dumps({"all": {"children": hosts, "vars": here}}))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", folder / "inventory.yml", folder / "play.yml"]
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORKS": "4"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, env={**os.environ, **settings}
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    return {case: json.loads((folder / f"{store}.json").read_text()) for store, case in zip(stores, CASES, strict=True)}


@pytest.mark.parametrize("case", CASES)
def test_another_hosts_data_are_restored_only_where_nobody_else_brings_any(
    taken: dict[str, dict[str, t.Any]], case: str
) -> None:
    expected, _, _ = CASES[case]
    found = taken[case]
    if " " in expected:
        assert "name" not in found
        assert expected in found["msg"]
    else:
        assert found["name"] == expected
        assert found["msg"].startswith(expected)
        assert f"signed by {expected[0]}, " in found["msg"]
