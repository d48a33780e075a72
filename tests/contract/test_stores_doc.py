"""docs/stores.md says of each kind of store what the code says that it loses, and every variable of the playbook."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.plain.guarantees import (
    KINDS,
    LOST,
    PLAIN,
    SFTP,
    loses,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([a-z-]+)`: (.*?) \| (.*) \|$", re.MULTILINE)


def test_the_table_has_every_sentence_and_no_other() -> None:
    assert {key: sentence for key, sentence, _cells in ROW.findall(PAGE)} == dict(LOST)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_says_what_a_kind_loses(kind: str) -> None:
    header = next(line for line in PAGE.splitlines() if line.startswith("| what is so where"))
    column = [cell.strip(" `") for cell in header.strip("|").split("|")[1:]].index(kind)
    lost = {key for key, _sentence, cells in ROW.findall(PAGE) if cells.split(" | ")[column] == "lost"}
    assert lost == set(loses(kind))


@pytest.mark.parametrize("kind", PLAIN)
def test_the_readme_says_each_sentence_of_a_kind(kind: str) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (each of them|`[a-z0-9_]+`, [a-z ]+) \| (.*) \|$", readme, re.MULTILINE))
    said = set(rows["each of them"].split("; ") + rows.get(f"`{kind}`, too", "").split("; ")) - {""}
    assert said == {LOST[key] for key in loses(kind)}
    assert rows[f"`{SFTP}`, where the server knows no fsync"] == LOST["on-disk"]


def test_every_variable_of_the_playbook_is_said() -> None:
    playbook = (ROOT / "playbooks" / "stores.yml").read_text(encoding="utf-8")
    variables = set(re.findall(r"(?<!_)\bstores_[a-z]+(?:_[a-z]+)*", playbook)) - {"stores_connections"}
    assert variables
    assert {name for name in variables if name not in PAGE} == set()
