"""Export, import and comparison against the stand-in: what a developer and the drift check do."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, run_module
from ansible_collections.taaraxtak.production.tests.integration.grafana_servers import StandIn, dashboard, stand_in


class Bench:
    """A stand-in and a tree in an empty folder."""

    def __init__(self, server: StandIn, tree: Path) -> None:
        self.server = server
        self.tree = tree

    def run(
        self, state: str, *, role: str = "Editor", check: bool = False, diff: bool = False, **more: t.Any
    ) -> Result:
        """The module with a token of this role."""
        given = {"url": self.server.url, "token_file": self.server.token_file(role), "folder": str(self.tree)}
        wanted = {key: value for key, value in {**given, **more}.items() if value is not None}
        return run_module("grafana_dashboards", {"state": state, **wanted}, check=check, diff=diff)

    def files(self) -> dict[str, str]:
        """All files of the tree."""
        return {
            path.relative_to(self.tree).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(self.tree.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def bench(tmp_path: Path) -> t.Iterator[Bench]:
    with stand_in(tmp_path / "server") as server:
        (tmp_path / "checkout").mkdir()
        yield Bench(server, tmp_path / "checkout" / "dashboards")


@pytest.fixture
def filled(bench: Bench) -> Bench:
    """Two dashboards, one of them in a folder."""
    bench.server.make_folder("Internet freedom", "int")
    bench.server.put(dashboard("ooni", "OONI: blocked sites", editable=True, iteration=16), "int")
    bench.server.put(dashboard("start", "Start"))
    return bench


def test_an_export_writes_one_tidy_file_for_each_dashboard(filled: Bench) -> None:
    done = filled.run("exported", role="Viewer")
    assert not done.failed, done.msg
    assert done.changed
    assert done.values["added"] == ["Internet freedom/ooni-blocked-sites.json", "start.json"]
    files = filled.files()
    assert sorted(files) == done.values["added"]
    data = json.loads(files["Internet freedom/ooni-blocked-sites.json"])
    assert not {"id", "version", "iteration"} & set(data)
    assert data["uid"] == "ooni"
    assert files["start.json"] == json.dumps(json.loads(files["start.json"]), indent=2, sort_keys=True) + "\n"
    assert list(filled.tree.parent.iterdir()) == [filled.tree]


def test_a_second_export_changes_nothing_and_touches_no_file(filled: Bench) -> None:
    filled.run("exported")
    before = {path: path.stat().st_mtime_ns for path in filled.tree.rglob("*")}
    again = filled.run("exported", diff=True)
    assert not again.failed
    assert not again.changed
    assert again.values["diff"] == []
    assert {path: path.stat().st_mtime_ns for path in filled.tree.rglob("*")} == before


def test_check_mode_says_the_same_and_writes_nothing(filled: Bench) -> None:
    foretold = filled.run("exported", check=True, diff=True)
    assert not filled.tree.exists()
    done = filled.run("exported", diff=True)
    keys = ("changed", "added", "updated", "removed", "dashboards", "diff")
    assert {key: foretold.values[key] for key in keys} == {key: done.values[key] for key in keys}
    assert "after" in done.values["diff"][0]
    assert '"title": "OONI: blocked sites"' in done.values["diff"][0]["after"]


def test_a_renamed_moved_or_removed_dashboard_takes_its_file_along(filled: Bench) -> None:
    filled.run("exported")
    (filled.tree / "README.md").write_text("mine\n", encoding="utf-8")
    (filled.tree / "Internet freedom" / "notes.txt").write_text("mine too\n", encoding="utf-8")
    filled.server.put(dashboard("ooni", "Blocked"))
    filled.server.ask("DELETE", "/api/dashboards/uid/start")
    filled.server.put(dashboard("new", "New"), "int")
    done = filled.run("exported")
    assert not done.failed, done.msg
    assert done.values["added"] == ["Internet freedom/new.json", "blocked.json"]
    assert done.values["removed"] == ["Internet freedom/ooni-blocked-sites.json", "start.json"]
    # What isn't a dashboard's stays.
    assert sorted(filled.files()) == [
        *("Internet freedom/new.json", "Internet freedom/notes.txt", "README.md", "blocked.json"),
    ]


def test_a_dashboard_that_the_token_may_not_see_keeps_its_file(filled: Bench) -> None:
    """The search leaves it out without a word."""
    filled.run("exported")
    before = filled.files()
    filled.server.ask("POST", "/api/folders/int/permissions", {"items": [{"role": "Editor", "permission": 2}]})
    hidden = filled.run("exported", role="Viewer")
    assert hidden.failed
    assert "403" in hidden.msg
    assert filled.files() == before


def test_an_empty_or_wrong_server_empties_no_tree(filled: Bench) -> None:
    filled.run("exported")
    before = filled.files()
    for uid in ("ooni", "start"):
        filled.server.ask("DELETE", f"/api/dashboards/uid/{uid}")
    empty = filled.run("exported")
    assert empty.failed
    assert "no dashboard at all" in empty.msg
    filled.server.put(dashboard("other", "Other"))
    wrong = filled.run("exported")
    assert wrong.failed
    assert "is it the right one" in wrong.msg
    assert filled.files() == before
    assert filled.run("exported", may_empty=True).values["removed"] == sorted(before)
    assert sorted(filled.files()) == ["other.json"]


def test_an_import_brings_another_server_to_the_repository_and_the_second_saves_nothing(
    filled: Bench, tmp_path: Path
) -> None:
    filled.run("exported")
    with stand_in(tmp_path / "other") as other:
        foretold = filled.run("imported", check=True, url=other.url, token_file=other.token_file("Editor"))
        assert foretold.changed
        assert not [path for method, path in other.asked() if method != "GET"]
        done = filled.run("imported", url=other.url, token_file=other.token_file("Editor"), commit_message="For review")
        assert not done.failed, done.msg
        assert done.values["added"] == foretold.values["added"] == ["ooni", "start"]
        assert done.values["folders"] == foretold.values["folders"] == ["Internet freedom"]
        there = other.ask("GET", "/api/dashboards/uid/ooni")
        assert there["meta"]["folderTitle"] == "Internet freedom"
        # It is to be edited there, so the editor must not be closed.
        assert there["dashboard"]["editable"] is True
        asked = len(other.asked())
        again = filled.run("imported", url=other.url, token_file=other.token_file("Editor"))
        assert (again.failed, again.changed) == (False, False)
        assert not [path for method, path in other.asked()[asked:] if method != "GET"]
        tree = tmp_path / "checkout" / "second"
        filled.run("exported", url=other.url, token_file=other.token_file("Viewer"), folder=str(tree))
        assert Bench(other, tree).files() == filled.files()


def test_an_import_replaces_what_differs_only_with_overwrite(filled: Bench) -> None:
    filled.run("exported")
    filled.server.put(dashboard("start", "Start", tags=["changed"]))
    refused = filled.run("imported", overwrite=False)
    assert refused.failed
    assert "set overwrite" in refused.msg
    done = filled.run("imported", diff=True)
    assert done.values["updated"] == ["start"]
    assert '-    "changed"' in done.values["diff"][0]["prepared"]
    assert filled.server.ask("GET", "/api/dashboards/uid/start")["dashboard"]["tags"] == []


def test_an_import_never_takes_the_place_of_another_dashboard_of_that_title(filled: Bench) -> None:
    filled.run("exported")
    filled.server.ask("DELETE", "/api/dashboards/uid/start")
    filled.server.put(dashboard("mine", "Start"))
    refused = filled.run("imported")
    assert refused.failed
    assert "another dashboard 'Start' (uid mine)" in refused.msg
    assert filled.server.ask("GET", "/api/dashboards/uid/mine")


def write_provider(folder: Path, tree: Path, **more: t.Any) -> None:
    """A provisioning folder as production has it."""
    provider = {"name": "taaraxtak", "type": "file", "allowUiUpdates": False, **more}
    provider["options"] = {"path": str(tree), "foldersFromFilesStructure": True}
    (folder / "dashboards").mkdir(parents=True)
    content = {"apiVersion": 1, "providers": [provider]}
    (folder / "dashboards" / "taaraxtak.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("state", ["imported", "compared"])
def test_a_tree_that_is_not_there_is_no_empty_tree(bench: Bench, state: str) -> None:
    refused = bench.run(state)
    assert refused.failed
    assert "there is no folder" in refused.msg


def test_an_export_puts_right_what_a_killed_one_has_left_even_where_it_fails(filled: Bench) -> None:
    filled.run("exported")
    before = filled.files()
    filled.tree.rename(filled.tree.with_name(".dashboards.old"))
    filled.tree.with_name(".dashboards.new").mkdir()
    filled.server.fail({"status": 500, "times": 0})
    assert filled.run("exported").failed
    assert filled.files() == before
    assert list(filled.tree.parent.iterdir()) == [filled.tree]
    filled.server.fail()
    assert not filled.run("exported").changed


def test_production_is_told_by_its_provisioned_dashboards(filled: Bench, tmp_path: Path) -> None:
    filled.run("exported")
    write_provider(tmp_path / "etc", filled.tree)
    with stand_in(tmp_path / "production", "--provisioning", str(tmp_path / "etc")) as production:
        refused = filled.run("imported", url=production.url, token_file=production.token_file("Admin"))
        assert refused.failed
        assert "comes from files at this server" in refused.msg
        assert not [path for method, path in production.asked() if method != "GET"]


def test_production_is_told_by_its_address_before_anything_is_asked(filled: Bench) -> None:
    filled.run("exported")
    asked = len(filled.server.asked())
    refused = filled.run("imported", production_urls=[filled.server.url.replace("127.0.0.1", "localhost")])
    assert refused.failed
    assert "is production" in refused.msg
    assert len(filled.server.asked()) == asked


def test_the_comparison_finds_every_kind_of_drift(filled: Bench, tmp_path: Path) -> None:
    filled.run("exported")
    write_provider(tmp_path / "etc", filled.tree)
    with stand_in(tmp_path / "production", "--provisioning", str(tmp_path / "etc"), "--poll", "3600") as production:
        here = {"url": production.url, "token_file": production.token_file("Viewer")}
        same = filled.run("compared", **here)
        assert not same.failed, same.msg
        assert same.values["equal"] is True
        production.put(dashboard("planted", "Planted"))
        (filled.tree / "start.json").write_text(
            (filled.tree / "start.json").read_text(encoding="utf-8").replace("Gini", "Gini index"), encoding="utf-8"
        )
        (filled.tree / "new.json").write_text(json.dumps(dashboard("new", "New")), encoding="utf-8")
        drift = filled.run("compared", diff=True, **here)
        assert drift.values["equal"] is False
        assert drift.changed is False
        assert drift.values["added"] == drift.values["not_provisioned"] == ["planted"]
        assert drift.values["updated"] == ["start"]
        assert drift.values["removed"] == ["new"]
        assert '-      "title": "Gini index"' in drift.values["differences"]["start"]
        assert '+      "title": "Gini"' in drift.values["differences"]["start"]
        assert not [path for method, path in production.asked() if method != "GET" and "dashboards/db" not in path]


def test_a_dashboard_that_is_equal_but_saved_by_hand_is_drift(filled: Bench) -> None:
    filled.run("exported")
    found = filled.run("compared")
    assert (found.values["equal"], found.values["updated"]) == (False, [])
    assert found.values["not_provisioned"] == ["ooni", "start"]


def test_what_comes_from_no_file_is_told_by_its_content(filled: Bench) -> None:
    """Who has accepted one has not accepted whatever it becomes."""
    filled.run("exported")
    before = filled.run("compared").values["contents"]
    filled.server.put(dashboard("ooni", "Another"))
    after = filled.run("compared").values["contents"]
    assert before.keys() == after.keys() == {"ooni", "start"}
    assert before["start"] == after["start"]
    assert before["ooni"] != after["ooni"]


def test_the_token_is_shown_nowhere(filled: Bench) -> None:
    token = filled.server.token("Admin")
    given = {"state": "exported", "url": filled.server.url, "folder": str(filled.tree)}
    by_environment = run_module("grafana_dashboards", given, env={"GRAFANA_TOKEN": token})
    assert not by_environment.failed, by_environment.msg
    by_option = run_module("grafana_dashboards", {**given, "token": token}, diff=True)
    for result in (by_environment, by_option):
        assert token not in json.dumps(result.values)


def test_a_tokens_file_that_others_may_read_is_refused(filled: Bench) -> None:
    Path(filled.server.token_file("Viewer")).chmod(0o644)
    refused = filled.run("exported", role="Viewer")
    assert refused.failed
    assert "chmod it to 0600" in refused.msg
