"""What the README promises: its commands are there, its links lead somewhere, each guarantee names a test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def test_every_link_leads_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_guarantee_names_a_test_that_exists():
    section = README.split("## Guarantees")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(rows) >= 10
    for row in rows:
        named = re.findall(r"\[`(\w+)`\]\(([^)]+)\)", row)
        assert named, f"no test is named: {row}"
        for name, path in named:
            assert re.search(rf"^\s*def {name}\(", (ROOT / path).read_text(), re.MULTILINE), f"{path} has no {name}"


def test_every_make_target_that_is_named_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    targets |= {f"molecule-{path.parent.name}" for path in (ROOT / "molecule").glob("*/molecule.yml")}
    named = set(re.findall(r"`?make ([a-z]+(?:-[a-z]+)*)", README))
    assert named <= targets, named - targets


def test_ci_runs_what_the_readme_promises():
    assert "make test" in README
    assert re.search(r"^(exec )?make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
