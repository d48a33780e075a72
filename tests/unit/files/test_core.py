"""The deciding part imports nothing that reads or writes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "files"


@pytest.mark.parametrize("name", ["wanted", "plan", "diff"])
def test_the_core_does_no_input_or_output(name: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse((CORE / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or ""))
    pure = {"__future__", "base64", "binascii", "dataclasses", "fnmatch", "hashlib", "re", "typing", ".plan", ".wanted"}
    assert imported <= pure
