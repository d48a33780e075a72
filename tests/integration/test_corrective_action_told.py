"""What a report tells is for the repository and for logs: rows of people are in the saved rows alone."""

# ruff: noqa: F811 (the fixture is imported)

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.tests.integration.actions_host import action  # noqa: F401

SECRET = "s3cr3t-token"
TABLE = f"""
SET ROLE actions_owner;
CREATE TABLE public.people (k int PRIMARY KEY, token text UNIQUE, age int NOT NULL CHECK (age < 100));
INSERT INTO public.people VALUES (1, '{SECRET}', 1), (2, '{SECRET}-too', 2);
CREATE TABLE public.rooms (k int PRIMARY KEY, token text REFERENCES public.people (token));
INSERT INTO public.rooms VALUES (1, '{SECRET}');
CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'not this one' USING DETAIL = 'it is ' || OLD.token; END $$;
CREATE TRIGGER refusing BEFORE DELETE ON public.people FOR EACH ROW WHEN (OLD.k = 2) EXECUTE FUNCTION public.refuse();
"""  # noqa: S608 (ours)
# Statement, what else the step says, and what is told.
FAILING: dict[str, tuple[str, dict[str, t.Any], str]] = {
    "not null": (
        "UPDATE public.people SET age = NULL WHERE k = 1",
        {},
        'null value in column "age" of relation "people" violates not-null constraint (SQLSTATE 23502)',
    ),
    "check": (
        "UPDATE public.people SET age = 100 WHERE k = 1",
        {},
        'violates check constraint "people_age_check" (SQLSTATE 23514)',
    ),
    "unique": (
        "UPDATE public.people SET token = (SELECT p.token FROM public.people AS p WHERE p.k = 2) WHERE k = 1",
        {},
        'violates unique constraint "people_token_key" (SQLSTATE 23505)',
    ),
    "a foreign key": (
        "DELETE FROM public.people WHERE k = 1",
        {"triggers": ["public.people.refusing"]},
        'foreign key constraint "rooms_token_fkey" on table "rooms" (SQLSTATE 23503)',
    ),
    "a cast": (
        "UPDATE public.people SET age = token::int WHERE k = 1",
        {},
        "invalid text representation (SQLSTATE 22P02)",
    ),
    "a trigger": (
        "DELETE FROM public.people WHERE k = 2",
        {"triggers": ["public.people.refusing"]},
        "not this one (SQLSTATE P0001)",
    ),
}


@pytest.mark.parametrize("kind", FAILING)
def test_no_row_is_in_the_report_of_a_statement_that_failed(action, kind: str):
    statement, more, why = FAILING[kind]
    action.server.run(TABLE, database=action.database)
    action.approve(steps=[{"id": "wrong", "why": "x", "sql": statement, "expect_rows": 1, **more}])
    result = action.run()
    after = action.after(result)
    assert after.outcome == "rolled back"
    assert why in after.reason
    assert why in after.steps[0].problem
    assert SECRET not in json.dumps(result.values)


def test_the_files_of_an_incident_are_not_logged(action):
    """Ansible tells the host's journal and its own answer each argument; those of an undo are people's rows."""
    action.approve()
    result = action.run(check=True, _ansible_inject_invocation=True)
    assert not result.failed
    given = result.values["invocation"]["module_args"]
    assert given["database"] == action.database
    assert set(given["files"].values()) == {"VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"}


def test_a_question_that_failed_tells_no_row(action):
    action.server.run(TABLE, database=action.database)
    action.approve(invariants=[{"id": "tokens", "query": "SELECT sum(token::int) FROM public.people"}])
    result = action.run()
    assert "tokens could not be asked: invalid text representation" in action.after(result).reason
    assert SECRET not in json.dumps(result.values)
