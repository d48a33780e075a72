"""playbooks/audit.yml asks for every source, by modules that only read, and goes on where one can't be asked."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.answers import HELD, HOST, PREFIX
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
PLAYS = [play for play in yaml.safe_load((ROOT / "playbooks/audit.yml").read_text(encoding="utf-8")) if "hosts" in play]
WORDS = {
    "name",
    "when",
    "register",
    "vars",
    "become",
    "delegate_to",
    "block",
    "rescue",
    "no_log",
    "loop",
    "loop_control",
}
# Modules of ours whose documentation says that nothing is changed, and those of Ansible that only read or note.
OURS = {
    "host_access_info",
    "pg_access_info",
    "pg_server_info",
    "dump_info",
    "grafana_dashboards",
    "incident_info",
    "freshness_info",
}
READING = {f"taaraxtak.production.{name}" for name in OURS}
NOTING = {f"ansible.builtin.{name}" for name in ("debug", "set_fact", "slurp", "assert")}
# On the controller alone it writes the reports.
WRITING = "taaraxtak.production.audit_report"


def tasks(listed: list[dict[str, t.Any]], inside: bool = False) -> t.Iterator[tuple[dict[str, t.Any], str, bool]]:
    """Each task, its module, and whether a rescue stands behind it."""
    for task in listed:
        if "block" in task:
            yield from tasks(task["block"], inside or bool(task.get("rescue")))
            yield from tasks(task.get("rescue", []), inside)
            continue
        (module,) = [word for word in task if word not in WORDS]
        yield task, module, inside


ALL = [(play, *one) for play in PLAYS for one in tasks(play["tasks"])]


def test_nothing_that_is_asked_can_change_a_host():
    for play, task, module, _inside in ALL:
        assert module in READING | NOTING | {WRITING}, f"{task['name']}: {module} is not known to read alone"
        if module == WRITING:
            assert play["hosts"] == "localhost"


def test_of_dashboards_only_the_difference_is_asked_for():
    given = [task[module] for _play, task, module, _inside in ALL if module.endswith(".grafana_dashboards")]
    assert [one["state"] for one in given] == ["compared"]


def test_what_can_not_be_asked_keeps_nothing_else_from_being_asked():
    asked = [(task["name"], inside) for _play, task, module, inside in ALL if module in READING]
    assert asked
    assert [name for name, inside in asked if not inside] == []
    assert all(play.get("ignore_unreachable") for play in PLAYS if play["hosts"] != "localhost")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.id)
def test_every_source_is_asked_for(kind):
    noted = {task["register"] for _play, task, _module, _inside in ALL if "register" in task}
    noted |= {name for _play, task, module, _inside in ALL if module.endswith(".set_fact") for name in task[module]}
    assert (HOST if kind.of_host else PREFIX + HELD.get(kind.id, kind.id)) in noted


def test_the_page_names_every_source():
    page = (ROOT / "docs/audit-report.md").read_text(encoding="utf-8")
    assert [kind.id for kind in KINDS if f"| `{kind.id}` |" not in page] == []
