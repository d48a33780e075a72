"""What is no developer's own container, or no dump, is refused before anything is made."""

from __future__ import annotations

import re

import pytest


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"ansible_connection": "ssh"}, "is not a container of this machine"),
        ({"local_dump": "/nowhere.sql.zst", "local_store": ""}, "There is no dump /nowhere.sql.zst"),
        ({"local_dump": "/etc/passwd", "local_store": ""}, "There is no dump /etc/passwd"),
        ({"local_dump": "/x.sql"}, "DUMP and STORE both say"),
        ({"local_store": "-oProxyCommand=x"}, "is no address of a store"),
        ({"local_key": ""}, "KEY is not given"),
        ({"local_known_hosts": "/nowhere"}, "KNOWN_HOSTS is /nowhere"),
    ],
)
def test_what_is_not_local_or_not_there_is_refused(variables, sentence, play):
    assert sentence in re.sub(r"\s+", " ", play("playbooks/local_preflight.yml", status=2, **variables))


@pytest.mark.parametrize("ending", [".sql.zst", ".sql.gz", ".sql"])
def test_a_dump_in_any_packing_is_let_through(ending, play, tmp_path):
    path = tmp_path / f"own{ending}"
    path.touch()
    play("playbooks/local_preflight.yml", local_store="", local_dump=str(path))


def test_another_machine_s_containers_are_refused(monkeypatch, play):
    monkeypatch.setenv("CONTAINER_HOST", "ssh://production.example.org/run/podman.sock")
    said = play("playbooks/local_preflight.yml", status=2)
    assert "podman" in said
