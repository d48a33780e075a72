"""Where no parser is, what saves rows is one SELECT, and it is of the plan's steps."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.actions import parsing, savable
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.plan import Rows, Step
from ansible_collections.taaraxtak.production.plugins.module_utils.actions.records import Save
from ansible_collections.taaraxtak.production.tests.unit.actions.incidents import read, rehearsal
from ansible_collections.taaraxtak.production.tests.unit.actions.statements import HONEST

GOOD = rehearsal().steps[0].saves[0].query


@pytest.mark.parametrize(
    "query",
    [
        f"{GOOD}; DROP TABLE public.provider_marketshare",
        f"{GOOD};",
        f"{GOOD} -- x",
        f"{GOOD} /*",
        "DROP TABLE public.provider_marketshare",
        "WITH d AS (DELETE FROM public.provider_marketshare RETURNING *) SELECT * FROM d",
        "COMMIT",
        "",
        ";",
    ],
)
def test_what_is_not_one_select_is_not_sent(query):
    step = dataclasses.replace(rehearsal().steps[0], saves=(Save("public", "provider_marketshare", query),))
    assert "step remove-duplicates: what saves its rows" in savable.unsent(read(), rehearsal(steps=(step,)))


def test_what_the_parser_has_made_is_sent():
    assert savable.unsent(read(), rehearsal()) == ""


@pytest.mark.parametrize(("sql", "flags"), HONEST)
def test_what_saves_the_rows_of_an_honest_change_is_sent(sql, flags):
    step = Step("x", "y", sql, Rows(1, 1), **flags)
    savable.check_saves(dataclasses.replace(read(), steps=(step,)), {"x": parsing.saves(sql)})


@pytest.mark.parametrize("change", [{"id": "other"}, {"sql": "DELETE FROM public.t WHERE id = 1"}])
def test_the_steps_of_another_plan_are_not_taken(change):
    step = dataclasses.replace(rehearsal().steps[0], **change)
    assert "has other steps than the plan: rehearse it again" in savable.unsent(read(), rehearsal(steps=(step,)))


@pytest.mark.parametrize("saves", [{}, {"x": (), "y": ()}])
def test_there_are_saves_of_each_step_and_of_nothing_else(saves):
    step = Step("x", "y", "DELETE FROM public.t WHERE id = 1", Rows(1, 1))
    with pytest.raises(ValueError, match="each step of the plan, and nothing else"):
        savable.check_saves(dataclasses.replace(read(), steps=(step,)), saves)


def test_truncate_without_saves_is_refused():
    step = Step("x", "y", "TRUNCATE public.t", Rows(1, 1), allow_truncate=True)
    with pytest.raises(ValueError, match="no rows of it are saved"):
        savable.check_saves(dataclasses.replace(read(), steps=(step,)), {"x": ()})
