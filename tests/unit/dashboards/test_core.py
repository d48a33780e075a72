"""The deciding part imports nothing that reads or writes, and only one file speaks HTTP."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "dashboards"
PURE = {
    *(
        "__future__",
        "collections",
        "dataclasses",
        "difflib",
        "ipaddress",
        "json",
        "math",
        "re",
        "typing",
        "unicodedata",
    ),
    # It only takes addresses apart.
    "urllib.parse",
}
CORE = {
    "document": set(),
    "leaks": set(),
    "addresses": set(),
    "tree": {"document", "leaks"},
    "changes": {"document", "leaks", "tree"},
    # It reads from a stream that is given to it.
    "archive": {"document", "tree"},
    # It asks a server that is given to it; api is there for its types alone.
    "exchange": {"archive", "changes", "document", "tree", "api"},
}
STREAMS = {"archive": {"gzip", "io", "tarfile", "zlib"}}


def imported(name: str) -> tuple[set[str], set[str]]:
    """The modules imported from elsewhere, and those of this folder."""
    elsewhere, here = set(), set()
    for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            elsewhere |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            here |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            elsewhere.add(str(node.module))
    return elsewhere, here


@pytest.mark.parametrize("name", CORE)
def test_the_core_does_no_input_or_output(name: str) -> None:
    elsewhere, here = imported(name)
    assert elsewhere <= PURE | STREAMS.get(name, set())
    assert here <= CORE[name]


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "api"))
def test_only_one_file_speaks_http(name: str) -> None:
    assert not {one for one in imported(name)[0] if one.startswith(("ansible", "http", "urllib.request", "socket"))}
