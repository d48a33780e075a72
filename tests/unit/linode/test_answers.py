"""What an answer of Linode's API means is judged the same way each time."""

from __future__ import annotations

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.linode.answers import judge

PATH = "/linode/instances?page=1"


@pytest.mark.parametrize(
    ("answer", "method", "outcome"),
    [
        ({"status": 200, "json": {"id": 7}}, "POST", "done"),
        ({"status": 200, "json": {}}, "POST", "lost"),
        ({"status": 200, "json": {"id": None}}, "POST", "lost"),
        ({"status": 200, "json": {}}, "PUT", "done"),
        ({"skipped": True}, "POST", "planned"),
        ({"status": 429}, "POST", "busy"),
        ({"status": 429}, "GET", "busy"),
        ({"status": 400, "json": {"errors": []}}, "POST", "refused"),
        ({"status": 302}, "GET", "refused"),
        ({"status": 500}, "POST", "lost"),
        ({"status": 503}, "GET", "silent"),
        ({"status": 503}, "PUT", "silent"),
        ({"status": -1, "msg": "timed out"}, "POST", "lost"),
        ({"status": -1, "msg": "timed out"}, "GET", "silent"),
        ({"status": 200}, "POST", "lost"),
        ({"status": 200}, "GET", "silent"),
        ({"status": 200, "json": []}, "GET", "silent"),
        ({"msg": "MODULE FAILURE"}, "POST", "lost"),
        ({}, "GET", "silent"),
        ({"msg": "Task failed: Finalization of task args for 'ansible.builtin.uri' failed: x"}, "POST", "refused"),
    ],
)
def test_an_answer_has_one_outcome(answer, method, outcome):
    assert judge(answer, method, PATH).outcome == outcome


def test_only_what_makes_nothing_may_be_done_without_an_id():
    """Turning backups on makes nothing: the API answers it with an empty object."""
    assert judge({"status": 200, "json": {}}, "POST", "/linode/instances/7/backups/enable").outcome == "done"
    sentence = judge({"status": 200, "json": {}}, "POST", "/networking/firewalls").sentence
    assert sentence == "Nobody knows whether POST /networking/firewalls was done: what came has no id."


@pytest.mark.parametrize(
    ("said", "wait"), [("7", 7), (" 120 ", 120), (None, 30), ("Wed, 21 Oct 2026 07:28:00 GMT", 30)]
)
def test_the_seconds_that_the_api_says_are_waited(said, wait):
    assert judge({"status": 429, "retry_after": said}, "GET", PATH).wait == wait


def test_waits_that_nobody_says_grow_and_end():
    assert [judge({"status": 500}, "GET", PATH, attempt).wait for attempt in (1, 2, 3, 6, 60)] == [1, 2, 4, 30, 30]


def test_a_refusal_is_the_apis_own_words_and_not_the_query():
    errors = [{"reason": "Label must be unique", "field": "label"}, {"reason": "region is not valid", "field": None}]
    judged = judge({"status": 400, "json": {"errors": errors}}, "POST", PATH)
    assert judged.sentence == (
        "Linode refuses POST /linode/instances (400): Label must be unique (label); region is not valid."
    )


def test_a_wrong_token_says_where_it_comes_from():
    sentence = judge({"status": 401, "json": {"errors": [{"reason": "Invalid Token"}]}}, "GET", PATH).sentence
    assert sentence.startswith("Linode refuses GET /linode/instances (401): Invalid Token. Is the token right?")
