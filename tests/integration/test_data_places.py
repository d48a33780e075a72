"""Where PostgreSQL's data lie is found wherever their folders lead. What is mounted here nobody else sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "playbooks" / "files" / "data_places.py"
CLUSTER = "17/main"


@pytest.fixture
def folder() -> t.Iterator[Path]:
    """A cluster's folders, on the repository's disk: where that is the root's, and /tmp may not be."""
    (ROOT / "build").mkdir(exist_ok=True)
    with TemporaryDirectory(dir=ROOT / "build", prefix="data-places-") as name:
        made = Path(name) / "postgresql"
        for below in ("pg_wal", "pg_tblspc"):
            (made / CLUSTER / below).mkdir(parents=True)
        (made / CLUSTER / "PG_VERSION").write_text("17\n")
        (Path(name) / "volume").mkdir()
        (Path(name) / "settings").mkdir()
        if look(made)["source"] != look(made)["root"]:
            pytest.skip("NOT RUN: the repository is not on the root file system")
        yield made


def look(folder: Path, mounted: Path | None = None, status: int = 0) -> dict[str, t.Any]:
    """What the script says where a file system of its own, as a volume has it, is mounted at *mounted*."""
    mount = f"mount -t tmpfs volume '{mounted}' && " if mounted else ""
    # Folders that a link leads to are the volume's.
    made = f"mkdir -p '{mounted}/main/pg_wal' '{mounted}/main/pg_tblspc' && touch '{mounted}/main/PG_VERSION' && "
    script = f"{mount}{made if mounted else ''}exec '{sys.executable}' -I '{SCRIPT}' '{folder}'"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        env={**os.environ, "PG_CLUSTER_CONF_ROOT": str(folder.parent / "settings")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else {"said": done.stderr}


def test_data_on_the_root_disk_are_nowhere_else(folder):
    told = look(folder, mounted=folder.parent / "volume")
    assert told == {"folder": str(folder), "source": told["root"], "root": told["root"], "elsewhere": []}


def test_the_folder_itself_on_a_volume_is_found(folder):
    assert look(folder, mounted=folder)["source"] == "volume"


@pytest.mark.parametrize("below", ["17", CLUSTER, f"{CLUSTER}/pg_wal", f"{CLUSTER}/pg_wal/summaries"])
def test_a_file_system_mounted_below_is_found(folder, below):
    place = folder / below
    place.mkdir(exist_ok=True)
    told = look(folder, mounted=place)
    assert told["source"] == told["root"]
    assert {"path": str(place), "source": "volume"} in told["elsewhere"]


@pytest.mark.parametrize("link", [CLUSTER, f"{CLUSTER}/pg_wal", f"{CLUSTER}/pg_tblspc/16400"])
def test_what_a_link_leads_to_is_found(folder, link):
    volume, place = folder.parent / "volume", folder / link
    if place.exists():
        place.rename(folder.parent / "before")
    place.symlink_to(volume / "main")
    assert {"path": str(place), "source": "volume"} in look(folder, mounted=volume)["elsewhere"]


def test_a_cluster_whose_settings_have_its_data_elsewhere_is_found(folder):
    volume, settings = folder.parent / "volume", folder.parent / "settings" / "17" / "far"
    settings.mkdir(parents=True)
    (settings / "postgresql.conf").write_text(f"data_directory = '{volume}/main'\nport = 5499\n")
    told = look(folder, mounted=volume)["elsewhere"]
    assert {"path": f"{volume}/main", "source": "volume"} in told


def test_a_link_to_nowhere_is_not_taken_for_the_root_disk(folder):
    (folder / CLUSTER / "pg_tblspc" / "16400").symlink_to("/nowhere/at/all")
    assert "Where the data lie can't be looked at" in look(folder, status=1)["said"]
