"""What tasks register becomes sources: what failed is never read, and what was not asked is not made up."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.answers import sources
from ansible_collections.taaraxtak.production.plugins.module_utils.audit.model import CONTROLLER, Kind

NOTHING = ()
KINDS = (
    Kind("access", "Access", ("database_hosts",), lambda *_: (), NOTHING),
    Kind("server", "Server", ("database_hosts",), lambda *_: (), NOTHING),
    Kind("sessions", "Sessions", ("database_hosts",), lambda *_: (), NOTHING),
    Kind("disk", "Disk", ("database_hosts", "store_hosts"), lambda *_: (), NOTHING, of_host=True),
    Kind("incidents", "Incidents", (CONTROLLER,), lambda *_: (), NOTHING),
)
GROUPS = {"production": ["database_hosts"], "store": ["store_hosts"], CONTROLLER: []}


def made(place: str = "production", /, **registered: object) -> list[tuple[str, str, str]]:
    variables = {f"__audit_{name}": answer for name, answer in registered.items()}
    return [(one["id"], one["state"], one["why"]) for one in sources({place: variables}, GROUPS, KINDS)]


@pytest.mark.parametrize(
    ("answer", "state", "why"),
    [
        ({"changed": False, "findings": []}, "read", ""),
        ({"failed": True, "msg": "no server answers\nTraceback"}, "unreadable", "no server answers"),
        ({"failed": True}, "unreadable", "its task failed and does not say why"),
        ({"unreachable": True, "msg": "Connection timed out"}, "unreadable", "Connection timed out"),
        ({"state": "absent", "why": "none here"}, "absent", "none here"),
        ({"state": "unreadable", "why": "no file"}, "unreadable", "no file"),
        ("text", "unreadable", "its answer is no mapping"),
    ],
)
def test_an_answer_says_whether_it_was_read(answer, state, why):
    assert made(access=answer) == [("access", state, why)]


def test_a_task_that_was_skipped_has_not_looked():
    assert made(access={"skipped": True, "changed": False}) == []
    assert made() == []


def test_what_ansible_adds_is_no_data():
    (one,) = sources({"production": {"__audit_access": {"changed": False, "warnings": ["x"], "a": 1}}}, GROUPS, KINDS)
    assert one["data"] == {"a": 1}


def test_the_parts_of_a_host_are_sources_of_their_own():
    parts = {"disk": {"state": "unreadable", "why": "no df"}}
    assert made("store", host={"parts": parts}) == [("disk", "unreadable", "no df")]
    (one,) = sources({"store": {"__audit_host": {"parts": {"disk": {"state": "read", "why": "", "data": {"a": 1}}}}}},
                     GROUPS, KINDS)  # fmt: skip
    assert (one["state"], one["data"]) == ("read", {"a": 1})


def test_of_a_host_that_could_not_be_asked_every_part_is_unreadable_and_no_other():
    assert made("store", host={"unreachable": True, "msg": "gone"}) == [("disk", "unreadable", "gone")]


def test_what_one_answer_holds_for_another_source_is_read_with_it_or_not_at_all():
    assert made(server={"sessions": {"state": "unreadable", "why": "no log"}, "version": "17"}) == [
        ("server", "read", ""),
        ("sessions", "unreadable", "no log"),
    ]
    assert made(server={"failed": True, "msg": "down"}) == [
        ("server", "unreadable", "down"),
        ("sessions", "unreadable", "down"),
    ]
