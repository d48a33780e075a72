"""The deciding parts of guarded changes and of sshd's judgement import nothing that reads or writes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

UTILS = Path(__file__).resolve().parents[3] / "plugins" / "module_utils"
PURE = {"__future__", "dataclasses", "fnmatch", "ipaddress", "re", "typing"}


@pytest.mark.parametrize("path", ["guard/undo.py", "sshd/effective.py"])
def test_the_core_does_no_input_or_output(path: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse((UTILS / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or ""))
    assert imported <= PURE
