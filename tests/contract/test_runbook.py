"""The runbook's ways out of a disaster are run by tests, as they stand there, and lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
DISASTERS = (
    "The host is gone",
    "The database is gone",
    "A table was emptied",
    "The store is gone",
    "A key leaked",
)


def section(heading: str) -> str:
    """The text below a heading of the runbook."""
    return RUNBOOK.split(f"\n## {heading}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("heading", [*DISASTERS, "Rows must be corrected"])
def test_every_command_of_a_disaster_is_run_by_a_test(heading):
    text = section(heading)
    marked = re.findall(r"<!-- run by (\S+): (\w+) -->\n```sh\n(.*?)```", text, re.DOTALL)
    assert len(marked) == text.count("```sh") >= 1, "each list of commands names the test that runs it"
    for path, test, commands in marked:
        body = re.search(rf"^def {test}\(run\b.*?(?=^def |\Z)", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)
        assert body, f"{path} has no {test} that follows the runbook"
        assert re.search(r"^    run\(", body[0], re.MULTILINE), f"{test} does not run the commands"
        for line in commands.splitlines():
            assert re.match(r"(ansible-playbook -i INVENTORY|ssh (PRODUCTION|STORE) sudo|make [a-z-]+) \S", line), line


def test_every_playbook_that_is_named_is_there():
    named = set(re.findall(r"playbooks/\w+\.yml", RUNBOOK))
    assert named
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_every_link_leads_somewhere():
    headings = {
        re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.*)$", RUNBOOK, re.M)
    }
    for link in re.findall(r"\]\(([^)]+)\)", RUNBOOK):
        path, _, anchor = link.partition("#")
        assert path or anchor in headings, link
        assert not path or (ROOT / "docs" / path).exists(), link
