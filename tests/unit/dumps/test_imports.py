"""What the folder may import: it runs on hosts without Ansible, and its core does no I/O."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

DUMPS = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "dumps"
CORE = {"counts", "frames", "freshness", "incidents", "manifest", "metrics", "names", "reader", "retention", "scan"}
IO = {
    "os",
    "subprocess",
    "socket",
    "pathlib",
    "io",
    "fcntl",
    "select",
    "signal",
    "shutil",
    "tempfile",
    "syslog",
    "ctypes",
}
FILES = sorted(DUMPS.glob("*.py"))


def imports(path: Path) -> tuple[set[str], set[str]]:
    """The modules imported from elsewhere, and those from this folder."""
    elsewhere, here = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            elsewhere |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2, f"{path.name} reaches out of its folder"
            names = [node.module] if node.module else [name.name for name in node.names]
            (here if node.level else elsewhere).update(name.partition(".")[0] for name in names)
    return elsewhere, here


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_but_the_standard_library_is_needed(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | ({"psycopg2"} if path.stem == "postgres" else set())
    assert imports(path)[0] <= allowed


@pytest.mark.parametrize("name", sorted(CORE))
def test_the_core_is_pure(name: str) -> None:
    elsewhere, here = imports(DUMPS / f"{name}.py")
    assert not elsewhere & IO
    assert here <= CORE


def test_sender_and_store_do_not_need_the_database_driver() -> None:
    reached, waiting = set(), {"sender", "store"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= imports(DUMPS / f"{name}.py")[1] - reached
    assert "postgres" not in reached
