"""What the folder may import: its core does no I/O, and the reports have one edge."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.unit.outside import IO

AUDIT = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "audit"
EDGES = {"files.py"}
# Pure parts of other folders.
ELSEWHERE = {
    "access.audit.findings",
    "access.plan.hba",
    "access.plan.statements",
    "access.policy.model",
    "dumps.plain.guarantees",
    "hosts.parsing.keys",
    "sshd.times",
}
OWN = {str(path.relative_to(AUDIT)) for path in AUDIT.rglob("*.py")}


def imported(path: str) -> tuple[set[str], set[str]]:
    """What a file imports from outside of the collection, and from other folders of module_utils."""
    outside, beside = set(), set()
    depth = path.count("/") + 1
    for node in ast.walk(ast.parse((AUDIT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            outside |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            outside.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level > depth:
            beside.add(str(node.module))
    return outside, beside


@pytest.mark.parametrize("path", sorted(OWN - EDGES))
def test_the_core_is_pure(path):
    outside, beside = imported(path)
    assert outside <= set(sys.stdlib_module_names) - IO
    assert beside <= ELSEWHERE


def test_every_file_is_looked_at():
    assert {"frame.py", "report.py", "page/page.py", "judges/access.py"} <= OWN
    assert imported("files.py")[0] & IO
