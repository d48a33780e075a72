# Copyright (c) The taaraxtak.production authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules make of the sender's report and of the settings."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.control import (
    Shelf,
    planned,
    read_report,
)
from ansible_collections.taaraxtak.production.plugins.module_utils.dumps.stores import Settings, Store

SETTINGS = Settings(
    source_command=("source",),
    stores=(Store("near", ("ssh", "near")), Store("far", ("ssh", "far"))),
    databases=("taaraxtak", "other"),
)


def result(**more: t.Any) -> dict[str, t.Any]:
    return {"artefact": "taaraxtak", "store": "near", "ok": True, "unknown": False, "reason": "", **more}


def report(*results: dict[str, t.Any], reason: str = "") -> str:
    return json.dumps({"results": results, "reason": reason}) + "\n"


def test_a_report_is_good_where_everything_is_stored() -> None:
    found = read_report(report(result(), result(store="far")))
    assert found.ok
    assert found.changed
    assert found.problems == []


@pytest.mark.parametrize(
    ("text", "changed", "problems"),
    [
        (report(), False, []),
        (report(reason="the lock is held"), False, ["the lock is held"]),
        (report(result(), reason="interrupted"), True, ["interrupted"]),
        (report(result(ok=False, reason="full")), False, ["taaraxtak at near: full"]),
        (report(result(ok=False, unknown=True, reason="lost")), True, ["taaraxtak at near: lost"]),
        (report(result(), result(ok=False, store="far", reason="full")), True, ["taaraxtak at far: full"]),
    ],
)
def test_anything_less_is_no_success_and_says_what_may_have_changed(
    text: str, changed: bool, problems: list[str]
) -> None:
    found = read_report(text)
    assert not found.ok
    assert found.changed is changed
    assert found.problems == problems


@pytest.mark.parametrize(
    "text", ["", "\n", "no JSON", "[]", "{}", '{"results": 1}', '{"results": [1]}', '{"results": [{"ok": true}]}']
)
def test_what_is_no_report_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="dump-send"):
        read_report(text)


def test_what_the_sender_says_before_its_report_is_passed_over() -> None:
    assert read_report("a warning\n" + report(result())).ok


@pytest.mark.parametrize(
    ("artefacts", "stores", "expected"),
    [
        ([], ["far"], [("far", "globals"), ("far", "taaraxtak"), ("far", "other")]),
        (["other", "globals"], [], [("near", "globals"), ("near", "other"), ("far", "globals"), ("far", "other")]),
    ],
)
def test_a_plan_has_each_artefact_for_each_store_in_the_order_of_a_run(
    artefacts: list[str], stores: list[str], expected: list[tuple[str, str]]
) -> None:
    assert [(one["store"], one["artefact"]) for one in planned(SETTINGS, artefacts, stores)] == expected


@pytest.mark.parametrize(("artefacts", "stores"), [(["nowhere"], []), ([], ["nowhere"])])
def test_a_plan_for_something_unknown_is_refused(artefacts: list[str], stores: list[str]) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        planned(SETTINGS, artefacts, stores)


def dump(name: str, database: str = "taaraxtak", kind: str = "dump", **more: t.Any) -> dict[str, t.Any]:
    signer = "one" if more.get("signed", True) else ""
    states = {"archived": True, "signed": True, "signer": signer, "verified": False, "age_s": 60, **more}
    return {"name": name, "database": database, "kind": kind, **states}


def test_the_newest_of_each_kind_is_the_last_that_counts() -> None:
    shelf = Shelf(
        (
            dump("a", verified=True),
            dump("b"),
            dump("g", kind="globals"),
            dump("s", kind="saved"),
            dump("c", signed=False),
            dump("d", archived=False, signed=False),
            dump("x", database="another", archived=False, signed=False),
        ),
        (),
    )
    newest = {
        (one["database"], one["kind"]): tuple(one[what] and one[what]["name"] for what in ("archived", "verified"))
        for one in shelf.newest()
    }
    assert newest == {
        ("taaraxtak", "dump"): ("b", "a"),
        ("taaraxtak", "globals"): ("g", None),
        ("another", "dump"): (None, None),
    }


def test_a_dump_of_the_future_is_not_the_newest_and_hides_none() -> None:
    """As the newest one it would hide for how long none has come; a clock that is corrected is no reason."""
    shelf = Shelf((dump("a", verified=True, age_s=-3600), dump("b", verified=True, age_s=-3601)), ())
    assert [(one["archived"]["name"], one["verified"]["name"]) for one in shelf.newest()] == [("a", "a")]
    assert [one["archived"] for one in Shelf((dump("b", age_s=-3601),), ()).newest()] == [None]


def test_each_host_has_a_newest_dump_of_its_own() -> None:
    shelf = Shelf((dump("a", verified=True), dump("b", signer="two"), dump("c", signer="two"), dump("d")), ())
    newest = [
        (one["signer"], *(one[what] and one[what]["name"] for what in ("archived", "verified")))
        for one in shelf.newest()
    ]
    assert newest == [("one", "d", "a"), ("two", "c", None)]


def test_dumps_are_chosen_by_name_database_and_kind() -> None:
    shelf = Shelf((dump("a"), dump("g", kind="globals"), dump("x", database="another")), ("odd",))
    assert [one["name"] for one in shelf.chosen(database="taaraxtak").dumps] == ["a", "g"]
    assert [one["name"] for one in shelf.chosen(kind="globals").dumps] == ["g"]
    assert [one["name"] for one in shelf.chosen(name="x").dumps] == ["x"]
    assert shelf.chosen(name="x", kind="globals").dumps == ()
    assert shelf.chosen(name="x").problems == ("odd",)
