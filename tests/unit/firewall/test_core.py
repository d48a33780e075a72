"""The deciding part imports nothing that reaches out."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.unit.outside import IO

CORE = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "firewall"


@pytest.mark.parametrize("name", ["wanted", "ruleset", "compare"])
def test_the_core_does_no_input_or_output(name: str) -> None:
    for node in ast.walk(ast.parse((CORE / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = {alias.name.partition(".")[0] for alias in node.names}
            assert modules <= set(sys.stdlib_module_names) - IO
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert {str(node.module).partition(".")[0]} <= set(sys.stdlib_module_names) - IO
        elif isinstance(node, ast.ImportFrom):
            # held pure by a test of its own
            assert (node.level, node.module) == (2, "sshd.effective") or node.level == 1
            assert node.module in {"wanted", "ruleset", "compare", "sshd.effective"}
