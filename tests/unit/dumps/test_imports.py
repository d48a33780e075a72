"""What the folder may import: it runs on hosts without Ansible, and its core does no I/O."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.unit.outside import IO

DUMPS = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "dumps"
CORE = {
    *(
        "counts",
        "ddl",
        "drilled",
        "finding",
        "frames",
        "freshness",
        "globals_scan",
        "incidents",
        "manifest",
        "metrics",
        "names",
        "reader",
    ),
    *("plain/guarantees", "plain/sftp_wire", "without"),
    *("retention", "scan", "restore/named", "restore/proof", "restore/roles", "restore/text"),
}
DRIVER = {"postgres", "restore/session", "restore/trials"}
# What runs in the drill's sandbox alone, where the package `access` lies beside this one.
SANDBOX = {"restore/probation", "restore/sandbox", "restore/trials"}
FILES = sorted(path.relative_to(DUMPS).with_suffix("").as_posix() for path in DUMPS.rglob("*.py"))


def imports(file: str) -> tuple[set[str], set[str]]:
    """The modules imported from elsewhere, and the files of this folder."""
    elsewhere, here = set(), set()
    path = DUMPS / f"{file}.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            elsewhere |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            elsewhere.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1]
            if not folder.is_relative_to(DUMPS):
                assert file in SANDBOX, f"{path.name} reaches out of its folder"
                continue
            module = folder.joinpath(*(node.module or "").split("."))
            found = [module] if module.with_suffix(".py").is_file() else [module / name.name for name in node.names]
            here |= {each.relative_to(DUMPS).as_posix() for each in found}
    return elsewhere, here


@pytest.mark.parametrize("file", FILES)
def test_nothing_but_the_standard_library_is_needed(file: str) -> None:
    allowed = set(sys.stdlib_module_names) | ({"psycopg2"} if file in DRIVER else set())
    assert imports(file)[0] <= allowed


@pytest.mark.parametrize("file", sorted(CORE))
def test_the_core_is_pure(file: str) -> None:
    elsewhere, here = imports(file)
    assert not elsewhere & IO
    assert here <= CORE


def test_sender_and_store_do_not_need_the_database_driver() -> None:
    reached, waiting = set(), {"sender", "store", "plain/command"}
    while waiting:
        file = waiting.pop()
        reached.add(file)
        waiting |= imports(file)[1] - reached
    assert "restore/drill" in reached
    assert not reached & DRIVER
