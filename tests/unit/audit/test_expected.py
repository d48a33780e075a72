"""What an inventory expects beside its roles reaches the host that is asked and the judge alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.filter.audit_host_expected import audit_host_expected
from ansible_collections.taaraxtak.production.plugins.filter.audit_host_options import audit_host_options
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.declared import read_expected
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.hosts import merged
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import Expected, joined
from ansible_collections.taaraxtak.production.tests.unit.audit import hosts
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import HOSTS, NOW, judged, sources

ROOT = Path(__file__).resolve().parents[3]
GIVEN = {
    "secrets": {
        "files": [{"path": "/etc/x", "owner": "root", "group": "root", "mode": "0600"}],
        "hosts": {"production": {"files": [{"path": "/etc/y", "owner": "root", "group": "root", "mode": "0600"}]}},
    },
    "units": {"hosts": {"production": {"running": ["node.service"]}, "store": {"running": ["other.service"]}}},
    "sockets": {"sockets": [{"port": 9100, "account": "node"}]},
    "keys": {"lines": {"alice": [hosts.ALICE.replace("AANX", "AANY")]}},
}
# Without what is a template, which only the roles' own hosts could resolve.
PLAIN: dict[str, t.Any] = json.loads(json.dumps(hosts.VARIABLES).replace("{{", "<"))
HELD = {**PLAIN, "group_names": list(hosts.PRODUCTION)}


def asked(said: t.Any = None) -> dict[str, t.Any]:
    """The options for production, where the inventory says *said*."""
    everybody = {} if said is None else {"audit_expected": said}
    return audit_host_options("production", {"production": HELD, "localhost": everybody}, {})


def test_a_host_is_asked_for_what_is_held_against_it():
    plain, more = asked(), asked(GIVEN)
    assert set(more["paths"]) - set(plain["paths"]) == {"/etc/x", "/etc/y"}
    assert set(more["units"]) - set(plain["units"]) == {"node.service"}
    assert {key: more[key] for key in ("firewall", "places")} == {key: plain[key] for key in ("firewall", "places")}


def test_what_the_page_says_can_be_expected_is_judged_and_not_unreadable():
    """The host answers what it was asked: every path and unit that the judge wants is among it."""
    options = asked(GIVEN)
    found = {one["path"]: one for one in hosts.parts()["secrets"]["files"]}
    file = {"kind": "file", "acl": "", "owner": "root", "group": "root", "mode": "0666", "folder": hosts.folder("/etc")}
    data = {
        "secrets": {"files": [found.get(path, {**file, "path": path}) for path in options["paths"]]},
        "units": {**hosts.parts()["units"], "units": [hosts.unit(name, active="failed") for name in options["units"]]},
    }
    expected = joined(merged({host.name: hosts.expected(host.groups) for host in HOSTS}), GIVEN)
    done = judged(sources(**data), expected=expected)
    seen = [(one.rule, one.object) for one in done.findings if one.host == "production"]
    assert ("secret-open", "file /etc/x") in seen
    assert ("secret-open", "file /etc/y") in seen
    assert ("unit-stopped", "unit node.service") in seen
    assert "source-unreadable" not in {rule for rule, _about in seen}


def test_mappings_of_all_hosts_and_of_one_are_joined_to_their_leaves():
    given = {"lines": {"a": ["1"], "b": ["2"]}, "n": 1, "hosts": {"x": {"lines": {"b": ["3"], "c": ["4"]}, "n": 2}}}
    found = Expected(given, NOW).of("x")
    assert found.get("lines") == {"a": ["1"], "b": ["2", "3"], "c": ["4"]}
    assert found.get("n") == 2
    assert Expected(given, NOW).of("y").get("lines") == {"a": ["1"], "b": ["2"]}
    assert given["lines"] == {"a": ["1"], "b": ["2"]}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([], "audit_expected must be a mapping"),
        ({"secret": {}}, "audit_expected knows no source secret"),
        ({"secrets": []}, "audit_expected, secrets must be a mapping"),
        ({"secrets": {"hosts": []}}, "audit_expected, secrets, hosts must be a mapping"),
        ({"secrets": {"hosts": {"x": []}}}, "audit_expected, secrets, hosts, x must be a mapping"),
    ],
)
def test_what_is_no_expectation_is_refused_in_a_sentence(said, sentence):
    for attempt in (lambda: read_expected(said), lambda: asked(said), lambda: judged(expected=said)):
        with pytest.raises(ValueError, match=sentence):
            attempt()


@pytest.mark.parametrize(
    "answer",
    [[], "x", None, {"parts": []}, {"parts": {"keys": "x"}}, {"parts": {"keys": {"data": []}}},
     {"parts": {"keys": {"data": {"public": []}}}}, {"parts": {"keys": {"data": {"public": {"store": ["x"]}}}}}],
)  # fmt: skip
def test_a_writer_that_answers_anything_else_breaks_no_report(answer):
    store = {**PLAIN, "group_names": ["store_hosts"], "dump_store_writers": []}
    held = {"production": {**HELD, "__audit_host": answer}, "store": store}
    found = audit_host_expected(["production", "store"], held, {})
    (row,) = found["keys"]["hosts"]["store"]["machines"]["dumps"]
    assert set(row) <= {"name", "from", "command"}


def test_ansible_hands_over_what_the_inventory_says_of_all(tmp_path):
    """As playbooks/audit.yml does it, with the implicit localhost, which has the variables of all."""
    inventory = {"all": {"vars": {"audit_expected": GIVEN}, "children": {}}}
    groups = {name: {"hosts": {"production": PLAIN}} for name in hosts.PRODUCTION}
    inventory["all"]["children"] = groups
    message = "{{ 'production' | taaraxtak.production.audit_host_options(hostvars, {}) | to_json }}"
    copied = {"ansible.builtin.copy": {"content": message, "dest": str(tmp_path / "options.json")}}
    play = {"hosts": "production", "gather_facts": False, "connection": "local", "tasks": [copied]}
    (tmp_path / "inventory.yml").write_text(json.dumps(inventory))
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", tmp_path / "inventory.yml", tmp_path / "play.yml"],
        cwd=ROOT, env={**os.environ, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "options.json").read_text()) == asked(GIVEN)
