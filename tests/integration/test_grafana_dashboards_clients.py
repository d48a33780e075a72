"""Other people's clients meet the module at the same server: neither is the other's echo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.conftest import Result, run_module
from ansible_collections.taaraxtak.production.tests.integration.grafana_servers import StandIn, dashboard, stand_in
from ansible_collections.taaraxtak.production.tests.unit.dashboards.archives import SAMPLE, STAMP, members, packed
from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, TokenAuth

# grafana-backup asks for /api/auth/keys, which is gone in 12; and alert channels are gone in 11.
OLD = "10.4.0"
BIN = Path(sys.executable).parent


def files(tree: Path) -> dict[str, bytes]:
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def module(server: StandIn, state: str, tree: Path | None, role: str = "Editor", **more: t.Any) -> Result:
    given = {"state": state, "url": server.url, "token_file": server.token_file(role), **more}
    done = run_module("grafana_dashboards", {**given, **({"folder": str(tree)} if tree else {})})
    assert not done.failed, done.msg
    return done


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / f"{STAMP}.tar.gz"
    path.write_bytes(packed(members(SAMPLE)))
    return path


def backup(server: StandIn, folder: Path, *arguments: str) -> None:
    """Run grafana-backup as people did; it says 0 whatever happens, so what it did is looked at."""
    environment = {
        **{"PATH": os.environ["PATH"], "HOME": str(folder), "DEBUG": "false"},
        **{"GRAFANA_URL": server.url, "GRAFANA_TOKEN": server.token("Admin"), "BACKUP_DIR": "visualizations/grafana"},
    }
    done = subprocess.run(
        [BIN / "grafana-backup", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_old_archive_restored_by_its_own_tool_exports_as_we_read_it(archive: Path, tmp_path: Path) -> None:
    read = run_module(
        "grafana_dashboards", {"state": "exported", "archive": str(archive), "folder": str(tmp_path / "read")}
    )
    assert not read.failed, read.msg
    assert read.values["notes"]
    with stand_in(tmp_path / "server", "--version", OLD) as server:
        backup(server, tmp_path, "restore", "--components=folders,dashboards", str(archive))
        assert len(server.ask("GET", "/api/search?type=dash-db")) == len(SAMPLE)
        module(server, "exported", tmp_path / "restored", role="Viewer")
    assert files(tmp_path / "restored") == files(tmp_path / "read")
    assert sorted(files(tmp_path / "read")) == read.values["added"]
    assert len(read.values["added"]) == len(SAMPLE)


def test_an_archive_that_the_tool_saves_today_is_read_as_an_export_is(tmp_path: Path) -> None:
    with stand_in(tmp_path / "server", "--version", OLD) as server:
        server.make_folder("Internet", "int")
        server.put(dashboard("ooni", "OONI"), "int")
        server.put(dashboard("start", "Start"))
        backup(server, tmp_path, "save", "--components=folders,dashboards")
        module(server, "exported", tmp_path / "exported", role="Viewer")
    (saved,) = (tmp_path / "visualizations" / "grafana").glob("*.tar.gz")
    given = {"state": "exported", "archive": str(saved), "folder": str(tmp_path / "read")}
    assert not run_module("grafana_dashboards", given).failed
    assert files(tmp_path / "read") == files(tmp_path / "exported")


def test_an_archive_is_imported_without_a_tree(archive: Path, tmp_path: Path) -> None:
    with stand_in(tmp_path / "server") as server:
        done = module(server, "imported", None, archive=str(archive))
        assert done.values["added"] == sorted(data["uid"] for data, _folder in SAMPLE)
        assert not module(server, "imported", None, archive=str(archive)).changed
        module(server, "exported", tmp_path / "tree")
    assert len(files(tmp_path / "tree")) == len(SAMPLE)


def test_an_archive_adds_to_a_tree_and_takes_nothing_away(archive: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "mine.json").write_text(json.dumps(dashboard("mine", "Mine")), encoding="utf-8")
    (tree / "debug-old-name.json").write_text(json.dumps(dashboard("3nPN6xrGk", "Debug, old name")), encoding="utf-8")
    done = run_module("grafana_dashboards", {"state": "exported", "archive": str(archive), "folder": str(tree)})
    assert not done.failed, done.msg
    assert done.values["removed"] == ["debug-old-name.json"]
    assert sorted(files(tree)) == [
        "Internet/internet-centralization.json",
        "Internet/ooni.json",
        "debug.json",
        "mine.json",
    ]


@pytest.mark.parametrize("spoilt", ["cut", "no archive", "missing"])
def test_a_spoilt_archive_changes_no_file(archive: Path, tmp_path: Path, spoilt: str) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "mine.json").write_text(json.dumps(dashboard("mine", "Mine")), encoding="utf-8")
    before = files(tree)
    content = {"cut": archive.read_bytes()[:-100], "no archive": b"x"}.get(spoilt)
    if content is None:
        archive.unlink()
    else:
        archive.write_bytes(content)
    done = run_module("grafana_dashboards", {"state": "exported", "archive": str(archive), "folder": str(tree)})
    assert done.failed
    assert str(archive) in done.msg
    assert files(tree) == before
    assert sorted(path.name for path in tmp_path.iterdir() if path != archive) == ["tree"]


def playbook(server: StandIn, folder: Path, tasks: list[dict[str, t.Any]]) -> dict[str, int]:
    """Run tasks of community.grafana; how many of them were ok, changed and failed."""
    login = {"url": server.url, "grafana_api_key": "{{ lookup('ansible.builtin.env', 'GRAFANA_TOKEN') }}"}
    play = {
        **{"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks},
        "module_defaults": {"group/community.grafana.grafana": login},
    }
    (folder / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run(
        [BIN / "ansible-playbook", "-i", "localhost,", "play.yml"],
        cwd=folder,
        env={
            **os.environ,
            **{"GRAFANA_TOKEN": server.token("Admin"), "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.json"},
            **{
                "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
                "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_CONFIG": "",
            },
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    stats: dict[str, int] = json.loads(done.stdout[done.stdout.index("{") :])["stats"]["localhost"]
    return stats


def test_community_grafana_makes_what_we_export_and_changes_nothing_then(tmp_path: Path) -> None:
    (tmp_path / "ooni.json").write_text(json.dumps(dashboard("ooni", "OONI")), encoding="utf-8")
    tasks: list[dict[str, t.Any]] = [
        {"community.grafana.grafana_folder": {"title": "Internet"}},
        {"community.grafana.grafana_dashboard": {"folder": "Internet", "path": "ooni.json", "overwrite": True}},
    ]
    with stand_in(tmp_path / "server") as server:
        first = playbook(server, tmp_path, tasks)
        assert first["changed"] == 2, first
        assert playbook(server, tmp_path, tasks)["changed"] == 0
        module(server, "exported", tmp_path / "tree", role="Viewer")
        assert sorted(files(tmp_path / "tree")) == ["Internet/ooni.json"]
        # It finds nothing to change in what our own import makes, either.
        assert not module(server, "imported", tmp_path / "tree").changed


def test_community_grafana_finds_what_we_import_unchanged(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "Internet").mkdir(parents=True)
    (tree / "Internet" / "ooni.json").write_text(json.dumps(dashboard("ooni", "OONI")), encoding="utf-8")
    with stand_in(tmp_path / "server") as server:
        module(server, "imported", tree)
        served = server.ask("GET", "/api/dashboards/uid/ooni")["dashboard"]
        (tmp_path / "served.json").write_text(json.dumps(served), encoding="utf-8")
        tasks = [
            {"community.grafana.grafana_folder": {"title": "Internet"}},
            {"community.grafana.grafana_dashboard": {"folder": "Internet", "path": "served.json", "overwrite": True}},
        ]
        assert playbook(server, tmp_path, tasks)["changed"] == 0


def test_grafana_client_reads_what_we_import_and_we_read_what_it_saves(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "Internet").mkdir(parents=True)
    (tree / "Internet" / "ooni.json").write_text(json.dumps(dashboard("ooni", "OONI")), encoding="utf-8")
    with stand_in(tmp_path / "server") as server:
        module(server, "imported", tree)
        client = GrafanaApi.from_url(server.url, credential=TokenAuth(token=server.token("Editor")))
        (hit,) = client.search.search_dashboards(type_="dash-db")
        assert (hit["uid"], hit["folderTitle"]) == ("ooni", "Internet")
        data = client.dashboard.get_dashboard("ooni")["dashboard"]
        changed = {"dashboard": {**data, "tags": ["reviewed"]}, "folderUid": hit["folderUid"], "overwrite": False}
        client.dashboard.update_dashboard(changed)
        # The version that it had read is no longer there.
        with pytest.raises(GrafanaClientError, match="412"):
            client.dashboard.update_dashboard(changed)
        assert module(server, "exported", tree).values["updated"] == ["Internet/ooni.json"]
        assert json.loads(files(tree)["Internet/ooni.json"])["tags"] == ["reviewed"]
