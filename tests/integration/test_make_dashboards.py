"""`make export-dashboards` and `make import-dashboards`, as a developer types them, against the stand-in of Grafana."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.tests.integration.grafana_servers import StandIn, dashboard, stand_in

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server(tmp_path: Path) -> t.Iterator[StandIn]:
    with stand_in(tmp_path / "server") as running:
        yield running


def make(target: str, server: StandIn, tree: Path, **words: str) -> subprocess.CompletedProcess[str]:
    """Type it; the virtual environment is there already."""
    given = {"URL": server.url, "TOKEN_FILE": server.token_file("Editor"), "DASHBOARDS": str(tree), **words}
    return subprocess.run(
        ["make", "--no-print-directory", "-o", "venv", target, *(f"{key}={value}" for key, value in given.items())],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def files(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in tree.rglob("*") if path.is_file()}


def test_a_developer_imports_edits_exports_and_is_told_what_to_commit(server, tmp_path):
    tree = tmp_path / "dashboards"
    server.make_folder("Internet", "internet")
    server.put(dashboard("gini", "Gini"), "internet")
    first = make("export-dashboards", server, tree)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "new      Internet/gini.json" in first.stdout
    assert "commit and open a pull request" in first.stdout
    before = files(tree)

    second = make("export-dashboards", server, tree)
    assert "Nothing has changed" in second.stdout
    assert files(tree) == before

    server.put({**dashboard("gini", "Gini"), "description": "edited"}, "internet")
    assert "changed  Internet/gini.json" in make("export-dashboards", server, tree).stdout
    edited = files(tree)
    with stand_in(tmp_path / "another") as another:
        brought = make("import-dashboards", another, tree)
        assert brought.returncode == 0, brought.stdout
        assert "new      gini" in brought.stdout
        assert another.ask("GET", "/api/dashboards/uid/gini")["dashboard"]["description"] == "edited"
        assert "Nothing has changed" in make("export-dashboards", another, tree).stdout
    assert files(tree) == edited


def test_an_old_archive_becomes_files(server, tmp_path):
    tree, archive = tmp_path / "dashboards", tmp_path / "202101010000.tar.gz"
    held = json.dumps(
        {"meta": {"folderTitle": "General", "folderId": 0}, "dashboard": dashboard("old", "Old one", id=4)}
    )
    with tarfile.open(archive, "w:gz") as out:
        member = tarfile.TarInfo("out/dashboards/202101010000/old.dashboard")
        member.size = len(held.encode())
        out.addfile(member, io.BytesIO(held.encode()))
    done = make("export-dashboards", server, tree, FROM=str(archive))
    assert done.returncode == 0, done.stdout
    assert list(files(tree)) == ["old-one.json"]
    assert server.asked() == [], "an archive is read without a server"
    assert make("import-dashboards", server, tree, FROM=str(archive)).returncode == 0
    assert server.ask("GET", "/api/dashboards/uid/old")["dashboard"]["title"] == "Old one"


def test_a_half_dead_grafana_changes_no_file_and_says_why(server, tmp_path):
    tree = tmp_path / "dashboards"
    server.put(dashboard("gini", "Gini"))
    assert make("export-dashboards", server, tree).returncode == 0
    before = files(tree)
    server.fail({"path": "/api/dashboards/uid/", "status": 500, "times": 0})
    done = make("export-dashboards", server, tree)
    assert done.returncode != 0
    assert "500" in done.stdout
    assert files(tree) == before


def test_production_is_refused_by_its_address_in_the_inventory(server, tmp_path):
    settings = tmp_path / "inventory/group_vars/production_hosts/dashboards.yml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"dashboards_url: {server.url}/\n")
    done = make("import-dashboards", server, ROOT / "dashboards", INVENTORY=str(tmp_path / "inventory"))
    assert done.returncode != 0
    assert "is production" in done.stdout
    assert server.asked() == []


def test_it_says_what_to_give(server, tmp_path):
    done = make("import-dashboards", server, tmp_path / "dashboards", URL="", TOKEN_FILE="")
    assert done.returncode != 0
    assert "Say URL=" in done.stdout
