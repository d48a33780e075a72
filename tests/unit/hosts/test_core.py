"""What is parsed does no I/O and imports the standard library alone."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.unit.outside import IO

PARSING = Path(__file__).resolve().parents[3] / "plugins/module_utils/hosts/parsing"


@pytest.mark.parametrize("path", sorted(PARSING.glob("*.py")), ids=lambda path: path.stem)
def test_the_core_is_pure(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    found |= {
        str(node.module).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
    }
    assert found <= set(sys.stdlib_module_names) - IO
    assert not any(isinstance(node, ast.ImportFrom) and node.level > 1 for node in ast.walk(tree))
