"""Whatever a host answers, the report of all others is made: what can't be understood is a source that was not read."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit import answers
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.files import texts
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.frame import UNREAD, judge
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.grid import grids
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import (
    Document,
    Kind,
    Source,
    read_source,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.registry import KINDS
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.report import report
from ansible_collections.taaraxtak.production.tests.unit.audit import hosts
from ansible_collections.taaraxtak.production.tests.unit.audit.estates import (
    EXPECTED,
    HOSTS,
    NOW,
    broken,
    dashboards,
    dump,
    dumps,
    effective,
    incidents,
    login,
    provider,
    server,
    sessions,
    sources,
)
from jsonschema import Draft202012Validator

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = Draft202012Validator(json.loads((ROOT / "docs/audit-report.schema.json").read_text(encoding="utf-8")))
NAN, ENDLESS = float("nan"), float("inf")
HUGE = 10**400
VALUES: tuple[t.Any, ...] = (None, True, -1, NAN, ENDLESS, HUGE, "\ud800", [], [None], {"x": []})
EDITED = {**dashboards(), "updated": ["ooni"], "differences": {"ooni": "-a"}}
LATE = {**dumps(), "dumps": [dump(30, verified=True), dump(31, signed=False)], "problems": ["x"]}
# What is wrong with a host in every way at once, so that no line of a judge is left out.
WRONG = {
    **hosts.parts(),
    "disk": {"places": [{"path": "/", "bytes_free": 1, "percent_free": 1, "percent_inodes_free": 1}]},
    "firewall": {
        "differs": [{"what": "x", "more": ["a"], "lacks": ["b"], "digest": "x"}],
        "pending": True,
        "other_tables": [{"table": "ip x", "lines": ["c"], "digest": "x"}],
    },
    "sockets": {"sockets": [hosts.socket(99, "x", program="y"), hosts.socket(98, "x", "127.0.0.1")]},
    "privileged_files": {
        "files": [hosts.privileged("/x", "4755", capabilities=["cap_sys_admin"])],
        "unsearched": [{"path": "/home/x", "owner": "x", "why": "y"}],
    },
}
SMALL = {key: value for key, value in broken().items() if key != "effective"}
SMALL |= {"effective": [effective("scraper", ["SELECT"], ["public.x"], "PUBLIC")], "matrix": broken()["matrix"][:1]}
SMALL |= {key: SMALL[key][:1] for key in ("findings", "probes")}
GRID = {"findings": [], "grid": grids(SMALL)}
ANSWERS: list[tuple[str, Document]] = [
    ("access", SMALL), ("access", GRID),
    ("server", {**server(), "settings": [{"name": "a", "live": "b", "wanted": "c"}]}),
    ("sessions", sessions(login(address="203.0.113.1"))), ("dumps", LATE), ("provider", provider(problems=["x"])),
    ("dashboards", EDITED), ("incidents", incidents()), *WRONG.items(),
]  # fmt: skip


def places(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Every place in an answer; of a list the first entry, which stands for the others."""
    if path:
        yield path
    entries = (
        value.items() if isinstance(value, dict) else list(enumerate(value))[:1] if isinstance(value, list) else ()
    )
    for key, one in entries:
        yield from places(one, (*path, key))


def put(data: Document, path: tuple[t.Any, ...], value: t.Any) -> Document:
    changed = copy.deepcopy(data)
    at: t.Any = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def reported(given: list[Source], kinds: tuple[Kind, ...] = KINDS) -> Document:
    """The report, which is whole, as are all its forms."""
    done = judge(given, HOSTS, now=NOW, expected=EXPECTED, kinds=kinds)
    document = report(done, HOSTS, now=NOW, fail_on="low", last=None)
    # As a program reads it, to whom NaN is none.
    read = json.loads(json.dumps(document, allow_nan=False))
    # Of what no host can touch the first stands for all.
    short = {**read, **{key: read[key][:1] for key in ("rules", "promises")}}
    assert [error.message for error in SCHEMA.iter_errors(short)] == []
    for name, text in texts(document, Path("/x")).items():
        assert text.encode(), name
    return t.cast(Document, read)


@pytest.mark.parametrize(("id_", "data"), ANSWERS, ids=[f"{n}-{one[0]}" for n, one in enumerate(ANSWERS)])
def test_no_value_in_an_answer_breaks_the_report(id_, data):
    (place, *_others) = [one.host for one in sources() if one.id == id_]
    kinds = tuple(kind for kind in KINDS if kind.id == id_)
    reported([Source(id_, place, "read", data=data)], kinds)
    for path in places(data):
        for value in VALUES:
            reported([Source(id_, place, "read", data=put(data, path, value))], kinds)


@pytest.mark.parametrize(
    "hole",
    [
        {"severity": "worst"},
        {"severity": 3},
        {"severity": ["high"]},
        {"id": 3},
        {"id": []},
        {"role": {}},
        {"path": [1]},
    ],
    ids=repr,
)
def test_of_a_finding_that_is_none_the_source_was_not_read_and_all_others_were(hole):
    given = sources(access={**broken(), "findings": [{**broken()["findings"][0], **hole}]}, dashboards=EDITED)
    document = reported(given)
    assert [one["rule"] for one in document["findings"]] == [UNREAD, "dashboard-edited"]
    assert {one["id"] for one in document["sources"] if one["state"] != "read"} == {"access"}


def test_what_is_too_deep_was_not_read():
    deep: list[t.Any] = []
    for _ in range(100_000):
        deep = [deep]
    given = [one for one in sources() if (one.id, one.host) != ("jobs", "production")]
    strange = Source("jobs", "production", "read", data={**WRONG["jobs"], "at": [deep]})
    assert [one["object"] for one in reported([*given, strange])["findings"]] == ["source jobs"]


@pytest.mark.parametrize(
    "part",
    [
        {"state": "read", "data": [1]}, {"state": "read", "data": "x"}, {"state": "read", "data": None},
        {"state": "unreadable", "why": " "}, {"state": "absent"}, {"state": ["read"]}, {"state": "read", "why": {}},
        [], "x", None, 3, {"failed": True, "msg": ["x"]}, {"failed": "no", "msg": "\n"},
    ],
)  # fmt: skip
def test_every_answer_becomes_a_source_that_the_report_takes(part):
    for registered in ({"__audit_host": {"parts": {"disk": part}}}, {"__audit_access": part}, {"__audit_host": part}):
        for one in answers.sources({"production": registered}, {"production": ["database_hosts", "production_hosts"]}):
            read = read_source(one)
            assert read.state != "read" or isinstance(read.data, dict)
