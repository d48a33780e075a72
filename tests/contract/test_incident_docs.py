"""docs/incidents.md: its example is a plan that may be carried out, and it names every key and state."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing, plan, records, states, yamls

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "incidents.md").read_text(encoding="utf-8")


def test_the_example_is_a_plan_that_may_be_carried_out():
    (example,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    made = plan.read(yamls.load(example.encode(), plan.FILE))
    assert parsing.problems(made) == []


@pytest.mark.parametrize("key", sorted({*plan.REQUIRED, *plan.PLAN_KEYS, *plan.STEP_KEYS}))
def test_every_key_is_named(key):
    assert re.search(rf"\b{key}\b", TEXT)


def test_every_state_and_file_is_explained():
    rows = re.findall(r"^\| `?([a-z. ]+)`? \|", TEXT, re.MULTILINE)
    assert set(states.STATES) <= set(rows)
    assert {plan.FILE, records.REHEARSAL_FILE, records.APPROVAL_FILE, records.AFTER_FILE, records.REPORT_FILE} <= set(
        rows
    )


def test_every_link_leads_somewhere():
    for link in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / "docs" / link).exists(), link
