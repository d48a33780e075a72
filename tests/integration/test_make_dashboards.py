"""`make export-dashboards` and `make import-dashboards`, as a developer types them, against the stand-in of Grafana."""

from __future__ import annotations

import io
import json
import os
import shutil
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
    members = {"old.dashboard": held, "dashboards_202101010000.txt": "uid/old\tOld one\n"}
    with tarfile.open(archive, "w:gz") as out:
        for name, content in members.items():
            member = tarfile.TarInfo(f"out/dashboards/202101010000/{name}")
            member.size = len(content.encode())
            out.addfile(member, io.BytesIO(content.encode()))
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


def inventory(folder: Path, hosts: str, settings: str) -> str:
    """An inventory's folder with these two files."""
    (folder / "group_vars/production_hosts").mkdir(parents=True)
    (folder / "hosts.yml").write_text(hosts)
    (folder / "group_vars/production_hosts/dashboards.yml").write_text(settings)
    return str(folder)


HOSTS = "production_hosts: {hosts: {production: {ansible_host: 192.0.2.10}, second: }}\n"
URL = "dashboards_url: https://grafana.example.org/\n"


def test_production_is_refused_by_its_address_in_the_inventory(server, tmp_path):
    theirs = inventory(tmp_path / "inventory", HOSTS, f"dashboards_url: {server.url}/\n")
    done = make("import-dashboards", server, ROOT / "dashboards", INVENTORY=theirs)
    assert done.returncode != 0
    assert "is production" in done.stdout
    assert server.asked() == []


@pytest.mark.parametrize("host", ["192.0.2.10", "PRODUCTION", "second", "[2001:db8::1]"])
def test_production_is_refused_by_its_hosts_name_and_address(server, tmp_path, host):
    hosts = (
        HOSTS if "[" not in host else "all: {children: {production_hosts: {hosts: {p: {ansible_host: '2001:db8::1'}}}}}"
    )
    theirs = inventory(tmp_path / "inventory", hosts, URL)
    done = make("import-dashboards", server, ROOT / "dashboards", INVENTORY=theirs, URL=f"http://{host}:3000")
    assert done.returncode != 0
    assert "is production" in done.stdout


@pytest.mark.parametrize(
    ("hosts", "settings"),
    [
        (HOSTS, "dashboards_grafana: none\n"),
        (HOSTS, "# empty\n"),
        ("", URL),
        ("store_hosts: {hosts: {store: }}\n", URL),
        (HOSTS, 'dashboards_url: "https://{{ host }}/"\n'),
    ],
)
def test_where_nothing_says_what_production_is_nothing_is_imported(server, tmp_path, hosts, settings):
    theirs = inventory(tmp_path / "inventory", hosts, settings)
    done = make("import-dashboards", server, ROOT / "dashboards", INVENTORY=theirs)
    assert done.returncode != 0
    assert "Which Grafana is production" in done.stdout
    assert server.asked() == []


def test_a_slip_in_the_inventorys_name_opens_nothing(server, tmp_path):
    done = make("import-dashboards", server, ROOT / "dashboards", INVENTORY=str(tmp_path / "inventroy"))
    assert done.returncode != 0
    assert "Which Grafana is production" in done.stdout
    assert server.asked() == []


def test_what_the_repository_holds_comes_back_from_a_server_as_it_is(server, tmp_path):
    tree = Path(shutil.copytree(ROOT / "dashboards", tmp_path / "dashboards"))
    before = files(tree)
    assert make("import-dashboards", server, tree).returncode == 0
    for _twice in range(2):
        done = make("export-dashboards", server, tree)
        assert "Nothing has changed" in done.stdout, done.stdout
        assert files(tree) == before


def test_a_run_that_only_looks_says_so_and_changes_nothing(server, tmp_path):
    tree = tmp_path / "dashboards"
    server.make_folder("Internet", "internet")
    server.put(dashboard("gini", "Gini"), "internet")
    looked = make("export-dashboards", server, tree, CHECK="1")
    assert looked.returncode == 0, looked.stdout
    assert "would be in" in looked.stdout
    assert "Nothing was written" in looked.stdout
    assert "commit and open" not in looked.stdout
    assert not tree.exists()
    assert make("export-dashboards", server, tree).returncode == 0
    with stand_in(tmp_path / "another") as another:
        looked = make("import-dashboards", another, tree, CHECK="1")
        assert looked.returncode == 0, looked.stdout
        assert "would be in" in looked.stdout
        assert "folder   Internet" in looked.stdout
        assert "Nothing was written" in looked.stdout
        assert another.ask("GET", "/api/search?type=dash-db") == []
        assert "folder   Internet" in make("import-dashboards", another, tree).stdout


def test_it_says_what_to_give(server, tmp_path):
    done = make("import-dashboards", server, tmp_path / "dashboards", URL="", TOKEN_FILE="")
    assert done.returncode != 0
    assert "Say URL=" in done.stdout
