"""What the folder may import: its core decides and does no I/O, and each outside thing has one file."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.unit.outside import IO

ACTIONS = Path(__file__).resolve().parents[3] / "plugins" / "module_utils" / "actions"
# approval: ssh-keygen; attempt: this host; database: psycopg2; folder: the incident's files; ids: database's sessions;
# ledger: what this host remembers; parsing: pglast; saving: zstd and the stores; watching: the ledger; yamls: PyYAML.
EDGES = {"approval", "attempt", "database", "folder", "ids", "ledger", "parsing", "saving", "watching", "yamls"}
CORE = {
    *("codec", "expected", "functions", "lint", "plan", "records", "report", "statements", "states", "template"),
    *("undo", "written", "carrying", "interface", "queries", "saved", "touching", "choosing", "nodes", "savable"),
    "saying",
}
# Pure parts of other folders.
ELSEWHERE = {"access.policy.fields", "dumps.manifest", "dumps.names", "dumps.scan", "postgres.schema_statements"}


def imports(name: str) -> tuple[set[str], set[str], set[str]]:
    """What is imported: from outside of the collection, from this folder, from other folders of module_utils."""
    outside, here, beside = set(), set(), set()
    for node in ast.walk(ast.parse((ACTIONS / f"{name}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            outside |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            outside.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.level == 1:
            here |= {node.module} if node.module else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            beside.add(str(node.module))
    return outside, here, beside


@pytest.mark.parametrize("name", sorted(CORE))
def test_the_core_is_pure(name):
    outside, here, beside = imports(name)
    assert outside <= set(sys.stdlib_module_names) - IO
    assert here <= CORE
    assert beside <= ELSEWHERE


@pytest.mark.parametrize("name", sorted(EDGES - {"parsing"}))
def test_what_runs_on_the_host_needs_no_parser_of_sql(name):
    assert "parsing" not in imports(name)[1]


def test_nothing_but_its_edge_reads_sql_or_yaml():
    found = {path.stem: imports(path.stem)[0] for path in ACTIONS.glob("*.py")}
    assert {name for name, outside in found.items() if "pglast" in outside} == {"parsing"}
    assert {name for name, outside in found.items() if "yaml" in outside} == {"yamls"}
